"""Parses files in a child process with memory and CPU limits, so that no file can take the bot down with it."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType
from typing import Any

from knowledge.documents import Block, ParsedDocument, Section
from knowledge.errors import ParseFailed

logger = logging.getLogger(__name__)

DEFAULT_MEMORY_BYTES = 2**30
DEFAULT_CPU_S = 30
TEMPORARY_PREFIX = "timbre-parse-"
WALL_FACTOR = 4  # a child that waits rather than works is ended after this many times its CPU limit


class ParsingSandbox:
    """Owns one child process, started at first use and again after a file has killed it. Close it, or use `with`."""

    def __init__(self, memory_bytes: int = DEFAULT_MEMORY_BYTES, cpu_s: int = DEFAULT_CPU_S) -> None:
        self._memory_bytes = memory_bytes
        self._cpu_s = cpu_s
        self._child: subprocess.Popen[str] | None = None

    @property
    def limits(self) -> str:
        """Names the limits: a file that was beyond others may be within these."""
        return f"{self._memory_bytes} bytes, {self._cpu_s} s"

    def __enter__(self) -> "ParsingSandbox":
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def parse(self, data: bytes, location: str) -> ParsedDocument:
        """The document in `data`. Raises ParseFailed with a reason, also when the child dies of the file."""
        with tempfile.NamedTemporaryFile(prefix=TEMPORARY_PREFIX) as file:
            flock(file, LOCK_EX)
            file.write(data)
            file.flush()
            reply = self._ask({"path": file.name, "location": location})
        if "reason" in reply:
            raise ParseFailed(str(reply["reason"]))
        return _document(reply["document"])

    def close(self) -> None:
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        child = self._child or self._start()
        assert child.stdin
        assert child.stdout
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
            line = child.stdout.readline() if self._is_ready(child) else ""
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            raise ParseFailed(self._bury(child, Path(request["location"]).suffix))
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _start(self) -> subprocess.Popen[str]:
        _remove_leftovers()
        # -P: no module of the working folder is run; no key of ours is in the environment
        command = [sys.executable, "-P", "-m", "knowledge.parsing.worker", str(self._memory_bytes), str(self._cpu_s)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        return self._child

    def _is_ready(self, child: subprocess.Popen[str]) -> bool:
        assert child.stdout
        with DefaultSelector() as selector:
            selector.register(child.stdout, EVENT_READ)
            return bool(selector.select(timeout=self._cpu_s * WALL_FACTOR))

    def _bury(self, child: subprocess.Popen[str], ending: str) -> str:
        """Ends the child and says what the file did to it."""
        is_hung = child.poll() is None and not self._exits_soon(child)
        self.close()
        status = child.returncode
        logger.warning("the parser process died of a %s file (status %s)", ending, status)
        if is_hung or status in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"Parsing took more than {self._cpu_s} s or too much memory; make the file smaller or split it."
        return "The file made the parser crash; open and save it again, or convert it."

    def _exits_soon(self, child: subprocess.Popen[str]) -> bool:
        try:
            child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return False
        return True


def _remove_leftovers() -> None:
    """Removes the copies of files that processes left behind which were killed: nobody holds their lock any more."""
    for path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError), path.open("rb") as file:  # locked, another user's, or gone in the meantime
            flock(file, LOCK_EX | LOCK_NB)
            path.unlink()


def _document(raw: dict[str, Any]) -> ParsedDocument:
    sections = tuple(
        Section(tuple(s["heading_path"]), s["anchor"], tuple(Block(**block) for block in s["blocks"])) for s in raw["sections"]
    )
    return ParsedDocument(raw["title"], sections, tuple(raw["keywords"]))
