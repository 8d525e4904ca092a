"""What must never happen to messages, tried on the real process: bursts, kills, repetitions, outages. The local platform's ledger
is the judge; a part only sets the scene and counts.
"""

import asyncio
import json
import os
import random
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.evaluation import quantile
from bot.settings import ModelSettings
from tests.journeys.bot_process import ROOT, BotProcess, write_documents
from tests.journeys.towns import PEOPLE, TOWNS, Asked, Question, Town
from tests.journeys.word_server import WordServer

LOOK_EVERY_S = 0.05
STALLED_S = 120.0  # without any answer for so long, the rest is lost
WITHOUT_MODEL = {"TIMBRE_ANSWER__WORDING": "quote"}
SLOWLY_S = 0.06  # a word; an answer of two sentences then grows for more than a second
ASKED_EVERY_S = 0.7  # while the process is killed again and again
LIVES_S = 6.0  # at most, after it is up
DOWN_QUESTIONS = 10
ASKERS = 8
OVER = {"done", "sent"}
"""The states of messages and replies of which nothing more will come."""


@dataclass(frozen=True)
class Account:
    """What the ledger says. Failed: commands that the platform itself reported as failed, since nobody acknowledged them.

    Problems: what the product sent and the platform does not allow. Wrong: the questions that were lost or doubled. Load: the
    machine's, averaged over a minute, at the end.
    """

    asked: int
    answered: int
    lost: int
    doubled: int
    failed: int
    apologies: int
    problems: int
    wrong: Sequence[str]
    load: float

    @property
    def is_clean(self) -> bool:
        return (self.lost, self.doubled, self.problems) == (0, 0, 0) and self.answered + self.failed == self.asked


@dataclass(frozen=True)
class Burst:
    account: Account
    asked_within_s: float
    answered_within_s: float
    acknowledged: int
    acknowledged_p50_s: float
    acknowledged_p99_s: float
    acknowledged_max_s: float


@dataclass(frozen=True)
class Kills:
    """`cut_off`: wordings that a kill broke off, so that they were begun again. Refused clicks are those that showed nothing."""

    account: Account
    kills: int
    took_s: float
    cut_off: int
    clicks: int
    clicks_refused: int
    clicks_lost: int
    refusals: Sequence[str]


@dataclass(frozen=True)
class Shuffled:
    account: Account
    arrived: int


@dataclass(frozen=True)
class Outage:
    """`while_down`: of the questions asked while the process was down, each answered with an apology."""

    account: Account
    away_s: float
    answered_within_s: float
    while_down: int
    apologies_while_down: int


@dataclass(frozen=True)
class Lag:
    """Milliseconds that /healthz took, of `idle` and `busy` (the model generating for ASKERS) requests, and the difference."""

    account: Account
    idle: int
    idle_p50_ms: float
    idle_p99_ms: float
    busy: int
    busy_p50_ms: float
    busy_p99_ms: float
    lag_p50_ms: float
    lag_p99_ms: float


@asynccontextmanager
async def serving(
    name: str, folder: Path, settings: dict[str, str], greeted: int = PEOPLE
) -> AsyncIterator[tuple[Town, BotProcess]]:
    """A platform, and the product with its documents, running, connected and known to the first `greeted` people."""
    prepared = await _prepared(folder)
    own = folder / f"{name}-{time.monotonic_ns()}"
    shutil.copytree(prepared, own)
    async with TOWNS[name]() as town:
        bot = BotProcess(own, town.environment() | settings)
        try:
            await bot.start()
            await town.settle(greeted)
            yield town, bot
        finally:
            await bot.abandon()


async def burst(name: str, folder: Path, events: int, within_s: float) -> Burst:
    """Everybody asks at once; what the platform calls acknowledged is measured (see `acknowledged`)."""
    async with serving(name, folder, WITHOUT_MODEL) as (town, bot):
        taken_in: dict[str, float] = {}
        looking = asyncio.create_task(_look_into_inbox(bot, taken_in))
        began = time.time()
        for number in range(events):
            await asyncio.sleep(max(0.0, began + number * within_s / events - time.time()))
            await town.ask()
        asked_s = time.time() - began
        await answered(town, bot)
        answered_s = time.time() - began
        looking.cancel()
        waits = sorted(wait for asked in town.ledger() if (wait := acknowledged(asked, taken_in)) is not None)
        return Burst(
            account=account(town),
            asked_within_s=asked_s,
            answered_within_s=answered_s,
            acknowledged=len(waits),
            acknowledged_p50_s=quantile(waits, 0.5),
            acknowledged_p99_s=quantile(waits, 0.99),
            acknowledged_max_s=max(waits, default=0.0),
        )


def acknowledged(asked: Asked, taken_in: dict[str, float]) -> float | None:
    """Seconds until the platform was told; Discord is told nothing about messages: there it is until they are in the inbox."""
    known = asked.acknowledged_after_s
    return known if known is not None or asked.is_command else taken_in.get(asked.key, time.time()) - asked.asked_at


async def kills(name: str, folder: Path, count: int, rng: random.Random) -> Kills:
    """The process is killed while it starts, takes in, words and sends; meanwhile people ask and press Helpful."""
    async with WordServer(SLOWLY_S) as words, serving(name, folder, words.environment()) as (town, bot):
        began = time.monotonic()
        asking = asyncio.create_task(_keep_asking_and_rating(town, rng))
        for _ in range(count):
            if rng.random() < 0.75:
                await bot.up()
            await asyncio.sleep(rng.uniform(0, LIVES_S))
            await bot.kill()
            await bot.launch()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await bot.up()
        await answered(town, bot)
        return Kills(
            account=account(town),
            kills=count,
            took_s=time.monotonic() - began,
            cut_off=words.generations - sum(asked.is_answered for asked in town.ledger()),
            clicks=len(town.clicked),
            clicks_refused=town.unclicked,
            clicks_lost=len(town.clicked - bot.verdicts()),
            refusals=sorted(town.refusals),
        )


async def shuffled(name: str, folder: Path, events: int, rng: random.Random) -> Shuffled:
    """Every event arrives one to four times, in no order."""
    async with serving(name, folder, WITHOUT_MODEL, greeted=0) as (town, bot):
        arrived = await town.shuffled(events, 4, rng)
        await answered(town, bot)
        return Shuffled(account(town), arrived)


async def outage(name: str, folder: Path, events: int, away_s: float) -> Outage:
    """First the platform is away while people ask, then the process is down while they do."""
    async with serving(name, folder, WITHOUT_MODEL, greeted=events + DOWN_QUESTIONS) as (town, bot):
        await town.go_away()
        for _ in range(events):
            await town.ask(("mention", "direct"))
            await asyncio.sleep(away_s / events)
        await town.come_back()
        back_at = time.monotonic()
        await answered(town, bot)
        answered_s = time.monotonic() - back_at
        await bot.stop()
        town.drops_undelivered()
        missed = [await town.ask(("mention", "direct")) for _ in range(DOWN_QUESTIONS)]
        await bot.start()
        await answered(town, bot)
        apologies = sum(town.looked_at(question).is_apologetic for question in missed)
        return Outage(account(town), away_s, answered_s, len(missed), apologies)


async def lag(name: str, folder: Path, seconds: float, max_new_tokens: int = ModelSettings().max_new_tokens) -> Lag:
    """/healthz while nothing happens, then while the built-in model words answers for ASKERS people at once."""
    wording = {"TIMBRE_ANSWER__WORDING": "model", "TIMBRE_MODEL__MAX_NEW_TOKENS": str(max_new_tokens)}
    settings = {**wording, "TIMBRE_CHAT__WORKERS": str(ASKERS)}
    async with serving(name, folder, settings, greeted=0) as (town, bot):
        await town.ask(("mention",))
        await answered(town, bot)  # loads the model
        idle = await _probe(bot, min(seconds, 20.0))
        asking = asyncio.create_task(_keep_busy(town))
        busy = await _probe(bot, seconds)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        await answered(town, bot)
        idle_p50, idle_p99, busy_p50, busy_p99 = (
            1000 * quantile(took, q) for took in (sorted(idle), sorted(busy)) for q in (0.5, 0.99)
        )
        return Lag(
            account=account(town),
            idle=len(idle),
            idle_p50_ms=idle_p50,
            idle_p99_ms=idle_p99,
            busy=len(busy),
            busy_p50_ms=busy_p50,
            busy_p99_ms=busy_p99,
            lag_p50_ms=busy_p50 - idle_p50,
            lag_p99_ms=busy_p99 - idle_p50,
        )


async def answered(town: Town, bot: BotProcess) -> None:
    """Returns when nothing more will come: all is answered, and both boxes are done; or when nothing has come for long."""
    await town.commands_over()
    pending, changed_at = list(town.questions), time.monotonic()
    while time.monotonic() - changed_at < STALLED_S:
        left = [question for question in pending if town.looked_at(question).is_lost]
        if len(left) < len(pending):
            changed_at = time.monotonic()
        if not left and bot.states() <= OVER:
            return
        pending = left
        await asyncio.sleep(LOOK_EVERY_S)


def account(town: Town) -> Account:
    ledger = town.ledger()
    return Account(
        asked=len(ledger),
        answered=sum(asked.is_answered for asked in ledger),
        lost=sum(asked.is_lost for asked in ledger),
        doubled=sum(asked.is_doubled for asked in ledger),
        failed=sum(asked.has_failed for asked in ledger),
        apologies=sum(asked.is_apologetic for asked in ledger),
        problems=len(town.problems),
        wrong=[f"{question.kind} {town.looked_at(question)}" for question in town.questions if _is_wrong(town, question)],
        load=os.getloadavg()[0],
    )


def _is_wrong(town: Town, question: Question) -> bool:
    asked = town.looked_at(question)
    return asked.is_lost or asked.is_doubled


async def _prepared(folder: Path) -> Path:
    """The folder of a product that has read its documents; made once."""
    prepared = folder / "prepared"
    if not prepared.exists():
        documents, making = folder / "documents", folder / "making"
        making.mkdir(parents=True)
        write_documents(documents)
        await BotProcess(making, WITHOUT_MODEL).ingest(documents)
        making.rename(prepared)
    return prepared


async def _look_into_inbox(bot: BotProcess, seen: dict[str, float]) -> None:
    """Notes when each message is there, as well as looking every LOOK_EVERY_S can tell."""
    while True:
        keys, now = bot.taken_in(), time.time()
        seen.update({key: now for key in keys if key not in seen})
        await asyncio.sleep(LOOK_EVERY_S)


async def _keep_asking_and_rating(town: Town, rng: random.Random) -> None:
    """After each question an answer is rated, if there is one that was not."""
    unrated = list[Question]()
    async with asyncio.TaskGroup() as clicks:
        while True:
            unrated.append(await town.ask())
            await asyncio.sleep(rng.uniform(0, 2 * ASKED_EVERY_S))
            ready = [question for question in unrated if question.kind != "command" and town.looked_at(question).is_answered]
            if ready:
                chosen = rng.choice(ready)
                unrated.remove(chosen)
                clicks.create_task(_rate(town, chosen))


async def _rate(town: Town, question: Question) -> None:
    await town.click_helpful(question)


async def _keep_busy(town: Town) -> None:
    """ASKERS people, each of whom asks again when the answer is there."""

    async def ask() -> None:
        while True:
            question = await town.ask(("mention",))
            while town.looked_at(question).is_lost:
                await asyncio.sleep(LOOK_EVERY_S)

    await asyncio.gather(*(ask() for _ in range(ASKERS)))


async def _probe(bot: BotProcess, seconds: float) -> Sequence[float]:
    """Seconds of each request."""
    command = [sys.executable, "-m", "tests.journeys.health_probe", bot.health_url, str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    out, _ = await process.communicate()
    assert process.returncode == 0
    found: list[float] = json.loads(out)
    return found
