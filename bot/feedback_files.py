"""Feedback in JSONL files: what a company has already comes in, what people said here goes out.

A line is `{"question", "answer", "verdict": "helpful" | "not_helpful", "reason"?, "correction"?, "rated_by", "channel"?}`.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.citations import without_marks
from bot.conversation import Question, Verdict
from bot.engine import AnswerEngine, cleaned
from bot.errors import CommandRejected
from bot.question_files import read_lines, read_object
from bot.rated_exchanges import supports
from bot.spelling import listed, nearest
from bot.storage.training import ImportedFeedback, RatedRecord, StoredQuote, TrainingStore
from knowledge.documents import Audience
from knowledge.ports import Embedder

REQUIRED = ("question", "answer", "verdict", "rated_by")
OPTIONAL = ("reason", "correction", "channel")
KEY_CHARS = 24
MAX_PROBLEMS = 20  # bad lines that are named; the others are counted
NOTHING_FOUND = "no document that may be used answers the question"

OnRow = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FeedbackLine:
    """One line, checked. Texts that it lacks are empty."""

    number: int
    question: str
    answer: str
    verdict: Verdict
    rated_by: str
    reason: str = ""
    correction: str = ""
    channel: str = ""

    @property
    def key(self) -> str:
        """The same for the same person, question and answer: what they say of it later replaces what they said."""
        said = json.dumps([self.question, self.answer, self.rated_by])
        return hashlib.sha256(said.encode()).hexdigest()[:KEY_CHARS]


@dataclass(frozen=True)
class ImportReport:
    """What became of a file whose lines were all right. `rejected`: rows by reason, each with its lines."""

    imported: int
    unchanged: int
    rejected: Mapping[str, Sequence[int]]


def read_feedback(path: Path) -> list[FeedbackLine]:
    """The lines of the file. Raises CommandRejected that names every bad one and says what is wrong with it."""
    lines: list[FeedbackLine] = []
    problems: list[str] = []
    for number, text in read_lines(path):
        try:
            lines.append(_line(path, number, read_object(path, number, text)))
        except CommandRejected as err:
            problems.append(str(err))
    if problems:
        more = [f"... and {len(problems) - MAX_PROBLEMS} more."] if len(problems) > MAX_PROBLEMS else []
        raise CommandRejected("\n".join([*problems[:MAX_PROBLEMS], *more, "Nothing was imported."]))
    if not lines:
        raise CommandRejected(f"{path} holds no feedback.")
    return lines


async def import_feedback(
    lines: Sequence[FeedbackLine],
    engine: AnswerEngine,
    embedder: Embedder,
    store: TrainingStore,
    audience: Audience,
    imported_by: str,
    is_vouched: bool,
    now: datetime,
    on_row: OnRow,
) -> ImportReport:
    """Stores what the lines say, with the quotes that are found for their questions as for a live one: all at once or nothing.

    What is there already stays as it is. `is_vouched`: an admin answers for all of them. Raises KnowledgeError.
    """
    known = {row.key: row for row in store.imported()}
    by_key = {line.key: line for line in lines}  # of lines that say two things, the later one
    rows: list[ImportedFeedback] = []
    rejected: dict[str, list[int]] = {}
    for done, (key, line) in enumerate(by_key.items(), 1):
        before = known.get(key)
        quotes, outcome = (before.quotes, before.outcome) if before else await _quotes(line, engine, audience)
        if quotes:
            rows.append(_row(key, line, quotes, outcome, embedder, imported_by, is_vouched, now))
        else:
            rejected.setdefault(NOTHING_FOUND, []).append(line.number)
        on_row("looking for passages", done, len(by_key))
    changed = store.put_imported(rows, imported_by)
    return ImportReport(changed, len(rows) - changed, rejected)


def exported(
    records: Sequence[RatedRecord], imported: Sequence[ImportedFeedback], opted_out: Collection[str], include_private: bool
) -> Iterator[dict[str, str]]:
    """A line for each verdict, but those of and on what is private and of people who opted out."""
    for record in records:
        if (record.is_private and not include_private) or record.asked_by in opted_out:
            continue
        answer = without_marks(record.wording) or "\n".join(quote.text for quote in record.quotes)
        for one in record.feedback:
            if one.given_by not in opted_out:
                yield _object(record.question, answer, one.verdict, one.reason, one.correction, one.given_by, "")
    for row in imported:
        if row.rated_by not in opted_out:
            answer, correction = without_marks(row.answer), without_marks(row.correction)
            yield _object(row.question, answer, row.verdict, row.reason, correction, row.rated_by, row.channel)


def _line(path: Path, number: int, row: Mapping[str, Any]) -> FeedbackLine:
    where = f"{path}, line {number}"
    for name in row:
        if name not in (*REQUIRED, *OPTIONAL):
            near = nearest(name, (*REQUIRED, *OPTIONAL), 1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known are {listed([*REQUIRED, *OPTIONAL], 'and')}."
            raise CommandRejected(f"{where} has the unknown field {name!r}{meant}")
    values = {name: _text(where, row, name) for name in (*REQUIRED, *OPTIONAL)}
    if values["verdict"] not in list(Verdict):
        raise CommandRejected(f'{where}: "verdict" must be "helpful" or "not_helpful", not {values["verdict"]!r}.')
    for name in ("question", "answer", "correction"):
        if values[name]:
            values[name] = _said(where, name, values[name])
    return FeedbackLine(number, **{**values, "verdict": Verdict(values["verdict"])})  # type: ignore[arg-type]


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if name in OPTIONAL and value is None:
        return ""
    if not isinstance(value, str) or (name in REQUIRED and not value.strip()):
        raise CommandRejected(f'{where} needs a "{name}" (text).' if name in REQUIRED else f'{where}: "{name}" must be text.')
    return value.strip()


def _said(where: str, name: str, text: str) -> str:
    try:
        return without_marks(cleaned(text))
    except CommandRejected as err:
        raise CommandRejected(f'{where}: "{name}" cannot be used: {err}') from err


async def _quotes(line: FeedbackLine, engine: AnswerEngine, audience: Audience) -> tuple[list[StoredQuote], str]:
    selection = await engine.select(Question(line.question, audience, asked_by=line.rated_by))
    found = [
        StoredQuote(
            text=quote.shown,
            location=quote.passage.location,
            audience=quote.passage.document.audience,
            passage=quote.passage.chunk.text,
            is_standard_answer=quote.passage.document.is_standard_answer,
        )
        for quote in selection.quotes
    ]
    return found, selection.outcome


def _row(
    key: str,
    line: FeedbackLine,
    quotes: Sequence[StoredQuote],
    outcome: str,
    embedder: Embedder,
    imported_by: str,
    is_vouched: bool,
    now: datetime,
) -> ImportedFeedback:
    shown = [quote.text for quote in quotes]
    return ImportedFeedback(
        key=key,
        question=line.question,
        answer=marked(line.answer, shown, line.question, embedder),
        verdict=line.verdict,
        reason=line.reason,
        correction=marked(line.correction, shown, line.question, embedder),
        rated_by=line.rated_by,
        channel=line.channel,
        outcome=outcome,
        quotes=quotes,
        is_vouched=is_vouched,
        imported_by=imported_by,
        imported_at=now,
    )


def marked(text: str, quotes: Sequence[str], question: str, embedder: Embedder) -> str:
    """The text with a mark like [1] after each sentence that a quote supports."""
    pieces, end = [], 0
    for sentence, position in supports(embedder, text, quotes, question):
        start = text.index(sentence, end)
        pieces += [text[end:start], sentence, f" [{position + 1}]" if position is not None else ""]
        end = start + len(sentence)
    return "".join([*pieces, text[end:]])


def _object(
    question: str, answer: str, verdict: str, reason: str, correction: str, rated_by: str, channel: str
) -> dict[str, str]:
    optional = {"reason": reason, "correction": correction, "channel": channel}
    said = {"question": question, "answer": answer, "verdict": str(verdict), "rated_by": rated_by}
    return said | {name: value for name, value in optional.items() if value}
