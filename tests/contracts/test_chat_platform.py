"""What every ChatPlatform promises, shown on each of them: Slack and Discord over real sockets, the terminal, and the fake."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from errno import EIO

import pytest
from rich.console import Console as Screen

from adapters.console.connection import ConsolePlatform
from adapters.console.inbound import seat_of
from adapters.slack.connection import SlackPlatform
from bot.errors import PlatformUnavailable
from bot.messages import (
    Addressed,
    Button,
    Control,
    Delivery,
    DeliveryKey,
    IncomingMessage,
    Link,
    Mark,
    MessageRef,
    Person,
    PersonId,
    Place,
    Reply,
    ReplyKind,
    Viewers,
)  # fmt: skip
from bot.ports import ChatPlatform
from bot.storage.database import Database
from tests.adapters.discord.desks import RecordingDesk, connected, until
from tests.adapters.discord.faults import Dropped
from tests.adapters.discord.server import DiscordServer
from tests.adapters.slack import faults
from tests.adapters.slack.conftest import strict_slack
from tests.adapters.slack.office import furnish
from tests.adapters.slack.reference import has_reference
from tests.adapters.slack.running import slack_settings, until_connected
from tests.fakes import RecordingPlatform

EVERYBODY = Viewers(is_open=True, has_outsiders=False)


@dataclass
class Stage:
    """A platform at work and the question that a person has asked it. The functions tell what people see of the bot.

    `shown` is where it was asked, and `shown_to_others` what of it others than the asker see.
    """

    platform: ChatPlatform
    question: IncomingMessage
    shown: Callable[[], Sequence[str]]
    shown_to_others: Callable[[], Sequence[str]]
    shown_to_asker_alone: Callable[[], Sequence[str]]
    lose_next_reply: Callable[[], None]
    ask_again: Callable[[str], Awaitable[None]]
    viewers: Viewers = EVERYBODY


@asynccontextmanager
async def on_slack(database: Database) -> AsyncIterator[Stage]:
    if not has_reference():
        pytest.skip("Slack's reference is not beside this checkout (../shared/authorities/slack).")
    desk = RecordingDesk()
    async with strict_slack() as slack:
        office = furnish(slack)
        channel = slack.add_channel("handbook", office.ana, office.ben)
        platform = SlackPlatform(slack_settings(slack), database, desk)  # type: ignore[arg-type]
        running = asyncio.create_task(platform.run())
        await until_connected(platform, running)
        ts = await office.ana.say(channel, f"{slack.mention} How much leave?")
        await until(lambda: bool(desk.messages))

        async def ask_again(text: str) -> None:
            await office.ben.say(channel, f"{slack.mention} {text}")

        def shown() -> list[str]:
            return [slack.visible_text(message) for message in slack.answers(channel, ts)]

        yield Stage(
            platform,
            desk.messages[0],
            shown,
            shown,
            lambda: [slack.visible_text(message) for message in office.ana.ephemerals(channel)],
            lambda: slack.faults.add(faults.loses_reply(), "chat.postMessage"),
            ask_again,
        )
        await platform.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def on_discord(database: Database) -> AsyncIterator[Stage]:
    desk = RecordingDesk()
    async with DiscordServer(checks_replies=True) as server:
        guild = server.add_guild("Acme")
        general = server.add_channel(guild, "general")
        ada, ben = server.add_person("Ada", guild), server.add_person("Ben", guild)
        async with connected(server, desk) as platform:
            asked = ada.say(general, f"<@{server.world.bot.id}> How much leave?")
            await until(lambda: bool(desk.messages))

            def shown() -> list[str]:
                thread = server.thread_of(asked)
                return [message.content for message in server.bot_messages(thread)] if thread else []

            async def ask_again(text: str) -> None:
                ben.say(general, f"<@{server.world.bot.id}> {text}")
                await until(lambda: len(desk.messages) == 2)  # when it is known that there is something new

            yield Stage(
                platform,
                desk.messages[0],
                shown,
                shown,
                lambda: [message.content for message in server.bot_messages(server.world.dm_with(ada.id))],
                lambda: server.faults.add(Dropped(after_doing=True), "create_message"),
                ask_again,
            )
        assert server.problems == []


@asynccontextmanager
async def on_the_fake(database: Database) -> AsyncIterator[Stage]:
    platform = RecordingPlatform()
    running = asyncio.create_task(platform.run())
    await until(lambda: platform.is_connected)
    asker = Person(PersonId("fake:T1:U1"), "Ana", True)
    place = Place("fake", "T1", "C1")
    question = IncomingMessage(place, "1", asker, "How much leave?", Addressed.MENTION, datetime.now(UTC) - timedelta(seconds=1))

    def texts(is_private: bool) -> list[str]:
        return [delivery.reply.text for delivery in platform.deliveries if bool(delivery.to) is is_private]

    async def ask_again(text: str) -> None:
        later = replace(question, id="2", text=text, sent_at=datetime.now(UTC))
        platform.missed_messages.setdefault(place, []).append(later)

    def shown() -> list[str]:
        return texts(is_private=False)

    yield Stage(platform, question, shown, shown, lambda: texts(is_private=True), platform.lose_next_reply, ask_again)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Paper(io.StringIO):
    """What a terminal shows; `tears`: the next line is written, and whoever wrote it hears that it was not."""

    tears = False

    def tear(self) -> None:
        self.tears = True

    def flush(self) -> None:
        if self.tears:
            self.tears = False
            raise OSError(EIO, "Input/output error")


class Seated:
    """A person at a terminal of their own."""

    def __init__(self, desk: RecordingDesk, name: str) -> None:
        self.paper = Paper()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        screen, seat = Screen(file=self.paper, width=100, highlight=False), seat_of(name, f"run-of-{name}")
        self.platform = ConsolePlatform(desk, seat, lambda _: None, screen, self._lines.get)  # type: ignore[arg-type]

    async def type(self, line: str) -> None:
        await self._lines.put(line)

    def answers(self) -> list[str]:
        """What was said after the greeting; the kind stands above each answer but those that were seen growing."""
        _, greeting, said = self.paper.getvalue().rpartition("How much leave do I have?\n")
        assert greeting
        return [answer for answer in re.split("^● .*$", said, flags=re.M) if answer.strip()]


@asynccontextmanager
async def on_the_console(database: Database) -> AsyncIterator[Stage]:
    desk = RecordingDesk()
    ana, ben = Seated(desk, "ana"), Seated(desk, "ben")
    running = [asyncio.create_task(seated.platform.run()) for seated in (ana, ben)]
    await ana.type("How much leave?")
    await until(lambda: bool(desk.messages))
    yield Stage(
        ana.platform,
        desk.messages[0],
        ana.answers,
        ben.answers,
        ana.answers,
        ana.paper.tear,
        ana.type,
        Viewers(is_open=False, has_outsiders=False, people=frozenset({PersonId("console:local:ana")})),
    )
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


STAGES: dict[str, Callable[[Database], AbstractAsyncContextManager[Stage]]] = {
    "slack": on_slack, "discord": on_discord, "console": on_the_console, "fake": on_the_fake,
}  # fmt: skip
KEEP_WHAT_WAS_SAID = ["slack", "discord", "fake"]  # what is typed at a terminal while nobody listens is read when somebody does


@pytest.fixture(params=list(STAGES))
async def stage(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Stage]:
    async with STAGES[request.param](database) as opened:
        yield opened


def answer(question: IncomingMessage, text: str = "You get 25 days. [1]", to: PersonId | None = None) -> Delivery:
    buttons = [Button(Control.HELPFUL, "e1", "Helpful"), Button(Control.NOT_HELPFUL, "e1", "Not helpful")]
    reply = Reply(ReplyKind.ANSWER, text, [Link(1, "Leave", "Annual leave", "https://docs.example/leave#annual")], buttons)
    return Delivery(DeliveryKey(f"answer:{question.key}"), question.answer_place, reply, to=to, answers=question.id)


async def test_it_names_itself_as_the_ids_of_its_people_do(stage: Stage) -> None:
    assert stage.platform.is_connected
    assert stage.question.place.platform == stage.platform.name
    assert stage.question.author.id.startswith(f"{stage.question.author.workspace}:")
    assert stage.question.author.workspace.startswith(f"{stage.platform.name}:")


async def test_a_delivery_is_shown_below_the_question_and_named(stage: Stage) -> None:
    ids = await stage.platform.deliver(answer(stage.question))

    assert len(ids) == 1
    (text,) = stage.shown()
    assert "You get 25 days." in text


async def test_a_delivery_whose_reply_was_lost_is_found_by_the_retry_and_not_sent_again(stage: Stage) -> None:
    stage.lose_next_reply()
    with pytest.raises(PlatformUnavailable):
        await stage.platform.deliver(answer(stage.question))

    ids = await stage.platform.deliver(answer(stage.question), is_retry=True)

    assert (len(ids), len(stage.shown())) == (1, 1)


async def test_a_retry_of_what_never_arrived_sends_it(stage: Stage) -> None:
    await stage.platform.deliver(answer(stage.question), is_retry=True)

    assert len(stage.shown()) == 1


async def test_what_is_for_the_asker_is_seen_by_nobody_else(stage: Stage) -> None:
    ids = await stage.platform.deliver(answer(stage.question, "Only for you.", to=stage.question.author.id))

    assert (list(ids), list(stage.shown_to_others())) == ([], [])
    assert any("Only for you." in text for text in stage.shown_to_asker_alone())


async def test_a_long_answer_is_shown_whole(stage: Stage) -> None:
    paragraphs = [f"Paragraph {number} " + "word " * 150 for number in range(30)]

    ids = await stage.platform.deliver(answer(stage.question, "\n\n".join(paragraphs)))

    shown = "\n".join(stage.shown())
    assert [number for number in range(30) if f"Paragraph {number} " not in shown] == []
    assert len(ids) == len(stage.shown())


async def test_a_stream_grows_into_the_delivery_that_ends_it(stage: Stage) -> None:
    posted: list[str] = []

    async def note(message_id: str) -> None:
        posted.append(message_id)

    delivery = answer(stage.question)
    stream = await stage.platform.open_stream(delivery.key, stage.question, note)
    assert stream
    await stream.append("You get ")
    await stream.append("25 days.")

    ids = await stage.platform.deliver(delivery, draft=posted[0])

    assert list(ids) == posted
    (text,) = stage.shown()
    assert text.count("25 days") == 1


async def test_ornaments_never_fail(stage: Stage) -> None:
    nowhere = MessageRef(replace(stage.question.place, channel="1", thread=""), "1")

    await stage.platform.show_working(stage.question)
    await stage.platform.mark(nowhere, Mark.ESCALATED)
    name = await stage.platform.name_of(PersonId(f"{stage.question.author.workspace}:1"))

    assert name


async def test_the_channel_of_the_question_is_one_of_its_places_and_it_is_known_who_sees_it(stage: Stage) -> None:
    viewers = await stage.platform.viewers(stage.question.answer_place)
    places = {(place.workspace, place.channel) for place in await stage.platform.places()}

    assert viewers == stage.viewers
    assert (stage.question.place.workspace, stage.question.place.channel) in places


@pytest.mark.parametrize("stage", KEEP_WHAT_WAS_SAID, indirect=True)
async def test_what_was_asked_after_a_time_is_fetched(stage: Stage) -> None:
    await stage.ask_again("And in the year of entry?")
    since = stage.question.sent_at + timedelta(milliseconds=1)  # Discord's ids tell no less

    missed = await stage.platform.missed(stage.question.place, since)

    assert [message.text for message in missed] == ["And in the year of entry?"]


async def test_a_question_is_not_answered_by_the_bot_alone(stage: Stage) -> None:
    assert not await stage.platform.is_answered(stage.question)
