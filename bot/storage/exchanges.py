"""Exchanges and what people think of them, in SQL."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel import col, select

from bot.conversation import Exchange, ExchangeId, Feedback, Outcome, PastExchange, Quote, StandardAnswer, Verdict
from bot.storage import audit
from bot.storage.database import Database
from bot.storage.tables import ExchangeRow, FeedbackRow, StandardAnswerRow, WordingEvaluationRow
from bot.storage.times import utc
from knowledge.documents import Audience, ChunkId, Passage


@dataclass(frozen=True)
class StoredExchange:
    """What rating an exchange needs to know of it."""

    id: ExchangeId
    asked_by: str
    conversation: str
    is_private: bool
    question: str
    query: str
    outcome: str
    audience: Audience
    is_small_talk: bool
    quoted_chunks: Sequence[ChunkId]
    quoted_audience: Audience | None
    """Who may read the document quoted first; None when nothing was quoted."""
    standard_answer: str
    """The key of the standard answer that was given; empty when none was."""


@dataclass(frozen=True)
class WordingEvaluation:
    """Of the answers that the release worded: the share that was right, and the share of sentences that passed the check."""

    release: str
    questions: int
    worded: int
    right_share: float
    kept_share: float


class ExchangeStore:
    """Reads and writes exchanges, feedback, standard answers and the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, exchange: Exchange) -> None:
        with self._database.writing() as session:
            session.add(exchange_row(exchange))

    def get(self, exchange_id: ExchangeId) -> StoredExchange | None:
        with self._database.reading() as session:
            row = session.get(ExchangeRow, exchange_id)
            return _stored(row) if row else None

    def conversation(self, name: str, limit: int) -> list[PastExchange]:
        """The newest exchanges of a conversation, oldest first."""
        with self._database.reading() as session:
            rows = select(ExchangeRow).where(ExchangeRow.conversation == name).order_by(col(ExchangeRow.asked_at).desc())
            return [_past(row) for row in reversed(session.exec(rows.limit(limit)).all())]

    def asked_by(self, person: str, limit: int) -> list[PastExchange]:
        """A person's newest questions, newest first; small talk left out."""
        with self._database.reading() as session:
            where = (ExchangeRow.asked_by == person, col(ExchangeRow.is_small_talk).is_(False))
            rows = select(ExchangeRow).where(*where).order_by(col(ExchangeRow.asked_at).desc())
            return [_past(row) for row in session.exec(rows.limit(limit)).all()]

    def record(self, feedback: Feedback) -> None:
        """Puts the verdict in place of the person's earlier one; the audit keeps both."""
        with self._database.writing() as session:
            where = (FeedbackRow.exchange_id == feedback.exchange_id, FeedbackRow.given_by == feedback.given_by)
            earlier = session.exec(select(FeedbackRow).where(*where)).first()
            session.add(_feedback_row(earlier, feedback))
            details = {"verdict": feedback.verdict, "reason": feedback.reason}
            audit.record(session, feedback.given_by, "feedback", feedback.exchange_id, details)

    def feedback(self, exchange_id: ExchangeId) -> list[Feedback]:
        """The current verdict of each person, the latest last."""
        with self._database.reading() as session:
            rows = select(FeedbackRow).where(FeedbackRow.exchange_id == exchange_id)
            return [feedback_of(row) for row in session.exec(rows.order_by(col(FeedbackRow.given_at), col(FeedbackRow.id))).all()]

    def take_back(self, exchange_id: ExchangeId, verdict: Verdict, given_by: str) -> bool:
        """Removes the person's verdict if it is this one; the audit keeps it. False when it is not."""
        with self._database.writing() as session:
            where = (FeedbackRow.exchange_id == exchange_id, FeedbackRow.given_by == given_by, FeedbackRow.verdict == verdict)
            row = session.exec(select(FeedbackRow).where(*where)).first()
            if row is None:
                return False
            session.delete(row)
            audit.record(session, given_by, "feedback_taken_back", exchange_id, {"verdict": verdict})
            return True

    def approve(self, answer: StandardAnswer, exchange_id: ExchangeId, audience: Audience) -> None:
        """Writes the standard answer, in place of an earlier one of the same key."""
        with self._database.writing() as session:
            row = StandardAnswerRow(
                key=answer.key,
                exchange_id=exchange_id,
                question=answer.question,
                answer=answer.answer,
                audience=sorted(audience),
                approved_by=answer.approved_by,
                approved_at=datetime.now(UTC),
            )
            session.merge(row)
            audit.record(session, answer.approved_by, "standard_answer", answer.key, {"exchange": exchange_id})

    def standard_answers(self) -> dict[str, StandardAnswerRow]:
        with self._database.reading() as session:
            return {row.key: row for row in session.exec(select(StandardAnswerRow)).all()}

    def audit(self, actor: str, action: str, subject: str, details: dict[str, Any]) -> None:
        with self._database.writing() as session:
            audit.record(session, actor, action, subject, details)

    def wording_evaluation(self, release: str) -> WordingEvaluation | None:
        with self._database.reading() as session:
            row = session.get(WordingEvaluationRow, release)
            return WordingEvaluation(row.release, row.questions, row.worded, row.right_share, row.kept_share) if row else None

    def put_wording_evaluation(self, evaluation: WordingEvaluation) -> None:
        with self._database.writing() as session:
            session.merge(WordingEvaluationRow(**asdict(evaluation), at=datetime.now(UTC)))

    def verdict_counts(self) -> dict[str, int]:
        """Number of current verdicts by kind."""
        with self._database.reading() as session:
            verdicts = session.exec(select(FeedbackRow.verdict).order_by(col(FeedbackRow.id))).all()
            return {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}


def exchange_row(exchange: Exchange) -> ExchangeRow:
    """The exchange as it is stored, for whoever stores it together with something else."""
    question, answer = exchange.question, exchange.answer
    return ExchangeRow(
        id=exchange.id,
        asked_at=exchange.asked_at or datetime.now(UTC),
        asked_by=question.asked_by,
        channel=question.channel,
        question=question.text,
        history=[[turn.speaker, turn.text] for turn in question.history],
        audience=sorted(question.audience),
        query=exchange.query,
        outcome=answer.outcome,
        text=answer.text,
        wording=answer.wording,
        signal=exchange.signal,
        release=exchange.release,
        model=exchange.model,
        is_small_talk=exchange.is_small_talk,
        dropped_sentences=exchange.dropped_sentences,
        is_reduced=exchange.is_reduced,
        conversation=question.conversation,
        is_private=question.is_private,
        messages=[{"role": m["role"], "content": m["content"]} for m in exchange.messages],
        passages=[_passage(passage) for passage in exchange.passages],
        quotes=[_quote(quote) for quote in exchange.quotes],
        timings_s=exchange.timings_s,
    )


def _passage(passage: Passage) -> dict[str, Any]:
    return {
        "chunk": passage.chunk_id,
        "source": passage.document.source,
        "document": passage.document.title,
        "location": passage.location,
        "heading": passage.chunk.heading,
        "text": passage.chunk.text,
        "score": passage.score,
        "rank": passage.rank,
        "legs": passage.legs,
        "found_by": passage.found_by,
    }


def _quote(quote: Quote) -> dict[str, Any]:
    document = quote.passage.document
    return {
        "chunk": quote.passage.chunk_id,
        "text": quote.text,
        "context": quote.context,
        "score": quote.score,
        "audience": sorted(document.audience),
        "standard_answer": document.location if document.is_standard_answer else "",
    }


def _past(row: ExchangeRow) -> PastExchange:
    audience = frozenset(row.audience)
    return PastExchange(
        ExchangeId(row.id), row.asked_by, utc(row.asked_at), row.question, row.text, Outcome(row.outcome), audience
    )


def _stored(row: ExchangeRow) -> StoredExchange:
    return StoredExchange(
        id=ExchangeId(row.id),
        asked_by=row.asked_by,
        conversation=row.conversation,
        is_private=row.is_private,
        question=row.question,
        query=row.query,
        outcome=row.outcome,
        audience=frozenset(row.audience),
        is_small_talk=row.is_small_talk,
        quoted_chunks=[ChunkId(int(quote["chunk"])) for quote in row.quotes],
        quoted_audience=frozenset(row.quotes[0]["audience"]) if row.quotes else None,
        standard_answer=str(row.quotes[0]["standard_answer"]) if row.quotes else "",
    )


def feedback_of(row: FeedbackRow) -> Feedback:
    return Feedback(
        ExchangeId(row.exchange_id), Verdict(row.verdict), row.given_by, row.reason, row.comment, row.correction
    )  # fmt: skip


def _feedback_row(earlier: FeedbackRow | None, feedback: Feedback) -> FeedbackRow:
    row = earlier or FeedbackRow(
        exchange_id=feedback.exchange_id, given_by=feedback.given_by, given_at=datetime.now(UTC),
        verdict="", reason="", comment="", correction="",
    )  # fmt: skip
    row.given_at, row.verdict = datetime.now(UTC), feedback.verdict
    row.reason, row.comment, row.correction = feedback.reason, feedback.comment, feedback.correction
    return row
