"""Weaviate and Postgres as processes of one's own: their commands, their folders, their start and end.

Used by `make services` and by the tests, which start private ones to kill. Standard library only; knows nothing of Timbre.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0  # Weaviate takes 8 to 13 s, most of it an election, and longer on a busy machine
STOP_TIMEOUT_S = 30.0
POLL_S = 0.1
LOG_TAIL_LINES = 15
NEVER_GIVEN_PORTS = range(20_000, 32_768)  # Linux gives those above to whoever asks for any

DATABASE = "timbre"
POSTGRES_USER = "timbre"
UNPRIVILEGED_USER = "postgres"  # made by Debian's package; Postgres refuses to run as root
PID_FILE_STATE_LINE = 7  # of postmaster.pid, from 0; what pg_ctl --wait reads
STILL_ENDING = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')  # a killed server's remains
INITDB_OPTIONS = (
    "--username", POSTGRES_USER, "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync",
)  # fmt: skip


class ServerFailed(Exception):
    """A server cannot be installed, started or stopped; the text says why and what to do."""


def is_free(port: int) -> bool:
    """Whether a server may listen on the port, of this machine and of all addresses (Weaviate's gRPC takes those)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def any_free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on, and that the system gives to nobody by itself before they are used."""
    free = filter(is_free, random.SystemRandom().sample(NEVER_GIVEN_PORTS, len(NEVER_GIVEN_PORTS)))
    return list(islice(free, count))


@dataclass(frozen=True)
class Identity:
    """What tells a process from a later one that got the same number."""

    pid: int
    started: str
    command: str


def identify(pid: int) -> Identity | None:
    """The process as it is now; None when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    is_dead = stat[0] in "ZX"  # its parent has yet to hear of it
    return None if is_dead else Identity(pid, stat[19], command)


def _identity_of(child: "subprocess.Popen[bytes]") -> Identity:
    """The identity of a child that was just started. Its command line is empty until the kernel has loaded the program."""
    while (identity := identify(child.pid)) and not identity.command:
        time.sleep(POLL_S / 10)
    return identity or Identity(child.pid, "", "")


class Process:
    """A server process whose number is in a file, so that a later run finds it again and ends no other."""

    def __init__(self, folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str], **options: Any) -> None:
        """Starts it in a session of its own, so that the terminal's Ctrl-C does not reach it."""
        with private_file(self.log, "ab") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True, **options
            )
        with private_file(self._pid_file) as file:
            json.dump(asdict(_identity_of(self._child)), file)

    def running(self) -> int | None:
        """Its number while it runs; a process that only has the same number is not it."""
        try:
            recorded = Identity(**json.loads(self._pid_file.read_text()))
        except (FileNotFoundError, TypeError, ValueError):  # never started, or ended while it was being started
            return None
        if identify(recorded.pid) == recorded:
            return recorded.pid
        if self._child:
            self._child.wait()  # so that it is no zombie; its threads may take a moment more
        return None

    def stop(self, clean_signal: signal.Signals) -> bool:
        """Asks it to end, then kills it; False when it was not running."""
        if (pid := self.running()) is None:
            return False
        os.kill(pid, clean_signal)
        if not self._ends_within(STOP_TIMEOUT_S):
            self.kill_9()
        self._pid_file.unlink(missing_ok=True)
        return True

    def kill_9(self) -> None:
        """Ends it as a crash would, and waits until it is gone."""
        if (pid := self.running()) is not None:
            os.kill(pid, signal.SIGKILL)
            self._ends_within(STOP_TIMEOUT_S)

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self, start: int = 0) -> str:
        """The last lines that it wrote after the first `start` bytes."""
        written = self.log.read_bytes()[start:] if self.log.exists() else b""
        return "\n".join(written.decode(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def _ends_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.running() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True


@dataclass(frozen=True)
class WeaviatePorts:
    """Where a Weaviate listens: REST and gRPC for clients, the others for its cluster of one."""

    rest: int
    grpc: int
    gossip: int
    data: int
    raft: int
    raft_rpc: int


class WeaviateServer:
    """Weaviate with an API key, its data and its log under `folder`."""

    def __init__(self, binary: Path, folder: Path, ports: WeaviatePorts, api_key: str) -> None:
        self.ports = ports
        self.api_key = api_key
        self.process = Process(folder, "weaviate")
        self._binary = binary
        self._folder = folder

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.ports.rest}"

    @property
    def grpc_port(self) -> int:
        return self.ports.grpc

    def start(self) -> None:
        """Starts it and waits until it is ready; does nothing while it runs. Raises ServerFailed with the end of its log."""
        if self.process.running() is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            command = [str(self._binary), "--host", HOST, "--port", str(self.ports.rest), "--scheme", "http"]
            self.process.start(command, os.environ | self._environment())
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_for("Weaviate", self.process, self.is_ready)

    def is_ready(self) -> bool:
        """Whether it answers, and it is this one: no other knows the key."""
        return self._answers("/v1/.well-known/ready") and self._answers("/v1/meta")

    def _answers(self, path: str) -> bool:
        request = urllib.request.Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.api_key}"})
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> bool:
        return self.process.stop(signal.SIGTERM)

    def kill_9(self) -> None:
        self.process.kill_9()

    def _environment(self) -> dict[str, str]:
        return {
            "PERSISTENCE_DATA_PATH": str(self._folder / "weaviate"),
            "GRPC_PORT": str(self.ports.grpc),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.api_key,
            "AUTHENTICATION_APIKEY_USERS": "timbre",
            "CLUSTER_HOSTNAME": "timbre",  # part of the data: a machine that gets another name must find it again
            "CLUSTER_BIND_ADDR": HOST,
            "CLUSTER_ADVERTISE_ADDR": HOST,
            "CLUSTER_GOSSIP_BIND_PORT": str(self.ports.gossip),
            "CLUSTER_DATA_BIND_PORT": str(self.ports.data),
            "RAFT_PORT": str(self.ports.raft),
            "RAFT_INTERNAL_RPC_PORT": str(self.ports.raft_rpc),
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_ENABLE_ONE_NODE_RECOVERY": "true",  # its ports may be others the next time
            "GO_PROFILING_DISABLE": "true",
            "DISABLE_TELEMETRY": "true",
            "GOGC": "400",  # the garbage of a search is small; collected four times as rarely, the slowest searches halve
            "DISK_USE_READONLY_PERCENTAGE": "0",  # a developer's disk may be fuller than the 90 % of a server's
        }


class PostgresServer:
    """Postgres with a password, its data and its log under `folder`, apart from the system's own clusters.

    It writes without fsync, which makes a new database in 40 ms, not in 200, and drops it in 20, not in 1,500: what was
    committed survives the death of the process, though not of the machine.

    Called by root it runs as an ordinary user. That user need not be able to enter the folders above: the data folder is
    handed over as an open file.
    """

    def __init__(self, binaries: Path, folder: Path, port: int, password: str) -> None:
        self.port = port
        self.password = password
        self.process = Process(folder, "postgres")
        self._binaries = binaries
        self._folder = folder

    def url(self, database: str = DATABASE) -> str:
        return postgres_url(self.password, self.port, database)

    def start(self) -> None:
        """Makes the data folder where there is none, starts it and waits until it is ready; does nothing while it runs.

        Raises ServerFailed with the end of its log.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._data.exists():
            self._make_data()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self.process.running() is None:
            before = self.process.log_size()
            self._launch()
            try:
                self.wait_until_ready()
            except ServerFailed:
                is_ending = any(words in self.process.log_tail(before) for words in STILL_ENDING)
                if not is_ending or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_for("Postgres", self.process, self.is_ready)

    def is_ready(self) -> bool:
        """Whether it says so itself: another one on the same port would answer too."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return lines[0] == str(self.process.running()) and lines[PID_FILE_STATE_LINE : PID_FILE_STATE_LINE + 1] == ["ready   "]

    def stop(self) -> bool:
        return self.process.stop(signal.SIGINT)  # Postgres' "fast" shutdown: sessions are ended, data is written

    def kill_9(self) -> None:
        self.process.kill_9()

    @property
    def _data(self) -> Path:
        return self._folder / "postgres"

    def _launch(self) -> None:
        options = {"port": self.port, "listen_addresses": HOST, "unix_socket_directories": "", "fsync": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with _entered(self._data) as (path, how):
            self.process.start([str(self._binaries / "postgres"), "-D", path, *settings], _plain_environment(), **how)

    def _make_data(self) -> None:
        unfinished = self._data.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(unfinished, UNPRIVILEGED_USER, UNPRIVILEGED_USER)
        statements = f"ALTER ROLE {POSTGRES_USER} PASSWORD '{self.password}';\nCREATE DATABASE {DATABASE};\n"
        with _entered(unfinished) as (path, how):
            self._run(["initdb", "-D", path, *INITDB_OPTIONS], "", how)
            self._run(["postgres", "--single", "-D", path, "postgres"], statements, how)
        unfinished.rename(self._data)

    def _run(self, command: list[str], text: str, how: Mapping[str, Any]) -> None:
        command = [str(self._binaries / command[0]), *command[1:]]
        done = subprocess.run(command, input=text, env=_plain_environment(), capture_output=True, text=True, check=False, **how)
        if done.returncode or "ERROR:" in done.stderr:
            raise ServerFailed(f"Postgres' data folder cannot be made: {done.stderr.strip()}")


def postgres_url(password: str, port: int, database: str = DATABASE) -> str:
    return f"postgresql+psycopg://{POSTGRES_USER}:{password}@{HOST}:{port}/{database}"


def find_postgres() -> Path | None:
    """The folder with the binaries of the newest Postgres that is installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return installed[-1].parent if installed else Path(on_path).resolve().parent if on_path else None


def wait_for(name: str, process: Process, is_ready: Callable[[], bool], timeout_s: float = START_TIMEOUT_S) -> None:
    """Returns when the server is ready. Raises ServerFailed with the end of its log when it ends or takes too long."""
    deadline = time.monotonic() + timeout_s
    while True:
        if process.running() is None:
            raise ServerFailed(f"{name} ended while it started. The end of {process.log}:\n{process.log_tail()}")
        if is_ready():
            return
        if time.monotonic() > deadline:
            process.kill_9()
            late = f"{name} is not ready after {timeout_s:.0f} s."
            raise ServerFailed(f"{late} The end of {process.log}:\n{process.log_tail()}")
        time.sleep(POLL_S)


def private_file(path: Path, mode: str = "w") -> Any:
    """Opens a file that only its owner may read."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))


@contextmanager
def _entered(data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(how a Postgres binary names the data folder, the options of the process that runs it)."""
    if os.geteuid() != 0:
        yield str(data), {}
        return
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        user = {"user": UNPRIVILEGED_USER, "group": UNPRIVILEGED_USER, "extra_groups": []}
        yield f"/proc/self/fd/{folder}", {**user, "pass_fds": [folder], "cwd": "/"}
    finally:
        os.close(folder)


def _plain_environment() -> dict[str, str]:
    """Without PGPORT, PGDATA and their like."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
