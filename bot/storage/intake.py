"""What came in and what goes out, in SQL: the inbox and the outbox, and what leads from a posted message to its exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, select

from bot.conversation import Exchange, ExchangeId
from bot.messages import Delivery, DeliveryKey, IncomingMessage, MessageRef, Place
from bot.storage.chat_tables import InboxRow, OutboxRow, PlatformStateRow, PostedMessageRow
from bot.storage.database import Database
from bot.storage.exchanges import exchange_row
from bot.storage.times import utc

_MESSAGE = TypeAdapter(IncomingMessage)
_DELIVERY = TypeAdapter(Delivery)
_CLAIM_CANDIDATES = 20


@dataclass(frozen=True)
class ClaimedMessage:
    """A message that one worker answers now. `attempt` counts from 1."""

    message: IncomingMessage
    attempt: int
    owner: str


@dataclass(frozen=True)
class ClaimedDelivery:
    """A reply that one sender sends now. `is_retry`: an earlier try, or a stream that broke off, may have shown some of it."""

    id: int
    delivery: Delivery
    attempt: int
    draft: str
    created_at: datetime

    @property
    def is_retry(self) -> bool:
        return self.attempt > 1


class IntakeStore:
    """Reads and writes the tables of the way in and out. Every time is aware UTC and comes from the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_message(self, message: IncomingMessage, now: datetime, available_at: datetime) -> bool:
        """Stores a message; False when its key is known already."""
        with self._database.writing() as session:
            if session.get(InboxRow, message.key):
                return False
            session.add(
                InboxRow(
                    key=message.key,
                    channel=message.place.channel_key,
                    conversation=message.conversation,
                    message=_MESSAGE.dump_python(message, mode="json"),
                    received_at=now,
                    state="waiting",
                    available_at=available_at,
                )
            )
            return True

    def claim_message(self, owner: str, now: datetime, lease: timedelta) -> ClaimedMessage | None:
        """The next message that is due, of a conversation in which none is being answered; its attempts rise before the try."""
        with self._database.writing() as session:
            free = or_(col(InboxRow.lease_until).is_(None), col(InboxRow.lease_until) < now)
            busy = select(InboxRow.conversation).where(InboxRow.state == "waiting", col(InboxRow.lease_until) >= now)
            due = select(InboxRow).where(InboxRow.state == "waiting", col(InboxRow.available_at) <= now, free)
            due = due.where(col(InboxRow.conversation).not_in(busy))
            row = session.exec(due.order_by(col(InboxRow.available_at), col(InboxRow.received_at)).limit(1)).first()
            if row is None:
                return None
            row.attempts += 1
            row.lease_owner, row.lease_until = owner, now + lease
            session.add(row)
            return ClaimedMessage(_MESSAGE.validate_python(row.message), row.attempts, owner)

    def renew_message(self, claimed: ClaimedMessage, until: datetime) -> bool:
        """Keeps the message for its worker; False when somebody else has it."""
        with self._database.writing() as session:
            row = _held(session, claimed)
            if row:
                row.lease_until = until
                session.add(row)
            return row is not None

    def release_message(self, claimed: ClaimedMessage, available_at: datetime, attempts: int) -> None:
        """Gives the message back, to be tried again then."""
        with self._database.writing() as session:
            if row := _held(session, claimed):
                row.available_at, row.attempts = available_at, attempts
                row.lease_owner, row.lease_until = "", None
                session.add(row)

    def finish_message(
        self,
        claimed: ClaimedMessage,
        now: datetime,
        deliveries: Sequence[Delivery],
        exchange: Exchange | None = None,
        state: str = "done",
    ) -> bool:
        """Commits together: the exchange, what goes out, and that the message is done. False when somebody else has it."""
        with self._database.writing() as session:
            row = _held(session, claimed)
            if row is None:
                return False
            row.state, row.lease_owner, row.lease_until = state, "", None
            session.add(row)
            if exchange:
                session.add(exchange_row(exchange))
            for delivery in deliveries:
                _put_delivery(session, delivery, now, is_retry=claimed.attempt > 1)
            return True

    def put_delivery(self, delivery: Delivery, now: datetime) -> None:
        """Puts a reply into the outbox; one whose key is there already is the same one."""
        with self._database.writing() as session:
            _put_delivery(session, delivery, now)

    def begin_stream(self, key: DeliveryKey, now: datetime) -> bool:
        """Notes, before anything is shown, that an answer will grow under this key; False when one has begun before."""
        with self._database.writing() as session:
            if _outbox_row(session, key):
                return False
            session.add(OutboxRow(key=key, created_at=now, available_at=now, state="streaming"))
            return True

    def set_draft(self, key: DeliveryKey, message_id: str) -> None:
        with self._database.writing() as session:
            row = _outbox_row(session, key)
            assert row is not None
            row.draft = message_id
            session.add(row)

    def claim_delivery(self, now: datetime, lease: timedelta, but_channels: Sequence[str]) -> ClaimedDelivery | None:
        """The next reply that is due, of none of these channels; its attempts rise before the try."""
        with self._database.writing() as session:
            free = or_(col(OutboxRow.lease_until).is_(None), col(OutboxRow.lease_until) < now)
            due = select(OutboxRow).where(OutboxRow.state == "waiting", col(OutboxRow.available_at) <= now, free)
            for row in session.exec(due.order_by(col(OutboxRow.id)).limit(_CLAIM_CANDIDATES + len(but_channels))):
                delivery = _DELIVERY.validate_python(row.delivery)
                if delivery.place.channel and delivery.place.channel in but_channels:
                    continue
                row.attempts += 1
                row.lease_until = now + lease
                session.add(row)
                assert row.id is not None
                return ClaimedDelivery(row.id, delivery, row.attempts, row.draft, utc(row.created_at))
            return None

    def renew_delivery(self, claimed: ClaimedDelivery, until: datetime) -> None:
        with self._database.writing() as session:
            row = session.get_one(OutboxRow, claimed.id)
            row.lease_until = until
            session.add(row)

    def finish_delivery(self, claimed: ClaimedDelivery, message_ids: Sequence[str]) -> None:
        """The reply is out; its messages lead to their exchange from now on."""
        with self._database.writing() as session:
            row = session.get_one(OutboxRow, claimed.id)
            row.state, row.problem, row.lease_until = "sent", "", None
            session.add(row)
            if claimed.delivery.exchange:
                for message_id in message_ids:
                    session.merge(_posted_row(claimed.delivery.place, message_id, claimed.delivery.exchange))

    def fail_delivery(self, claimed: ClaimedDelivery, problem: str, retry_at: datetime | None) -> None:
        """The reply is not out: tried again then, or never."""
        with self._database.writing() as session:
            row = session.get_one(OutboxRow, claimed.id)
            row.problem, row.lease_until = problem, None
            if retry_at is None:
                row.state = "failed"
            else:
                row.available_at = retry_at
            session.add(row)

    def note_posted(self, ref: MessageRef, exchange: ExchangeId) -> None:
        """Leads from a message to the exchange that it shows."""
        with self._database.writing() as session:
            session.merge(_posted_row(ref.place, ref.id, exchange))

    def exchange_at(self, message: MessageRef) -> ExchangeId | None:
        """The exchange that a message of ours shows."""
        where = message.place
        with self._database.reading() as session:
            row = session.get(PostedMessageRow, (where.platform, where.workspace, where.channel, message.id))
            return ExchangeId(row.exchange_id) if row else None

    def posted(self, exchange: ExchangeId) -> list[MessageRef]:
        """The messages that show the exchange, first the first of a long answer."""
        with self._database.reading() as session:
            rows = session.exec(select(PostedMessageRow).where(PostedMessageRow.exchange_id == exchange)).all()
        found = [MessageRef(Place(row.platform, row.workspace, row.channel, row.thread), row.message_id) for row in rows]
        return sorted(found, key=lambda ref: (len(ref.id), ref.id))

    def is_posted(self, exchange: ExchangeId, place: Place) -> bool:
        """Whether a message in the channel of that place shows the exchange to whoever is there."""
        where = (
            PostedMessageRow.exchange_id == exchange, PostedMessageRow.platform == place.platform,
            PostedMessageRow.workspace == place.workspace, PostedMessageRow.channel == place.channel,
        )  # fmt: skip
        with self._database.reading() as session:
            return session.exec(select(PostedMessageRow.message_id).where(*where).limit(1)).first() is not None

    def message(self, key: str) -> IncomingMessage | None:
        """A message that came in."""
        with self._database.reading() as session:
            row = session.get(InboxRow, key)
            return _MESSAGE.validate_python(row.message) if row else None

    def takes_part(self, conversation: str) -> bool:
        """Whether the bot has been asked something in the conversation."""
        with self._database.reading() as session:
            return session.exec(select(InboxRow.key).where(InboxRow.conversation == conversation).limit(1)).first() is not None

    def places(self, platform: str) -> list[Place]:
        """The channels and direct conversations of the platform in which the bot has been asked something."""
        with self._database.reading() as session:
            of_platform = col(InboxRow.channel).startswith(f"{platform}:", autoescape=True)
            found = session.exec(select(InboxRow.channel).where(of_platform).distinct()).all()
        return [Place(*channel.split(":")) for channel in found]

    def recall(self, platform: str, name: str) -> dict[str, Any] | None:
        """What a platform's connection has remembered under the name."""
        with self._database.reading() as session:
            row = session.get(PlatformStateRow, (platform, name))
            return row.value if row else None

    def remember(self, platform: str, name: str, value: Mapping[str, Any]) -> None:
        with self._database.writing() as session:
            session.merge(PlatformStateRow(platform=platform, name=name, value=dict(value)))

    def counts(self) -> dict[str, int]:
        """Messages and replies that wait, and those given up, by box and state."""
        with self._database.reading() as session:
            inbox = _by_state(session, InboxRow.state, InboxRow)
            outbox = _by_state(session, OutboxRow.state, OutboxRow)
        names = (
            ("inbox", "waiting", inbox),
            ("inbox", "dead", inbox),
            ("outbox", "waiting", outbox),
            ("outbox", "failed", outbox),
        )
        return {f"{box} {state}": found.get(state, 0) for box, state, found in names}


def _by_state(session: Session, state: Any, table: type[InboxRow] | type[OutboxRow]) -> dict[str, int]:
    column: ColumnElement[str] = state
    return dict(session.exec(select(column, func.count()).select_from(table).group_by(column)).all())


def _held(session: Session, claimed: ClaimedMessage) -> InboxRow | None:
    row = session.get(InboxRow, claimed.message.key)
    is_ours = row and row.state == "waiting" and row.lease_owner == claimed.owner and row.attempts == claimed.attempt
    return row if is_ours else None


def _outbox_row(session: Session, key: str) -> OutboxRow | None:
    return session.exec(select(OutboxRow).where(OutboxRow.key == key)).first()


def _put_delivery(session: Session, delivery: Delivery, now: datetime, is_retry: bool = False) -> None:
    row = _outbox_row(session, delivery.key)
    if row is None:
        row = OutboxRow(key=delivery.key, created_at=now, available_at=now, state="waiting")
    elif row.state == "streaming":
        row.state, row.available_at = "waiting", now
        row.attempts = int(is_retry)  # the stream of an earlier try counts as one: what it has shown is looked for
    else:
        return
    row.delivery = _DELIVERY.dump_python(delivery, mode="json")
    session.add(row)


def _posted_row(place: Place, message_id: str, exchange: ExchangeId) -> PostedMessageRow:
    return PostedMessageRow(
        platform=place.platform, workspace=place.workspace, channel=place.channel, message_id=message_id,
        thread=place.thread, exchange_id=exchange,
    )  # fmt: skip
