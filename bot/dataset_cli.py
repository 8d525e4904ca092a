"""The commands around what is learned: feedback in files, datasets, who does not want to be learned from, and forgetting them."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bot import printing
from bot.errors import CommandRejected, SettingsInvalid
from bot.people import person_id
from bot.printing import console, print_json
from bot.settings import Settings
from bot.terminal import operator, settings_in_force
from knowledge.documents import EVERYONE
from knowledge.extras import missing_extra

if TYPE_CHECKING:
    from bot.main import Timbre
    from bot.storage.training import TrainingStore
    from training.datasets import DatasetVersion

feedback = typer.Typer(no_args_is_help=True, help="Bring rated answers along, and take them with you.")
dataset = typer.Typer(
    no_args_is_help=True, help="What the voice is learned from: rows that people approved, frozen with reasons."
)
training = typer.Typer(no_args_is_help=True, help="Training: who does not want to be learned from.")

SHOWN_ROWS = 3
SHOWN_REJECTIONS = 20
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PersonArgument = Annotated[str, typer.Argument(help="platform:workspace:user, such as slack:T1:U1 (`/timbre who-am-i` tells).")]
IdArgument = Annotated[str, typer.Argument(help="Its id in `timbre dataset list`, such as d-0123456789ab.")]


@feedback.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(help='JSONL: {"question", "answer", "verdict", "reason"?, "correction"?, "rated_by", "channel"?}'),
    ],
    approve: Annotated[
        bool, typer.Option("--approve", help="Vouch for every row, as an admin; else they need approval.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring rated answers along, one JSON object a line.

    "verdict" is "helpful" or "not_helpful". Passages are found for each question as for a live one. A file with a bad line
    changes nothing; importing a file twice changes nothing. The rows pass the same checks as feedback from chat:
    `timbre dataset build --dry-run` tells what becomes of them.
    """
    from bot.feedback_files import import_feedback, read_feedback

    lines = read_feedback(file)
    with _timbre() as timbre, printing.progress() as on_row:
        settings: Settings = timbre.settings
        groups = timbre.knowledge.catalogue.groups() if settings.training.include_private else frozenset()
        run = import_feedback(
            lines,
            timbre.engine,
            timbre.knowledge.embedder,
            _store(timbre),
            groups | {EVERYONE},
            operator(),
            approve,
            datetime.now(UTC),
            on_row,
        )
        report = asyncio.run(run)
    if as_json:
        print_json({"imported": report.imported, "unchanged": report.unchanged, "rejected": dict(report.rejected)})
        return
    console.print(f"{report.imported} rows imported, {report.unchanged} were there already.")
    for reason, numbers in report.rejected.items():
        where = f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        console.print(f"{len(numbers)} left out ({where} of {file}): {reason}.", style="yellow", markup=False, soft_wrap=True)


@feedback.command("export")
def export_file(
    file: Annotated[Path | None, typer.Argument(help="Where to write; standard output when there is none.")] = None,
) -> None:
    """Write every verdict as a line that `timbre feedback import` takes; private ones and those of who opted out are left out."""
    from bot.feedback_files import exported

    settings = settings_in_force()
    with _training_store(settings) as store:
        rows = list(exported(store.rated(), store.imported(), store.opted_out(), settings.training.include_private))
    if file is None:
        for row in rows:
            print_json(row)
        return
    try:
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    except OSError as err:
        raise CommandRejected(f"{file} cannot be written: {err.strerror}.") from err
    console.print(f"{len(rows)} verdicts written to {file}.", markup=False)


@dataset.command("build")
def build_dataset(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be in it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Freeze what people approved into a dataset, and say why the rest is left out.

    A dry run names the questions too. Rows come from approved corrections, from answers that two people or one of support found
    helpful, and from the examples of the style guide (TIMBRE_ANSWER__VOICE). The same feedback gives the same dataset.
    """
    with _needing_extra():
        from bot.dataset_building import build, plan
    with _timbre() as timbre:
        planned = plan(timbre)
        version, is_new = (None, False) if dry_run else build(timbre, planned, datetime.now(UTC))
    curated = planned.curated
    facts = {
        "counts": curated.counts,
        "preferences": len(curated.preferences),
        "rejected": curated.rejected_counts,
        "excluded": dict(planned.excluded),
        "imbalances": list(curated.imbalances),
        "phrases": list(curated.phrases),
    }
    if as_json:
        left_out = [{"question": one.question, "reason": one.reason, "exchange": one.exchange} for one in curated.rejected]
        print_json(
            {
                "id": version.id if version else None,
                "is_new": is_new,
                "problems": planned.problems,
                **facts,
                "left_out": left_out,
            }
        )
        return
    _print_facts(facts)
    if dry_run:
        for one in curated.rejected[:SHOWN_REJECTIONS]:
            console.print(Text.assemble((f"{one.reason}: ", "yellow"), one.question), soft_wrap=True)
    if version is None:
        console.print("\n".join(planned.problems) or "Nothing was written: this was a dry run.", soft_wrap=True, markup=False)
    else:
        held_out, what = version.manifest["held_out"], "New dataset" if is_new else "Nothing has changed since dataset"
        console.print(f"{what} {version.id}: {sum(curated.counts.values())} rows, {held_out} of them held out.", highlight=False)
        if not held_out:
            printing.complain("No question lies on the held-out side yet, so that no release can be judged on it.", "yellow")


@dataset.command("list")
def list_datasets(as_json: JsonOption = False) -> None:
    """Show all datasets, oldest first; the current one is what the next training takes."""
    from training import datasets

    root = _root()
    found, current = datasets.versions(root), datasets.pointer(root)
    if as_json:
        print_json([_listed(version, current) for version in found])
        return
    table = Table("dataset", "made", "rows", "held out", "parent", "", box=None, header_style="bold", pad_edge=False)
    for version in found:
        row = _listed(version, current)
        note = f"retired: {row['retired']}" if row["retired"] else "current" if row["is_current"] else ""
        made = datetime.fromisoformat(row["created_at"]).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(row["id"], made, str(row["rows"]), str(row["held_out"]), row["parent"] or "-", Text(note))
    console.print(table if found else "No datasets yet. Make one with: timbre dataset build")


@dataset.command("show")
def show_dataset(key: IdArgument, as_json: JsonOption = False) -> None:
    """Show what is in a dataset, what was left out and why, and a few of its rows."""
    from training.datasets import read

    version = read(_root(), key)
    if as_json:
        print_json(dict(version.manifest))
        return
    manifest = version.manifest
    console.print(f"{version.id}, made {manifest['created_at']}, parent {manifest['parent'] or '-'}", highlight=False)
    _print_facts(manifest)
    for row in version.completions()[:SHOWN_ROWS]:
        console.print(Text.assemble(("\n" + (row.question or "-"), "bold"), f"\n{row.completion}", (f"\n({row.origin})", "dim")))


@dataset.command("diff")
def diff_datasets(old: IdArgument, new: IdArgument, as_json: JsonOption = False) -> None:
    """Show which rows the second dataset has gained, lost and reworded."""
    from training.datasets import diff, read

    root = _root()
    found = diff(read(root, old), read(root, new))
    if as_json:
        print_json(
            {"added": list(found.added), "removed": list(found.removed), "reworded": list(found.reworded), "same": found.same}
        )
        return
    for mark, style, questions in (("+", "green", found.added), ("-", "red", found.removed), ("~", "yellow", found.reworded)):
        for question in questions:
            console.print(Text(f"{mark} {question}", style=style))
    console.print(
        f"{len(found.added)} added, {len(found.removed)} removed, {len(found.reworded)} reworded, {found.same} the same."
    )


@dataset.command("use")
def use_dataset(key: IdArgument) -> None:
    """Go back to an older dataset: the next training takes it, and the next build names it as its parent."""
    from training.datasets import use

    use(_root(), key)
    console.print(f"{key} is current.")


@training.command("opt-out")
def opt_out(person: PersonArgument) -> None:
    """Learn nothing from what a person asks and says. They can say so themselves: `/timbre training opt-out`."""
    found = person_id(person)
    with _training_store(settings_in_force()) as store:
        is_new = store.opt_out(found, operator())
    console.print(f"Nothing is learned from {found} {'any more' if is_new else 'as before'}.", markup=False)


@training.command("opt-in")
def opt_in(person: PersonArgument) -> None:
    """Learn from what a person asks and says again."""
    found = person_id(person)
    with _training_store(settings_in_force()) as store:
        if not store.opt_in(found, operator()):
            raise CommandRejected(f"{found} has not opted out.")
    console.print(f"What {found} asks and says may be learned from again.", markup=False)


def erase(
    person: PersonArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forget a person: what they asked, what was answered and what they said of answers.

    Datasets that hold their rows are retired and emptied, releases that were trained on these are retired. The audit stays, and
    so do approved answers, without whose question it was.
    """
    from bot.erasure import erase as erase_person
    from bot.main import opened_knowledge
    from bot.storage.training import TrainingStore
    from bot.training_home import rater_key, training_dir

    found, settings = person_id(person), settings_in_force()
    if not yes and not typer.confirm(f"Erase what {found} asked and said, and retire what was trained on it?"):
        raise CommandRejected("Nothing was changed.")
    with opened_knowledge(settings, printing.notify) as knowledge:
        store = TrainingStore(knowledge.database)
        done = erase_person(
            found, operator(), store, knowledge.catalogue, training_dir(settings), rater_key(settings), datetime.now(UTC)
        )
    erased = done.erased
    if as_json:
        counts = {"exchanges": len(erased.exchanges), "verdicts": erased.verdicts, "imported": erased.imported}
        print_json({**counts, "datasets": list(done.datasets), "releases": list(done.releases)})
        return
    console.print(f"Erased {len(erased.exchanges)} exchanges, {erased.verdicts} verdicts and {erased.imported} imported rows.")
    for what, retired in (("Datasets", done.datasets), ("Releases", done.releases)):
        console.print(f"{what} retired: {', '.join(retired) or 'none'}.", highlight=False)
    if done.datasets:
        console.print("Build a new dataset and train again: timbre dataset build")


def _print_facts(facts: Mapping[str, Any]) -> None:
    """Rows by origin, and what was left out with its reason."""
    from bot.rated_exchanges import EXCLUSIONS
    from training.curation import MEANINGS, Reason

    table = Table("rows", "", "", box=None, header_style="bold", pad_edge=False)
    for origin, count in facts["counts"].items():
        table.add_row(str(count), Text(origin), Text("learned", style="green"))
    if facts["preferences"]:
        table.add_row(
            str(facts["preferences"]), Text("preferences"), Text("a correction, and what was said before it", style="dim")
        )
    for reason, count in facts["rejected"].items():
        table.add_row(str(count), Text(reason), Text(MEANINGS[Reason(reason)], style="yellow"))
    for reason, count in facts["excluded"].items():
        table.add_row(str(count), Text(reason), Text(f"kept out: {EXCLUSIONS[reason]}", style="dim"))
    console.print(table)
    for sentence in facts["imbalances"]:
        console.print(Text(f"Note: {sentence}", style="yellow"))
    if facts["phrases"]:
        console.print(Text("Phrases of the voice: " + " | ".join(facts["phrases"]), style="dim"))


def _listed(version: "DatasetVersion", current: str) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "id": version.id,
        "created_at": manifest["created_at"],
        "rows": sum(manifest["counts"].values()),
        "held_out": manifest["held_out"],
        "parent": manifest["parent"],
        "is_current": version.id == current and not version.why_retired,
        "retired": version.why_retired,
    }


def _root() -> Path:
    from bot.training_home import datasets_dir

    return datasets_dir(settings_in_force())


@contextmanager
def _timbre() -> "Iterator[Timbre]":
    """Timbre without a model that words: passages are looked for, nothing is answered."""
    from bot.main import build

    timbre = build(settings_in_force(), printing.notify, wording="quote")
    try:
        yield timbre
    finally:
        timbre.knowledge.index.close()
        timbre.database.close()


def _store(timbre: "Timbre") -> "TrainingStore":
    from bot.storage.training import TrainingStore

    return TrainingStore(timbre.database)


@contextmanager
def _training_store(settings: Settings) -> "Iterator[TrainingStore]":
    from bot.main import open_database
    from bot.storage.training import TrainingStore

    with closing(open_database(settings)) as database:
        yield TrainingStore(database)


@contextmanager
def _needing_extra() -> Iterator[None]:
    """Says how to install what an import lacks."""
    try:
        yield
    except ImportError as err:
        raise SettingsInvalid(f"{missing_extra('Training', 'training')} ({err}).") from err
