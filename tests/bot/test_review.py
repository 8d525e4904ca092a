"""The review queue: what is proposed waits, is decided once, is carried out whatever happens, and is told to those concerned."""

from collections.abc import Callable
from itertools import count

import pytest

from bot.conversation import Exchange, ExchangeId, Feedback, Outcome, Verdict
from bot.errors import CommandRejected
from bot.feedback import FeedbackService
from bot.links import REMOVED
from bot.main import Timbre
from bot.messages import Control, Delivery, Person
from bot.review import ReviewQueue, proposal_form
from bot.storage.review import CorrectionState, ReviewStore
from knowledge.documents import Audience, ChunkId
from tests.bot.team import ANN, BOB, CAT, QUESTION, SAM, STRANGER, SUE, ask, name_of, outbox, put, queue_of

pytestmark = pytest.mark.both_databases

RIGHT = "Since May it is 30 days. Ask Ann about the rest."


async def flag(timbre: Timbre, exchange: Exchange, person: Person, verdict: Verdict = Verdict.NOT_HELPFUL) -> None:
    await timbre.feedback.record(Feedback(exchange.id, verdict, person.id))


async def answer_text(timbre: Timbre) -> str:
    return (await ask(timbre)).answer.text


def decided(timbre: Timbre, correction_id: str) -> tuple[str, str]:
    correction = ReviewStore(timbre.database).get(correction_id)
    assert correction is not None
    return correction.state, correction.decided_by


async def test_what_is_proposed_waits_and_changes_no_answer(handbook: Timbre) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)

    proposed = await queue.propose(exchange.id, f"  {RIGHT}\n", BOB)

    assert [(c.id, c.question, c.text, c.proposed_by) for c in await queue.waiting("slack:T1")] == [
        (proposed.id, QUESTION, RIGHT, BOB.id)
    ]
    assert "30" not in await answer_text(handbook)


async def test_the_same_text_for_the_same_answer_is_proposed_once(handbook: Timbre) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)

    first, again = await queue.propose(exchange.id, RIGHT, BOB), await queue.propose(exchange.id, RIGHT, CAT)
    other = await queue.propose(exchange.id, "It is 31 days.", CAT)

    assert (first.id, first.proposed_by) == (again.id, again.proposed_by)
    assert [c.id for c in await queue.waiting("slack:T1")] == [first.id, other.id]


@pytest.mark.parametrize("text", ["", "  \n", "👍", "x" * 5000])
async def test_a_proposal_that_says_nothing_or_too_much_is_refused(handbook: Timbre, text: str) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)

    with pytest.raises(CommandRejected, match="what would have been right"):
        await queue.propose(exchange.id, text, BOB)

    assert await queue.waiting("slack:T1") == []


async def test_small_talk_and_what_nobody_knows_are_not_corrected(handbook: Timbre) -> None:
    queue = queue_of(handbook)

    for exchange_id, words in (((await ask(handbook, "hi")).id, "small talk"), (ExchangeId("nope"), "no answer with the id")):
        with pytest.raises(CommandRejected, match=words):
            await queue.propose(exchange_id, RIGHT, BOB)


async def test_what_is_approved_is_the_answer_at_once_and_waits_no_more(handbook: Timbre) -> None:
    queue = queue_of(handbook)
    proposed = await queue.propose((await ask(handbook)).id, RIGHT, BOB)

    await queue.approve(proposed.id, SUE)

    assert (await answer_text(handbook)).startswith(f"> {RIGHT}")
    assert decided(handbook, proposed.id) == (CorrectionState.APPROVED, SUE.id)
    assert await queue.waiting("slack:T1") == []


async def test_staff_may_change_the_text_that_they_approve(handbook: Timbre) -> None:
    queue = queue_of(handbook)
    proposed = await queue.propose((await ask(handbook)).id, "30 i think", BOB)
    form = await queue.edit_form(proposed.id, SUE)

    await queue.approve(proposed.id, SUE, RIGHT)

    assert (form.control, form.subject, form.fields[0].value) == (Control.EDIT, proposed.id, "30 i think")
    assert (await answer_text(handbook)).startswith(f"> {RIGHT}")


async def test_an_edit_that_says_nothing_leaves_the_correction_waiting(handbook: Timbre) -> None:
    queue = queue_of(handbook)
    proposed = await queue.propose((await ask(handbook)).id, RIGHT, BOB)

    with pytest.raises(CommandRejected, match="what would have been right"):
        await queue.approve(proposed.id, SUE, "  ")

    assert [c.id for c in await queue.waiting("slack:T1")] == [proposed.id]


async def test_what_is_rejected_changes_no_answer_and_its_proposer_hears_it(handbook: Timbre) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)
    await flag(handbook, exchange, CAT)
    proposed = await queue.propose(exchange.id, RIGHT, BOB)

    await queue.reject(proposed.id, SUE)

    ((key, text),) = outbox(handbook)
    assert (key, decided(handbook, proposed.id)) == (f"receipt:{proposed.id}:{BOB.id}", (CorrectionState.REJECTED, SUE.id))
    assert "decided to keep the answer as it is; thank you" in text
    assert "30" not in await answer_text(handbook)


async def test_who_flagged_and_who_proposed_hear_that_it_was_corrected(handbook: Timbre) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)
    for person in (ANN, CAT, SUE):
        await flag(handbook, exchange, person)
    await flag(handbook, exchange, CAT, Verdict.HELPFUL)
    proposed = await queue.propose(exchange.id, RIGHT, BOB)

    await queue.approve(proposed.id, SUE)

    assert dict(outbox(handbook)) == {
        f"receipt:{proposed.id}:{ANN.id}": "You said that an answer was wrong. It was corrected by support; thank you."
        f"\n\n**Question**\n> {QUESTION}\n\n**Answer**\n> {RIGHT}",
        f"receipt:{proposed.id}:{BOB.id}": "You said what would have been right. Support approved it, and the next person who "
        f"asks gets it; thank you.\n\n**Question**\n> {QUESTION}\n\n**Answer**\n> {RIGHT}",
    }


async def test_a_receipt_goes_to_the_person_alone_and_leads_nowhere(handbook: Timbre) -> None:
    delivered: list[Delivery] = []

    async def keep(delivery: Delivery) -> None:
        delivered.append(delivery)

    queue = ReviewQueue(ReviewStore(handbook.database), handbook.exchanges, handbook.feedback, keep, name_of)
    exchange = await ask(handbook)
    await handbook.feedback.record(Feedback(exchange.id, Verdict.NOT_HELPFUL, "root"))  # at the terminal: on no platform
    proposed = await queue.propose(exchange.id, "See https://evil.example/x.\nOr ask Ann.", BOB)

    await queue.approve(proposed.id, SUE)

    (receipt,) = delivered
    assert (receipt.to, receipt.place.channel, receipt.place.workspace) == (BOB.id, "", "T1")
    assert receipt.reply.text.endswith(f"> See {REMOVED}.\n> Or ask Ann.")


async def test_staff_approve_what_they_propose_themselves_and_get_no_receipt(handbook: Timbre) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)

    twice = [await queue.propose(exchange.id, RIGHT, SUE, approve_at_once=True) for _ in range(2)]

    assert {correction.id for correction in twice} == {"1"}
    assert (decided(handbook, "1"), outbox(handbook)) == ((CorrectionState.APPROVED, SUE.id), [])
    assert (await answer_text(handbook)).startswith(f"> {RIGHT}")


async def test_a_text_that_was_rejected_or_replaced_may_be_proposed_again(handbook: Timbre) -> None:
    queue, exchange = queue_of(handbook), await ask(handbook)
    rejected = await queue.propose(exchange.id, RIGHT, BOB)
    await queue.reject(rejected.id, SUE)

    approved = await queue.propose(exchange.id, RIGHT, SUE, approve_at_once=True)
    await queue.propose(exchange.id, "It is 31 days.", SUE, approve_at_once=True)
    again = await queue.propose(exchange.id, RIGHT, BOB)

    assert len({rejected.id, approved.id, again.id}) == 3
    assert again.state is CorrectionState.WAITING


@pytest.mark.parametrize("first", ["approve", "reject"])
@pytest.mark.parametrize("second", ["approve", "reject", "edit_form"])
async def test_a_second_decision_is_told_who_has_decided(handbook: Timbre, first: str, second: str) -> None:
    queue = queue_of(handbook)
    proposed = await queue.propose((await ask(handbook)).id, RIGHT, BOB)
    await getattr(queue, first)(proposed.id, SUE)

    done = {"approve": "approved", "reject": "rejected"}[first]
    for person, who in ((SAM, "Sue has"), (SUE, "You have")):
        with pytest.raises(CommandRejected, match=f"{who} already {done} this correction"):
            await getattr(queue, second)(proposed.id, person)

    assert decided(handbook, proposed.id)[1] == SUE.id


@pytest.mark.parametrize("correction_id", ["2", "", "-1", "x", "1; --", "٣", "9" * 30])
async def test_a_correction_that_is_none_is_refused(handbook: Timbre, correction_id: str) -> None:
    queue = queue_of(handbook)
    await queue.propose((await ask(handbook)).id, RIGHT, BOB)

    with pytest.raises(CommandRejected, match="no correction with the number"):
        await queue.approve(correction_id, SUE)


async def test_a_workspace_neither_sees_nor_decides_what_another_proposed(handbook: Timbre) -> None:
    queue = queue_of(handbook)
    proposed = await queue.propose((await ask(handbook)).id, RIGHT, BOB)

    for act in (queue.approve(proposed.id, STRANGER), queue.reject(proposed.id, STRANGER)):
        with pytest.raises(CommandRejected, match="no correction with the number"):
            await act

    assert (await queue.waiting("slack:T2"), await queue.waiting("slack:T")) == ([], [])
    assert decided(handbook, proposed.id) == (CorrectionState.WAITING, "")


class ProcessEnds(Exception):
    """What happens after it in this process does not happen."""


def ends_after(steps: int) -> Callable[[], None]:
    done = count()

    def step() -> None:
        if next(done) == steps:
            raise ProcessEnds

    return step


@pytest.mark.slow
@pytest.mark.parametrize("survived", range(5))
@pytest.mark.parametrize("repeat", ["click", "restart"])
async def test_an_approval_that_breaks_off_anywhere_is_carried_out_once(handbook: Timbre, survived: int, repeat: str) -> None:
    exchange = await ask(handbook)
    for person in (ANN, CAT):
        await flag(handbook, exchange, person)
    step = ends_after(survived)  # the standard answer, the receipts to Ann, Cat and Bob, the note that all is done

    def add(key: str, question: str, answer: str, audience: Audience) -> ChunkId:
        step()
        return handbook.knowledge.ingestion.add_standard_answer(key, question, answer, audience)

    async def hand_over(delivery: Delivery) -> None:
        step()
        await put(handbook, delivery)

    class Store(ReviewStore):
        def note_carried_out(self, correction_id: str) -> None:
            step()
            super().note_carried_out(correction_id)

    store, feedback = Store(handbook.database), FeedbackService(handbook.exchanges, handbook.knowledge.catalogue, add)
    proposed = await queue_of(handbook).propose(exchange.id, RIGHT, BOB)
    with pytest.raises(ProcessEnds):
        await ReviewQueue(store, handbook.exchanges, feedback, hand_over, name_of).approve(proposed.id, SUE)
    assert [c.id for c in await queue_of(handbook).waiting("slack:T1")] == [proposed.id]

    await (queue_of(handbook).approve(proposed.id, SUE) if repeat == "click" else queue_of(handbook).resume())

    assert [key for key, _ in outbox(handbook)] == [f"receipt:{proposed.id}:{person.id}" for person in (ANN, BOB, CAT)]
    assert decided(handbook, proposed.id) == (CorrectionState.APPROVED, SUE.id)
    assert list(handbook.exchanges.standard_answers()) == [f"answer-{exchange.id}"]
    assert (await ask(handbook)).answer.outcome is Outcome.ANSWERED
    assert await queue_of(handbook).waiting("slack:T1") == []


async def test_somebody_else_who_clicks_finishes_what_broke_off_and_hears_who_had_decided(handbook: Timbre) -> None:
    proposed = await queue_of(handbook).propose((await ask(handbook)).id, RIGHT, BOB)
    ReviewStore(handbook.database).decide(proposed.id, CorrectionState.APPROVING, RIGHT, SUE.id)

    with pytest.raises(CommandRejected, match="Sue has already approved"):
        await queue_of(handbook).reject(proposed.id, SAM)

    assert decided(handbook, proposed.id) == (CorrectionState.APPROVED, SUE.id)
    assert (await answer_text(handbook)).startswith(f"> {RIGHT}")


def test_the_form_for_a_proposal_begins_with_what_is_known() -> None:
    form = proposal_form(ExchangeId("abc"), "Bob's reply")

    assert (form.control, form.subject, form.fields[0].value) == (Control.PROPOSE, "abc", "Bob's reply")
    assert len(form.title) <= 24
