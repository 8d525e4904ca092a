"""Between people's actions in Slack and the front desk: in time, with what Slack needs to show the result. (What people get out
of it all is walked through in `tests/journeys`.)"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from adapters.slack import interactions
from adapters.slack.connection import SlackPlatform
from bot.errors import DatabaseUnavailable
from bot.main import Timbre
from bot.messages import (
    Button,
    Choice,
    Click,
    Command,
    Control,
    Delivery,
    DeliveryKey,
    FieldErrors,
    Form,
    MessageRef,
    Notice,
    Person,
    Place,
    Reply,
    ReplyKind,
    Response,
    Submission,
    TextInput,
)
from bot.storage.database import Database
from tests.adapters.slack.faults import unavailable
from tests.adapters.slack.interactions import NotAcknowledged
from tests.adapters.slack.office import Office
from tests.adapters.slack.running import Desk, bot_at_work, connected, press, private
from tests.adapters.slack.state import Message

pytestmark = pytest.mark.slow

Say = Callable[[Notice], Awaitable[None]]
FORM = Form(
    Control.NOT_HELPFUL,
    "e1",
    "What was wrong?",
    [Choice("reason", "Why?", [("wrong", "Wrong"), ("tone", "Tone")]), TextInput("comment", "Comment")],
)


class SlowDesk(Desk):
    """Answers actions with `response`, once `may_answer`."""

    def __init__(self, response: Response = None) -> None:
        super().__init__()
        self.response = response
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.clicks: list[Click] = []
        self.submissions: list[Submission] = []
        self.commands: list[Command] = []
        self.captured: list[str] = []

    async def click(self, click: Click, say: Say) -> Response:
        self.clicks.append(click)
        await self.may_answer.wait()
        return self.response

    async def submit(self, submission: Submission) -> Response:
        self.submissions.append(submission)
        await self.may_answer.wait()
        return self.response

    async def command(self, command: Command, say: Say) -> Response:
        self.commands.append(command)
        return self.response

    async def capture(self, person: Person, message: MessageRef, text: str) -> Response:
        self.captured.append(text)
        return self.response


async def with_button(office: Office, platform: SlackPlatform) -> Message:
    """A message of the bot in #general with a button, in Ana's thread."""
    ts = await office.ana.say(office.general, "Hello?")
    reply = Reply(ReplyKind.ANSWER, "27 days.", buttons=[Button(Control.HELPFUL, "e1", "Helpful")])
    delivery = Delivery(DeliveryKey("k"), Place("slack", "T1", office.general, ts), reply, answers=ts)
    (answer,) = await platform.deliver(delivery)
    return office.slack.message(office.general, answer)


async def test_a_press_is_told_with_its_place_and_answered_in_its_thread(office: Office, database: Database) -> None:
    desk = SlowDesk(Notice("Thank you!"))
    async with connected(office.slack, database, desk) as platform:
        answer = await with_button(office, platform)
        await press(office.ben, answer, "helpful")
        thanks = await private(office, office.ben)

    (click,) = desk.clicks
    assert (click.person.id, click.control, click.subject) == ("slack:T1:U2", Control.HELPFUL, "e1")
    assert click.message == MessageRef(Place("slack", "T1", office.general, answer.root_ts), answer.ts)
    assert (office.slack.visible_text(thanks), thanks.thread_ts) == ("Thank you!", answer.root_ts)


async def test_what_takes_long_is_acknowledged_in_time_and_answered_later(
    office: Office, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "ACK_S", 0.05)
    desk = SlowDesk(Notice("Done at last."))
    desk.may_answer.clear()
    async with connected(office.slack, database, desk) as platform:
        await press(office.ben, await with_button(office, platform), "helpful")
        before = office.ben.ephemerals()
        desk.may_answer.set()
        done = await private(office, office.ben)

    assert before == []
    assert office.slack.visible_text(done) == "Done at last."


async def test_who_leaves_finishes_what_is_under_way(office: Office, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "ACK_S", 0.05)
    desk = SlowDesk(Notice("Done at last."))
    desk.may_answer.clear()
    async with connected(office.slack, database, desk) as platform:
        await press(office.ben, await with_button(office, platform), "helpful")
        closing = asyncio.create_task(platform.close())
        await office.slack.until(lambda: not office.slack.sockets.sockets)
        desk.may_answer.set()
        await closing

    assert [office.slack.visible_text(message) for message in office.ben.ephemerals()] == ["Done at last."]


async def test_a_form_opens_and_what_is_wrong_with_it_stands_at_its_fields(office: Office, database: Database) -> None:
    desk = SlowDesk(FORM)
    async with connected(office.slack, database, desk) as platform:
        answer = await with_button(office, platform)
        await press(office.ben, answer, "helpful")
        await office.ben.see_modal()
        desk.response = FieldErrors({"comment": "Say more."})
        refused = await office.ben.submit({"reason": "tone"})
        desk.response = Notice("Thank you!")
        accepted = await office.ben.submit({"reason": "tone", "comment": "Too dry."})
        thanks = await private(office, office.ben)

    assert refused == {"response_action": "errors", "errors": {"comment": "Say more."}}
    assert accepted == {}
    assert desk.submissions[-1].values == {"reason": "tone", "comment": "Too dry."}
    assert desk.submissions[-1].place == Place("slack", "T1", office.general, answer.root_ts)
    assert thanks.thread_ts == answer.root_ts


async def test_a_form_that_came_too_late_is_offered_by_a_button(
    office: Office, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trigger_id lives three seconds."""
    monkeypatch.setattr(interactions, "ACK_S", 0.05)
    desk = SlowDesk(FORM)
    desk.may_answer.clear()
    async with connected(office.slack, database, desk) as platform:
        answer = await with_button(office, platform)
        await press(office.ben, answer, "helpful")
        office.slack.clock.advance(4)
        desk.may_answer.set()
        offer = await private(office, office.ben)
        await press(office.ben, offer, "not_helpful")
        modal = await office.ben.see_modal()

    assert modal.body["callback_id"] == "timbre:not_helpful:e1"


async def test_a_press_that_cannot_be_attributed_fails_visibly(office: Office, database: Database) -> None:
    desk = SlowDesk()
    async with connected(office.slack, database, desk) as platform:
        answer = await with_button(office, platform)
        office.slack.faults.add(unavailable(), "users.info", times=None)
        with pytest.raises(NotAcknowledged):
            await press(office.carla, answer, "helpful")

    assert desk.clicks == []


async def test_what_a_person_wrote_is_captured_as_people_read_it(office: Office, database: Database) -> None:
    desk = SlowDesk(Notice("It waits."))
    async with connected(office.slack, database, desk):
        ts = await office.ana.say(office.general, "It is 28 & more, says <@U3>.")
        await office.carla.message_shortcut(office.slack.message(office.general, ts), "timbre:capture")
        await private(office, office.carla)

    assert desk.captured == ["It is 28 & more, says @Carla Cruz."]


async def test_commands_name_people_by_their_ids(office: Office, database: Database) -> None:
    desk = SlowDesk(Notice("Granted."))
    async with connected(office.slack, database, desk):
        await office.carla.slash("/timbre", "roles grant <@U2|ben> support", office.general)
        await private(office, office.carla)

    assert [command.words for command in desk.commands] == ["roles grant slack:T1:U2 support"]


@pytest.mark.parametrize("text", ["", "How many days?"])
async def test_a_question_by_command_that_is_not_taken_in_is_told(office: Office, database: Database, text: str) -> None:
    desk = SlowDesk()
    desk.refusals = [DatabaseUnavailable("db", "it is away")]
    async with connected(office.slack, database, desk):
        await office.ana.slash("/ask", text, office.general)

    (told,) = office.ana.ephemerals()
    assert ("try again" if text else "Write your question") in office.slack.visible_text(told)
    assert desk.messages == []


async def test_a_suggested_question_of_the_start_page_is_answered_directly(timbre: Timbre, office: Office) -> None:
    async with bot_at_work(timbre, office.slack):
        await office.ana.open_home()
        home = await office.slack.until(lambda: office.ana.home)
        assert home
        await press(office.ana, home, "timbre:ask:")
        answer = (await office.slack.until(lambda: office.slack.world.messages(office.ana.direct_channel)))[-1]

    assert "harbour shed" in office.slack.visible_text(answer)
