"""What a run will take, from a short trial: minutes, memory, money. Over the budget it does not start.

`estimate` and `over_budget` are pure; `try_out` runs two steps on the real model and rows.
"""

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.encoding import EncodedRow
from training.recipe import Recipe

VALIDATION_SHARE = 0.3  # of the time that learning the same tokens takes: forward only, without logits of prompts
SPARE_MEMORY_MB = 300  # optimiser, checkpoint and what the heap does not give back, above the trial's peak


@dataclass(frozen=True)
class Trial:
    """What two steps showed. `load_s`: seconds until the model stood ready; `peak_mb`: of the whole process so far."""

    tokens_per_s: float
    load_s: float
    peak_mb: int


@dataclass(frozen=True)
class Work:
    """Tokens of rows: `train` in one epoch, `held_out` in one validation."""

    train: int
    held_out: int
    validations: int


@dataclass(frozen=True)
class Forecast:
    """`cost`: in the currency of TIMBRE_COST_PER_HOUR, 0 where that is not set."""

    minutes: float
    memory_mb: int
    cost: float
    tokens_per_s: float

    def to_json(self) -> dict[str, Any]:
        return {name: round(value, 2) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Budget:
    """What a run may take. `memory_mb` 0: what is free when it starts."""

    max_minutes: float
    memory_mb: int
    cost_per_hour: float


def estimate(trial: Trial, work: Work, recipe: Recipe, budget: Budget) -> Forecast:
    """All epochs at the trial's speed, the validations at the share of it that they take, and loading (pure)."""
    tokens = work.train * recipe.epochs + work.held_out * work.validations * VALIDATION_SHARE
    minutes = (trial.load_s + tokens / trial.tokens_per_s) / 60
    return Forecast(minutes, trial.peak_mb + SPARE_MEMORY_MB, minutes / 60 * budget.cost_per_hour, trial.tokens_per_s)


def over_budget(forecast: Forecast, budget: Budget, free_mb: int) -> str:
    """Why the run had better not start, in a sentence; empty when it may (pure)."""
    if forecast.minutes > budget.max_minutes:
        return (
            f"It would take about {forecast.minutes:.0f} minutes, more than TIMBRE_TRAINING__MAX_MINUTES "
            f"({budget.max_minutes:.0f}); train on fewer rows, or raise it."
        )
    memory_mb = budget.memory_mb or free_mb
    if forecast.memory_mb > memory_mb:
        return (
            f"It would take about {forecast.memory_mb:,} MB of memory, and has {memory_mb:,}; free some, or use a smaller base."
        )
    return ""


def in_words(forecast: Forecast, budget: Budget) -> str:
    """`about 4 minutes, 1,900 MB of memory, 0.12 in money, at 380 tokens/s`"""
    cost = f", {forecast.cost:.2f} at {budget.cost_per_hour:g} an hour" if budget.cost_per_hour else ""
    minutes = max(1, round(forecast.minutes))
    return (
        f"about {minutes} minute{'s' if minutes > 1 else ''}, {forecast.memory_mb:,} MB of memory{cost}, "
        f"at {forecast.tokens_per_s:,.0f} tokens/s"
    )


def free_memory_mb() -> int:
    """What the machine could give a process now."""
    with Path("/proc/meminfo").open() as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["MemAvailable"].split()[0]) // 1024


def try_out(recipe: Recipe, dataset: Path, out: Path) -> tuple[Trial, Work]:
    """Learns one average batch and the longest one, and forgets them. Raises TrainingFailed, ModelUnavailable."""
    from training.fine_tune import VALIDATIONS_PER_EPOCH, failures_in_words, load, read_data, set_threads
    from training.learner import Learner
    from training.processes import Process

    began_s = time.monotonic()
    with failures_in_words():
        set_threads(recipe)
        process = Process(0, 1, "cuda:0" if _has_gpu() else "cpu")
        tokenizer, base = load(recipe, process)
        data = read_data(recipe, tokenizer, dataset, out)
        learner = Learner(recipe, base, tokenizer.pad_token_id, process)
        load_s = time.monotonic() - began_s
        by_length = sorted(data.train, key=lambda row: row.tokens)
        middle = len(by_length) // 2
        learner.gradient(by_length[-recipe.batch_rows :])  # the first, in which torch warms up, shows the memory
        tokens_per_s = _speed(learner, by_length[middle : middle + recipe.batch_rows])
    work = Work(
        sum(row.tokens for row in data.train),
        sum(row.tokens for row in data.held_out),
        VALIDATIONS_PER_EPOCH * recipe.epochs,
    )
    return Trial(tokens_per_s * recipe.processes, load_s, peak_memory_mb()), work


def _speed(learner: Any, batch: Sequence[EncodedRow]) -> float:
    began_s = time.monotonic()
    learner.step(batch, 0.0)
    return sum(row.tokens for row in batch) / (time.monotonic() - began_s)


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def peak_memory_mb() -> int:
    """The most that this process has held so far: on the GPU where there is one."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() // 2**20)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // 1024 if os.uname().sysname == "Linux" else peak // 2**20)
