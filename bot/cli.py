"""The command line: each command is a few lines that read the settings, call one thing and print what came of it."""

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from bot import chat_cli, dataset_cli, printing, release_cli, train_cli
from bot.errors import BotError, CommandRejected, ModelUnavailable, fault_id
from bot.printing import console, print_json
from bot.settings import Settings, load
from bot.terminal import account, operator, settings_in_force
from knowledge.errors import KnowledgeError
from knowledge.extras import DISTRIBUTION
from training.errors import TrainingError

app = typer.Typer(
    name="timbre",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ask your company's documents and get cited answers.\n\n"
    "Start with [bold]timbre ingest FOLDER[/bold], then [bold]timbre chat[/bold]. All state lives in TIMBRE_HOME "
    "(default ~/.timbre); [bold]timbre settings[/bold] lists every setting, [bold]timbre doctor[/bold] says what is missing.",
)  # fmt: skip
known = typer.Typer(no_args_is_help=True, help="Questions that people confirmed as well answered, which find their passage.")
app.add_typer(known, name="questions")
index = typer.Typer(no_args_is_help=True, help="The index: compare it with the catalogue, of which it is made.")
app.add_typer(index, name="index")
release_cli.register(app)
app.add_typer(train_cli.train, name="train")
app.add_typer(chat_cli.roles, name="roles")
app.add_typer(chat_cli.groups, name="groups")
app.add_typer(chat_cli.slack, name="slack")
app.add_typer(chat_cli.discord, name="discord")
app.add_typer(dataset_cli.feedback, name="feedback")
app.add_typer(dataset_cli.dataset, name="dataset")
app.add_typer(dataset_cli.training, name="training")
app.command("erase")(dataset_cli.erase)

AudienceOption = Annotated[
    list[str] | None,
    typer.Option("--audience", help="Ask as a member of this group only (and of everyone); repeat for several."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BatchOption = Annotated[Path | None, typer.Option("--batch", help="Read questions from this JSONL file.")]
T = TypeVar("T")
DISK_FULL = "The disk is full; free some space and run this again: what was done so far is kept."


def main() -> None:
    """Runs the command line; every failure becomes one sentence and an exit status."""
    _open_closed_streams()
    try:
        app()
    except (BotError, KnowledgeError, TrainingError) as err:
        printing.complain(str(err), "red")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as err:  # the outermost loop: a person gets a sentence and an id, the log the traceback
        printing.complain(DISK_FULL if _is_disk_full(err) else _record_crash(), "red")
        sys.exit(1)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        console.print(f"timbre {version(DISTRIBUTION)}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Nothing but the options that stand before every command."""


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question.")] = None,
    audience: AudienceOption = None,
    as_json: JsonOption = False,
    batch: BatchOption = None,
) -> None:
    """Answer one question, or a file of them.

    --batch reads lines like {"id": 1, "question": "...", "history": [["user", "..."], ["assistant", "..."]]} and prints one
    JSON line each, in input order.
    """
    if (question is None) == (batch is None):
        raise CommandRejected(
            'Ask one question, such as: timbre ask "How many days of leave do I get?", or name a file with --batch.'
        )
    settings = settings_in_force()
    if batch:
        _run(settings, lambda timbre: _ask_batch(timbre, batch, audience))
    else:
        assert question is not None
        _run(settings, lambda timbre: _ask_one(timbre, question, audience, as_json))


async def _ask_one(timbre: Any, question: str, audience: list[str] | None, as_json: bool) -> None:
    from bot.conversation import Question
    from bot.serialise import error_object, exchange_object

    try:
        exchange = await timbre.engine.answer(Question(question, _audience(timbre, audience), asked_by=operator()))
    except (BotError, KnowledgeError) as err:
        if not as_json:
            raise
        print_json(error_object(str(err)))
        raise typer.Exit(1) from err
    if as_json:
        print_json(exchange_object(exchange))
    else:
        console.print(printing.exchange_view(exchange))


async def _ask_batch(timbre: Any, path: Path, audience: list[str] | None) -> None:
    from bot.batch import CONCURRENT_WORDINGS, answer_lines

    concurrency = CONCURRENT_WORDINGS if (await timbre.worder.permission()).is_allowed else 1
    async for answer in answer_lines(timbre.engine, path, _audience(timbre, audience), operator(), concurrency):
        print_json(answer)


@app.command()
def search(
    query: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=30, help="How many passages.")] = 5,
    audience: AudienceOption = None,
    as_json: JsonOption = False,
    batch: BatchOption = None,
) -> None:
    """Show the passages that a query finds, with their scores (0 to 1)."""
    from bot.engine import cleaned
    from bot.replies import REDUCED_SEARCH
    from bot.serialise import passage_object

    if (query is None) == (batch is None):
        raise CommandRejected('Search for one thing, such as: timbre search "annual leave", or name a file with --batch.')

    async def find(timbre: Any) -> None:
        groups = _audience(timbre, audience)
        if batch:
            _search_batch(timbre, batch, groups, k)
            return
        assert query is not None
        retrieval = timbre.knowledge.retriever.retrieve(cleaned(query), groups)
        passages = retrieval.passages[:k]
        if retrieval.is_reduced:
            printing.complain(REDUCED_SEARCH, "yellow")
        if as_json:
            print_json([passage_object(passage) for passage in passages])
        else:
            console.print(printing.passages_table(passages) if passages else "Nothing found that you may read.")

    _run(settings_in_force(), find)


def _search_batch(timbre: Any, path: Path, groups: frozenset[str], k: int) -> None:
    """A JSON line for each that can be searched for, a complaint for each other one, which the exit status tells too."""
    from bot.engine import cleaned
    from bot.question_files import check_row, read_lines, read_object
    from bot.serialise import passage_object

    is_whole = True
    for number, line in read_lines(path):
        try:
            row = read_object(path, number, line)
            check_row(path, number, row)
            passages = timbre.knowledge.retriever.retrieve(cleaned(row["question"]), groups).passages[:k]
        except CommandRejected as err:
            is_whole = False
            printing.complain(str(err) if str(path) in str(err) else f"{path}, line {number}: {err}", "yellow")
        else:
            print_json({"id": row.get("id"), "passages": [passage_object(passage) for passage in passages]})
    if not is_whole:
        raise typer.Exit(1)


@app.command()
def chat(audience: AudienceOption = None) -> None:
    """Talk to the documents. /help inside shows how to rate, correct and look behind an answer."""
    from bot.main import build_console

    async def talk(timbre: Any) -> None:
        await build_console(timbre, _audience(timbre, audience), account()).run()

    _run(settings_in_force(), talk)


@app.command()
def serve() -> None:
    """Answer in Slack and Discord, wherever their tokens are set, until it is stopped.

    Ctrl-C or SIGTERM finishes what is under way, within 20 seconds; what is left is answered after the next start.
    """
    from bot.main import build_server

    async def run(timbre: Any) -> None:
        await build_server(timbre, printing.tell).run()

    _run(settings_in_force(), run)


@app.command("eval")
def evaluate(
    file: Annotated[Path, typer.Argument(help='JSONL: {"question", "page"?, "accept"?, "unanswerable"?, "history"?}')],
    audience: AudienceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the answers on your own questions.

    A line names the page that should be cited and/or the strings of which one must appear (accept; accept_all for several
    groups), or says "unanswerable": true. Where a model words answers, the result also decides whether it may go on to.
    """
    from dataclasses import asdict

    from bot.evaluating import run_cases
    from bot.evaluation import read_cases, scores_by_style

    cases, settings = read_cases(file), settings_in_force()

    async def measure(timbre: Any) -> None:
        with printing.progress() as on_progress:
            observations = await run_cases(timbre, cases, _audience(timbre, audience), operator(), on_progress)
        scores = scores_by_style(cases, observations)
        if as_json:
            print_json([asdict(score) for score in scores])
        else:
            console.print(printing.scores_table(scores))

    _run(settings, measure, wording=None if settings.answer.wording == "quote" else _evaluated_wording(settings))


@app.command()
def ingest(
    places: Annotated[list[str], typer.Argument(help="Folders, files or URLs (s3://, gs://, github://, zip:// ...).")],
    source: Annotated[str | None, typer.Option(help="Name of the source; default: the folder's name.")] = None,
    audience: Annotated[
        list[str] | None, typer.Option(help="Group that may read it; repeat for several. Default: everyone.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on and follow changes of a folder until stopped.")] = False,
) -> None:
    """Read documents into the index; the second time only what changed.

    Markdown, HTML, PDF, Word (.docx) and plain text. Deleted files disappear from the index; broken ones are reported with a
    reason here and in `timbre sources`, and the others go on.
    """
    from bot.sources import Sources
    from knowledge.documents import normalise_audience

    settings = settings_in_force()
    with _knowledge(settings) as knowledge:
        sources = Sources(knowledge)
        for place in places:
            planned = sources.describe(place, source, normalise_audience(audience) if audience else None)
            if dry_run:
                console.print(sources.plan_text(planned), markup=False)
                continue
            with printing.progress() as on_progress:
                report = sources.ingest(planned, on_progress)
            console.print(printing.report_view(report))
        if watch and not dry_run:
            sources.watch(
                [sources.describe(place, source, None) for place in places], lambda r: console.print(printing.report_view(r))
            )


@app.command()
def sources(as_json: JsonOption = False) -> None:
    """List the sources: documents, failures with their reasons, readers."""
    from bot.sources import summary_object

    with _knowledge(settings_in_force()) as knowledge:
        summaries = knowledge.catalogue.summaries()
    if as_json:
        print_json([summary_object(summary) for summary in summaries])
    elif summaries:
        console.print(printing.sources_table(summaries))
    else:
        console.print("No sources yet. Add one with: timbre ingest FOLDER")


@app.command()
def reindex(names: Annotated[list[str] | None, typer.Argument(help="Sources to read again; default: all.")] = None) -> None:
    """Read the sources again, build a new index beside the old one and swap. Nothing unchanged is parsed or embedded again."""
    from bot.sources import Sources

    settings = settings_in_force()
    with _knowledge(settings) as knowledge, printing.progress() as on_progress:
        reports, problems, chunks = Sources(knowledge).reindex(names or [], on_progress)
    for report in reports:
        console.print(printing.report_view(report))
    for problem in problems:
        printing.complain(f"{problem} Its documents stay as they were.", "yellow")
    console.print(f"The new index holds {chunks} chunks and is in use.")


@app.command()
def forget(
    source: Annotated[str, typer.Argument(help="Name of the source (see `timbre sources`).")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a source and all that was read from it. The files themselves stay."""
    from bot.sources import Sources

    settings = settings_in_force()
    with _knowledge(settings) as knowledge:
        found = knowledge.catalogue.source(source)
        if not yes and not typer.confirm(f"Forget {found.name} ({found.place})?"):
            raise CommandRejected("Nothing was changed.")
        with printing.progress() as on_progress:
            count = Sources(knowledge).forget(found, on_progress)
    console.print(f"Forgot {found.name}: {count} documents.", markup=False)


@index.command("verify")
def verify_index() -> None:
    """Compare the index with the catalogue, chunk by chunk; exit code 1 when they differ."""
    from bot.sources import Sources

    settings = settings_in_force()
    with _knowledge(settings) as knowledge, printing.progress() as on_progress:
        reports = Sources(knowledge).verify(on_progress)
    for report in reports:
        console.print(printing.verification_view(report))
    if not all(report.is_whole for report in reports):
        raise typer.Exit(1)


@known.command("list")
def list_known() -> None:
    """Show the known questions with their numbers."""
    with _knowledge(settings_in_force()) as knowledge:
        found = knowledge.catalogue.known_questions()
    console.print(printing.known_questions_table(found) if found else "No question has been confirmed yet.")


@known.command("remove")
def remove_known(number: Annotated[int, typer.Argument(help="Its number in `timbre questions list`.")]) -> None:
    """Forget one, so that it no longer leads to its passage."""
    with _knowledge(settings_in_force()) as knowledge:
        if not knowledge.catalogue.remove_known_question(id=number):
            raise CommandRejected(f"There is no known question {number}.")
    console.print(f"Forgot question {number}.")


@app.command()
def doctor() -> None:
    """Check settings, database, index, models and disk, and say what to do."""
    from bot.doctor import examine

    findings = list(examine(settings_in_force()))
    for finding in findings:
        mark = Text("✓ ", style="green") if finding.is_well else Text("✗ ", style="red")
        console.print(mark + Text(f"{finding.name}: ", style="bold") + Text(finding.fact))
        if finding.remedy:
            console.print(Text(f"  {finding.remedy}", style="yellow"))
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)


@app.command()
def settings(as_json: JsonOption = False) -> None:
    """List every setting, its value and where it came from. Secrets are hidden."""
    from bot.settings import explain

    rows = explain(settings_in_force())
    if as_json:
        print_json([{"name": row.name, "value": row.value, "origin": row.origin, "meaning": row.meaning} for row in rows])
        return
    table = Table("setting", "value", "from", "meaning", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(
            row.name, Text(row.value), Text(row.origin, style="dim" if row.origin == "default" else "green"), row.meaning
        )
    console.print(table)


@app.command()
def setup() -> None:
    """Prepare the built-in models once (`make setup` does); afterwards everything starts in seconds."""
    from bot.weights import embedder_loader, language_model_folder, models_dir

    settings = settings_in_force()
    embedder_loader(settings, printing.notify)
    try:
        if not settings.model.url:
            language_model_folder(settings, printing.notify)
    except ModelUnavailable as err:
        if settings.answer.wording == "model":
            raise
        printing.complain(f"{err} It is needed only where a model words the answers.", "yellow")
    console.print(f"The models are ready in {models_dir(settings)}.")


def _run(settings: Settings, use: Callable[[Any], Awaitable[None]], wording: str | None = None) -> None:
    """Builds Timbre, uses it and closes it."""
    from bot.main import build

    async def run() -> None:
        timbre = build(settings, printing.notify, wording=wording)
        try:
            if warning := (await timbre.worder.permission()).warning:
                printing.complain(warning, "yellow")
            await use(timbre)
        finally:
            await timbre.close()

    asyncio.run(run())


def _knowledge(settings: Settings) -> Any:
    from bot.main import opened_knowledge

    return opened_knowledge(settings, printing.notify)


def _audience(timbre: Any, groups: list[str] | None) -> frozenset[str]:
    from bot.audiences import audience_at_terminal

    unknown, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), groups)
    for group in unknown:
        printing.complain(f"No document names the group {group!r}.", "yellow")
    return audience


def _evaluated_wording(settings: Settings) -> str | None:
    """A model that has yet to earn its permission is let word answers while it is evaluated."""
    from bot.weights import BUILT_IN_MODEL

    is_built_in = settings.model.id == BUILT_IN_MODEL and not settings.model.url
    return None if settings.answer.wording == "auto" and is_built_in else "model"


def _open_closed_streams() -> None:
    """Input that was closed counts as empty, output that was closed goes nowhere: Python sets such a stream to None."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115  # open as long as the process lives, like the two below
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _is_disk_full(err: Exception) -> bool:
    return isinstance(err, OSError) and err.errno in (ENOSPC, EDQUOT)


def _record_crash() -> str:
    """Writes the traceback into TIMBRE_HOME's log and returns what to tell the person."""
    crash = fault_id()
    logging.getLogger(__name__).error("crash %s", crash, exc_info=True)
    try:
        path = load().home / "timbre.log"
        with path.open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat()} crash {crash}\n{traceback.format_exc()}\n")
    except (OSError, BotError):
        return f"Something went wrong (crash {crash}). Run again with TIMBRE_LOG_LEVEL=DEBUG and report what it prints."
    return f"Something went wrong (crash {crash}). Please report it with what {path} says about it."
