"""Nobody ever sees what they may not read: every asker in every channel in every way, on both platforms, with the whole bot.

What counts is what each person can see in the end, as the platform shows it to them, not what the bot meant.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from bot.main import Timbre
from bot.messages import PersonId
from bot.people import RoleBook
from bot.sources import Sources
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from tests.adapters.discord.people import Person as DiscordPerson
from tests.adapters.discord.world import Channel
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.conftest import strict_slack
from tests.adapters.slack.deliveries import Patience
from tests.adapters.slack.persons import Person as SlackPerson
from tests.adapters.slack.reference import has_reference
from tests.adapters.slack.running import bot_at_work
from tests.adapters.slack.server import SlackServer
from tests.journeys.discord_office import Company, company_of

pytestmark = pytest.mark.slow

SECRETS = {"everyone": "Tarnwick27", "hr": "Bandseven", "legal": "Clausenine"}
"""The word that stands only in the page for that group."""
PAGES = {
    "everyone": "# Leave\n\nThe code word for annual leave of employees is Tarnwick27.",
    "hr": "# Pay bands\n\nThe code word for the pay band of engineers is Bandseven.",
    "legal": "# Contracts\n\nThe code word for the contract clause of suppliers is Clausenine.",
}
QUESTIONS = (
    "What is the code word for annual leave of employees?",
    "What is the code word for the pay band of engineers?",
    "What is the code word for the contract clause of suppliers?",
)
GROUPS = {"member": {"everyone"}, "hr": {"everyone", "hr"}, "lawyer": {"everyone", "legal"}, "outsider": set[str]()}
ROOMS = {
    "open": ("member", "hr", "lawyer"),
    "hr room": ("hr",),
    "mixed": ("member", "hr"),
    "with outsiders": ("member", "hr", "outsider"),
}


class Town(Protocol):
    """A platform with four people and four rooms."""

    async def ask(self, who: str, room: str, text: str) -> None:
        """Mentions the bot in the room."""

    async def ask_directly(self, who: str, text: str) -> None: ...

    async def ask_privately(self, who: str, room: str, text: str) -> None:
        """/ask"""

    async def press_all(self, who: str, room: str) -> None:
        """Every "Share" and "Show me" that the person sees there."""

    def seen_by(self, who: str) -> str:
        """Everything that the person can see on the platform, in the end."""


async def walk(town: Town, settled: Callable[[], Awaitable[None]]) -> None:
    """Everybody asks everything everywhere, in every way, and presses what is offered."""
    for who in GROUPS:
        for text in QUESTIONS:
            await town.ask_directly(who, text)
            for room, inside in ROOMS.items():
                if who in inside:
                    await town.ask(who, room, text)
                    await town.ask_privately(who, room, text)
        await settled()
        for room, inside in ROOMS.items():
            if who in inside:
                await town.press_all(who, room)
        await settled()


def leaks(town: Town) -> list[str]:
    """Who sees which secret without being of its group."""
    return [
        f"{who} sees what is for {group}"
        for who, groups in GROUPS.items()
        for group, word in SECRETS.items()
        if word in town.seen_by(who) and group not in groups
    ]


def gaps(town: Town) -> list[str]:
    """Who was never shown a secret of their own group: a silent bot leaks nothing either."""
    wanted = [(who, group) for who, groups in GROUPS.items() for group in sorted(groups)]
    return [f"{who} never sees what is for {group}" for who, group in wanted if SECRETS[group] not in town.seen_by(who)]


@dataclass
class SlackTown:
    slack: SlackServer
    people: dict[str, SlackPerson]
    rooms: dict[str, str]

    async def ask(self, who: str, room: str, text: str) -> None:
        await self.people[who].say(self.rooms[room], f"{self.slack.mention} {text}")

    async def ask_directly(self, who: str, text: str) -> None:
        await self.people[who].dm(text)

    async def ask_privately(self, who: str, room: str, text: str) -> None:
        await self.people[who].slash("/ask", text, self.rooms[room])

    async def press_all(self, who: str, room: str) -> None:
        person = self.people[who]
        for message in person.ephemerals(self.rooms[room]):
            for _, element in elements(message.blocks):
                if any(word in str(element.get("action_id")) for word in ("share", "show_rest")):
                    await person.click(message, element["action_id"])

    def seen_by(self, who: str) -> str:
        person = self.people[who]
        mine = [channel.id for channel in self.slack.world.channels.values() if person.id in channel.members]
        return "\n".join(person.transcript(channel) for channel in mine)


def slack_town(slack: SlackServer) -> SlackTown:
    people = {who: slack.add_person(who.title(), id=f"U{number}") for number, who in enumerate(GROUPS) if who != "outsider"}
    people["outsider"] = slack.add_person("Outsider", id="U9", is_ultra_restricted=True)
    rooms = {
        room: slack.add_channel(
            room.replace(" ", "-"),
            *(people[who] for who in inside),
            kind="public" if room in ("open", "with outsiders") else "private",
        )
        for room, inside in ROOMS.items()
    }
    return SlackTown(slack, people, rooms)


@dataclass
class DiscordTown:
    company: Company
    people: dict[str, DiscordPerson]
    rooms: dict[str, Channel]
    answers: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Ids of the messages that only the person sees in the room."""

    async def ask(self, who: str, room: str, text: str) -> None:
        if who != "outsider":  # who has not accepted the rules cannot write
            self.people[who].say(self.rooms[room], self.company.mention(text))

    async def ask_directly(self, who: str, text: str) -> None:
        self.people[who].dm(text)

    async def ask_privately(self, who: str, room: str, text: str) -> None:
        used = await self.people[who].slash(self.rooms[room], "ask", text=text).outcome(10)
        self.answers.setdefault((who, room), []).extend(message.id for message in used.messages)

    async def press_all(self, who: str, room: str) -> None:
        server = self.company.server
        direct = [message.id for message in server.bot_messages(server.world.dm_with(self.people[who].id))]
        for message_id in [*self.answers.get((who, room), []), *direct]:
            labels = {button.get("label") for row in server.world.messages[message_id].components for button in row["components"]}
            for label in labels & {"Share", "Show me"}:
                await self.people[who].click(message_id, str(label)).outcome(10)

    def seen_by(self, who: str) -> str:
        return self.company.server.transcript(self.people[who])


def discord_town(company: Company) -> DiscordTown:
    server, guild = company.server, company.guild
    member_role = server.add_role(guild, "Members")
    people = {who: server.add_person(who.title(), guild, role_ids=[] if who == "outsider" else [member_role]) for who in GROUPS}
    server.world.guilds[guild.id].members[people["outsider"].id].is_pending = True
    bot = server.world.bot.id
    rooms = {
        room: server.add_channel(
            guild,
            room.replace(" ", "-"),
            only_for=[bot, member_role] if room == "open" else [bot, *(people[who].id for who in inside)],
        )
        for room, inside in ROOMS.items()
    }
    return DiscordTown(company, people, rooms)


@pytest.fixture
def library(timbre: Timbre, write: Callable[..., Path]) -> Timbre:
    """Timbre with one page for each group."""
    sources = Sources(timbre.knowledge)
    for group, page in PAGES.items():
        folder = write({f"{group}.md": page}, group)
        sources.ingest(sources.describe(str(folder), None, frozenset({group})), lambda *_: None)
    return timbre


def put_into_groups(roles: RoleBook, ids: dict[str, PersonId]) -> None:
    roles.add_to_group(ids["hr"], "hr", "test")
    roles.add_to_group(ids["lawyer"], "legal", "test")
    roles.add_to_group(ids["outsider"], "hr", "test")  # who is no member gets nothing, whatever they were given


async def emptied(timbre: Timbre) -> None:
    """When every message that came in is answered, and every answer is out."""
    counts = IntakeStore(timbre.database).counts
    async with asyncio.timeout(60):
        while any((await asyncio.to_thread(counts)).values()):
            await asyncio.sleep(0.02)


async def test_on_slack_nobody_sees_what_they_may_not_read(library: Timbre) -> None:
    if not has_reference():
        pytest.skip("Slack's reference is not beside this checkout (../shared/authorities/slack).")
    async with strict_slack(patience=Patience()) as slack:
        town = slack_town(slack)
        roles = RoleBook(PeopleStore(library.database), "")
        put_into_groups(roles, {who: PersonId(f"slack:T1:{person.id}") for who, person in town.people.items()})
        async with bot_at_work(library, slack) as bot:

            async def settled() -> None:
                await bot.acknowledged()
                await emptied(library)

            await walk(town, settled)

    assert (leaks(town), gaps(town)) == ([], [])


async def test_on_discord_nobody_sees_what_they_may_not_read(library: Timbre, tmp_path: Path) -> None:
    await library.close()
    shutil.move(library.settings.home, tmp_path / "library")
    async with company_of(tmp_path / "library" / "timbre.db", tmp_path / "home") as company:
        town = discord_town(company)
        put_into_groups(company.roles, {who: company.id_of(person) for who, person in town.people.items()})
        async with company.open():
            await walk(town, company.settled)

    assert (leaks(town), gaps(town)) == ([], [])
