"""Questions that were handed to people, in SQL."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlmodel import col, select

from bot.conversation import ExchangeId
from bot.messages import PersonId, Place
from bot.storage import audit
from bot.storage.chat_tables import EscalationRow
from bot.storage.database import Database
from bot.storage.numbers import row_number
from bot.storage.tables import ExchangeRow
from bot.storage.times import utc


class EscalationState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Escalation:
    """A question that people were asked to answer. `place` is the conversation in which they were asked."""

    id: str
    exchange_id: ExchangeId
    question: str
    place: Place
    asked_by: PersonId
    asked_at: datetime
    state: EscalationState
    resolved_by: PersonId


class EscalationStore:
    """Reads and writes escalations, one for an exchange at most; every change is in the audit, in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, exchange_id: ExchangeId, person: PersonId, place: Place) -> tuple[Escalation, bool]:
        """The escalation of the exchange, and whether it is new."""
        with self._database.writing() as session:
            question = session.get_one(ExchangeRow, exchange_id).question
            row = session.exec(select(EscalationRow).where(EscalationRow.exchange_id == exchange_id)).first()
            if row:
                return _escalation(row, question), False
            row = EscalationRow(
                exchange_id=exchange_id, place=asdict(place), asked_by=person, asked_at=datetime.now(UTC),
                state=EscalationState.OPEN,
            )  # fmt: skip
            session.add(row)
            session.flush()
            audit.record(session, person, "escalation", exchange_id, {"state": EscalationState.OPEN})
            return _escalation(row, question), True

    def get(self, escalation_id: str) -> Escalation | None:
        """None also for what is no number."""
        with self._database.reading() as session:
            found = session.exec(_joined().where(EscalationRow.id == row_number(escalation_id))).first()
            return _escalation(*found) if found else None

    def open(self, workspace: str) -> list[Escalation]:
        """Those that people of the workspace asked for and nobody has resolved, oldest first."""
        with self._database.reading() as session:
            of_workspace = col(EscalationRow.asked_by).startswith(f"{workspace}:", autoescape=True)
            rows = _joined().where(EscalationRow.state == EscalationState.OPEN, of_workspace).order_by(col(EscalationRow.id))
            return [_escalation(*found) for found in session.exec(rows).all()]

    def is_open_in(self, conversation: str) -> bool:
        """Whether people were asked to take the conversation over, and have not finished."""
        where = (EscalationRow.state == EscalationState.OPEN, ExchangeRow.conversation == conversation)
        with self._database.reading() as session:
            return session.exec(_joined().where(*where).limit(1)).first() is not None

    def resolve(self, escalation_id: str, person: PersonId) -> tuple[Escalation, bool]:
        """The escalation, and whether it was open until now."""
        with self._database.writing() as session:
            row, question = session.exec(_joined().where(EscalationRow.id == row_number(escalation_id))).one()
            is_open = row.state == EscalationState.OPEN
            if is_open:
                row.state, row.resolved_by, row.resolved_at = EscalationState.RESOLVED, person, datetime.now(UTC)
                session.add(row)
                audit.record(session, person, "escalation", row.exchange_id, {"state": EscalationState.RESOLVED})
            return _escalation(row, question), is_open


def _joined() -> Any:
    return select(EscalationRow, ExchangeRow.question).join(ExchangeRow, col(ExchangeRow.id) == col(EscalationRow.exchange_id))


def _escalation(row: EscalationRow, question: str) -> Escalation:
    return Escalation(
        id=str(row.id),
        exchange_id=ExchangeId(row.exchange_id),
        question=question,
        place=Place(**row.place),
        asked_by=PersonId(row.asked_by),
        asked_at=utc(row.asked_at),
        state=EscalationState(row.state),
        resolved_by=PersonId(row.resolved_by),
    )
