"""Proposed corrections and what was decided of them, in SQL."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, select

from bot.conversation import ExchangeId
from bot.messages import PersonId
from bot.storage import audit
from bot.storage.chat_tables import CorrectionRow
from bot.storage.database import Database
from bot.storage.numbers import row_number
from bot.storage.tables import ExchangeRow
from bot.storage.times import utc


class CorrectionState(StrEnum):
    """A decision is first taken (approving, rejecting), then carried out (approved, rejected)."""

    WAITING = "waiting"
    APPROVING = "approving"
    APPROVED = "approved"
    REJECTING = "rejecting"
    REJECTED = "rejected"


CARRIED_OUT = {
    CorrectionState.APPROVING: CorrectionState.APPROVED,
    CorrectionState.REJECTING: CorrectionState.REJECTED,
}


@dataclass(frozen=True)
class Correction:
    """What would have been the right answer to a question, as somebody says. `decided_by` is empty while it waits."""

    id: str
    exchange_id: ExchangeId
    question: str
    text: str
    proposed_by: PersonId
    proposed_at: datetime
    state: CorrectionState
    decided_by: PersonId


class ReviewStore:
    """Reads and writes corrections; every proposal and decision is in the audit, in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def propose(self, exchange_id: ExchangeId, text: str, person: PersonId) -> Correction:
        """The new correction, or the one that says the same: it waits, or is the approved answer of today."""
        with self._database.writing() as session:
            row = _same(session, exchange_id, text)
            if row is None:
                row = CorrectionRow(
                    exchange_id=exchange_id, text=text, proposed_by=person, proposed_at=datetime.now(UTC),
                    state=CorrectionState.WAITING,
                )  # fmt: skip
                session.add(row)
                session.flush()
                audit.record(session, person, "correction_proposed", str(row.id), {"exchange": exchange_id})
            return _correction(row, session.get_one(ExchangeRow, exchange_id).question)

    def get(self, correction_id: str) -> Correction | None:
        """None also for what is no number."""
        with self._database.reading() as session:
            found = session.exec(_joined().where(CorrectionRow.id == row_number(correction_id))).first()
            return _correction(*found) if found else None

    def undecided(self, workspace: str) -> list[Correction]:
        """What people of the workspace proposed and nobody has decided, or whose decision is not carried out; oldest first."""
        open_states = [CorrectionState.WAITING, *CARRIED_OUT]
        with self._database.reading() as session:
            of_workspace = col(CorrectionRow.proposed_by).startswith(f"{workspace}:", autoescape=True)
            rows = _joined().where(col(CorrectionRow.state).in_(open_states), of_workspace)
            return [_correction(*found) for found in session.exec(rows.order_by(col(CorrectionRow.id))).all()]

    def taken(self) -> list[Correction]:
        """Those whose decision is not carried out, in the order of the decisions."""
        with self._database.reading() as session:
            rows = _joined().where(col(CorrectionRow.state).in_(list(CARRIED_OUT)))
            return [_correction(*found) for found in session.exec(rows.order_by(col(CorrectionRow.decided_at))).all()]

    def decide(self, correction_id: str, state: CorrectionState, text: str, person: PersonId) -> Correction:
        """Takes the decision, with the text as it shall be; one that is decided is given back as it is."""
        with self._database.writing() as session:
            row, question = session.exec(_joined().where(CorrectionRow.id == row_number(correction_id))).one()
            if row.state == CorrectionState.WAITING:
                details = {"decision": CARRIED_OUT[state], "edited": text != row.text}
                audit.record(session, person, "correction_decided", correction_id, details)
                row.state, row.text = state, text
                row.decided_by, row.decided_at = person, datetime.now(UTC)
                session.add(row)
            return _correction(row, question)

    def note_carried_out(self, correction_id: str) -> None:
        """Nothing is left to do of a decision."""
        with self._database.writing() as session:
            row = session.get_one(CorrectionRow, row_number(correction_id))
            row.state = CARRIED_OUT.get(CorrectionState(row.state), row.state)
            session.add(row)


def _joined() -> Any:
    return select(CorrectionRow, ExchangeRow.question).join(ExchangeRow, col(ExchangeRow.id) == col(CorrectionRow.exchange_id))


def _same(session: Session, exchange_id: ExchangeId, text: str) -> CorrectionRow | None:
    """An older approved answer that another one has replaced since may be proposed again, and so may a rejected one."""
    of_exchange = select(CorrectionRow).where(CorrectionRow.exchange_id == exchange_id).order_by(col(CorrectionRow.decided_at))
    rows = session.exec(of_exchange).all()
    waiting = [row for row in rows if row.state == CorrectionState.WAITING]
    approved = [row for row in rows if row.state in (CorrectionState.APPROVING, CorrectionState.APPROVED)]
    return next((row for row in [*waiting, *approved[-1:]] if row.text == text), None)


def _correction(row: CorrectionRow, question: str) -> Correction:
    return Correction(
        id=str(row.id),
        exchange_id=ExchangeId(row.exchange_id),
        question=question,
        text=row.text,
        proposed_by=PersonId(row.proposed_by),
        proposed_at=utc(row.proposed_at),
        state=CorrectionState(row.state),
        decided_by=PersonId(row.decided_by),
    )
