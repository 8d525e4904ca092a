"""What clicks and reactions on an answer do."""

import logging

import pytest
from sqlmodel import col, select

from bot.conversation import Exchange, ExchangeId, Verdict
from bot.errors import CommandRejected
from bot.main import Timbre
from bot.messages import Choice, Control, FieldErrors, Form, MessageRef, Notice, Person, Place, Submission, TextInput
from bot.settings import ChatSettings
from bot.storage.intake import IntakeStore
from bot.storage.tables import AuditRow
from bot.verdicts import Verdicts, emoji_verdicts, plain_emoji
from tests.bot.team import ANN, BOB, CAT, CHANNEL, GUEST, QUESTION, STRANGER, SUE, ask, is_staff, may_see, queue_of

pytestmark = pytest.mark.both_databases

RIGHT = "Since May it is 30 days. Ask Ann about the rest."
ELSEWHERE = Place("slack", "T1", "C2")
UP, DOWN = "+1", "👎"


def verdicts_of(timbre: Timbre) -> Verdicts:
    chat = ChatSettings()
    emoji = emoji_verdicts(chat.helpful_emoji, chat.not_helpful_emoji)
    return Verdicts(timbre.feedback, queue_of(timbre), is_staff, may_see(timbre), emoji)


async def submit(timbre: Timbre, exchange: Exchange, person: Person, **values: str) -> object:
    return await verdicts_of(timbre).submit(Submission(person, CHANNEL, Control.NOT_HELPFUL, exchange.id, values))


def given(timbre: Timbre, exchange: Exchange) -> list[tuple[str, str, str, str, str]]:
    return sorted(
        (f.given_by.rpartition(":")[2], str(f.verdict), f.reason, f.comment, f.correction)
        for f in timbre.exchanges.feedback(exchange.id)
    )  # fmt: skip


def known(timbre: Timbre) -> list[str]:
    return [question.question for question in timbre.knowledge.catalogue.known_questions()]


async def test_helpful_is_recorded_and_thanked_for(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    response = await verdicts_of(handbook).rate(exchange.id, Verdict.HELPFUL, BOB, CHANNEL)

    assert response == Notice("Thank you!")
    assert (given(handbook, exchange), known(handbook)) == ([("BOB", "helpful", "", "", "")], [QUESTION])


async def test_not_helpful_is_recorded_before_anybody_says_why(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    form = await verdicts_of(handbook).rate(exchange.id, Verdict.NOT_HELPFUL, BOB, CHANNEL)

    assert given(handbook, exchange) == [("BOB", "not_helpful", "", "", "")]
    assert isinstance(form, Form)
    assert (form.control, form.subject, [field.name for field in form.fields]) == (
        Control.NOT_HELPFUL, exchange.id, ["reason", "comment"],
    )  # fmt: skip


async def test_support_staff_are_asked_for_the_right_answer_too(handbook: Timbre) -> None:
    form = await verdicts_of(handbook).rate((await ask(handbook)).id, Verdict.NOT_HELPFUL, SUE, CHANNEL)

    assert isinstance(form, Form)
    assert [field.name for field in form.fields] == ["reason", "comment", "correction"]


async def test_the_form_records_why(handbook: Timbre) -> None:
    exchange = await ask(handbook)
    await verdicts_of(handbook).rate(exchange.id, Verdict.NOT_HELPFUL, BOB, CHANNEL)

    response = await submit(handbook, exchange, BOB, reason="outdated", comment=" Since May. ")

    assert isinstance(response, Notice)
    assert not response.is_problem
    assert given(handbook, exchange) == [("BOB", "not_helpful", "outdated", "Since May.", "")]


async def test_a_second_click_shows_what_was_said_and_loses_nothing(handbook: Timbre) -> None:
    exchange = await ask(handbook)
    await submit(handbook, exchange, BOB, reason="tone", comment="Too dry.")

    form = await verdicts_of(handbook).rate(exchange.id, Verdict.NOT_HELPFUL, BOB, CHANNEL)

    assert isinstance(form, Form)
    assert [field.value for field in form.fields] == ["tone", "Too dry."]
    assert given(handbook, exchange) == [("BOB", "not_helpful", "tone", "Too dry.", "")]


async def test_the_last_verdict_wins_whichever_way_it_came(handbook: Timbre) -> None:
    exchange, verdicts = await ask(handbook), verdicts_of(handbook)

    await submit(handbook, exchange, BOB, reason="tone")
    await verdicts.react(exchange.id, UP, True, BOB, CHANNEL)
    helpful = given(handbook, exchange)
    await verdicts.rate(exchange.id, Verdict.NOT_HELPFUL, BOB, CHANNEL)

    assert (helpful, given(handbook, exchange)) == ([("BOB", "helpful", "", "", "")], [("BOB", "not_helpful", "", "", "")])
    assert known(handbook) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [({}, "reason"), ({"reason": "boring"}, "reason"), ({"reason": "wrong", "correction": "👍"}, "correction")],
)
async def test_a_form_that_is_not_accepted_changes_nothing(handbook: Timbre, values: dict[str, str], field: str) -> None:
    exchange = await ask(handbook)

    response = await submit(handbook, exchange, SUE, **values)

    assert isinstance(response, FieldErrors)
    assert list(response.errors) == [field]
    assert given(handbook, exchange) == []


async def test_what_staff_say_is_the_answer_at_once_and_their_reason_stays(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    response = await submit(handbook, exchange, SUE, reason="outdated", comment="Since May.", correction=RIGHT)

    assert isinstance(response, Notice)
    assert (await ask(handbook)).answer.text.startswith(f"> {RIGHT}")
    assert given(handbook, exchange) == [("SUE", "not_helpful", "outdated", "Since May.", RIGHT)]


async def test_what_others_say_waits_for_staff(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await submit(handbook, exchange, BOB, reason="wrong", correction=RIGHT)

    assert [c.text for c in await queue_of(handbook).waiting("slack:T1")] == [RIGHT]
    assert "30" not in (await ask(handbook)).answer.text


async def test_an_answer_that_should_not_have_been_shown_is_in_the_log(
    handbook: Timbre, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = await ask(handbook)

    with caplog.at_level(logging.WARNING):
        await submit(handbook, exchange, BOB, reason="should_not_be_shown", comment="Salaries!")

    assert exchange.id in caplog.text
    assert "Salaries" not in caplog.text


async def test_small_talk_and_what_nobody_knows_are_refused(handbook: Timbre) -> None:
    small_talk = await ask(handbook, "hi")

    for exchange_id, words in ((small_talk.id, "small talk"), (ExchangeId("nope"), "no answer with the id nope")):
        with pytest.raises(CommandRejected, match=words):
            await verdicts_of(handbook).rate(exchange_id, Verdict.HELPFUL, ANN, CHANNEL)


@pytest.mark.parametrize("person", [GUEST, STRANGER])
@pytest.mark.parametrize("is_private", [False, True])
async def test_who_is_no_member_rates_nothing(handbook: Timbre, person: Person, is_private: bool) -> None:
    exchange = await ask(handbook, is_private=is_private)
    IntakeStore(handbook.database).note_posted(MessageRef(CHANNEL, "11"), exchange.id)

    for act in (
        verdicts_of(handbook).rate(exchange.id, Verdict.HELPFUL, person, CHANNEL),
        submit(handbook, exchange, person, reason="wrong"),
    ):
        with pytest.raises(CommandRejected, match="who can see an answer"):
            await act
    await verdicts_of(handbook).react(exchange.id, UP, True, person, CHANNEL)

    assert given(handbook, exchange) == []


async def test_a_private_answer_is_rated_by_who_asked_and_by_staff(handbook: Timbre) -> None:
    exchange = await ask(handbook, by=ANN, is_private=True)

    for person in (ANN, SUE):
        await verdicts_of(handbook).rate(exchange.id, Verdict.HELPFUL, person, CHANNEL)
    with pytest.raises(CommandRejected, match="who can see an answer"):
        await verdicts_of(handbook).rate(exchange.id, Verdict.HELPFUL, BOB, CHANNEL)

    assert [person for person, *_ in given(handbook, exchange)] == ["ANN", "SUE"]


async def test_an_answer_posted_in_a_private_channel_is_rated_by_who_is_there(handbook: Timbre) -> None:
    exchange = await ask(handbook, by=ANN, is_private=True)
    IntakeStore(handbook.database).note_posted(MessageRef(CHANNEL, "11"), exchange.id)

    await verdicts_of(handbook).rate(exchange.id, Verdict.HELPFUL, BOB, CHANNEL)
    with pytest.raises(CommandRejected, match="who can see an answer"):
        await verdicts_of(handbook).rate(exchange.id, Verdict.HELPFUL, CAT, ELSEWHERE)

    assert [person for person, *_ in given(handbook, exchange)] == ["BOB"]


async def test_a_reaction_is_a_verdict_and_its_removal_takes_it_back(handbook: Timbre) -> None:
    exchange, verdicts = await ask(handbook), verdicts_of(handbook)

    added = await verdicts.react(exchange.id, UP, True, BOB, CHANNEL)
    while_there = (given(handbook, exchange), known(handbook))
    await verdicts.react(exchange.id, UP, False, BOB, CHANNEL)

    assert (added, while_there) == (None, ([("BOB", "helpful", "", "", "")], [QUESTION]))
    assert (given(handbook, exchange), known(handbook)) == ([], [])
    with handbook.database.reading() as session:
        rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
    assert [(row.actor, row.action, row.details["verdict"]) for row in rows] == [
        (BOB.id, "feedback", "helpful"),
        (BOB.id, "feedback_taken_back", "helpful"),
    ]


async def test_who_reacts_with_not_helpful_may_say_why(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    response = await verdicts_of(handbook).react(exchange.id, DOWN, True, BOB, CHANNEL)

    assert isinstance(response, Notice)
    assert [(button.control, button.subject) for button in response.buttons] == [(Control.NOT_HELPFUL, exchange.id)]
    assert given(handbook, exchange) == [("BOB", "not_helpful", "", "", "")]


async def test_removing_a_reaction_takes_back_no_other_verdict(handbook: Timbre) -> None:
    exchange, verdicts = await ask(handbook), verdicts_of(handbook)
    await verdicts.react(exchange.id, UP, True, BOB, CHANNEL)
    await verdicts.rate(exchange.id, Verdict.NOT_HELPFUL, BOB, CHANNEL)

    await verdicts.react(exchange.id, UP, False, BOB, CHANNEL)

    assert given(handbook, exchange) == [("BOB", "not_helpful", "", "", "")]


async def test_what_is_known_is_what_the_latest_of_the_remaining_verdicts_says(handbook: Timbre) -> None:
    exchange, verdicts = await ask(handbook), verdicts_of(handbook)
    await verdicts.react(exchange.id, UP, True, ANN, CHANNEL)
    await verdicts.react(exchange.id, UP, True, BOB, CHANNEL)
    await verdicts.react(exchange.id, DOWN, True, CAT, CHANNEL)
    seen = [known(handbook)]

    for person, emoji in ((CAT, DOWN), (BOB, UP), (ANN, UP)):
        await verdicts.react(exchange.id, emoji, False, person, CHANNEL)
        seen.append(known(handbook))

    assert seen == [[], [QUESTION], [QUESTION], []]


@pytest.mark.parametrize("emoji", ["tada", "", "👍👎", "+", "1"])
async def test_other_reactions_and_those_on_small_talk_mean_nothing(handbook: Timbre, emoji: str) -> None:
    exchange, small_talk = await ask(handbook), await ask(handbook, "thanks")

    responses = [
        await verdicts_of(handbook).react(exchange.id, emoji, True, BOB, CHANNEL),
        await verdicts_of(handbook).react(small_talk.id, UP, True, BOB, CHANNEL),
        await verdicts_of(handbook).react(small_talk.id, DOWN, True, BOB, CHANNEL),
    ]

    assert (responses, given(handbook, exchange), given(handbook, small_talk)) == ([None, None, None], [], [])


@pytest.mark.parametrize(
    ("emoji", "plain"),
    [
        ("+1::skin-tone-3", "+1"),
        (":+1::skin-tone-6:", "+1"),
        (":thumbsup:", "thumbsup"),
        ("👍🏿", "👍"),
        ("👎\ufe0f", "👎"),
        ("-1", "-1"),
    ],
)
def test_an_emoji_is_the_same_in_every_skin_tone(emoji: str, plain: str) -> None:
    assert plain_emoji(emoji) == plain


def test_the_settings_say_which_emoji_count() -> None:
    assert emoji_verdicts("✅ :ok_hand:", "❌") == {
        "✅": Verdict.HELPFUL, "ok_hand": Verdict.HELPFUL, "❌": Verdict.NOT_HELPFUL,
    }  # fmt: skip


async def test_a_form_fits_a_platform(handbook: Timbre) -> None:
    form = await verdicts_of(handbook).rate((await ask(handbook)).id, Verdict.NOT_HELPFUL, SUE, CHANNEL)

    assert isinstance(form, Form)
    assert len(form.title) <= 24
    assert [type(field) for field in form.fields] == [Choice, TextInput, TextInput]
