"""The review queue: what people say would have been right waits for support staff, and everybody concerned hears the outcome.

Who may decide is checked by the caller. A decision is committed first and carried out then; a process that dies in between is
no harm, since doing it again changes nothing and no receipt is sent twice.
"""

import asyncio
import logging
from collections.abc import Sequence

from bot.conversation import ExchangeId, Verdict
from bot.errors import CommandRejected
from bot.feedback import FeedbackService, cleaned_correction
from bot.messages import Button, Control, Delivery, Form, Person, PersonId, Reply, ReplyKind, TextInput, direct_delivery
from bot.people import workspace_of
from bot.ports import NameOf, Put
from bot.replies import block_quote
from bot.storage.exchanges import ExchangeStore
from bot.storage.review import Correction, CorrectionState, ReviewStore

logger = logging.getLogger(__name__)

ANSWER_FIELD = "answer"
_FLAGGED = "You said that an answer was wrong. It was corrected by support; thank you."
_PROPOSED = "You said what would have been right. Support approved it, and the next person who asks gets it; thank you."
_REJECTED = (
    "You said what would have been right. Support looked at it and decided to keep the answer as it is; thank you all the same."
)
_DONE = {
    CorrectionState.APPROVING: "approved",
    CorrectionState.APPROVED: "approved",
    CorrectionState.REJECTING: "rejected",
    CorrectionState.REJECTED: "rejected",
}


class ReviewQueue:
    """Corrections from their proposal to their decision. `put` hands receipts to the outbox."""

    def __init__(
        self, store: ReviewStore, exchanges: ExchangeStore, feedback: FeedbackService, put: Put, name_of: NameOf
    ) -> None:
        self._store = store
        self._exchanges = exchanges
        self._feedback = feedback
        self._put = put
        self._name_of = name_of

    async def propose(self, exchange_id: ExchangeId, text: str, person: Person, *, approve_at_once: bool = False) -> Correction:
        """The correction in the queue; the same text for the same exchange is the same one.

        `approve_at_once` is for support staff: it is approved, and findable on return. Raises CommandRejected.
        """
        cleaned = cleaned_correction(text)
        await self._feedback.rateable(exchange_id)
        correction = await asyncio.to_thread(self._store.propose, exchange_id, cleaned, person.id)
        if approve_at_once and correction.state is not CorrectionState.APPROVED:
            return await self.approve(correction.id, person)
        return correction

    async def waiting(self, workspace: str) -> Sequence[Correction]:
        """What people of the workspace proposed and nobody has decided, oldest first."""
        return await asyncio.to_thread(self._store.undecided, workspace)

    async def approve(self, correction_id: str, person: Person, text: str | None = None) -> Correction:
        """Makes a standard answer of it, with `text` in place of what was proposed, and sends the receipts.

        Raises CommandRejected when somebody has decided before, or the text says nothing.
        """
        return await self._decide(correction_id, person, CorrectionState.APPROVING, text)

    async def reject(self, correction_id: str, person: Person) -> Correction:
        """Leaves the answer as it is, and tells who proposed it. Raises CommandRejected when somebody has decided before."""
        return await self._decide(correction_id, person, CorrectionState.REJECTING)

    async def resume(self) -> None:
        """Carries out the decisions that an earlier process has only taken."""
        for correction in await asyncio.to_thread(self._store.taken):
            await self._carry_out(correction)

    async def edit_form(self, correction_id: str, person: Person) -> Form:
        """Asks for the text that shall be approved. Raises CommandRejected when somebody has decided before."""
        correction = await self._found(correction_id, person)
        if correction.state is not CorrectionState.WAITING:
            raise await self._refusal(correction, person)
        return _form(Control.EDIT, correction.id, "Edit and approve", correction.text, "Approve")

    async def _decide(self, correction_id: str, person: Person, state: CorrectionState, text: str | None = None) -> Correction:
        found = await self._found(correction_id, person)
        wanted = found.text if text is None else cleaned_correction(text)
        correction = await asyncio.to_thread(self._store.decide, found.id, state, wanted, person.id)
        is_new = correction.state is state and correction.decided_by == person.id
        if correction.state in (CorrectionState.APPROVING, CorrectionState.REJECTING):
            await self._carry_out(correction)
        if not is_new:
            raise await self._refusal(correction, person)
        return correction

    async def _found(self, correction_id: str, person: Person) -> Correction:
        """Those of other workspaces do not exist: a role is of one workspace."""
        found = await asyncio.to_thread(self._store.get, correction_id)
        if found is None or workspace_of(found.proposed_by) != person.workspace:
            raise CommandRejected(f"There is no correction with the number {correction_id}.")
        return found

    async def _refusal(self, correction: Correction, person: Person) -> CommandRejected:
        is_own = correction.decided_by == person.id
        who = "You have" if is_own else f"{await self._name_of(correction.decided_by)} has"
        return CommandRejected(f"{who} already {_DONE[correction.state]} this correction.")

    async def _carry_out(self, correction: Correction) -> None:
        if correction.state is CorrectionState.APPROVING:
            await self._feedback.correct(correction.exchange_id, correction.text, correction.decided_by)
            receipts = _approval_receipts(correction, await asyncio.to_thread(self._flagged, correction.exchange_id))
        else:
            receipts = _receipts(correction, {correction.proposed_by: _REJECTED}, correction.text)
        for receipt in receipts:
            await self._put(receipt)
        await asyncio.to_thread(self._store.note_carried_out, correction.id)
        logger.info("correction %s of exchange %s %s", correction.id, correction.exchange_id, _DONE[correction.state])

    def _flagged(self, exchange_id: ExchangeId) -> Sequence[str]:
        """Those who say that the answer is not helpful."""
        given = self._exchanges.feedback(exchange_id)
        return [feedback.given_by for feedback in given if feedback.verdict is Verdict.NOT_HELPFUL]


def decision_buttons(correction_id: str) -> Sequence[Button]:
    """What support staff may do with a correction (pure)."""
    return (
        Button(Control.APPROVE, correction_id, "Approve"),
        Button(Control.EDIT, correction_id, "Edit"),
        Button(Control.REJECT, correction_id, "Reject", is_dangerous=True),
    )


def proposal_form(exchange_id: ExchangeId, text: str = "") -> Form:
    """Asks what would have been right (pure)."""
    return _form(Control.PROPOSE, exchange_id, "The right answer", text, "Send")


def _form(control: Control, subject: str, title: str, text: str, submit: str) -> Form:
    field = TextInput(ANSWER_FIELD, "What would have been right?", value=text, is_required=True)
    return Form(control, subject, title, [field], submit)


def _approval_receipts(correction: Correction, flagged: Sequence[str]) -> Sequence[Delivery]:
    sentences = {PersonId(person): _FLAGGED for person in flagged} | {correction.proposed_by: _PROPOSED}
    return _receipts(correction, sentences, correction.text)


def _receipts(correction: Correction, sentences: dict[PersonId, str], answer: str) -> Sequence[Delivery]:
    """One to each person but who decided, and but those who are on no platform."""
    body = f"**Question**\n{block_quote(correction.question)}\n\n**Answer**\n{block_quote(answer)}"
    return [
        direct_delivery(f"receipt:{correction.id}:{person}", person, Reply(ReplyKind.NOTICE, f"{sentence}\n\n{body}"))
        for person, sentence in sentences.items()
        if person != correction.decided_by and person.count(":") == 2
    ]
