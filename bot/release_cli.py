"""The commands around releases: which there are, which serves, and the way back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bot import printing
from bot.printing import console, print_json
from bot.releases import Change, Releases, change_object, open_releases, standing_lines
from bot.terminal import operator, settings_in_force

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Adds `releases`, `promote` and `rollback`."""
    app.command("releases")(list_releases)
    app.command()(promote)
    app.command()(rollback)


def list_releases(as_json: JsonOption = False) -> None:
    """List the releases, each checked, and which serves.

    A release is the base model with a LoRA of your company's voice. `timbre promote ID` lets one serve, `timbre rollback` brings
    back what served before. Without any the base model serves.
    """
    with _releases() as releases:
        found, standing = releases.all(), releases.standing()
    if as_json:
        rows = [{"id": release.id, "problem": release.problem, "card": release.card} for release in found]
        print_json({"serving": standing.serving, "previous": standing.previous, "alert": standing.alert, "releases": rows})
        return
    for line in standing_lines(standing):
        console.print(Text(line.replace("`", "")), soft_wrap=True)
    table = Table("release", "made", "dataset", "words answers", "", box=None, header_style="bold", pad_edge=False)
    for release in found:
        card = release.card
        words = "yes" if card.get("may_word") else "no"
        problem = Text(f"cannot serve: {release.problem}" if release.problem else "", style="red")
        table.add_row(Text(release.id), str(card.get("created_at", ""))[:16], Text(str(card.get("dataset", ""))), words, problem)
    if found:
        console.print(table)


def promote(
    release: Annotated[str, typer.Argument(help="Its id in `timbre releases`, such as r-0123456789ab.")],
    as_json: JsonOption = False,
) -> None:
    """Let a release serve from the next answer on, in every process.

    It is checked, loaded and has to say something first; what is in doubt does not serve. `timbre rollback` undoes it.
    """
    with _releases() as releases:
        printing.notify(f"checking and loading {releases.known(release)}")
        _tell(releases.promote(release, operator()), as_json)


def rollback(as_json: JsonOption = False) -> None:
    """Bring back what served before: the release before, else the base model. It answers from the next answer on."""
    with _releases() as releases:
        _tell(releases.rollback(operator()), as_json)


def _tell(change: Change, as_json: bool) -> None:
    if as_json:
        print_json(change_object(change))
    else:
        console.print(change.text.replace("`", ""), markup=False, soft_wrap=True)


@contextmanager
def _releases() -> Iterator[Releases]:
    from bot.language_model import open_language_model
    from bot.main import open_database
    from bot.storage.exchanges import ExchangeStore

    settings = settings_in_force()
    with closing(open_database(settings)) as database:
        model = open_language_model(settings, printing.notify)
        yield open_releases(settings, ExchangeStore(database), printing.notify, model)
