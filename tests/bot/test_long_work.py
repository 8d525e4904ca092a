"""Work that takes longer than a command may: what is told, when, and what ends it."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from bot.errors import CommandRejected, DatabaseUnavailable, PlatformUnavailable
from bot.long_work import LATE_S, LongWork, progress_text, say_nothing
from bot.messages import Delivery, Notice, Person, PersonId, Place, Reply, ReplyKind
from knowledge.errors import SourceUnreadable
from knowledge.ingestion import Progress

ANN = Person(PersonId("slack:T1:ANN"), "Ann", is_member=True)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Desk:
    """Long work with a clock and all that was put out and said."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.deliveries: list[Delivery] = []
        self.said: list[str] = []
        self.work = LongWork(self.put, self.clock)

    async def put(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    async def say(self, notice: Notice) -> None:
        self.said.append(notice.text)

    async def run(self, work: Callable[[Progress], str]) -> Notice:
        return await self.work.run(ANN, work, self.say)

    def lasting(self, seconds: float) -> Callable[[Progress], str]:
        def work(progress: Progress) -> str:
            self.clock.now_s += seconds
            return "Done."

        return work


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (("reading handbook", 120, 246), "Reading handbook: 120 of 246 files"),
        (("building the index", 1_200, 12_000), "Building the index: 1,200 of 12,000"),
        (("waiting for the index", 0, 0), "Waiting for the index"),
    ],
)
def test_progress_reads_like_a_sentence(step: tuple[str, int, int], text: str) -> None:
    assert progress_text(*step) == text


async def test_progress_is_said_while_the_work_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.long_work.PROGRESS_S", 0.005)
    may_go_on = threading.Event()

    def work(progress: Progress) -> str:
        progress("reading handbook", 1, 2)
        assert may_go_on.wait(30)
        return "Read it."

    async def say(notice: Notice) -> None:
        await desk.say(notice)
        may_go_on.set()

    notice = await desk.work.run(ANN, work, say)

    assert (desk.said, notice) == (["Reading handbook: 1 of 2 files"], Notice("Read it."))


async def test_what_is_done_before_there_is_something_to_say_is_only_answered(desk: Desk) -> None:
    notice = await desk.run(lambda progress: "Read it.")

    assert (desk.said, desk.deliveries, notice) == ([], [], Notice("Read it."))


async def test_a_platform_that_cannot_show_progress_does_not_end_the_work(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.long_work.PROGRESS_S", 0.005)
    may_go_on = threading.Event()

    def work(progress: Progress) -> str:
        progress("reading handbook", 1, 2)
        assert may_go_on.wait(30)
        return "Read it."

    async def say(notice: Notice) -> None:
        may_go_on.set()
        raise PlatformUnavailable("slack", "the connection was closed")

    assert await desk.work.run(ANN, work, say) == Notice("Read it.")


async def test_a_result_that_comes_late_is_sent_to_the_person_alone(desk: Desk) -> None:
    notice = await desk.run(desk.lasting(LATE_S + 1))

    (delivery,) = desk.deliveries
    assert notice == Notice("Done.")
    assert (delivery.place, delivery.to) == (Place("slack", "T1", ""), ANN.id)
    assert delivery.reply == Reply(ReplyKind.NOTICE, "Done.")


async def test_a_result_that_comes_in_time_is_not_sent_again(desk: Desk) -> None:
    await desk.run(desk.lasting(LATE_S))

    assert desk.deliveries == []


async def test_two_late_results_are_two_messages(desk: Desk) -> None:
    await desk.run(desk.lasting(LATE_S + 1))
    await desk.run(desk.lasting(LATE_S + 1))

    assert len({delivery.key for delivery in desk.deliveries}) == 2


async def test_a_failure_that_comes_late_is_sent_too(desk: Desk) -> None:
    def work(progress: Progress) -> str:
        desk.clock.now_s += LATE_S + 1
        raise SourceUnreadable("/srv/docs", "there is no such file or folder")

    await desk.run(work)

    assert desk.deliveries[0].reply == Reply(ReplyKind.ERROR, "Cannot read /srv/docs: there is no such file or folder")


@pytest.mark.parametrize(
    "err", [CommandRejected("Not so."), SourceUnreadable("/srv", "it is away"), DatabaseUnavailable("x", "the server is away")]
)
async def test_what_can_go_wrong_is_a_sentence(desk: Desk, err: Exception) -> None:
    def work(progress: Progress) -> str:
        raise err

    assert await desk.run(work) == Notice(str(err), is_problem=True)


async def test_what_must_not_go_wrong_is_a_sentence_with_the_id_of_its_traceback(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    notice = await desk.run(lambda progress: str(1 // 0))

    fault = notice.text.partition("(fault ")[2].partition(")")[0]
    assert notice.is_problem and fault in caplog.text and "ZeroDivisionError" in caplog.text
    assert "division" not in notice.text


async def test_work_whose_result_cannot_be_sent_is_answered_all_the_same(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async def put(delivery: Delivery) -> None:
        raise DatabaseUnavailable("x", "the server is away")

    notice = await LongWork(put, desk.clock).run(ANN, desk.lasting(LATE_S + 1), say_nothing)

    assert notice == Notice("Done.")
    assert "could not be sent" in caplog.text


async def test_work_that_nobody_waits_for_any_more_ends_at_its_next_step(desk: Desk) -> None:
    has_begun, has_ended = threading.Event(), threading.Event()

    def work(progress: Progress) -> str:
        try:
            while True:
                progress("reading handbook", 0, 0)
                has_begun.set()
        finally:
            has_ended.set()

    task = asyncio.create_task(desk.run(work))
    await asyncio.to_thread(has_begun.wait, 30)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(has_ended.wait, 30)
