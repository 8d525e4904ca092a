"""Run folders: what is wanted, how it goes, and that one runs at a time. Knows nothing of what a run does.

`request.json` is written once, `status.json` replaced as a whole, `log.jsonl` grows by a line a step. Who runs holds the lock of
the folder of all runs, which ends with the process, however that ends; so a state that says "training" is believed only then.
"""

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from training import checkpoints
from training.errors import RunRefused
from training.forecast import Budget

State = Literal[
    "waiting", "forecasting", "forecast", "training", "trained", "judging", "passed", "refused", "failed", "stopped"
]  # fmt: skip
WORKING: Sequence[State] = ("waiting", "forecasting", "training", "judging")
CONTINUABLE: Sequence[State] = (*WORKING, "stopped")
ENDS: Mapping[State, State] = {"forecasting": "forecast", "training": "trained"}
"""What a run is that ends in such a state, since nothing more was wanted."""
HEARTBEAT_S = 2.0
LOCK = ".lock"
STOP = "stop"


@dataclass(frozen=True)
class Request:
    """What a run is to do. `dataset`: a folder. `base`: a folder or a Hugging Face id. `overrides`: of the recipe's fields.

    `base_name` is what the settings call the base; `engine` names the function that tells judges of the engine
    (`gating.EngineOf`), empty where the LoRA is not to be judged; `max_new_tokens`: of an answer.

    `is_forecast`: nothing but the forecast. `is_promoted`: a release that passes serves at once.
    """

    dataset: str
    base: str
    budget: Budget
    base_name: str = ""
    engine: str = ""
    max_new_tokens: int = 120
    threads: int = 1
    seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    is_forecast: bool = False
    is_promoted: bool = False


@dataclass(frozen=True)
class Status:
    """How a run goes. `why`: the reason of its state; `forecast` in words; `release`: what came of it; `report`: the page on it.

    All are empty where there is none yet.
    """

    state: State
    step: int = 0
    steps: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    tokens_per_s: float = 0.0
    seconds_left: float | None = None
    pid: int = 0
    heartbeat_at: str = ""
    why: str = ""
    forecast: str = ""
    recipe: Sequence[str] = ()
    release: str = ""
    report: str = ""


@dataclass(frozen=True)
class Run:
    """A run folder as it stands. `is_alive`: whether its process is at work."""

    folder: Path
    request: Request
    status: Status
    is_alive: bool

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def is_cut_off(self) -> bool:
        """Whether its process ended without saying so."""
        return self.status.state in WORKING and not self.is_alive

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "dataset": Path(self.request.dataset).name, "is_alive": self.is_alive, **asdict(self.status)}


def create(runs: Path, request: Request) -> Path:
    """A new run folder, waiting to be run."""
    folder = runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    write_status(folder, Status("waiting"))
    _write_json(folder / "request.json", asdict(request))
    return folder


def to_continue(runs: Path, request: Request) -> Path | None:
    """The last run for just this request, if it was cut off or stopped."""
    last = next(iter(all_runs(runs)), None)
    is_same = last is not None and last.request == request and not last.is_alive
    return last.folder if last and is_same and last.status.state in CONTINUABLE else None


def all_runs(runs: Path) -> list[Run]:
    """Newest first; folders that are not whole are left out."""
    found = []
    for folder in sorted((path for path in runs.glob("[0-9]*") if path.is_dir()), reverse=True):
        try:
            found.append(read(folder))
        except RunRefused:
            continue
    return found


def read(folder: Path) -> Run:
    """Raises RunRefused when the folder holds no run."""
    try:
        request = json.loads((folder / "request.json").read_text("utf-8"))
        status = Status(**json.loads((folder / "status.json").read_text("utf-8")))
        request = Request(**{**request, "budget": Budget(**request["budget"])})
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise RunRefused(f"{folder} holds no run.") from err
    assert status.state in get_args(State)
    return Run(folder, request, status, running(folder.parent) == folder.name)


def running(runs: Path) -> str:
    """The id of the run that is at work, empty when none is."""
    try:
        with (runs / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
    except FileNotFoundError:
        pass
    return ""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Holds the lock while the run is at work. Raises RunRefused when another is."""
    with (folder.parent / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            file.seek(0)
            raise RunRefused(f"The run {file.read().strip()} is at work; wait for it, or `timbre train stop`.") from err
        file.truncate(0)
        file.write(folder.name)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def request_stop(folder: Path) -> None:
    """The run ends after the step that it is at."""
    (folder / STOP).touch()


def should_stop(folder: Path) -> bool:
    return (folder / STOP).exists()


def write_status(folder: Path, status: Status) -> None:
    """Replaces the status, with this process and this moment."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _write_json(folder / "status.json", asdict(replace(status, pid=os.getpid(), heartbeat_at=now)))


class Telling:
    """Keeps `status.json` of a run that is at work up to date: at every change, and as a heartbeat in between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self.status = read(folder).status

    def __enter__(self) -> "Telling":
        (self._folder / STOP).unlink(missing_ok=True)
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def tell(self, **changes: Any) -> None:
        """Changes fields of the status. A full disk costs the news, not the run."""
        with self._lock:
            self.status = replace(self.status, **changes)
            self._write()

    def log(self, line: Mapping[str, Any]) -> None:
        with (self._folder / "log.jsonl").open("a") as file:
            file.write(f"{json.dumps(line)}\n")

    def _beat(self) -> None:
        while not self._is_over.wait(HEARTBEAT_S):
            with self._lock:
                self._write()

    def _write(self) -> None:
        try:
            write_status(self._folder, self.status)
        except OSError:
            return


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    checkpoints.write(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
