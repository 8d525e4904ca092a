"""Questions that are handed to people: called for once, listed until resolved."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from bot.conversation import ExchangeId
from bot.errors import CommandRejected
from bot.escalations import Escalations, in_words, waited
from bot.main import Timbre
from bot.messages import Control, Delivery, MessageRef, Person, PersonId, Place, ReplyKind
from bot.storage.escalations import EscalationStore
from bot.storage.intake import IntakeStore
from bot.storage.tables import AuditRow
from tests.bot.team import ANN, BOB, CHANNEL, GUEST, QUESTION, SAM, STRANGER, SUE, ask, is_staff, may_see, name_of, outbox, put

pytestmark = pytest.mark.both_databases

THREAD = Place("slack", "T1", "C1", "10")


def escalations_of(timbre: Timbre) -> Escalations:
    return escalations_with(timbre, lambda delivery: put(timbre, delivery))


def escalations_with(timbre: Timbre, put: Callable[[Delivery], Awaitable[None]]) -> Escalations:
    is_posted = IntakeStore(timbre.database).is_posted
    store = EscalationStore(timbre.database)
    return Escalations(
        store, timbre.feedback, may_see(timbre), is_staff, is_posted, lambda workspace: [SAM.id, SUE.id], put, name_of
    )


def called(timbre: Timbre) -> Delivery:
    """The next call for help in the outbox."""
    claimed = IntakeStore(timbre.database).claim_delivery(datetime.now(UTC), timedelta(minutes=1), [])
    assert claimed
    return claimed.delivery


async def escalated(timbre: Timbre) -> str:
    """The number of an escalation by Bob of what Ann asked."""
    await escalations_of(timbre).ask_person((await ask(timbre)).id, BOB, THREAD)
    return (await escalations_of(timbre).open("slack:T1"))[0].id


async def test_support_is_called_in_the_thread_with_who_asks_and_the_question(handbook: Timbre) -> None:
    await escalations_of(handbook).ask_person((await ask(handbook)).id, BOB, THREAD)

    delivery = called(handbook)
    assert (delivery.place, delivery.to, delivery.exchange) == (THREAD, None, None)
    assert (delivery.reply.kind, delivery.reply.calls_support) == (ReplyKind.NOTICE, True)
    assert delivery.reply.text == f"Bob asks for a person's help with this question:\n\n> {QUESTION}"
    assert [(button.control, button.subject) for button in delivery.reply.buttons] == [(Control.RESOLVED, "1")]
    assert outbox(handbook) == [("escalation:1", delivery.reply.text)]


async def test_what_was_asked_privately_goes_to_the_staff_directly_and_never_into_a_channel(handbook: Timbre) -> None:
    exchange = await ask(handbook, by=ANN, is_private=True)

    await escalations_of(handbook).ask_person(exchange.id, ANN, THREAD)

    deliveries = [called(handbook), called(handbook)]
    assert [(delivery.to, delivery.place.channel) for delivery in deliveries] == [(SAM.id, ""), (SUE.id, "")]
    assert all(QUESTION in delivery.reply.text and not delivery.reply.calls_support for delivery in deliveries)


async def test_a_second_click_calls_nobody_again(handbook: Timbre) -> None:
    exchange = await ask(handbook)
    await escalations_of(handbook).ask_person(exchange.id, BOB, THREAD)

    for person in (BOB, ANN):
        with pytest.raises(CommandRejected, match="already been asked"):
            await escalations_of(handbook).ask_person(exchange.id, person, CHANNEL)

    assert len(outbox(handbook)) == 1
    assert [(e.asked_by, e.place) for e in await escalations_of(handbook).open("slack:T1")] == [(BOB.id, THREAD)]


async def test_a_call_that_broke_off_is_made_by_the_next_click(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    async def break_off(_: Delivery) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await escalations_with(handbook, break_off).ask_person(exchange.id, BOB, THREAD)
    with pytest.raises(CommandRejected, match="already been asked"):
        await escalations_of(handbook).ask_person(exchange.id, ANN, CHANNEL)

    assert outbox(handbook) == [("escalation:1", f"Bob asks for a person's help with this question:\n\n> {QUESTION}")]


async def test_small_talk_and_what_nobody_knows_are_handed_to_nobody(handbook: Timbre) -> None:
    for exchange_id in ((await ask(handbook, "hi")).id, ExchangeId("nope")):
        with pytest.raises(CommandRejected):
            await escalations_of(handbook).ask_person(exchange_id, BOB, THREAD)

    assert outbox(handbook) == []


@pytest.mark.parametrize(("person", "is_private"), [(GUEST, False), (STRANGER, False), (BOB, True)])
async def test_who_cannot_see_an_answer_shows_its_question_to_nobody(handbook: Timbre, person: Person, is_private: bool) -> None:
    exchange = await ask(handbook, by=ANN, is_private=is_private)
    IntakeStore(handbook.database).note_posted(MessageRef(Place("slack", "T1", "D1"), "11"), exchange.id)

    with pytest.raises(CommandRejected, match="can see an answer"):
        await escalations_of(handbook).ask_person(exchange.id, person, THREAD)

    assert (outbox(handbook), await escalations_of(handbook).open("slack:T1")) == ([], [])


async def test_a_name_leads_nowhere(handbook: Timbre) -> None:
    prankster = Person(PersonId("slack:T1:P"), "[Pat](https://evil.example)", is_member=True)

    await escalations_of(handbook).ask_person((await ask(handbook)).id, prankster, THREAD)

    assert "evil" not in called(handbook).reply.text


@pytest.mark.parametrize("person", [BOB, SUE])
async def test_support_and_who_asked_may_say_that_it_is_resolved(handbook: Timbre, person: Person) -> None:
    number = await escalated(handbook)

    resolved = await escalations_of(handbook).resolve(number, person)

    assert (resolved.resolved_by, await escalations_of(handbook).open("slack:T1")) == (person.id, [])


@pytest.mark.parametrize(
    ("person", "words"), [(ANN, "Only support"), (GUEST, "Only support"), (STRANGER, "no open question"),]
)  # fmt: skip
async def test_others_may_not(handbook: Timbre, person: Person, words: str) -> None:
    number = await escalated(handbook)

    with pytest.raises(CommandRejected, match=words):
        await escalations_of(handbook).resolve(number, person)

    assert len(await escalations_of(handbook).open("slack:T1")) == 1


async def test_what_is_resolved_is_resolved_once_and_not_asked_again(handbook: Timbre) -> None:
    number, exchange = await escalated(handbook), await ask(handbook)
    await escalations_of(handbook).ask_person(exchange.id, ANN, THREAD)
    await escalations_of(handbook).resolve(number, SUE)
    asked = (await escalations_of(handbook).open("slack:T1"))[0]
    await escalations_of(handbook).resolve(asked.id, SUE)

    for person, who in ((SAM, "Sue has"), (SUE, "You have")):
        with pytest.raises(CommandRejected, match=f"{who} already said that this is resolved"):
            await escalations_of(handbook).resolve(number, person)
    with pytest.raises(CommandRejected, match="Sue has already said"):
        await escalations_of(handbook).ask_person(exchange.id, ANN, THREAD)

    assert len(outbox(handbook)) == 2


@pytest.mark.parametrize("number", ["", "x", "7", "-1", "٣", "9" * 30])
async def test_what_is_no_escalation_cannot_be_resolved(handbook: Timbre, number: str) -> None:
    await escalated(handbook)

    with pytest.raises(CommandRejected, match="no open question"):
        await escalations_of(handbook).resolve(number, SUE)


async def test_open_ones_are_listed_for_their_workspace_oldest_first_with_their_age(handbook: Timbre) -> None:
    questions = [QUESTION, "Where can I park my bicycle?"]
    for text in questions:
        await escalations_of(handbook).ask_person((await ask(handbook, text)).id, BOB, THREAD)

    listed = await escalations_of(handbook).open("slack:T1")

    assert [escalation.question for escalation in listed] == questions
    assert waited(listed[0], datetime.now(UTC) + timedelta(hours=3)) == "3 hours"
    assert [await escalations_of(handbook).open(workspace) for workspace in ("slack:T2", "slack:T", "slack:%")] == [[], [], []]


async def test_a_conversation_is_with_people_until_all_in_it_is_resolved(handbook: Timbre) -> None:
    escalations, conversation = escalations_of(handbook), THREAD.conversation
    seen = [await escalations.is_open_in(conversation)]

    number = await escalated(handbook)
    seen += [await escalations.is_open_in(conversation), await escalations.is_open_in(CHANNEL.conversation)]
    await escalations.resolve(number, SUE)

    assert [*seen, await escalations.is_open_in(conversation)] == [False, True, False, False]


async def test_calling_and_resolving_are_in_the_audit(handbook: Timbre) -> None:
    await escalations_of(handbook).resolve(await escalated(handbook), SUE)

    with handbook.database.reading() as session:
        rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
    assert [(row.actor, row.action, row.details) for row in rows] == [
        (BOB.id, "escalation", {"state": "open"}),
        (SUE.id, "escalation", {"state": "resolved"}),
    ]


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(), "less than a minute"), (timedelta(seconds=59), "less than a minute"), (timedelta(seconds=60), "1 minute"),
        (timedelta(minutes=59), "59 minutes"), (timedelta(minutes=119), "1 hour"), (timedelta(hours=47), "1 day"),
        (timedelta(days=400), "400 days"),
    ],
)  # fmt: skip
def test_an_age_is_said_in_its_largest_unit(age: timedelta, words: str) -> None:
    assert in_words(age) == words
