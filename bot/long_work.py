"""Work that takes longer than a command may: in a thread, with its progress told, and a result that arrives however late."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

from bot.errors import BotError, DatabaseUnavailable, DeliveryRefused, PlatformUnavailable, fault_id
from bot.messages import Notice, Person, Reply, ReplyKind, direct_delivery
from bot.ports import Put
from knowledge.errors import KnowledgeError
from knowledge.ingestion import Progress
from training.errors import TrainingError

logger = logging.getLogger(__name__)

PROGRESS_S = 2.0  # between two reports of progress
LATE_S = 600.0  # platforms take the answer to a command for 15 minutes; a result this late goes out as a message too

Say = Callable[[Notice], Awaitable[None]]
"""Shows the person, and nobody else, how far the work is, in place of what was said before."""
Work = Callable[[Progress], str]
"""Runs in a thread; gives the result in words."""


async def say_nothing(notice: Notice) -> None:
    """For where progress cannot be shown."""


class LongWork:
    """Runs work; `put` sends the results that come late."""

    def __init__(self, put: Put, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._put = put
        self._clock_s = clock_s

    async def run(self, person: Person, work: Work, say: Say) -> Notice:
        """The result, or what went wrong, in words.

        When this task is cancelled, the work ends at the next step that it reports; ingestion goes on from there next time.
        """
        started_s, shown = self._clock_s(), _Shown()
        job = asyncio.ensure_future(asyncio.to_thread(_done, work, shown))
        try:
            await _say_progress(job, shown, say)
        finally:
            shown.is_over = True
        notice = job.result()
        if self._clock_s() - started_s > LATE_S:
            await self._deliver(person, notice)
        return notice

    async def _deliver(self, person: Person, notice: Notice) -> None:
        """To the person alone: what an admin is told is not for the channel."""
        kind = ReplyKind.ERROR if notice.is_problem else ReplyKind.NOTICE
        try:
            await self._put(direct_delivery(f"command:{uuid4().hex}", person.id, Reply(kind, notice.text)))
        except DatabaseUnavailable as err:
            logger.error("The result of a command of %s could not be sent: %s", person.id, err)


def progress_text(what: str, done: int, total: int) -> str:
    """`Reading handbook: 120 of 246 files` (pure)."""
    unit = " files" if what.startswith("reading ") else ""
    return what[:1].upper() + what[1:] + (f": {done:,} of {total:,}{unit}" if total else "")


class _Stopped(Exception):
    """The task that waits for the work was cancelled."""


class _Shown:
    """How far the work is, written by its thread and read by its task."""

    def __init__(self) -> None:
        self.text = ""
        self.is_over = False

    def __call__(self, what: str, done: int, total: int) -> None:
        if self.is_over:
            raise _Stopped
        self.text = progress_text(what, done, total)


async def _say_progress(job: "asyncio.Future[Notice]", shown: _Shown, say: Say) -> None:
    """Until the job is done; what cannot be said is not said."""
    said = ""
    while not (await asyncio.wait({job}, timeout=PROGRESS_S))[0]:
        if shown.text != said:
            said = shown.text
            with suppress(PlatformUnavailable, DeliveryRefused):
                await say(Notice(said))


def _done(work: Work, shown: _Shown) -> Notice:
    try:
        return Notice(work(shown))
    except (BotError, KnowledgeError, TrainingError) as err:
        return Notice(str(err), is_problem=True)
    except _Stopped:
        logger.info("Long work was stopped; what it has done is kept")
        return Notice("This was stopped; what was done so far is kept.", is_problem=True)
    except Exception:  # the outermost place of one job: the person gets a sentence and an id, the log the traceback
        fault = fault_id()
        logger.exception("Long work failed, fault %s", fault)
        return Notice(f"Something went wrong (fault {fault}); the log has it under this id.", is_problem=True)
