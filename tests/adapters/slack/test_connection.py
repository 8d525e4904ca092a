"""What people experience in Slack: the real bot behind the real slack-bolt, over real sockets."""

import pytest

from bot.conversation import Verdict
from bot.main import Timbre
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.office import Office
from tests.adapters.slack.persons import Person
from tests.adapters.slack.running import bot_at_work
from tests.adapters.slack.state import Message, View

pytestmark = pytest.mark.slow

QUESTION = "How many days of annual leave do full-time employees get?"
NONSENSE = "Zyxwv qwertz uiopü?"


def action(where: Message | View, word: str) -> str:
    """The action id of the button with that word in it."""
    blocks = where.body["blocks"] if isinstance(where, View) else where.blocks
    return next(str(element["action_id"]) for _, element in elements(blocks) if word in element["action_id"])


async def press(person: Person, where: Message | View, word: str) -> None:
    await person.click(where, action(where, word))


async def rate(person: Person, answer: Message, verdict: str) -> None:
    rating = action(answer, "rating")
    await person.click(answer, rating, rating.replace("rating", verdict))


async def private(office: Office, person: Person, count: int = 1) -> Message:
    """The last of the messages that only that person sees, when there are so many."""
    return (await office.slack.until(lambda: person.ephemerals()[count - 1 :]))[-1]


async def test_a_mention_is_answered_once_in_its_thread(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack):
        ts = await office.ana.say(channel, f"{office.slack.mention} {QUESTION}")
        answer = await office.slack.answer_to(channel, ts)

    assert "27 days" in office.slack.visible_text(answer)
    assert answer.thread_ts == ts
    assert [delivery.event_type for delivery in office.slack.ledger()[channel, ts].deliveries] == ["app_mention", "message"]
    assert office.slack.ledger().doubled == []
    assert {element["type"] for _, element in elements(answer.blocks)} == {"feedback_buttons", "button"}


async def test_an_answer_where_a_guest_looks_on_is_for_the_asker_alone(timbre: Timbre, office: Office) -> None:
    async with bot_at_work(timbre, office.slack):
        ts = await office.ana.say(office.general, f"{office.slack.mention} {QUESTION}")
        answer = await private(office, office.ana)

    assert "27 days" in office.slack.visible_text(answer)
    assert office.slack.answers(office.general, ts) == []


async def test_a_guest_is_told_that_only_members_are_helped(timbre: Timbre, office: Office) -> None:
    async with bot_at_work(timbre, office.slack):
        await office.guest.say(office.general, f"{office.slack.mention} {QUESTION}")
        answer = await private(office, office.guest)

    assert "only help members" in office.slack.visible_text(answer)


async def test_a_direct_message_is_answered_and_followed_up_in_its_thread(timbre: Timbre, office: Office) -> None:
    direct = office.ana.direct_channel
    async with bot_at_work(timbre, office.slack):
        ts = await office.ana.dm(QUESTION)
        answer = await office.slack.answer_to(direct, ts)
        following = await office.ana.dm("And where can I park my bicycle?", thread_ts=ts)
        second = await office.slack.answer_to(direct, following)

    assert "27 days" in office.slack.visible_text(answer)
    assert "harbour shed" in office.slack.visible_text(second)


async def test_a_follow_up_in_the_bots_thread_needs_no_mention(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack):
        ts = await office.ana.say(channel, f"{office.slack.mention} {QUESTION}")
        await office.slack.answer_to(channel, ts)
        following = await office.ana.say(channel, "Where can I park my bicycle?", thread_ts=ts)
        second = await office.slack.answer_to(channel, following)

    assert "harbour shed" in office.slack.visible_text(second)


async def test_talk_among_people_is_left_alone(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack):
        lunch = await office.ana.say(channel, "Lunch?")
        edited = await office.ben.say(channel, "In ten minutes.")
        await office.ben.edit(channel, edited, f"{office.slack.mention} {QUESTION}")
        ts = await office.ana.say(channel, f"{office.slack.mention} {QUESTION}")
        await office.slack.answer_to(channel, ts)

    assert office.slack.answers(channel, lunch) == office.slack.answers(channel, edited) == []


async def test_ask_answers_for_one_persons_eyes_and_shares_on_request(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack):
        await office.ana.slash("/ask", QUESTION, channel)
        answer = await private(office, office.ana)
        before = office.slack.world.messages(channel)
        await press(office.ana, answer, "share")
        shared = (await office.slack.until(lambda: office.slack.world.messages(channel)))[-1]

    assert before == []
    assert "27 days" in office.slack.visible_text(answer)
    assert "Ana Alba asked" in office.slack.visible_text(shared)


async def test_ask_without_a_question_says_how_to_ask(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack):
        await office.ana.slash("/ask", " ", channel)

    assert "Write your question" in office.slack.visible_text(office.ana.ephemerals()[-1])


async def test_a_thumb_up_is_thanked_for_in_private(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack):
        ts = await office.ana.say(channel, f"{office.slack.mention} {QUESTION}")
        answer = await office.slack.answer_to(channel, ts)
        await rate(office.ben, answer, "helpful")
        thanks = await private(office, office.ben)

    assert "Thank you" in office.slack.visible_text(thanks)
    assert thanks.thread_ts == ts


async def test_a_thumb_down_asks_why_and_what_is_wrong_in_the_form_is_said_there(
    timbre: Timbre, office: Office, channel: str
) -> None:
    async with bot_at_work(timbre, office.slack) as bot:
        ts = await office.ana.say(channel, f"{office.slack.mention} {QUESTION}")
        answer = await office.slack.answer_to(channel, ts)
        await rate(office.ana, answer, "not_helpful")
        await office.ana.see_modal()
        await office.ana.submit({"reason": "outdated", "comment": "It is 28 by now."})
        await private(office, office.ana)
        exchange = await bot.exchange_of(channel, answer.ts)

    verdicts = [(feedback.verdict, feedback.reason, feedback.comment) for feedback in timbre.exchanges.feedback(exchange)]
    assert verdicts == [(Verdict.NOT_HELPFUL, "outdated", "It is 28 by now.")]


async def test_a_reaction_is_a_verdict_until_it_is_taken_away(timbre: Timbre, office: Office, channel: str) -> None:
    async with bot_at_work(timbre, office.slack) as bot:
        ts = await office.ana.say(channel, f"{office.slack.mention} {QUESTION}")
        answer = await office.slack.answer_to(channel, ts)
        exchange = await bot.exchange_of(channel, answer.ts)
        await office.ben.react(channel, answer.ts, "thumbsup::skin-tone-3")
        await bot.acknowledged()
        rated = timbre.exchanges.feedback(exchange)
        await office.ben.unreact(channel, answer.ts, "thumbsup::skin-tone-3")
        await bot.acknowledged()

    assert [(feedback.given_by, feedback.verdict) for feedback in rated] == [("slack:T1:U2", Verdict.HELPFUL)]
    assert timbre.exchanges.feedback(exchange) == []
