"""The workers of inbox and outbox, on a real database: what is answered, tried again, given up, and left for the next start."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.inbox import MAX_ATTEMPTS, MAX_CLAIMS, Inbox, Responded
from bot.messages import Addressed, Delivery, DeliveryKey, IncomingMessage, Person, PersonId, Place, Reply, ReplyKind
from bot.outbox import Outbox
from bot.storage.database import Database
from bot.storage.intake import IntakeStore
from tests.fakes import RecordingPlatform

PLACE = Place("fake", "T1", "C1")
ANNA = Person(PersonId("fake:T1:U1"), "Anna", True)


def message(id: str) -> IncomingMessage:
    return IncomingMessage(PLACE, id, ANNA, f"Question {id}?", Addressed.MENTION, datetime.now(UTC))


def reply(key: str, text: str = "An answer.") -> Delivery:
    return Delivery(DeliveryKey(key), PLACE, Reply(ReplyKind.NOTICE, text))


class Post:
    """Inbox and outbox at work, as `serve` runs them; `fails` says how often each message's answer breaks first."""

    def __init__(self, database: Database, fails: int = 0) -> None:
        self.store = IntakeStore(database)
        self.platform = RecordingPlatform()
        self.outbox = Outbox(self.store, {"fake": self.platform}, timedelta(hours=1))
        self.inbox = Inbox(self.store, self.respond, self.give_up, self.outbox.wake, workers=3)
        self.attempts: list[tuple[str, int]] = []
        self.fails = fails
        self.gate = asyncio.Event()
        self.gate.set()

    async def respond(self, message: IncomingMessage, attempt: int) -> Responded:
        self.attempts.append((message.id, attempt))
        await self.gate.wait()
        if attempt <= self.fails:
            raise RuntimeError("broken")
        return Responded([reply(f"answer:{message.key}", message.text)])

    async def give_up(self, message: IncomingMessage, fault: str) -> Sequence[Delivery]:
        return [reply(f"dead:{message.key}", "Sorry.")]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.inbox.run()), asyncio.create_task(self.outbox.run())]
        yield
        self.inbox.stop()
        self.outbox.stop()
        await asyncio.gather(*tasks)

    async def sent(self, count: int) -> list[str]:
        async with asyncio.timeout(20):
            while len(self.platform.deliveries) < count:
                await asyncio.sleep(0.01)
        return sorted(delivery.reply.text for delivery in self.platform.deliveries)


async def test_each_message_is_answered_once_however_often_it_comes(database: Database) -> None:
    post = Post(database)

    async with post.working():
        for id in ("1", "2", "1", "3", "2"):
            await post.inbox.put(message(id))
        texts = await post.sent(3)

    assert texts == ["Question 1?", "Question 2?", "Question 3?"]
    assert sorted(post.attempts) == [("1", 1), ("2", 1), ("3", 1)]


@pytest.mark.slow
async def test_a_message_that_cannot_be_answered_is_given_up_after_three_attempts_and_somebody_is_told(
    database: Database,
) -> None:
    post = Post(database, fails=MAX_ATTEMPTS)

    async with post.working():
        await post.inbox.put(message("1"))
        texts = await post.sent(1)

    assert texts == ["Sorry."]
    assert post.attempts == [("1", 1), ("1", 2), ("1", 3)]
    assert post.store.counts()["inbox dead"] == 1


async def test_stopping_finishes_what_is_under_way_and_leaves_the_rest_for_the_next_start(database: Database) -> None:
    post = Post(database)
    post.gate.clear()
    running = asyncio.create_task(post.inbox.run())
    await post.inbox.put(message("1"))
    while not post.attempts:
        await asyncio.sleep(0.01)

    post.inbox.stop()
    await post.inbox.put(message("2"))
    post.gate.set()
    await running

    assert post.attempts == [("1", 1)]
    assert post.store.counts() == {"inbox waiting": 1, "inbox dead": 0, "outbox waiting": 1, "outbox failed": 0}


async def test_an_answer_that_is_cut_short_goes_back_to_the_inbox_as_if_it_had_not_been_tried(database: Database) -> None:
    post = Post(database)
    post.gate.clear()
    running = asyncio.create_task(post.inbox.run())
    await post.inbox.put(message("1"))
    while not post.attempts:
        await asyncio.sleep(0.01)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    claimed = post.store.claim_message("next", datetime.now(UTC), timedelta(seconds=10))
    assert claimed and claimed.attempt == 1


@pytest.mark.slow
async def test_a_platform_that_is_away_gets_the_reply_when_it_is_back_and_only_once(database: Database) -> None:
    post = Post(database)
    post.platform.refusals = [PlatformUnavailable("fake", "no answer"), PlatformUnavailable("fake", "rate limit", 0.2)]

    async with post.working():
        await post.outbox.put(reply("a"))
        await post.outbox.put(reply("a"))
        await post.sent(1)

    assert [delivery.key for delivery in post.platform.deliveries] == ["a"]


async def test_a_reply_that_is_refused_for_good_is_kept_as_failed_and_stops_no_other(database: Database) -> None:
    post = Post(database)
    post.platform.refusals = [DeliveryRefused("fake", "the channel is gone")]

    async with post.working():
        await post.outbox.put(reply("a"))
        while post.store.counts()["outbox failed"] == 0:
            await asyncio.sleep(0.01)
        await post.outbox.put(reply("b"))
        await post.sent(1)

    assert [delivery.key for delivery in post.platform.deliveries] == ["b"]


async def test_what_is_due_when_it_ends_is_still_sent(database: Database) -> None:
    post = Post(database)
    running = asyncio.create_task(post.outbox.run())

    await post.outbox.put(reply("a"))
    post.outbox.stop()
    await running

    assert [delivery.key for delivery in post.platform.deliveries] == ["a"]


async def test_a_message_with_which_the_process_dies_again_and_again_is_given_up(database: Database) -> None:
    post = Post(database)
    post.store.put_message(message("1"), datetime.now(UTC), datetime.now(UTC))
    for _ in range(MAX_CLAIMS):
        assert post.store.claim_message("dead", datetime.now(UTC), timedelta(seconds=-1))

    async with post.working():
        texts = await post.sent(1)

    assert (texts, post.attempts) == (["Sorry."], [])
