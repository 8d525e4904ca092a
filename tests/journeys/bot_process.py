"""`python -m bot serve` as a process of its own, which is started, killed and ended for real, with the documents that it answers
from."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import aiohttp

from scripts.servers import any_free_ports

ROOT = Path(__file__).parents[2]
CITIES = (
    "Lisbon Oslo Vienna Dublin Warsaw Athens Madrid Prague Riga Tallinn Zagreb Sofia Bern Nicosia Valletta Turin Ghent Malmo "
    "Porto Bergen Graz Cork Gdansk Split"
).split()
LOOK_EVERY_S = 0.05
UP_WITHIN_S = 120.0


def closing_time(city: str) -> str:
    """What the documents say about a city; no two say the same."""
    return f"{16 + CITIES.index(city) % 4}:{11 + CITIES.index(city):02d}"


def question_about(city: str) -> str:
    return f"When does the {city} office close?"


def write_documents(folder: Path) -> None:
    """One short page a city, so that every answer is one message."""
    folder.mkdir()
    for city in CITIES:
        text = (
            f"# The {city} office\n\nThe {city} office closes at {closing_time(city)} on working days. "
            f"Whoever stays longer in the {city} office tells the reception before lunch.\n"
        )
        (folder / f"{city.lower()}.md").write_text(text)


class BotProcess:
    """The product with a TIMBRE_HOME of its own in `folder`; `settings` are its environment."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.home = folder / "home"
        self.log = folder / "serve.log"
        (self._port,) = any_free_ports(1)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
        own = {"TIMBRE_HOME": str(self.home), "TIMBRE_CHAT__HEALTH_PORT": str(self._port), "TIMBRE_LOG_LEVEL": "INFO"}
        self._environment = {**inherited, **own, **settings}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def health_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/healthz"

    async def ingest(self, documents: Path) -> None:
        """Fills the index, in a process of its own as well."""
        process = await self._run("ingest", str(documents))
        assert await process.wait() == 0, self.log.read_text()

    async def start(self) -> float:
        """Returns once messages reach it; how many seconds that took."""
        began = time.monotonic()
        await self.launch()
        await self.up()
        return time.monotonic() - began

    async def launch(self) -> None:
        """Starts it and waits for nothing."""
        self._process = await self._run("serve")

    async def up(self) -> None:
        """Waits until messages reach it. AssertionError with its log where it ended instead."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(UP_WITHIN_S):
            while not await self._is_ready(session):
                assert self._process and self._process.returncode is None, self.log.read_text()[-5000:]
                await asyncio.sleep(LOOK_EVERY_S)

    async def kill(self) -> None:
        """kill -9, of the whole process."""
        assert self._process
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> float:
        """An orderly end; how many seconds it took. AssertionError where it did not end well."""
        assert self._process
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        assert await self._process.wait() == 0, self.log.read_text()[-5000:]
        return time.monotonic() - began

    async def abandon(self) -> None:
        """Whatever state it is in."""
        if self._process and self._process.returncode is None:
            await self.kill()

    def verdicts(self) -> set[tuple[str, str]]:
        """(exchange, person) of every row of feedback."""
        return {(exchange, person) for exchange, person in self._rows("SELECT exchange_id, given_by FROM feedback")}

    def taken_in(self) -> set[str]:
        """The keys in the inbox."""
        return {key for (key,) in self._rows("SELECT key FROM inbox")}

    def states(self) -> set[str]:
        """The states of messages and replies, of each one that occurs."""
        return {state for (state,) in self._rows("SELECT state FROM inbox UNION SELECT state FROM outbox")}

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(f"file:{self.home / 'timbre.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    async def _run(self, *arguments: str) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", *arguments, env=self._environment, cwd=ROOT, stdout=log, stderr=log
            )

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(self.health_url.replace("healthz", "readyz")) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
