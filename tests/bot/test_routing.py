"""What becomes of a message: a table of who writes what where."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from bot.channels import Answers, ChannelSettings
from bot.conversation import ExchangeId, Outcome, PastExchange
from bot.messages import Addressed, IncomingMessage, Person, PersonId, Place
from bot.people import Role
from bot.questions import is_question
from bot.routing import Facts, Route, is_late, route

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANNA = Person(PersonId("slack:T1:U1"), "Anna", True)
BEN = Person(PersonId("slack:T1:U2"), "Ben", True)
ASKED_BY_ANNA = PastExchange(ExchangeId("e1"), ANNA.id, NOW, "How much leave?", "25 days.", Outcome.ANSWERED, frozenset())
EVERY_QUESTION = ChannelSettings(answers=Answers.QUESTIONS)
UNANSWERED = ChannelSettings(answers=Answers.UNANSWERED)


def message(addressed: Addressed, text: str = "How much leave do I get?", author: Person = ANNA) -> IncomingMessage:
    return IncomingMessage(Place("slack", "T1", "C1"), "1.0", author, text, addressed, NOW)


def facts(
    role: Role | None = Role.MEMBER,
    settings: ChannelSettings | None = None,
    past: tuple[PastExchange, ...] = (),
    is_escalated: bool = False,
    now: datetime = NOW,
) -> Facts:
    return Facts(role, settings or ChannelSettings(), past, is_escalated, now, timedelta(hours=24), 30)


@pytest.mark.parametrize("addressed", [Addressed.MENTION, Addressed.DIRECT, Addressed.COMMAND])
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (facts(), Route.ANSWER),
        (facts(role=None), Route.REFUSE),
        (facts(is_escalated=True), Route.ANSWER),
        (facts(now=NOW + timedelta(hours=25)), Route.REPORT),
        (facts(past=(ASKED_BY_ANNA,) * 30), Route.CAP),
        (facts(settings=ChannelSettings(quiet_from=time(8), quiet_until=time(18))), Route.ANSWER),
    ],
)
def test_what_is_asked_of_the_bot(addressed: Addressed, found: Facts, expected: Route) -> None:
    assert route(message(addressed), found) is expected


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("How much leave do I get?", facts(), Route.IGNORE),
        ("How much leave do I get?", facts(settings=EVERY_QUESTION), Route.ANSWER),
        ("how do i book a room", facts(settings=EVERY_QUESTION), Route.ANSWER),
        ("Lunch is ready.", facts(settings=EVERY_QUESTION), Route.IGNORE),
        ("How much leave do I get?", facts(settings=EVERY_QUESTION, role=None), Route.IGNORE),
        ("How much leave do I get?", facts(settings=UNANSWERED), Route.WAIT),
        (
            "How much leave do I get?",
            facts(settings=replace(EVERY_QUESTION, quiet_from=time(8), quiet_until=time(18))),
            Route.IGNORE,
        ),
        ("How much leave do I get?", facts(settings=EVERY_QUESTION, now=NOW + timedelta(hours=25)), Route.REPORT),
    ],
)
def test_what_is_said_to_nobody_in_particular(text: str, found: Facts, expected: Route) -> None:
    assert route(message(Addressed.CHANNEL, text), found) is expected


@pytest.mark.parametrize(
    ("author", "text", "found", "expected"),
    [
        (ANNA, "And for part-timers", facts(past=(ASKED_BY_ANNA,)), Route.ANSWER),
        (ANNA, "And for part-timers", facts(), Route.IGNORE),
        (BEN, "What about me?", facts(past=(ASKED_BY_ANNA,)), Route.ANSWER),
        (BEN, "Good to know.", facts(past=(ASKED_BY_ANNA,)), Route.IGNORE),
        (BEN, "It is 30 days now.", facts(role=Role.SUPPORT, past=(ASKED_BY_ANNA,)), Route.OFFER_CAPTURE),
        (BEN, "What about me?", facts(role=Role.SUPPORT, past=(ASKED_BY_ANNA,)), Route.ANSWER),
        (BEN, "It is 30 days now.", facts(role=Role.SUPPORT, past=(ASKED_BY_ANNA,), is_escalated=True), Route.OFFER_CAPTURE),
        (ANNA, "Thank you Ben, and part-timers?", facts(past=(ASKED_BY_ANNA,), is_escalated=True), Route.IGNORE),
        (ANNA, "And for part-timers", facts(role=None, past=(ASKED_BY_ANNA,)), Route.IGNORE),
    ],
)
def test_what_is_said_in_a_thread_where_the_bot_takes_part(author: Person, text: str, found: Facts, expected: Route) -> None:
    assert route(message(Addressed.THREAD, text, author), found) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Does anybody know the wifi password", True),
        ("Hi, how do I book a room", True),
        ("Anyone know when payday is", True),
        ("I am looking for the travel policy", True),
        ("Payday?", True),
        ("Payday is Friday.", False),
        ("Howard is back", False),
        ("I need a coffee", False),
    ],
)
def test_questions_are_told_from_statements(text: str, expected: bool) -> None:
    assert is_question(text) is expected


def test_an_answer_is_late_when_it_was_fetched_or_took_longer_than_the_channel_waits() -> None:
    asked = message(Addressed.CHANNEL)
    settings = ChannelSettings(answers=Answers.UNANSWERED, wait_minutes=15)

    assert not is_late(asked, settings, NOW + timedelta(minutes=15))
    assert is_late(asked, settings, NOW + timedelta(minutes=18))
    assert is_late(replace(message(Addressed.MENTION), is_late=True), settings, NOW)
    assert is_late(message(Addressed.MENTION), settings, NOW + timedelta(minutes=3))
