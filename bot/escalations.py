"""Hands questions to people: support is called in the thread once, and the question stays on a list until it is resolved."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.conversation import ExchangeId
from bot.errors import CommandRejected
from bot.feedback import FeedbackService
from bot.links import without_links
from bot.messages import Button, Control, Delivery, DeliveryKey, Person, PersonId, Place, Reply, ReplyKind, direct_delivery
from bot.people import workspace_of
from bot.ports import NameOf, Put
from bot.replies import block_quote
from bot.storage.escalations import Escalation, EscalationState, EscalationStore
from bot.visibility import MaySee

_UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


class Escalations:
    """From "Ask a person" to "Resolved". `put` hands the call for support to the outbox."""

    def __init__(
        self,
        store: EscalationStore,
        feedback: FeedbackService,
        may_see: MaySee,
        is_staff: Callable[[Person], bool],
        is_posted: Callable[[ExchangeId, Place], bool],
        staff: Callable[[str], Sequence[PersonId]],
        put: Put,
        name_of: NameOf,
    ) -> None:
        self._store = store
        self._feedback = feedback
        self._may_see = may_see
        self._is_staff = is_staff
        self._is_posted = is_posted
        self._staff = staff
        self._put = put
        self._name_of = name_of

    async def ask_person(self, exchange_id: ExchangeId, person: Person, place: Place) -> Escalation:
        """Calls support in the thread that `place` names; where nobody else has seen the answer, writes to the staff directly.

        Raises CommandRejected when people have been asked before; where that broke off before support was called, they are now.
        """
        exchange = await self._feedback.rateable(exchange_id)
        if not await asyncio.to_thread(self._may_see, exchange, person, place):
            raise CommandRejected("Only members who can see an answer may ask a person about it.")
        escalation, is_new = await asyncio.to_thread(self._store.add, exchange_id, person.id, place)
        if escalation.state is EscalationState.RESOLVED:
            raise await self._resolved_before(escalation, person)
        name = person.name if is_new else await self._name_of(escalation.asked_by)
        is_seen = not exchange.is_private or await asyncio.to_thread(self._is_posted, exchange_id, place)
        staff = [] if is_seen else await asyncio.to_thread(self._staff, person.workspace)
        for call in [_call(escalation, name)] if is_seen else [_direct_call(escalation, name, member) for member in staff]:
            await self._put(call)
        if not is_seen and not staff:
            raise CommandRejected("Nobody here has the role support yet; please ask a colleague, or an admin.")
        if not is_new:
            raise CommandRejected("People have already been asked; they will answer in the thread.")
        return escalation

    async def resolve(self, escalation_id: str, person: Person) -> Escalation:
        """Takes it off the list. Support and who asked may do that. Raises CommandRejected."""
        found = await asyncio.to_thread(self._store.get, escalation_id)
        if found is None or workspace_of(found.asked_by) != person.workspace:
            raise CommandRejected(f"There is no open question with the number {escalation_id}.")
        is_own = found.asked_by == person.id and person.is_member
        if not is_own and not await asyncio.to_thread(self._is_staff, person):
            raise CommandRejected("Only support and the person who asked can say that this is resolved.")
        escalation, was_open = await asyncio.to_thread(self._store.resolve, escalation_id, person.id)
        if not was_open:
            raise await self._resolved_before(escalation, person)
        return escalation

    async def open(self, workspace: str) -> Sequence[Escalation]:
        """What people of the workspace asked for and nobody has resolved, oldest first."""
        return await asyncio.to_thread(self._store.open, workspace)

    async def is_open_in(self, conversation: str) -> bool:
        """Whether people were asked to take the conversation over, and have not finished."""
        return await asyncio.to_thread(self._store.is_open_in, conversation)

    async def _resolved_before(self, escalation: Escalation, person: Person) -> CommandRejected:
        is_own = escalation.resolved_by == person.id
        who = "You have" if is_own else f"{await self._name_of(escalation.resolved_by)} has"
        return CommandRejected(f"{who} already said that this is resolved; write in the thread what is still open.")


def in_words(age: timedelta) -> str:
    """An age in its largest unit, rounded down: "5 minutes" (pure)."""
    for unit, name in _UNITS:
        if count := age // unit:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "less than a minute"


def waited(escalation: Escalation, now: datetime) -> str:
    """How long it has been open (pure)."""
    return in_words(now - escalation.asked_at)


def resolved_button(escalation: Escalation) -> Button:
    return Button(Control.RESOLVED, escalation.id, "Resolved")


def _call(escalation: Escalation, name: str) -> Delivery:
    reply = Reply(ReplyKind.NOTICE, _request(escalation, name), buttons=[resolved_button(escalation)], calls_support=True)
    return Delivery(DeliveryKey(f"escalation:{escalation.id}"), escalation.place, reply)


def _direct_call(escalation: Escalation, name: str, staff: PersonId) -> Delivery:
    text = f"{_request(escalation, name)}\n\nIt was asked privately: please write to {without_links(name)} directly."
    reply = Reply(ReplyKind.NOTICE, text, buttons=[resolved_button(escalation)])
    return direct_delivery(f"escalation:{escalation.id}:{staff}", staff, reply)


def _request(escalation: Escalation, name: str) -> str:
    return f"{without_links(name)} asks for a person's help with this question:\n\n{block_quote(escalation.question)}"
