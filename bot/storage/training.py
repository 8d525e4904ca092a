"""What training may learn from, in SQL: rated exchanges, imported feedback, and who does not want to be learned from."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, delete, select

from bot.conversation import ExchangeId, Feedback, Verdict
from bot.messages import PersonId
from bot.storage import audit
from bot.storage.chat_tables import ChannelRow, CorrectionRow, InboxRow, OutboxRow
from bot.storage.database import Database
from bot.storage.exchanges import feedback_of
from bot.storage.review import CorrectionState
from bot.storage.tables import AuditRow, ExchangeRow, FeedbackRow, StandardAnswerRow
from bot.storage.times import utc
from bot.storage.training_tables import ImportedFeedbackRow, TrainingOptOutRow
from knowledge.documents import Audience
from knowledge.tables import in_slices

ERASED = "erased"


@dataclass(frozen=True)
class StoredQuote:
    """A quote as it was shown, where it stands, who may read that, and the text of the passage around it."""

    text: str
    location: str
    audience: Audience
    passage: str
    is_standard_answer: bool = False


@dataclass(frozen=True)
class ApprovedCorrection:
    """What support approved, and who wrote it."""

    text: str
    author: str


@dataclass(frozen=True)
class RatedRecord:
    """An exchange that somebody judged, with all judgements."""

    id: ExchangeId
    asked_by: str
    asked_at: datetime
    is_private: bool
    question: str
    wording: str
    outcome: str
    messages: Sequence[dict[str, str]]
    quotes: Sequence[StoredQuote]
    feedback: Sequence[Feedback]
    correction: ApprovedCorrection | None


@dataclass(frozen=True)
class ImportedFeedback:
    """A rated answer that was brought along. Answer and correction carry marks like [1] that point at the quotes."""

    key: str
    question: str
    answer: str
    verdict: Verdict
    reason: str
    correction: str
    rated_by: str
    channel: str
    outcome: str
    quotes: Sequence[StoredQuote]
    is_vouched: bool
    imported_by: str
    imported_at: datetime


@dataclass(frozen=True)
class Erased:
    """What was deleted of a person."""

    exchanges: Sequence[str]
    verdicts: int
    imported: int


class TrainingStore:
    """Reads what may be learned from; writes imports, opt-outs and erasures, each with the audit in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rated(self) -> list[RatedRecord]:
        """Every exchange with a verdict or an approved correction, oldest first; small talk left out."""
        with self._database.reading() as session:
            feedback: dict[str, list[Feedback]] = defaultdict(list)
            for row in session.exec(select(FeedbackRow).order_by(col(FeedbackRow.given_at), col(FeedbackRow.id))).all():
                feedback[row.exchange_id].append(feedback_of(row))
            corrections = _corrections(session)
            found: list[ExchangeRow] = []
            for part in in_slices(sorted(feedback.keys() | corrections.keys())):
                where = (col(ExchangeRow.id).in_(part), col(ExchangeRow.is_small_talk).is_(False))
                found += session.exec(select(ExchangeRow).where(*where)).all()
            records = [_record(row, feedback[row.id], corrections.get(row.id)) for row in found]
        return sorted(records, key=lambda record: (record.asked_at, record.id))

    def imported(self) -> list[ImportedFeedback]:
        """All imported feedback, oldest first."""
        with self._database.reading() as session:
            rows = select(ImportedFeedbackRow).order_by(col(ImportedFeedbackRow.imported_at), col(ImportedFeedbackRow.key))
            return [_imported(row) for row in session.exec(rows).all()]

    def put_imported(self, rows: Sequence[ImportedFeedback], by: str) -> int:
        """Stores all of them or none; the number of those that were not there like that already. A voucher is not taken back."""
        with self._database.writing() as session:
            changed = 0
            for new in rows:
                before = session.get(ImportedFeedbackRow, new.key)
                if before is None or not _is_same(before, new):
                    session.merge(_imported_row(new, bool(before and before.is_vouched)))
                    changed += 1
            if changed:
                audit.record(session, by, "feedback_imported", "", {"rows": changed})
            return changed

    def opted_out(self) -> set[str]:
        with self._database.reading() as session:
            return set(session.exec(select(TrainingOptOutRow.person)).all())

    def opt_out(self, person: PersonId, by: str) -> bool:
        """False when they had opted out before."""
        with self._database.writing() as session:
            if session.get(TrainingOptOutRow, person):
                return False
            session.add(TrainingOptOutRow(person=person, at=datetime.now(UTC)))
            audit.record(session, by, "training_opt_out", person, {})
            return True

    def opt_in(self, person: PersonId, by: str) -> bool:
        """False when they had not opted out."""
        with self._database.writing() as session:
            row = session.get(TrainingOptOutRow, person)
            if row is None:
                return False
            session.delete(row)
            audit.record(session, by, "training_opt_in", person, {})
            return True

    def names(self) -> set[str]:
        """The names of all who ever wrote to us, as their platforms give them."""
        with self._database.reading() as session:
            return {str(message["author"]["name"]) for message in session.exec(select(InboxRow.message)).all()} - {""}

    def private_channels(self) -> set[str]:
        """The ids of channels that were said to be private."""
        with self._database.reading() as session:
            return set(session.exec(select(ChannelRow.channel).where(col(ChannelRow.is_private).is_(True))).all())

    def erased_exchanges(self) -> int:
        """How many exchanges were erased so far."""
        with self._database.reading() as session:
            details = session.exec(select(AuditRow.details).where(AuditRow.action == ERASED)).all()
            return sum(int(one.get("exchanges", 0)) for one in details)

    def exchanges_of(self, person: str) -> list[str]:
        """The ids of the exchanges that the person asked, rated or corrected."""
        with self._database.reading() as session:
            asked = session.exec(select(ExchangeRow.id).where(ExchangeRow.asked_by == person)).all()
            rated = session.exec(select(FeedbackRow.exchange_id).where(FeedbackRow.given_by == person)).all()
            corrected = session.exec(select(CorrectionRow.exchange_id).where(CorrectionRow.proposed_by == person)).all()
            return sorted({*asked, *rated, *corrected})

    def erase(self, person: PersonId, by: str) -> Erased:
        """Deletes what the person asked, what was answered, what they said of answers, and their messages.

        Approved corrections to their questions stay knowledge, without whose question it was. The audit stays.
        """
        with self._database.writing() as session:
            asked = session.exec(select(ExchangeRow).where(ExchangeRow.asked_by == person)).all()
            kept = set(session.exec(select(StandardAnswerRow.exchange_id)).all())
            for thread in {row.conversation for row in asked} - {""}:
                for row in session.exec(select(ExchangeRow).where(ExchangeRow.conversation == thread)).all():
                    row.history = []  # what was said before, whoever said it
                    session.add(row)
            for row in asked:
                if row.id in kept:
                    _empty(session, row)
                else:
                    session.delete(row)
            verdicts = session.exec(delete(FeedbackRow).where(col(FeedbackRow.given_by) == person)).rowcount
            imported = session.exec(delete(ImportedFeedbackRow).where(col(ImportedFeedbackRow.rated_by) == person)).rowcount
            session.exec(delete(CorrectionRow).where(col(CorrectionRow.proposed_by) == person))
            _empty_messages(session, person, {row.id for row in asked})
            details = {"exchanges": len(asked), "verdicts": verdicts, "imported": imported}
            audit.record(session, by, ERASED, person, details)
            return Erased([row.id for row in asked], verdicts, imported)


def _corrections(session: Session) -> dict[str, ApprovedCorrection]:
    """The approved correction of each exchange; who wrote it is who proposed it, else who approved it."""
    approved = (CorrectionState.APPROVING, CorrectionState.APPROVED)
    proposed = session.exec(select(CorrectionRow).where(col(CorrectionRow.state).in_(approved))).all()
    authors = {(row.exchange_id, row.text): row.proposed_by for row in proposed}
    answers = session.exec(select(StandardAnswerRow)).all()
    return {
        row.exchange_id: ApprovedCorrection(row.answer, authors.get((row.exchange_id, row.answer), row.approved_by))
        for row in answers
    }


def _record(row: ExchangeRow, feedback: Sequence[Feedback], correction: ApprovedCorrection | None) -> RatedRecord:
    return RatedRecord(
        id=ExchangeId(row.id),
        asked_by=row.asked_by,
        asked_at=utc(row.asked_at),
        is_private=row.is_private,
        question=row.question,
        wording=row.wording,
        outcome=row.outcome,
        messages=row.messages,
        quotes=_quotes(row),
        feedback=feedback,
        correction=correction,
    )


def _quotes(row: ExchangeRow) -> list[StoredQuote]:
    passages = {passage["chunk"]: passage for passage in row.passages}
    return [
        StoredQuote(
            text=f"{quote['context']} {quote['text']}" if quote["context"] else str(quote["text"]),
            location=str(passages.get(quote["chunk"], {}).get("location", "")),
            audience=frozenset(quote["audience"]),
            passage=str(passages.get(quote["chunk"], {}).get("text", "")),
            is_standard_answer=bool(quote["standard_answer"]),
        )
        for quote in row.quotes
    ]


def _imported(row: ImportedFeedbackRow) -> ImportedFeedback:
    values = row.model_dump(exclude={"verdict", "quotes", "imported_at"})
    quotes = [StoredQuote(**{**quote, "audience": frozenset(quote["audience"])}) for quote in row.quotes]
    return ImportedFeedback(**values, verdict=Verdict(row.verdict), quotes=quotes, imported_at=utc(row.imported_at))


def _imported_row(new: ImportedFeedback, was_vouched: bool) -> ImportedFeedbackRow:
    values: dict[str, Any] = {**vars(new), "is_vouched": new.is_vouched or was_vouched}
    values["quotes"] = [{**asdict(quote), "audience": sorted(quote.audience)} for quote in new.quotes]
    return ImportedFeedbackRow(**values)


def _is_same(before: ImportedFeedbackRow, new: ImportedFeedback) -> bool:
    """Whether importing it again would change nothing: the quotes of the first time stay, whatever is found now."""
    said = ("verdict", "reason", "correction", "channel")
    return all(getattr(before, name) == getattr(new, name) for name in said) and (before.is_vouched or not new.is_vouched)


def _empty(session: Session, row: ExchangeRow) -> None:
    """Leaves of an exchange only that there was one."""
    row.asked_by, row.question, row.query, row.text, row.wording = ERASED, "", "", "", ""
    row.history, row.messages, row.passages, row.quotes = [], [], [], []
    session.add(row)


def _empty_messages(session: Session, person: str, exchanges: set[str]) -> None:
    """Their messages keep their keys, so that none is answered again; what was to be sent to them goes."""
    for row in session.exec(select(InboxRow)).all():
        if row.message["author"]["id"] == person:
            author = {**row.message["author"], "name": ""}
            row.message = {**row.message, "text": "", "author": author, "handle": {}}
            row.state = "done"
            session.add(row)
    for reply in session.exec(select(OutboxRow).where(col(OutboxRow.delivery).is_not(None))).all():
        delivery = reply.delivery or {}
        if delivery.get("to") == person or delivery.get("exchange") in exchanges:
            reply.delivery, reply.state = None, "sent"
            session.add(reply)
