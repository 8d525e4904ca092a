"""The commands around chat: who may do what and read what, and setting up Slack and Discord."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bot.errors import SettingsInvalid
from bot.people import Role, RoleBook, person_id
from bot.printing import console
from bot.settings import Settings
from bot.spelling import right_word
from bot.terminal import operator, settings_in_force

roles = typer.Typer(no_args_is_help=True, help="Who is support or admin in chat.")
slack = typer.Typer(no_args_is_help=True, help="Set up Slack.")
discord = typer.Typer(no_args_is_help=True, help="Set up Discord.")
groups = typer.Typer(no_args_is_help=True, help="Who may read what is for a group.")

PersonArgument = Annotated[str, typer.Argument(help="platform:workspace:user, such as slack:T1:U1 (`/timbre who-am-i` tells).")]
GroupArgument = Annotated[str, typer.Argument(help="The group's name, as in `timbre ingest --audience`.")]


@roles.command("list")
def list_roles() -> None:
    """Show who was given which role; everybody else is a member."""
    with _role_book() as book:
        table = Table("person", "role", "by", "at", box=None, header_style="bold", pad_edge=False)
        for grant in book.grants():
            table.add_row(Text(grant.person), grant.role, Text(grant.granted_by), f"{grant.granted_at:%Y-%m-%d %H:%M} UTC")
        console.print(table if table.row_count else "Nobody was given a role yet.")
        console.print(book.first_admin_note.replace("`", ""), soft_wrap=True)


@roles.command("grant")
def grant(person: PersonArgument, role: Annotated[str, typer.Argument(help="support or admin.")]) -> None:
    """Give a person a role, in place of the one before."""
    found, chosen = person_id(person), Role(right_word(role, list(Role), "role"))
    with _role_book() as book:
        book.grant(found, chosen, operator())
    console.print(f"{found} is {chosen} now.", markup=False)


@roles.command("revoke")
def revoke(person: PersonArgument) -> None:
    """Make a plain member of a person."""
    found = person_id(person)
    with _role_book() as book:
        book.revoke(found, operator())
    console.print(f"{found} is a plain member now.", markup=False)


@groups.command("list")
def list_groups() -> None:
    """Show who is in which group; everybody is in everyone."""
    with _role_book() as book:
        table = Table("group", "person", box=None, header_style="bold", pad_edge=False)
        for membership in book.memberships():
            table.add_row(Text(membership.group), Text(membership.person))
    console.print(table if table.row_count else "Nobody is in a group yet.")


@groups.command("add")
def add(person: PersonArgument, group: GroupArgument) -> None:
    """Let a person read what is for a group."""
    found = person_id(person)
    with _role_book() as book:
        name = book.add_to_group(found, group, operator())
    console.print(f"{found} may read what is for {name} now.", markup=False)


@groups.command("remove")
def remove(person: PersonArgument, group: GroupArgument) -> None:
    """Let a person no longer read it."""
    found = person_id(person)
    with _role_book() as book:
        name = book.remove_from_group(found, group, operator())
    console.print(f"{found} may no longer read what is for {name}.", markup=False)


@slack.command("manifest")
def manifest(
    url: Annotated[str, typer.Option(help="For HTTP mode: where Slack finds the bot, such as https://timbre.example.")] = "",
) -> None:
    """Print the manifest from which Slack makes the app."""
    from bot.main import slack_manifest

    typer.echo(json.dumps(slack_manifest(url), indent=2))


@discord.command("invite")
def invite() -> None:
    """Print the link that adds the bot to a server, with exactly the permissions that it needs."""
    from bot.main import discord_invitation

    console.print(asyncio.run(discord_invitation(_settings_with_token())), markup=False, soft_wrap=True)


@discord.command("sync")
def sync(force: Annotated[bool, typer.Option("--force", help="Also when nothing has changed.")] = False) -> None:
    """Register the commands with Discord now; `timbre serve` does so when they have changed."""
    from bot.main import open_database, sync_discord

    settings = _settings_with_token()
    with closing(open_database(settings)) as database:
        is_done = asyncio.run(sync_discord(settings, database, force))
    console.print("The commands are registered." if is_done else "Nothing has changed since they were registered.")


def _settings_with_token() -> Settings:
    settings = settings_in_force()
    if not settings.discord.is_wanted:
        raise SettingsInvalid("TIMBRE_DISCORD__TOKEN is not set; the README says where to get it.")
    return settings


@contextmanager
def _role_book() -> Iterator[RoleBook]:
    from bot.main import open_database
    from bot.storage.people import PeopleStore

    settings = settings_in_force()
    with closing(open_database(settings)) as database:
        yield RoleBook(PeopleStore(database), settings.chat.first_admin)
