"""What people live through in Slack, row by row of the issue: the whole product, slack-bolt, and the local Slack between them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from bot.conversation import ChatMessage, ExchangeId, ReleaseId
from bot.storage.chat_tables import CorrectionRow, EscalationRow, RoleRow
from bot.storage.tables import AuditRow, ExchangeRow, FeedbackRow, StandardAnswerRow
from tests.adapters.slack import faults, reading
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.state import Message
from tests.fakes import ScriptedModel
from tests.journeys.slack_office import (
    ATTACK,
    BICYCLE,
    LEAVE,
    NEARLY,
    NETWORK,
    NEVER_HEARD,
    PAY,
    Company,
    company_of,
    eventually,
    indexed,
    labels,
    press,
)

__all__ = ["indexed"]

pytestmark = pytest.mark.slow

WORDED = "Full-time employees get 27 days of annual leave. All full-time employees get it each year."
OBEYED = (
    "The guest network is called Tarnwick-Visitors <!channel> <!here> <!everyone> <@U2> <!subteam^S1> @everyone @here "
    "[portal](https://evil.example/c) <https://evil.example/b|portal> https://evil.example/c www.evil.example/e"
)
"""What a model makes of the attack that stands in the document, so that it passes the check against the quotes."""
RIGHT = "Everybody gets 30 days of annual leave since May."


@pytest.fixture
async def company(indexed: tuple[Path, str], tmp_path: Path) -> AsyncIterator[Company]:
    async with company_of(indexed, tmp_path / "company") as company:
        yield company


class HeldModel(ScriptedModel):
    """Says one word more for each permission in `words`."""

    def __init__(self, *answers: str) -> None:
        super().__init__(*answers)
        self.words = asyncio.Semaphore(0)

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int, release: ReleaseId) -> AsyncIterator[str]:
        async for piece in super().stream(messages, max_new_tokens, release):
            await self.words.acquire()
            yield piece

    def go_on(self, words: int) -> None:
        for _ in range(words):
            self.words.release()


# -- ask


async def test_a_mention_is_answered_once_in_its_thread(company: Company) -> None:
    async with company.open():
        answer = await company.ask()

    assert "27 days" in company.seen(answer)
    assert answer.thread_ts == company.exchange(LEAVE).conversation.rpartition(":")[2]
    assert company.in_thread(answer) == [answer]
    assert company.slack.ledger().doubled == company.slack.ledger().lost == []


async def test_a_direct_message_is_answered_and_may_use_what_only_its_author_may_read(company: Company) -> None:
    company.roles.add_to_group(f"slack:T1:{company.ana.id}", "hr", "test")  # type: ignore[arg-type]

    async with company.open():
        asked = [await person.dm(PAY) for person in (company.ana, company.ben)]
        answers = [
            await company.slack.answer_to(person.direct_channel, ts)
            for person, ts in zip((company.ana, company.ben), asked, strict=True)
        ]
        await company.settled()

    assert ["seven" in company.seen(answer) for answer in answers] == [True, False]


async def test_a_reply_in_the_bots_thread_is_a_follow_up_without_a_mention(company: Company) -> None:
    async with company.open():
        first = await company.ask()
        ts = await company.ana.say(company.desk, "And for those?", first.thread_ts)
        second = await company.slack.answer_to(company.desk, ts)
        await company.settled()

    assert "27 days" in company.seen(second)
    assert len(company.exchange("And for those?").history) == 2


async def test_ask_answers_for_the_askers_eyes_and_shares_on_request_what_all_may_read(company: Company) -> None:
    company.roles.add_to_group(f"slack:T1:{company.ana.id}", "hr", "test")  # type: ignore[arg-type]

    async with company.open():
        await company.ana.slash("/ask", LEAVE, company.desk)
        own = await company.private(company.ana)
        await company.ana.slash("/ask", PAY, company.desk)
        secret = await company.private(company.ana, 1)
        nothing_yet = list(company.slack.world.timeline(company.desk))
        await press(company.ana, secret, "Share")
        refused = await company.private(company.ana, 2)
        await press(company.ana, own, "Share")
        await company.settled()
        shared = [company.slack.message(company.desk, ts) for ts in company.slack.world.timeline(company.desk)]

    assert "27 days" in company.seen(own) and "seven" in company.seen(secret)
    assert nothing_yet == []
    assert "not everybody here may read" in company.seen(refused)
    assert [f"Ana Alba asked: {LEAVE}" in company.seen(message) for message in shared] == [True]
    assert "27 days" in company.seen(shared[0])
    assert company.ben.ephemerals() == []


# -- while it works


async def test_while_it_works_people_see_a_status_and_then_the_answer_as_it_grows(
    indexed: tuple[Path, str], tmp_path: Path
) -> None:
    model = HeldModel(WORDED)

    async with company_of(indexed, tmp_path / "company", model) as company, company.open():
        ts = await company.ana.say(company.desk, f"{company.slack.mention} {LEAVE}")
        status = await company.slack.until(lambda: company.slack.world.status(company.desk, ts))
        model.go_on(10)
        growing = await company.slack.until(lambda: company.slack.answers(company.desk, ts))
        await company.slack.until(lambda: "27 days" in company.seen(growing[0]))
        half, is_open = company.seen(growing[0]), growing[0].stream and growing[0].stream.state
        model.go_on(100)
        answer = await company.slack.answer_to(company.desk, ts)
        await company.settled()
        whole, after = company.seen(company.slack.message(company.desk, answer.ts)), company.slack.world.status(company.desk, ts)

    assert status and "reading" in status.text
    assert "get it each year" not in half and is_open == "open"
    assert "27 days" in whole and "get it each year" in whole and "[Helpful]" in whole
    assert after is None
    assert company.in_thread(answer) == [answer]


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("chat.startStream", faults.rate_limited()),
        ("chat.appendStream", faults.refuses("message_not_in_streaming_state")),
    ],
)
async def test_where_the_budget_or_the_stream_ends_the_answer_comes_whole_in_one_message(
    indexed: tuple[Path, str], tmp_path: Path, method: str, fault: faults.Fault
) -> None:
    model = ScriptedModel(WORDED)

    async with company_of(indexed, tmp_path / "company", model) as company, company.open():
        company.slack.faults.add(fault, method, times=None)
        answer = await company.ask()

    assert "27 days" in company.seen(answer) and "get it each year" in company.seen(answer)
    assert company.slack.calls_of(method)
    assert company.in_thread(answer) == [answer]


async def test_the_status_goes_when_the_answer_was_for_the_askers_eyes_only(company: Company) -> None:
    async with company.open():
        ts = await company.ana.say(company.office.general, f"{company.slack.mention} {LEAVE}")
        await company.private(company.ana)
        await company.settled()

    assert [call.arguments["thread_ts"] for call in company.slack.calls_of("assistant.threads.setStatus")][:1] == [ts]
    assert company.slack.world.status(company.office.general, ts) is None


# -- what an answer looks like


async def test_an_answer_is_markdown_with_its_page_as_link_rating_buttons_and_a_person_to_ask(company: Company) -> None:
    async with company.open():
        answer = await company.ask()

    assert [block["type"] for block in answer.blocks] == ["markdown", "context", "context_actions", "actions"]
    page = f"{company.intranet}/leave.md"
    assert [(link.url.partition("#")[0], link.label) for link in reading.links(answer)] == [
        (page, "Annual leave › How many days of annual leave do I get?")
    ]
    assert [element["type"] for _, element in elements(answer.blocks)] == ["feedback_buttons", "button"]
    assert labels(answer) == ["Helpful", "Not helpful", "Ask a person"]
    assert all(not call.arguments["unfurl_links"] for call in company.slack.calls_of("chat.postMessage"))


async def test_closest_is_softer_with_pages_and_a_person_first_and_unknown_offers_the_person_at_once(company: Company) -> None:
    async with company.open():
        answer, closest, unknown = [await company.ask(text) for text in (LEAVE, NEARLY, NEVER_HEARD)]

    outcomes = [company.exchange(text).outcome for text in (LEAVE, NEARLY, NEVER_HEARD)]
    assert outcomes == ["answered", "closest", "unknown"]
    assert "not a sure answer" in company.seen(closest) and "not a sure answer" not in company.seen(answer)
    assert f"{company.intranet}/parking.md" in {link.url.partition("#")[0] for link in reading.links(closest)}
    assert [labels(message)[0] for message in (answer, closest, unknown)] == ["Helpful", "Ask a person", "Ask a person"]
    assert reading.links(unknown) == []


# -- rate, flag, react


async def test_the_last_verdict_of_a_person_counts_and_only_they_are_thanked(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        await press(company.ben, answer, "Not helpful")
        await company.ben.see_modal()
        await company.ben.close()
        first = [(row.given_by, row.verdict) for row in company.rows(FeedbackRow)]
        await press(company.ben, answer, "Helpful")
        thanks = await company.private(company.ben)
        await press(company.ana, answer, "Helpful")
        await company.private(company.ana)
        await company.settled()

    assert first == [("slack:T1:U2", "not_helpful")]
    assert sorted((row.given_by, row.verdict) for row in company.rows(FeedbackRow)) == [
        ("slack:T1:U1", "helpful"),
        ("slack:T1:U2", "helpful"),
    ]
    assert "Thank you" in company.seen(thanks) and thanks.thread_ts == answer.thread_ts
    assert company.carla.ephemerals() == [] and company.in_thread(answer) == [answer]


async def test_what_did_not_help_asks_why_and_a_member_is_not_asked_for_the_right_answer(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        await press(company.ben, answer, "Not helpful")
        form = await company.ben.see_modal()
        await company.ben.submit({"reason": "outdated", "comment": "It is more by now."})
        thanks = await company.private(company.ben)

    assert [block["block_id"] for block in form.body["blocks"]] == ["reason", "comment"]
    reasons = [option["value"] for option in form.body["blocks"][0]["element"]["options"]]
    assert reasons == ["wrong", "outdated", "incomplete", "tone", "should_not_be_shown"]
    assert "Thank you" in company.seen(thanks)
    said = [(row.verdict, row.reason, row.comment) for row in company.rows(FeedbackRow)]
    assert said[-1] == ("not_helpful", "outdated", "It is more by now.")


async def test_support_says_what_is_right_and_the_next_person_gets_it_while_who_flagged_it_hears_of_it(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        await press(company.ben, answer, "Not helpful")
        await company.ben.see_modal()
        await company.ben.close()
        await press(company.carla, answer, "Not helpful")
        form = await company.carla.see_modal()
        await company.carla.submit({"reason": "wrong", "correction": RIGHT})
        thanks = await company.private(company.carla)
        receipt = await company.told(company.ben)
        again = await company.ask(person=company.ben)

    assert [block["block_id"] for block in form.body["blocks"]] == ["reason", "comment", "correction"]
    assert "From now on" in company.seen(thanks)
    assert "corrected by support; thank you" in company.seen(receipt) and RIGHT in company.seen(receipt)
    assert RIGHT in company.seen(again) and "27 days" not in company.seen(again)
    assert [row.approved_by for row in company.rows(StandardAnswerRow)] == ["slack:T1:U3"]
    assert company.direct(company.carla) == company.direct(company.ana) == []


async def test_any_answer_is_flagged_from_the_menu_of_its_message_and_no_other_message_is(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        question = company.slack.message(company.desk, answer.root_ts)
        await company.ben.message_shortcut(answer, "timbre:flag")
        form = await company.ben.see_modal()
        await company.ben.message_shortcut(question, "timbre:flag")
        refused = await company.private(company.ben)

    assert form.body["title"]["text"] == "What is wrong?"
    assert "no answer of mine" in company.seen(refused)
    assert [(row.given_by, row.verdict) for row in company.rows(FeedbackRow)] == [("slack:T1:U2", "not_helpful")]


async def test_a_reaction_is_a_verdict_until_it_is_taken_away_and_other_emoji_are_none(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        exchange = ExchangeId(company.exchange(LEAVE).id)
        verdicts = []
        for act, emoji in (("react", "tada"), ("react", "+1::skin-tone-4"), ("unreact", "+1::skin-tone-4"), ("react", "-1")):
            await getattr(company.ben, act)(answer.channel, answer.ts, emoji)
            await company.settled()
            verdicts.append([str(feedback.verdict) for feedback in company.timbre.exchanges.feedback(exchange)])

    assert verdicts == [[], ["helpful"], [], ["not_helpful"]]


# -- people help


async def test_a_colleagues_reply_in_the_thread_becomes_the_answer_with_two_clicks(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        await company.carla.say(company.desk, RIGHT, answer.thread_ts)
        offer = await company.private(company.carla)
        await press(company.carla, offer, "Use my reply as the answer")
        waiting = await company.private(company.carla, 1)
        states = [row.state for row in company.rows(CorrectionRow)]
        await press(company.carla, waiting, "Approve")
        await company.private(company.carla, 2)
        again = await company.ask(person=company.ben)

    assert states == ["waiting"]
    assert labels(waiting) == ["Approve", "Edit", "Reject"]
    assert RIGHT in company.seen(again)
    assert company.in_thread(answer) == [answer]


async def test_support_takes_a_reply_of_anybody_from_its_menu_and_members_may_not(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        ts = await company.ben.say(company.desk, RIGHT, answer.thread_ts)
        reply = company.slack.message(company.desk, ts)
        await company.ana.message_shortcut(reply, "timbre:capture")
        refused = await company.private(company.ana)
        await company.carla.message_shortcut(reply, "timbre:capture")
        await company.private(company.carla)
        await company.settled()

    assert "takes the role support" in company.seen(refused)
    assert [(row.text, row.proposed_by) for row in company.rows(CorrectionRow)] == [(RIGHT, "slack:T1:U3")]


async def test_asking_a_person_tags_support_marks_the_answer_and_is_listed_until_it_is_resolved(company: Company) -> None:
    async with company.open():
        answer = await company.ask(NEVER_HEARD)
        await press(company.ana, answer, "Ask a person")
        call = await company.slack.answer_to(company.desk, answer.root_ts, count=2)
        marked = list(answer.reactions)
        listed = await company.command(company.carla, "queue")
        follow_up = await company.ana.say(company.desk, "Is anybody there?", answer.thread_ts)
        await company.settled()
        await press(company.ben, answer, "Ask a person")
        asked_before = await company.private(company.ben)
        await press(company.ben, call, "Resolved")
        not_ben = await company.private(company.ben, 1)
        await press(company.carla, call, "Resolved")
        await company.private(company.carla, 1)
        await company.settled()
        listed_after = await company.command(company.carla, "queue")

    assert reading.pings(call) == [f"!subteam^{company.office.support}"]
    assert call.thread_ts == answer.thread_ts
    assert marked == ["raising_hand"] and list(answer.reactions) == ["white_check_mark"]
    assert NEVER_HEARD in listed and NEVER_HEARD not in listed_after
    assert company.slack.answers(company.desk, follow_up) == []  # people talk among themselves now
    assert "already been asked" in company.seen(asked_before)
    assert "Only support and the person who asked" in company.seen(not_ben)
    assert [(row.state, row.asked_by, row.resolved_by) for row in company.rows(EscalationRow)] == [
        ("resolved", "slack:T1:U1", "slack:T1:U3")
    ]


# -- home, first contact


async def test_the_start_page_says_how_to_ask_what_to_ask_and_what_was_asked(company: Company) -> None:
    async with company.open():
        await company.ask(NEVER_HEARD)
        home = await company.home(company.ana)
        await press(company.ana, home, "Ask")
        answer = await company.told(company.ana)
        await company.settled()

    seen = company.seen(home)
    assert "How to ask" in seen and "You could ask" in seen and f"{NEVER_HEARD}\nno answer found" in seen
    assert "Corrections to review" not in seen and "State" not in seen
    assert company.exchange("How many days of annual leave do I get?").asked_by == "slack:T1:U1"
    assert "27 days" in company.seen(answer)


async def test_support_reviews_corrections_on_the_start_page(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        for text in ("It is 28 days.", "It is 29 days.", "It is 31 days."):
            ts = await company.ben.say(company.desk, text, answer.thread_ts)
            await company.carla.message_shortcut(company.slack.message(company.desk, ts), "timbre:capture")
        await company.private(company.carla, 2)
        home = await company.home(company.carla)
        first = company.seen(home)
        await press(company.carla, home, "Reject")
        await eventually(lambda: "28 days" not in company.seen(home))
        await press(company.carla, home, "Approve")
        await eventually(lambda: "29 days" not in company.seen(home))
        await press(company.carla, home, "Edit")
        form = await company.carla.see_modal()
        await company.carla.submit({"answer": RIGHT})
        await eventually(lambda: "31 days" not in company.seen(home))
        again = await company.ask(person=company.ben)

    assert "28 days" in first and "29 days" in first and "Carla Cruz" in first
    assert form.body["blocks"][0]["element"]["initial_value"] == "It is 31 days."
    assert sorted((row.text, row.state) for row in company.rows(CorrectionRow)) == [
        (RIGHT, "approved"),
        ("It is 28 days.", "rejected"),
        ("It is 29 days.", "approved"),
    ]
    assert RIGHT in company.seen(again)


async def test_admins_find_the_state_on_their_start_page(company: Company) -> None:
    async with company.open():
        home = await company.home(company.dora)

    seen = company.seen(home)
    assert "State" in seen and "slack" in seen.partition("State")[2]
    assert "Corrections to review" in seen


async def test_the_first_look_into_the_direct_conversation_is_greeted_once_with_prompts(company: Company) -> None:
    async with company.open():
        for times in (1, 2):
            await company.ana.open_home("messages")
            await eventually(partial(_is_called, company, "assistant.threads.setSuggestedPrompts", times))
        (greeting,) = company.direct(company.ana)
        prompts = company.slack.world.prompts[company.ana.direct_channel, None].prompts
        ts = await company.ana.dm(prompts[0]["message"])
        answer = await company.slack.answer_to(company.ana.direct_channel, ts)

    assert "27 days" in company.seen(answer)
    assert len(prompts) in range(1, 5) and "Guest network" not in company.seen(greeting)
    assert company.seen(greeting).strip()


# -- admin


async def test_reindexing_shows_its_progress_in_place_and_then_its_result(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.long_work.PROGRESS_S", 0.01)

    async with company.open():
        await company.dora.slash("/timbre", "reindex leave", company.desk)
        progress = await company.told(company.dora)
        first = company.seen(progress)
        await company.slack.until(lambda: "is in use" in company.seen(progress))
        result = await company.private(company.dora, 1)

    pointer, _ = company.dora.ephemerals()
    assert "eading" in first or "uilding" in first
    assert "our direct conversation shows how far it is" in company.seen(pointer)
    assert company.direct(company.dora) == [progress]
    assert "1 unchanged" in company.seen(progress) and "1 unchanged" in company.seen(result)
    assert company.slack.world.timeline(company.desk) == []


async def test_the_result_of_a_command_in_the_direct_conversation_takes_the_place_of_its_progress(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.long_work.PROGRESS_S", 0.01)

    async with company.open():
        await company.dora.slash("/timbre", "reindex leave")
        progress = await company.told(company.dora)
        await company.slack.until(lambda: "is in use" in company.seen(progress))

    assert company.direct(company.dora) == [progress]
    assert company.dora.ephemerals() == []


async def test_admins_add_and_forget_sources_and_are_asked_once_before_something_is_gone(
    company: Company, tmp_path: Path
) -> None:
    (tmp_path / "canteen").mkdir()
    (tmp_path / "canteen" / "menu.md").write_text("# Canteen\n\nThe canteen serves fish on Friday.\n")

    async with company.open():
        added = await company.command(company.dora, f"add source {tmp_path / 'canteen'} as canteen")
        served = await company.ask("What does the canteen serve on Friday?")
        listed = await company.command(company.carla, "sources")
        await company.command(company.dora, "forget source canteen")
        question = company.dora.ephemerals()[-1]
        before = company.seen(question)
        await press(company.dora, question, "Cancel")
        await company.slack.until(lambda: "Nothing was changed" in company.seen(question))
        await company.command(company.dora, "forget source canteen")
        question = company.dora.ephemerals()[-1]
        await press(company.dora, question, "Forget it")
        await company.slack.until(lambda: "Forgot" in company.seen(question))
        gone = await company.ask("What does the canteen serve on Friday?", company.ben)

    assert "1 new" in added and "canteen" in listed
    assert "fish" in company.seen(served) and "fish" not in company.seen(gone)
    assert "all that was read from it" in before
    assert [row.action for row in company.rows(AuditRow) if row.subject == "canteen"].count("forget source") >= 3


async def test_status_who_am_i_help_and_wrong_words_answer_their_person_alone(company: Company) -> None:
    async with company.open():
        who = await company.command(company.ana, "who-am-i")
        help_ = await company.command(company.ana, "help")
        admins_help = await company.command(company.dora, "help")
        status = await company.command(company.ana, "status")
        wrong = await company.command(company.ana, "whoami")
        refused = await company.command(company.ana, "reindex")

    assert "Ana Alba" in who and "slack:T1:U1" in who and "member" in who
    assert "reindex" not in help_ and "reindex" in admins_help
    assert status.strip()
    assert "/timbre who-am-i" in wrong
    assert "takes the role admin" in refused
    assert company.slack.world.timeline(company.desk) == [] and company.ben.ephemerals() == []
    tried = [(row.actor, row.details) for row in company.rows(AuditRow) if row.action == "reindex"]
    assert len(tried) == 1 and tried[0][0] == "slack:T1:U1"


async def test_roles_are_given_and_taken_in_chat(company: Company) -> None:
    async with company.open():
        granted = await company.command(company.dora, f"roles grant <@{company.ben.id}> support")
        listed = await company.command(company.dora, "roles")
        revoked = await company.command(company.dora, f"roles revoke <@{company.ben.id}>")

    assert "Ben Berg" in granted and "support" in granted
    assert "Ben Berg" in listed and "Carla Cruz" in listed
    assert "member" in revoked
    assert [row.person for row in company.rows(RoleRow)] == ["slack:T1:U3"]


async def test_here_sets_how_the_bot_behaves_in_that_channel(company: Company) -> None:
    async with company.open():
        unmentioned = await company.ana.say(company.desk, LEAVE)
        await company.settled()
        await company.command(company.dora, "here answers questions sources parking")
        bicycle = await company.ana.say(company.desk, BICYCLE)
        answer = await company.slack.answer_to(company.desk, bicycle)
        outside = await company.ask(LEAVE, company.ben)
        await company.command(company.dora, "here private")
        await company.ana.say(company.desk, BICYCLE)
        own = await company.private(company.ana)
        await company.settled()

    assert company.slack.answers(company.desk, unmentioned) == []
    assert "harbour shed" in company.seen(answer)
    assert "27 days" not in company.seen(outside)
    assert "harbour shed" in company.seen(own)


# -- who may


async def test_the_role_counts_at_the_click_not_when_the_button_was_shown(company: Company) -> None:
    async with company.open():
        answer = await company.ask()
        await company.carla.say(company.desk, RIGHT, answer.thread_ts)
        await press(company.carla, await company.private(company.carla), "Use my reply as the answer")
        waiting = await company.private(company.carla, 1)
        await company.command(company.dora, f"roles revoke <@{company.carla.id}>")
        await press(company.carla, waiting, "Approve")
        refused = await company.private(company.carla, 2)

    assert "takes the role support" in company.seen(refused)
    assert [row.state for row in company.rows(CorrectionRow)] == ["waiting"]
    tries = [row for row in company.rows(AuditRow) if row.action == "approve correction"]
    assert [row.actor for row in tries] == ["slack:T1:U3"]


async def test_guests_strangers_and_bots_are_members_of_nothing(company: Company) -> None:
    company.slack.world.add_workspace("T2", "Elsewhere")
    stranger = company.slack.add_person("Sid Stranger", team="T2", id="U8")
    robot = company.slack.add_person("Robo", id="U9", bot_id="B9", app_id="A9")
    for person in (stranger, robot):
        company.slack.world.channels[company.office.general].members.append(person.id)

    async with company.open():
        for person in (company.guest, stranger, robot):
            await person.say(company.office.general, f"{company.slack.mention} {LEAVE}")
            await company.settled()
        refused = [company.seen(await company.private(person)) for person in (company.guest, stranger)]
        command = await company.command(company.guest, "status", company.office.general)

    assert ["only help members" in text for text in refused] == [True, True]
    assert "Only members of this workspace" in command
    assert robot.ephemerals() == []
    assert all("27 days" not in company.seen(message) for message in company.slack.world.ephemerals)
    assert company.rows(ExchangeRow) == []


async def test_where_a_guest_looks_on_the_answer_is_for_the_askers_eyes_only(company: Company) -> None:
    async with company.open():
        await company.ana.say(company.office.general, f"{company.slack.mention} {LEAVE}")
        own = await company.private(company.ana)
        await company.settled()

    assert "27 days" in company.seen(own) and "Share" in labels(own)
    assert company.guest.ephemerals() == []
    assert company.said(company.office.general) == []


async def test_what_only_the_asker_may_read_is_shown_to_them_alone_when_they_want_it(company: Company) -> None:
    company.roles.add_to_group(f"slack:T1:{company.ana.id}", "hr", "test")  # type: ignore[arg-type]

    async with company.open():
        public = await company.ask(PAY)
        offer = await company.private(company.ana)
        await press(company.ana, offer, "Show me")
        rest = await company.private(company.ana, 1)

    assert "seven" not in company.seen(public) + company.seen(offer)
    assert "seven" in company.seen(rest)
    assert company.ben.ephemerals() == []


# -- what never happens


async def test_nothing_in_a_document_a_question_or_a_model_that_obeys_pings_or_leads_away(
    indexed: tuple[Path, str], tmp_path: Path
) -> None:
    obeying = ScriptedModel(*[OBEYED] * 9)
    attack = f"{NETWORK} {ATTACK}"

    for number, model in enumerate((None, obeying)):
        async with company_of(indexed, tmp_path / f"company-{number}", model) as company, company.open():
            answer = await company.ask(NETWORK)
            await company.ask(attack, company.ben)
            await company.carla.slash("/ask", NETWORK, company.desk)
            own = await company.private(company.carla)
            await press(company.carla, own, "Share")
            await press(company.ben, answer, "Ask a person")
            call = await company.slack.answer_to(company.desk, answer.root_ts, count=2)
            await press(company.carla, answer, "Not helpful")
            await company.carla.see_modal()
            await company.carla.submit({"reason": "wrong", "correction": f"It is called Harbour. {ATTACK}"})
            await company.settled()
            corrected = await company.ask(NETWORK, company.dora)
            homes = [await company.home(person) for person in (company.ana, company.carla, company.dora)]

            said = company.said(company.desk) + company.slack.world.ephemerals
            said += [m for person in (company.ana, company.ben, company.carla) for m in company.direct(person)]
            said += [Message(channel="", ts="", user="", team="", blocks=home.body["blocks"]) for home in homes]
            streamed = [call.arguments["markdown_text"] for call in company.slack.calls_of("chat.appendStream")]
            said += [
                Message(channel="", ts="", user="", team="", blocks=[{"type": "markdown", "text": text}]) for text in streamed
            ]

        assert "Tarnwick-Visitors" in company.seen(answer) and "Harbour" in company.seen(corrected)
        assert "evil" not in str(streamed) and bool(streamed) == bool(model)
        assert [reading.pings(message) for message in said if message is not call] == [[]] * (len(said) - 1)
        assert reading.pings(call) == [f"!subteam^{company.office.support}"]
        led = {link.url.partition("#")[0] for message in said for link in reading.links(message)}
        assert led == {f"{company.intranet}/network.md"}


async def test_an_answer_whose_blocks_slack_refuses_arrives_as_plain_text(company: Company) -> None:
    async with company.open():
        company.slack.faults.add(faults.refuses("invalid_blocks"), "chat.postMessage")
        answer = await company.ask()

    assert answer.blocks == []
    assert "27 days" in company.seen(answer) and "Annual leave" in company.seen(answer)


@pytest.mark.parametrize("mention_comes_first", [True, False])
async def test_nothing_is_answered_twice_and_edits_bots_and_the_bot_itself_not_at_all(
    company: Company, mention_comes_first: bool
) -> None:
    company.slack.mention_comes_first = mention_comes_first
    robot = company.slack.add_person("Robo", id="U9", bot_id="B9", app_id="A9")
    company.slack.world.channels[company.desk].members.append(robot.id)

    async with company.open():
        answer = await company.ask()
        await company.ana.edit(company.desk, answer.root_ts, f"{company.slack.mention} {BICYCLE}")
        talk = await company.ben.say(company.desk, "Lunch?")
        await company.ben.edit(company.desk, talk, f"{company.slack.mention} {LEAVE}")
        await robot.say(company.desk, f"{company.slack.mention} {LEAVE}")
        await robot.say(company.desk, LEAVE, answer.thread_ts)
        await company.settled()

    assert company.in_thread(answer) == [answer]
    assert company.said(company.desk) == [answer]
    assert len(company.rows(ExchangeRow)) == 1


async def test_what_was_asked_while_nobody_listened_is_answered_late_with_an_apology(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.serving.NOTE_EVERY_S", 0.01)

    async with company.open():
        first = await company.ask()
        await eventually(lambda: company.recalls_connection)
    mentioned = await company.ana.say(company.desk, f"{company.slack.mention} {BICYCLE}")
    followed_up = await company.ana.say(company.desk, "When do unused days expire?", first.thread_ts)
    direct = await company.ben.dm(LEAVE)

    async with company.open():
        late = [
            await company.slack.answer_to(channel, ts)
            for channel, ts in ((company.desk, mentioned), (company.desk, followed_up), (company.ben.direct_channel, direct))
        ]
        await company.settled()

    texts = [company.seen(answer) for answer in late]
    assert ["Sorry for the late answer" in text for text in texts] == [True] * 3
    assert "harbour shed" in texts[0] and "end of March" in texts[1] and "27 days" in texts[2]
    assert company.slack.ledger().lost == company.slack.ledger().doubled == []


def _is_called(company: Company, method: str, times: int) -> bool:
    return len(company.slack.calls_of(method)) == times
