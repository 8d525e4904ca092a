"""The bot among people, without an account: a local server that speaks Slack or Discord, and the real `timbre serve`.

Run by `make demo PLATFORM=slack` or `PLATFORM=discord`. State lives below TIMBRE_HOME and is made anew each time. What
differs between the platforms is in the stage of each; the story is told here.
"""

import argparse
import asyncio
import importlib
import os
import re
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from bot.main import build
from bot.messages import PersonId
from bot.people import Role, RoleBook
from bot.settings import load
from bot.sources import Sources
from bot.storage.people import PeopleStore

HANDBOOK = Path(__file__).parent / "handbook"
QUESTION = "How many days of annual leave do I get?"
FOLLOW_UP = "And how many of those can I carry over?"
UNANSWERABLE = "Can I bring my dog to the office?"
OUTDATED = "What is the Wi-Fi network for guests called, and how do they get the code?"
CORRECTION = "The guest network is now called Tarnwick-Visitors. Guests scan the QR code on the reception desk, without a slip."
PARAPHRASE = "My visitor needs the wifi, what is the guest network's name?"
OWN = "Who do I tell that my laptop was stolen?"
ANA, BEN, CARLA = "Ana", "Ben", "Carla"

MAX_WIDTH = 110
SPEAKER = re.compile(r"(\w+)(?: \([^()]*\))*: ")  # of a line in a transcript, with remarks such as (edited)
CONNECTED_WITHIN_S = 45
ENDED_WITHIN_S = 20
Said = Any
"""A message of the bot, as its stage knows it."""

console = Console(highlight=False)


class Stage(Protocol):
    """Ana, Ben and Carla on a local server, in one channel with the bot. Each method returns when they see what came of it.

    TimeoutError where nothing comes; its message says what was awaited.
    """

    platform: str
    channel: str
    """Its name, as people write it."""
    support: PersonId
    """Carla, who is to be support staff."""

    def environment(self) -> Mapping[str, str]:
        """The settings with which the bot finds this server."""

    async def bot_arrived(self) -> None: ...

    async def ask(self, person: str, text: str) -> Said:
        """They mention the bot in the channel; the whole answer."""

    async def follow_up(self, person: str, answer: Said, text: str) -> Said:
        """They write below the answer, without a mention; the next answer."""

    async def ask_privately(self, person: str, text: str) -> Said:
        """`/ask`: the answer that only they see."""

    async def ask_a_person(self, person: str, answer: Said) -> Said:
        """They press "Ask a person"; the bot's call for support."""

    async def say(self, person: str, answer: Said, text: str) -> None:
        """They write below the answer; the bot does not answer."""

    async def resolve(self, person: str, call: Said) -> None: ...

    async def not_helpful(self, person: str, answer: Said, reason: str, right: str = "") -> Said:
        """They press "Not helpful" and fill in the form; the bot's thanks, which only they see."""

    async def receipt(self, person: str) -> Said:
        """The last that the bot wrote to them directly."""

    def read(self, said: Said) -> str:
        """The message as people read it."""

    def transcript(self) -> str:
        """The channel as people see it, and what each was told in private."""


def open_stage(platform: str) -> AbstractAsyncContextManager[Stage]:
    module = importlib.import_module(f"samples.{platform}_stage")
    stage: AbstractAsyncContextManager[Stage] = module.open_stage()
    return stage


async def main() -> int:
    """The exit code: 1, with a sentence, when something does not come as it should."""
    parser = argparse.ArgumentParser(description="Timbre talking on a local server.")
    parser.add_argument("platform", choices=("slack", "discord"))
    platform = parser.parse_args().platform
    console.width = min(console.width, MAX_WIDTH)
    started = time.perf_counter()
    home = _fresh_home(platform)
    try:
        async with open_stage(platform) as stage:
            heading(f"1  A local {stage.platform}: Ana, Ben, Carla and the bot are in {stage.channel}")
            _read_handbook(stage)
            async with _bot(stage, home):
                await _play(stage)
            heading("The conversation as people see it")
            show(stage.transcript())
    except (TimeoutError, ChildProcessError, AssertionError) as err:
        console.print(Text(f"\nThe demo broke off: {err}", style="bold red"))
        show(_log(home))
        return 1
    console.print(Text(f"\nThat took {time.perf_counter() - started:.0f} s. The bot ended in good order.", style="dim"))
    return 0


async def _play(stage: Stage) -> None:
    heading("2  Ask in the channel, then follow up in the thread without a mention")
    answer = await said(stage, ANA, QUESTION, stage.ask(ANA, QUESTION))
    await said(stage, ANA, FOLLOW_UP, stage.follow_up(ANA, answer, FOLLOW_UP))

    heading("3  Ask what no document answers: a person takes over")
    unknown = await said(stage, BEN, UNANSWERABLE, stage.ask(BEN, UNANSWERABLE))
    call = await done(stage, "Ben presses “Ask a person”", stage.ask_a_person(BEN, unknown))
    await stage.say(CARLA, unknown, "Dogs are fine on Fridays, in the workshop only.")
    narrate("Carla, who is support, writes: Dogs are fine on Fridays, in the workshop only.")
    await stage.resolve(CARLA, call)
    narrate("Carla presses “Resolved”")

    heading("4  An answer is out of date: two people say so, one of them knows better")
    outdated = await said(stage, ANA, OUTDATED, stage.ask(ANA, OUTDATED))
    await done(stage, "Ana presses “Not helpful”, reason: outdated", stage.not_helpful(ANA, outdated, "outdated"))
    correcting = stage.not_helpful(CARLA, outdated, "outdated", CORRECTION)
    await done(stage, f"Carla presses “Not helpful” and writes the right answer: {CORRECTION}", correcting)
    await done(stage, "Ana hears what became of it, in private", stage.receipt(ANA))

    heading("5  The next person asks in other words and gets the correction")
    corrected = await said(stage, BEN, PARAPHRASE, stage.ask(BEN, PARAPHRASE))
    assert "Tarnwick-Visitors" in stage.read(corrected), "the correction was not found"

    heading("6  For one's own eyes: /ask")
    await said(stage, BEN, f"/ask {OWN}", stage.ask_privately(BEN, OWN))


async def said(stage: Stage, person: str, text: str, answering: Awaitable[Said]) -> Said:
    """Shows the question, and its answer with the time that it took."""
    return await done(stage, f"{person}: {text}", answering)


async def done(stage: Stage, what: str, doing: Awaitable[Said]) -> Said:
    """Shows what somebody does, and what they see."""
    narrate(what)
    started = time.perf_counter()
    found = await doing
    lines = stage.read(found).splitlines()
    console.print(Text(f"  Timbre, after {time.perf_counter() - started:.1f} s:", style="dim"))
    show("\n".join(f"    {line}" for line in lines), style="cyan")
    return found


def heading(text: str) -> None:
    console.print()
    console.print(Rule(Text(text, style="bold"), align="left"))


def narrate(text: str) -> None:
    show(f"› {text}", style="bold")


def show(text: str, style: str = "") -> None:
    for line in text.splitlines():
        console.print(Text("\n".join(wrapped(line, console.width)), style=style))


def wrapped(line: str, width: int) -> list[str]:
    """The line in pieces that fit; those after the first hang below where its words begin (pure)."""
    margin = len(line) - len(line.lstrip())
    speaker = SPEAKER.match(line.strip())
    hang = margin + (len(speaker[1]) + 2 if speaker else 2)
    return textwrap.wrap(line, width, subsequent_indent=" " * hang, break_long_words=True) or [""]


def _fresh_home(platform: str) -> Path:
    """An empty TIMBRE_HOME below the demo's, which the settings of this process name too."""
    home = Path(os.environ.get("TIMBRE_HOME") or ".timbre-demo").absolute() / f"chat-{platform}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ["TIMBRE_HOME"] = str(home)
    return home


def _read_handbook(stage: Stage) -> None:
    """Indexes the sample handbook, and makes Carla support staff."""
    timbre = build(load(), lambda _: None)
    sources = Sources(timbre.knowledge)
    report = sources.ingest(sources.describe(str(HANDBOOK), "handbook", None), lambda *_: None)
    RoleBook(PeopleStore(timbre.database), "").grant(stage.support, Role.SUPPORT, "demo")
    timbre.knowledge.index.close()
    timbre.database.close()
    narrate(f"The handbook of the fictional Tarnwick Instruments is read: {report.added} pages. Carla is made support.")


@asynccontextmanager
async def _bot(stage: Stage, home: Path) -> AsyncIterator[None]:
    """`timbre serve` in a process of its own, ended by SIGTERM. ChildProcessError when it ends by itself, or badly."""
    with (home / "serve.log").open("wb") as log:
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "serve"),
            env=os.environ | dict(stage.environment()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        await _while_alive(bot, stage.bot_arrived())
        narrate(f"timbre serve (process {bot.pid}) is connected.")
        yield
        heading("7  SIGTERM: what is under way is finished, then the bot ends")
    finally:
        if bot.returncode is None:
            bot.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ENDED_WITHIN_S):
            status = await bot.wait()
    if status:
        raise ChildProcessError(f"timbre serve ended with status {status}")


async def _while_alive(bot: asyncio.subprocess.Process, arriving: Awaitable[None]) -> None:
    """Waits for it, as long as the process lives."""
    arrived, ended = asyncio.ensure_future(arriving), asyncio.create_task(bot.wait())
    await asyncio.wait({arrived, ended}, timeout=CONNECTED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not arrived.done():
        arrived.cancel()
        raise ChildProcessError("timbre serve ended" if bot.returncode is not None else "timbre serve does not connect")
    await arrived


def _log(home: Path) -> str:
    """The end of what the bot said."""
    log = home / "serve.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
