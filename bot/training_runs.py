"""Training runs as an operator sees them: start, follow, forecast, stop. Each is a process of its own (`python -m training`).

The process outlives whoever started it, unless they stop it when they leave.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.errors import CommandRejected
from bot.settings import Settings
from bot.training_home import datasets_dir, training_dir
from bot.weights import Notify, language_model_folder
from training import datasets, runs
from training.errors import TrainingError
from training.forecast import Budget
from training.runs import Request, Run

LOOK_EVERY_S = 0.5
ENGINE = "bot.judging:engine"

OnRun = Callable[[Run], None]


class TrainingRuns:
    """What `timbre train` and `/timbre train` do. `notify` is told before the base model is prepared."""

    def __init__(self, settings: Settings, notify: Notify) -> None:
        self._settings = settings
        self._notify = notify
        self.folder = training_dir(settings) / "runs"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, dataset: str = "", *, is_forecast: bool = False, is_promoted: bool = False) -> Run:
        """Starts a run on the dataset, the current one when none is named, or goes on with the last that was cut off or stopped.

        Raises CommandRejected when another run is at work or there is nothing to train on.
        """
        if id := runs.running(self.folder):
            raise CommandRejected(f"The run {id} is at work; wait for it, or stop it with `timbre train stop`.")
        request = self._request(dataset, is_forecast, is_promoted)
        folder = runs.to_continue(self.folder, request) or runs.create(self.folder, request)
        with (folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "training", str(folder)],
                env=os.environ | {"TIMBRE_HOME": str(self._settings.home)},  # the judges read the settings and the style guide
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for whoever looks on, and the server's end is not its own
            )
        return self._started(folder, self._process)

    def follow(self, run: Run, on_run: OnRun) -> Run:
        """Tells how the run goes until it ends; its last state."""
        while run.is_alive:
            on_run(run)
            time.sleep(LOOK_EVERY_S)
            run = runs.read(run.folder)
        return run

    def stop(self) -> Run:
        """Asks the run at work to stop after its step. Raises CommandRejected when none is."""
        id = runs.running(self.folder)
        if not id:
            raise CommandRejected("No run is at work.")
        runs.request_stop(self.folder / id)
        return runs.read(self.folder / id)

    def last(self) -> Run | None:
        """The run at work, or the last one."""
        return next(iter(runs.all_runs(self.folder)), None)

    def _request(self, dataset: str, is_forecast: bool, is_promoted: bool) -> Request:
        settings = self._settings
        if settings.model.url:
            raise CommandRejected(
                "The model runs on a server (TIMBRE_MODEL__URL), which Timbre cannot train; set TIMBRE_MODEL__ID to its weights."
            )
        root = datasets_dir(settings)
        try:
            version = datasets.read(root, dataset) if dataset else datasets.current(root)
        except TrainingError as err:
            raise CommandRejected(str(err)) from err
        if version is None:
            raise CommandRejected("There is no dataset yet; make one with `timbre dataset build`.")
        training = settings.training
        return Request(
            dataset=str(version.folder),
            base=language_model_folder(settings, self._notify),
            base_name=settings.model.id,
            engine=ENGINE,
            max_new_tokens=settings.model.max_new_tokens,
            budget=Budget(training.max_minutes, training.memory_mb, settings.cost_per_hour),
            threads=training.threads,
            is_forecast=is_forecast,
            is_promoted=is_promoted,
        )

    def _started(self, folder: Path, process: "subprocess.Popen[bytes]") -> Run:
        """Waits until the process holds the lock of the runs, or has ended."""
        while process.poll() is None and runs.running(self.folder) != folder.name:
            time.sleep(0.05)
        return runs.read(folder)


def in_words(run: Run) -> str:
    """How a run goes, and what came of it: `Run 20261121-...: training, step 12 of 39, loss 1.234, 380 tokens/s, ...` (pure)."""
    status = run.status
    state = "was cut off; `timbre train run` goes on with it" if run.is_cut_off else status.state
    parts: list[str] = [state]
    if status.step:
        parts.append(f"step {status.step} of {status.steps}")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    if status.validation_loss is not None:
        parts.append(f"held-out loss {status.validation_loss:.3f}")
    if run.is_alive and status.step:
        parts.append(f"{status.tokens_per_s:,.0f} tokens/s")
        parts.append(left_in_words(status.seconds_left))
    line = ", ".join(part for part in parts if part)
    line += f" (forecast: {status.forecast})" if status.forecast and not status.step else ""
    return "\n".join([f"Run {run.id}: {line}. {status.why}".strip(), *_outcome_lines(run)])


def _outcome_lines(run: Run) -> list[str]:
    status = run.status
    lines = [f"The whole report: {status.report}"] if status.report else []
    if status.release and run.request.is_promoted:
        lines.append(f"Release {status.release} answers from now on; `timbre rollback` undoes it.")
    elif status.release:
        lines.append(f"It is release {status.release}; `timbre promote {status.release}` lets it answer.")
    return lines


def step_in_words(run: Run) -> str:
    """What a run is doing, beside its step (pure)."""
    status = run.status
    if status.loss is None:
        return status.why or status.state
    figures = f"loss {status.loss:.3f}", f"{status.tokens_per_s:,.0f} tokens/s", left_in_words(status.seconds_left)
    return f"{status.state} ({', '.join(figure for figure in figures if figure)}), step"


def left_in_words(seconds: float | None) -> str:
    """`40 s left`, `3 min left`; empty where it is not known."""
    if seconds is None:
        return ""
    return f"{seconds:.0f} s left" if seconds < 90 else f"{seconds / 60:.0f} min left"


def run_object(run: Run | None) -> dict[str, Any]:
    """As `timbre train status --json` prints it; empty when there was no run."""
    return run.to_json() if run else {}
