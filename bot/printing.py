"""How values look in a terminal (rich). Decides nothing."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from bot.citations import quoted
from bot.conversation import Citation, Exchange, Outcome
from bot.evaluation import Score, Share
from bot.replies import REDUCED_SEARCH
from knowledge.documents import Passage

if TYPE_CHECKING:
    from knowledge.catalogue import KnownQuestion, SourceSummary
    from knowledge.ingestion import IngestReport
    from knowledge.ingestion import Progress as OnProgress
    from knowledge.verification import Verification

SNIPPET_CHARS = 160
SCORE_COLUMNS = "style,n,right,right of answered,cited gold,not answered,of those linked,words,p50 s,p95 s".split(",")
PLAIN_PROGRESS_S = 2.0  # without a terminal, progress is a line this often

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

_FRAME = {
    Outcome.ANSWERED: ("green", "Answer"),
    Outcome.CLOSEST: ("yellow", "Not sure"),
    Outcome.UNKNOWN: ("dim", "I don't know"),
    Outcome.ERROR: ("red", "Error"),
}


def print_json(value: Any) -> None:
    """One line of JSON on standard output. Half a surrogate pair, which no encoding takes, is escaped as in JSON."""
    line = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(sentence: str, style: str) -> None:
    """A sentence on standard error; not broken into lines of its own, so that it can be searched and piped."""
    errors.print(Text(sentence, style=style), soft_wrap=True)


def notify(step: str) -> None:
    """A step that takes longer than a second has begun."""
    errors.print(f"[dim]· {step} …[/dim]")


def tell(sentence: str) -> None:
    """What an operator who looks on wants to know."""
    errors.print(Text(sentence))


def exchange_view(exchange: Exchange) -> RenderableType:
    """The answer with its sources listed beneath it."""
    answer = exchange.answer
    parts: list[RenderableType] = [frame(answer.outcome), markdown(answer.text)]
    return Group(*parts, Text(), *sources_view(answer.citations), *reduced_view(exchange.is_reduced))


def frame(outcome: Outcome) -> Text:
    """The line above an answer, which says what kind it is."""
    style, label = _FRAME[outcome]
    return Text(f"● {label}", style=style)


def reduced_view(is_reduced: bool) -> list[RenderableType]:
    """What is said beneath an answer that was searched for in the copy."""
    return [Text(REDUCED_SEARCH, style="yellow")] if is_reduced else []


def markdown(text: str) -> Markdown:
    """Quotes hold the documents' own text, in which `<team>` is no HTML and `&amp;` no sign."""
    view = Markdown(text, hyperlinks=False)
    view.parsed = MarkdownIt().enable(["strikethrough", "table"]).disable(["html_block", "html_inline", "entity"]).parse(text)
    return view


def quotes_view(exchange: Exchange) -> RenderableType:
    """Quotes and sources, for under a wording that was streamed."""
    citations = exchange.answer.citations
    quotes = (markdown(quoted(citation)) for citation in citations)
    return Group(*quotes, Text(), *sources_view(citations), *reduced_view(exchange.is_reduced))


def sources_view(citations: Sequence[Citation]) -> list[RenderableType]:
    """A line per cited place: its numbers, title, heading and location, linked where there is an address."""
    places: dict[str, list[Citation]] = {}
    for citation in citations:
        passage = citation.quote.passage
        places.setdefault(f"{passage.document.source} {passage.location} {passage.chunk.heading}", []).append(citation)
    return [_source_line(group) for group in places.values()]


def _source_line(group: Sequence[Citation]) -> Text:
    passage = group[0].quote.passage
    line = Text("  " + " ".join(f"[{citation.number}]" for citation in group) + " ", style="cyan")
    line.append(passage.document.title, style="bold")
    if passage.chunk.heading:
        line.append(f" · {passage.chunk.heading}", style="")
    if passage.document.is_standard_answer:
        line.append("  answered by support staff", style="dim")
    else:
        link = link_of(passage)
        line.append(f"  {passage.location}", style=f"dim link {link}" if link else "dim")
    return line


def link_of(passage: Passage) -> str:
    """What opens the passage: its URL, or file:// for a file of this machine."""
    address = passage.document.address
    url = address if "://" in address or not address else Path(address).as_uri()
    return f"{url}#{passage.chunk.anchor}" if url and passage.chunk.anchor else url


def passages_table(passages: Sequence[Passage]) -> Table:
    table = Table("#", "score", "document", "heading", "passage", box=None, header_style="bold", pad_edge=False)
    for passage in passages:
        snippet = " ".join(passage.chunk.text.split())[:SNIPPET_CHARS]
        heading = Text(f"{passage.chunk.heading}\n{passage.location}", style="dim")
        table.add_row(str(passage.rank), f"{passage.score:.2f}", Text(passage.document.title), heading, Text(snippet))
    return table


def sources_table(summaries: "Sequence[SourceSummary]") -> RenderableType:
    table = Table(
        "source", "documents", "chunks", "failed", "readers", "last read", "place", box=None, header_style="bold", pad_edge=False
    )
    problems: list[RenderableType] = []
    for summary in summaries:
        source = summary.source
        read = source.read_at.strftime("%Y-%m-%d %H:%M UTC") if source.read_at else "-"
        readers = ", ".join(sorted(source.audience)) or "by answer"
        failed = Text(str(len(summary.failed)), style="yellow" if summary.failed else "")
        table.add_row(
            Text(source.name), str(summary.documents), str(summary.chunks), failed, Text(readers), read, Text(source.place)
        )
        if source.error:
            problems.append(Text(f"{source.name}: {source.error}", style="red"))
        problems += [Text(f"{source.name}/{document.location}: {document.error}", style="yellow") for document in summary.failed]
    return Group(table, *problems)


def report_view(report: "IngestReport") -> RenderableType:
    counts = f"{report.added} new, {report.changed} changed, {report.unchanged} unchanged, {report.deleted} deleted"
    lines = [Text.assemble((report.source, "bold"), f": {counts}; {report.chunks} chunks written, {report.embedded} embedded")]
    if report.ignored:
        lines.append(Text(f"  {report.ignored} hidden files and files of other kinds were passed over", style="dim"))
    lines += [Text(f"  {location}: {reason}", style="yellow") for location, reason in report.failures]
    return Group(*lines)


def known_questions_table(known: "Sequence[KnownQuestion]") -> Table:
    table = Table("#", "kind", "question", box=None, header_style="bold", pad_edge=False)
    for question in known:
        table.add_row(str(question.id), question.kind, Text(question.question))
    return table


def scores_table(scores: Sequence[Score]) -> Table:
    """One row per style; shares with their 95 % interval."""
    table = Table(*SCORE_COLUMNS, box=None, header_style="bold", pad_edge=False)
    for score in scores:
        shares = (score.right, score.right_of_answered, score.cited_gold, score.not_answered, score.linked_gold)
        table.add_row(
            score.style, str(score.n), *map(_share_cell, shares), f"{score.words:.0f}", f"{score.p50_s:.2f}", f"{score.p95_s:.2f}"
        )
    return table


def verification_view(found: "Verification") -> Text:
    if found.is_whole:
        return Text(f"✓ {found.index}: {found.chunks} chunks, as in the catalogue", style="green")
    counts = f"{len(found.missing)} missing, {len(found.surplus)} too many, {len(found.different)} different"
    return Text(f"✗ {found.index}: {counts}, of {found.chunks} chunks. Run `timbre reindex`.", style="red")


def _share_cell(share: Share) -> Text:
    """The value, and its interval on a line of its own, so that the table fits a narrow terminal."""
    if not share.n:
        return Text("-")
    low, high = share.interval
    return Text(f"{share.value:.2f}\n") + Text(f"{low:.2f}-{high:.2f}", style="dim")


@contextmanager
def progress() -> "Iterator[OnProgress]":
    """A bar in a terminal, a line every few seconds elsewhere, on standard error."""
    if not errors.is_terminal:
        yield _plain_progress()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def _plain_progress() -> "OnProgress":
    last = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_PROGRESS_S:
            last = time.monotonic()
            errors.print(f"· {what}: {done} of {total}" if total else f"· {what}")

    return show
