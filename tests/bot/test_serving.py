"""`timbre serve` with the recording platform: from a message to its answer, over a restart, and to an orderly end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlmodel import col, select

from bot import inbox
from bot.channels import Answers, ChannelSettings
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.front_desk import FrontDesk
from bot.health import serve_health
from bot.inbox import MAX_ATTEMPTS
from bot.main import Timbre, build, build_server
from bot.messages import (
    Addressed,
    Click,
    Command,
    Control,
    DeliveryKey,
    Form,
    IncomingMessage,
    Mark,
    MessageRef,
    Notice,
    Person,
    PersonId,
    Place,
    Reply,
    ReplyKind,
    Submission,
    Viewers,
)
from bot.people import Role, RoleBook
from bot.responding import MAX_ATTEMPTS_WORDED
from bot.serving import Server
from bot.settings import Settings
from bot.sources import Sources
from bot.storage.channels import ChannelStore
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from bot.storage.tables import ExchangeRow
from tests.conftest import silent
from tests.fakes import HashingEmbedder, RecordingPlatform, ScriptedModel

PLACE = Place("fake", "T1", "C1")
ANNA = Person(PersonId("fake:T1:U1"), "Anna", True)
BEN = Person(PersonId("fake:T1:U2"), "Ben", True)
SUE = Person(PersonId("fake:T1:SUE"), "Sue", True)
QUESTION = "How many days of annual leave do employees get?"


def message(id: str, text: str = QUESTION, author: Person = ANNA, **changes: object) -> IncomingMessage:
    made = IncomingMessage(PLACE, id, author, text, Addressed.MENTION, datetime.now(UTC))
    return replace(made, **changes)  # type: ignore[arg-type]


class Office:
    """A running bot, the platform that it talks to and its front desk."""

    def __init__(self, timbre: Timbre, platform: RecordingPlatform) -> None:
        self.platform = platform
        self.database = timbre.database
        self.intake = IntakeStore(timbre.database)
        self.channels = ChannelStore(timbre.database)
        self.roles = RoleBook(PeopleStore(timbre.database), first_admin="")
        self.desk: FrontDesk
        self.notes: list[str] = []
        self.server: Server = build_server(timbre, self.notes.append, self._open)

    def _open(self, settings: Settings, database: object, desk: FrontDesk) -> dict[str, RecordingPlatform]:
        self.desk = desk
        return {"fake": self.platform}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.server.run())
        while not self.platform.is_connected:
            await asyncio.sleep(0.01)
        yield
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    async def settled(self) -> None:
        """When every message that came in is done, and every reply is out."""
        async with asyncio.timeout(20):
            while any((await asyncio.to_thread(self.intake.counts)).values()):
                await asyncio.sleep(0.01)

    async def delivered(self, count: int) -> list[Reply]:
        async with asyncio.timeout(20):
            while len(self.platform.deliveries) < count:
                await asyncio.sleep(0.01)
        return [delivery.reply for delivery in self.platform.deliveries]


@pytest.fixture
def company(timbre: Timbre, write: Callable[..., Path]) -> Timbre:
    """Timbre with two pages, one of them for hr only."""
    documents = write({"leave.md": "# Leave\n\nAll employees get 25 days of annual leave each year."})
    secret = write({"pay.md": "# Pay bands\n\nThe pay band of engineers is seven."}, "secret")
    sources = Sources(timbre.knowledge)
    sources.ingest(sources.describe(str(documents), None, None), lambda *_: None)
    sources.ingest(sources.describe(str(secret), None, frozenset({"hr"})), lambda *_: None)
    return timbre


@pytest.fixture
def office(company: Timbre) -> Office:
    return Office(company, RecordingPlatform())


async def test_a_mention_is_answered_once_in_its_thread_with_the_page_and_buttons(office: Office) -> None:
    async with office.open():
        await office.desk.receive(message("1"))
        await office.desk.receive(message("1"))
        replies = await office.delivered(1)

    (delivery,) = office.platform.deliveries
    assert delivery.place == replace(PLACE, thread="1")
    assert replies[0].kind is ReplyKind.ANSWER
    assert "25 days" in replies[0].text
    assert [link.title for link in replies[0].links] == ["Leave"]
    assert [button.control for button in replies[0].buttons][:2] == [Control.HELPFUL, Control.NOT_HELPFUL]


async def test_what_only_the_asker_may_read_is_offered_to_them_alone(office: Office) -> None:
    office.roles.add_to_group(ANNA.id, "hr", "test")

    async with office.open():
        await office.desk.receive(message("1", "What is the pay band of engineers?"))
        public, offer = await office.delivered(2)
        button = offer.buttons[0]
        shown = await office.desk.click(Click(ANNA, MessageRef(PLACE, "9"), button.control, button.subject), no_progress)
        others = await office.desk.click(Click(BEN, MessageRef(PLACE, "9"), button.control, button.subject), no_progress)

    assert public.kind is ReplyKind.UNKNOWN
    assert office.platform.deliveries[1].to == ANNA.id
    assert "seven" not in public.text + offer.text
    assert isinstance(shown, Reply) and "seven" in shown.text
    assert isinstance(others, Notice) and others.is_problem


async def test_where_people_of_other_companies_look_on_the_answer_goes_to_the_asker_alone(office: Office) -> None:
    office.platform.viewers_of_all = Viewers(is_open=False, has_outsiders=True, people=frozenset({ANNA.id}))

    async with office.open():
        await office.desk.receive(message("1"))
        await office.delivered(1)

    assert office.platform.deliveries[0].to == ANNA.id


async def test_an_answer_that_is_shared_is_made_of_what_the_channel_may_read(office: Office) -> None:
    office.roles.add_to_group(ANNA.id, "hr", "test")
    secret = "What is the pay band of engineers?"

    async with office.open():
        await office.desk.receive(message("1", secret, addressed=Addressed.COMMAND))
        await office.desk.receive(message("2", QUESTION, addressed=Addressed.COMMAND))
        await office.delivered(2)
        refused, shared = [
            await office.desk.click(Click(ANNA, MessageRef(PLACE, "9"), Control.SHARE, subject(office, words)), no_progress)
            for words in (secret, QUESTION)
        ]
        await office.delivered(3)

    assert [delivery.to for delivery in office.platform.deliveries] == [ANNA.id, ANNA.id, None]
    assert isinstance(refused, Notice) and refused.is_problem
    assert isinstance(shared, Notice) and not shared.is_problem
    assert "25 days" in office.platform.deliveries[2].reply.text


async def test_people_who_are_no_members_are_refused_and_learn_nothing(office: Office) -> None:
    guest = Person(PersonId("fake:T1:G"), "Guest", False)

    async with office.open():
        await office.desk.receive(message("1", author=guest))
        (reply,) = await office.delivered(1)

    assert office.platform.deliveries[0].to == guest.id
    assert "25 days" not in reply.text


async def test_an_answer_that_did_not_help_opens_a_form_and_staffs_correction_is_the_next_answer(office: Office) -> None:
    office.roles.grant(SUE.id, Role.SUPPORT, "test")

    async with office.open():
        await office.desk.receive(message("1"))
        await office.delivered(1)
        exchange = subject(office, QUESTION)
        place = MessageRef(replace(PLACE, thread="1"), "posted")
        await office.desk.click(Click(ANNA, place, Control.NOT_HELPFUL, exchange), no_progress)
        form = await office.desk.click(Click(SUE, place, Control.NOT_HELPFUL, exchange), no_progress)
        values = {"reason": "wrong", "comment": "", "correction": "Everybody gets 30 days of annual leave now."}
        thanks = await office.desk.submit(Submission(SUE, place.place, Control.NOT_HELPFUL, exchange, values))
        await office.desk.receive(message("2", author=BEN))
        await office.delivered(3)

    texts = {delivery.to: delivery.reply.text for delivery in office.platform.deliveries[1:]}
    assert isinstance(form, Form) and [field.name for field in form.fields] == ["reason", "comment", "correction"]
    assert isinstance(thanks, Notice) and not thanks.is_problem
    assert "corrected by support" in texts[ANNA.id]
    assert "30 days" in texts[None]


async def test_asking_a_person_calls_support_marks_the_answer_and_is_resolved_by_a_click(office: Office) -> None:
    async with office.open():
        await office.desk.receive(message("1"))
        await office.delivered(1)
        await office.settled()
        place = MessageRef(replace(PLACE, thread="1"), "posted")
        asked = await office.desk.click(Click(ANNA, place, Control.ASK_PERSON, subject(office, QUESTION)), no_progress)
        _, call = await office.delivered(2)
        await office.desk.receive(
            message("1.1", "Thanks Ben, and for part-timers?", addressed=Addressed.THREAD, place=place.place)
        )
        await office.settled()
        resolved = await office.desk.click(Click(ANNA, place, Control.RESOLVED, call.buttons[0].subject), no_progress)

    assert isinstance(asked, Notice) and not asked.is_problem
    assert call.calls_support
    assert isinstance(resolved, Notice) and not resolved.is_problem
    assert [mark for _, mark in office.platform.marks] == [Mark.ESCALATED, Mark.RESOLVED]
    assert len(office.platform.deliveries) == 2  # people talk among themselves now


async def test_a_reply_of_support_staff_is_offered_for_capture_and_waits_in_the_queue(office: Office) -> None:
    office.roles.grant(SUE.id, Role.SUPPORT, "test")
    thread = replace(PLACE, thread="1")

    async with office.open():
        await office.desk.receive(message("1"))
        await office.delivered(1)
        await office.desk.receive(message("1.1", "It is 30 days since May.", SUE, addressed=Addressed.THREAD, place=thread))
        _, offer = await office.delivered(2)
        captured = await office.desk.click(
            Click(SUE, MessageRef(thread, "x"), Control.CAPTURE, offer.buttons[0].subject), no_progress
        )
        queue = await office.desk.command(Command(SUE, PLACE, "queue"), no_progress)

    assert office.platform.deliveries[1].to == SUE.id
    assert isinstance(captured, Notice) and captured.buttons[0].control is Control.APPROVE
    assert isinstance(queue, Notice) and "30 days since May" in queue.text


async def test_a_follow_up_in_the_thread_is_understood_with_what_was_said_before(office: Office) -> None:
    async with office.open():
        await office.desk.receive(message("1"))
        await office.delivered(1)
        await office.desk.receive(message("2", "And each year?", addressed=Addressed.THREAD, place=replace(PLACE, thread="1")))
        await office.delivered(2)

    with office.database.reading() as session:
        rows = session.exec(select(ExchangeRow).order_by(col(ExchangeRow.asked_at))).all()
    assert [len(row.history) for row in rows] == [0, 2]
    assert {row.conversation for row in rows} == {replace(PLACE, thread="1").conversation}


async def test_what_was_missed_is_answered_late_with_a_word_of_apology_and_what_is_too_old_is_told_to_the_admins(
    company: Timbre,
) -> None:
    now = datetime.now(UTC)
    platform = RecordingPlatform()
    office = Office(company, platform)
    office.roles.grant(SUE.id, Role.ADMIN, "test")
    office.intake.remember("fake", "connected", {"at": (now - timedelta(days=3)).isoformat()})
    platform.missed_messages[PLACE] = [
        message("0", sent_at=now - timedelta(days=2), text="Lunch is ready.", addressed=Addressed.CHANNEL),
        message("1", sent_at=now - timedelta(days=2), text="What about my old question?"),
        message("2", sent_at=now - timedelta(hours=1)),
    ]

    async with office.open():
        await office.desk.catch_up(platform)
        await office.delivered(2)
        await office.desk.catch_up(platform)

    texts = {delivery.to: delivery.reply.text for delivery in platform.deliveries}
    assert len(platform.deliveries) == 2
    assert texts[None].startswith("Sorry for the late answer")
    assert "What about my old question?" in texts[SUE.id]
    assert "Lunch" not in texts[SUE.id]


async def test_what_was_missed_is_fetched_however_often_that_takes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.front_desk.FETCH_PAUSE_S", 0.01)
    office.intake.remember("fake", "connected", {"at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()})
    office.platform.missed_messages[PLACE] = [message("1", sent_at=datetime.now(UTC) - timedelta(minutes=30))]
    office.platform.absences = [PlatformUnavailable("fake", "it is busy"), DatabaseUnavailable("db", "it is away")]

    async with office.open():
        await office.desk.catch_up(office.platform)
        await office.delivered(1)

    assert not office.platform.absences
    assert [delivery.answers for delivery in office.platform.deliveries] == ["1"]


async def test_a_message_of_a_platform_that_is_switched_off_waits_for_its_return(office: Office) -> None:
    elsewhere = message("1", place=replace(PLACE, platform="slack"))
    now = datetime.now(UTC)
    office.intake.put_message(elsewhere, now, now)

    async with office.open():
        await office.desk.receive(message("2"))
        await office.delivered(1)

    waiting = office.intake.claim_message("later", now + timedelta(hours=1), timedelta(seconds=1))
    assert waiting is not None
    assert (waiting.message, waiting.attempt) == (elsewhere, 1)


async def test_what_was_missed_is_found_though_something_later_came_before_the_process_died(company: Timbre) -> None:
    """Benchmarked kills: the process dies after it has connected and before it has looked at what it missed."""
    now = datetime.now(UTC)
    dying, living = Office(company, RecordingPlatform()), Office(company, RecordingPlatform())
    dying.intake.remember("fake", "connected", {"at": (now - timedelta(hours=1)).isoformat()})
    missed, later = message("1", sent_at=now - timedelta(minutes=30)), message("2")
    living.platform.missed_messages[PLACE] = [missed, later]

    async with dying.open():
        await dying.desk.receive(later)
        await dying.delivered(1)
        await dying.desk.note("fake", is_connected=True)
    async with living.open():
        await living.desk.catch_up(living.platform)
        await living.delivered(1)

    assert [delivery.answers for delivery in living.platform.deliveries] == [missed.id]


async def test_an_answer_that_is_given_up_ends_what_was_streamed_of_it(company: Timbre, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(RecordingPlatform):
        async def viewers(self, place: Place) -> Viewers:
            raise RuntimeError("broken")

    monkeypatch.setattr(inbox, "RETRY_AFTER", timedelta(0))
    office, asked = Office(company, Broken()), message("1")
    office.intake.begin_stream(DeliveryKey(f"answer:{asked.key}"), datetime.now(UTC))
    office.intake.set_draft(DeliveryKey(f"answer:{asked.key}"), "what a killed process left")

    async with office.open():
        await office.desk.receive(asked)
        (reply,) = await office.delivered(1)

    assert reply.kind is ReplyKind.ERROR
    assert office.platform.drafts == ["what a killed process left"]


async def test_the_question_of_a_button_is_answered_for_whoever_sees_the_answer(office: Office) -> None:
    office.roles.add_to_group(ANNA.id, "hr", "test")
    click = Click(ANNA, MessageRef(PLACE, "9"), Control.ASK, "What is the pay band of engineers?")

    async with office.open():
        await office.desk.click(click, no_progress)
        await office.desk.click(click, no_progress)
        await office.delivered(2)

    texts = {delivery.to: delivery.reply.text for delivery in office.platform.deliveries}
    assert set(texts) == {None, ANNA.id}
    assert "seven" not in "".join(texts.values())


async def test_a_platform_that_cannot_tell_who_sees_an_answer_is_waited_for(
    company: Timbre, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(RecordingPlatform):
        failures = MAX_ATTEMPTS + 1

        async def viewers(self, place: Place) -> Viewers:
            self.failures -= 1
            if self.failures >= 0:
                raise PlatformUnavailable("fake", "no answer")
            return await super().viewers(place)

    monkeypatch.setattr(inbox, "PLATFORM_PAUSE", timedelta(seconds=0.01))
    office = Office(company, Away())
    async with office.open():
        await office.desk.receive(message("1"))
        (reply,) = await office.delivered(1)

    assert reply.kind is ReplyKind.ANSWER


async def test_what_the_model_words_is_streamed_and_ended_by_the_reply(
    company: Timbre, settings: Settings, embedder: HashingEmbedder
) -> None:
    company.database.close()
    model = ScriptedModel("All employees get 25 days of annual leave each year.")
    timbre = build(settings, silent, embedder=embedder, language_model=model, wording="model")
    office = Office(timbre, RecordingPlatform())

    async with office.open():
        await office.desk.receive(message("1"))
        await office.delivered(1)
    await timbre.close()

    assert "25 days" in "".join(office.platform.streams[0].pieces)
    assert office.platform.drafts == ["draft of answer:fake:T1:C1:1"]


async def test_a_question_over_which_the_process_died_again_and_again_is_answered_without_the_model(
    company: Timbre, settings: Settings, embedder: HashingEmbedder
) -> None:
    """Benchmarked kills: on a busy machine no process lived long enough to word the oldest questions, which were given up."""
    company.database.close()
    model = ScriptedModel("All employees get 25 days of annual leave each year.")
    timbre = build(settings, silent, embedder=embedder, language_model=model, wording="model")
    office, now = Office(timbre, RecordingPlatform()), datetime.now(UTC)
    office.intake.put_message(message("1"), now, now)
    for _ in range(MAX_ATTEMPTS_WORDED):
        assert office.intake.claim_message("dead", now, timedelta(seconds=-1))

    async with office.open():
        (reply,) = await office.delivered(1)
    await timbre.close()

    assert reply.kind is ReplyKind.ANSWER and "25 days" in reply.text
    assert model.prompts == []


async def test_a_question_that_waits_for_people_is_left_to_them_when_they_answer(office: Office) -> None:
    asked = message("1", addressed=Addressed.CHANNEL, sent_at=datetime.now(UTC) - timedelta(minutes=20))
    settings = ChannelSettings(answers=Answers.UNANSWERED, wait_minutes=15)
    office.channels.put(PLACE, settings, SUE.id)

    async with office.open():
        office.platform.has_answers = True
        await office.desk.receive(asked)
        await office.settled()
        office.platform.has_answers = False
        await office.desk.receive(replace(asked, id="2"))
        await office.delivered(1)

    assert [delivery.answers for delivery in office.platform.deliveries] == ["2"]


async def test_a_platform_that_breaks_off_is_started_again_and_stops_no_other(company: Timbre) -> None:
    class Broken(RecordingPlatform):
        starts = 0

        async def run(self) -> None:
            self.starts += 1
            if self.starts == 1:
                raise PlatformUnavailable("broken", "no route")
            await super().run()

    broken, well = Broken("broken"), RecordingPlatform("fake")
    server = build_server(company, silent, lambda *_: {"broken": broken, "fake": well})
    running = asyncio.create_task(server.run())
    async with asyncio.timeout(10):
        while not (broken.is_connected and well.is_connected):
            await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await running

    assert broken.starts == 2


async def test_serving_ends_with_the_reason_when_every_platform_refuses_its_tokens(company: Timbre) -> None:
    class Refused(RecordingPlatform):
        async def run(self) -> None:
            raise DeliveryRefused("fake", "the token is no good")

    notes: list[str] = []
    server = build_server(company, notes.append, lambda *_: {"fake": Refused()})

    with pytest.raises(DeliveryRefused, match="the token is no good"):
        await server.run()

    assert any("fake is off" in note for note in notes)


async def test_ready_is_only_who_hears_from_every_platform() -> None:
    states = {"slack": True, "discord": False}
    async with serve_health("127.0.0.1", 0, lambda: states) as port, aiohttp.ClientSession() as session:
        seen = []
        for path, discord in (("/healthz", False), ("/readyz", False), ("/readyz", True)):
            states["discord"] = discord
            async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                seen.append((path, response.status))

    assert seen == [("/healthz", 200), ("/readyz", 503), ("/readyz", 200)]


async def no_progress(notice: Notice) -> None:
    """For commands whose progress nobody watches."""


def subject(office: Office, question: str) -> str:
    """The id of the newest exchange with that question."""
    with office.database.reading() as session:
        rows = session.exec(select(ExchangeRow).where(ExchangeRow.question == question)).all()
    return rows[-1].id
