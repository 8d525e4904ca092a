"""Fine-tunes a LoRA on a dataset: from the base, on all its rows, with validation, early stopping and checkpoints.

Whatever kills it, calling it again with the same arguments goes on from the last checkpoint, to the same weights bit by bit on a
CPU with as many threads. Knows nothing of runs or of what becomes of the LoRA.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import checkpoints
from training.checkpoints import LossCurve, LossPoint, Position
from training.encoding import EncodedRow, batches, encode
from training.errors import TrainingFailed, TrainingStopped
from training.learner import Learner
from training.processes import Process, join, run_together
from training.recipe import MIN_ROWS, Recipe

if TYPE_CHECKING:
    import torch

LORA = "lora"
REPLAY = "replay.jsonl"
CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_S = 20.0  # between two checkpoints: what a kill costs at most; writing one takes a tenth of a second
VALIDATIONS_PER_EPOCH = 2
OUT_OF_MEMORY = (
    "The memory does not suffice; train on fewer or shorter rows, a smaller base, or raise TIMBRE_TRAINING__MEMORY_MB."
)
DISK_FULL = "The disk is full; free some space and start the run again, it goes on from its last checkpoint."


@dataclass(frozen=True)
class Progress:
    """How far training is. `tokens_per_s`: tokens of rows, prompts included; `validation_loss` None before the first."""

    step: int
    steps: int
    loss: float
    validation_loss: float | None
    tokens_per_s: float
    seconds_left: float


@dataclass(frozen=True)
class Data:
    """The rows as tokens. `left_out`: rows longer than the recipe takes. `digest` changes with any row."""

    train: Sequence[EncodedRow]
    held_out: Sequence[EncodedRow]
    left_out: int
    digest: str


OnProgress = Callable[[Progress], None]


def fine_tune(
    recipe: Recipe, dataset: Path, out: Path, on_progress: OnProgress, should_stop: Callable[[], bool] = lambda: False
) -> LossCurve:
    """Leaves a peft folder in `out/lora`, which is whole or absent, and returns how the losses went.

    The rows are `train.jsonl` of the dataset and, where it exists, `out/replay.jsonl`; `held_out.jsonl` validates. The result is
    the LoRA with the best validation. Raises TrainingFailed with one sentence (too few rows, NaN, memory, disk), and
    TrainingStopped when `should_stop` says so between two steps.
    """
    if recipe.processes > 1 and not _is_one_of_many():
        return _together(recipe, dataset, out, on_progress, should_stop)
    with failures_in_words():
        out.mkdir(parents=True, exist_ok=True)
        process = join(recipe.processes)
        set_threads(recipe)
        tokenizer, base = load(recipe, process)
        data = read_data(recipe, tokenizer, dataset, out)
        learner = Learner(recipe, base, tokenizer.pad_token_id, process)
        run = _Run(recipe, data, out, learner, process, on_progress, should_stop)
        curve = run.learn()
        if recipe.method == "sft+dpo":
            from training.preferring import prefer

            prefer(recipe, dataset / "preference.jsonl", learner.model, tokenizer, process)
        if process.is_first:
            save_lora(learner, out / LORA)
        return curve


def load(recipe: Recipe, process: Process) -> tuple[Any, Any]:
    """(tokenizer, base model) on the process's device, as inference loads it. Raises ModelUnavailable."""
    from training.inference import load_model

    tokenizer, base = load_model(recipe.base)
    return tokenizer, base.to(process.device)


def set_threads(recipe: Recipe) -> None:
    """One thread by default: a second one gains a fifth on a free machine and loses most of both beside a busy process."""
    import torch

    torch.set_num_threads(recipe.threads)


def read_data(recipe: Recipe, tokenizer: Any, dataset: Path, out: Path) -> Data:
    """Raises TrainingFailed when there are too few rows, or a row is none."""
    files = [dataset / "train.jsonl", out / REPLAY, dataset / "held_out.jsonl"]
    texts = [file.read_bytes() if file.exists() else b"" for file in files]
    train, replay, held_out = (_encoded(tokenizer, file, text) for file, text in zip(files, texts, strict=True))
    fitting = [row for row in [*train, *replay] if row.tokens <= recipe.max_tokens]
    if len(train) < MIN_ROWS:
        raise TrainingFailed(f"The dataset has {len(train)} rows to train on, too few: it takes {MIN_ROWS}.")
    if len(fitting) < MIN_ROWS:
        raise TrainingFailed(f"Only {len(fitting)} rows have at most {recipe.max_tokens} tokens; it takes {MIN_ROWS}.")
    kept = [row for row in held_out if row.tokens <= recipe.max_tokens]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()
    return Data(fitting, kept, len(train) + len(replay) - len(fitting), digest)


def _encoded(tokenizer: Any, file: Path, text: bytes) -> list[EncodedRow]:
    rows = []
    for number, line in enumerate(text.decode("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rows.append(encode(tokenizer, row["prompt"], row["completion"][0]["content"]))
        except (ValueError, KeyError, TypeError, IndexError) as err:
            raise TrainingFailed(f"Line {number} of {file.name} is no row with a prompt and a completion.") from err
    return rows


class _Run:
    """One pass through the plan of steps, begun or continued."""

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        out: Path,
        learner: Learner,
        process: Process,
        on_progress: OnProgress,
        should_stop: Callable[[], bool],
    ) -> None:
        self._recipe = recipe
        self._data = data
        self._file = out / CHECKPOINT
        self._learner = learner
        self._process = process
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._plan = [
            batch for epoch in range(recipe.epochs) for batch in batches(data.train, recipe.batch_rows, recipe.seed, epoch)
        ]
        self._best: Mapping[str, torch.Tensor] = {}
        digest = hashlib.sha256(f"{json.dumps(recipe.to_json(), sort_keys=True)} {data.digest}".encode()).hexdigest()
        self._position = Position(digest, 0, False, LossCurve())

    def learn(self) -> LossCurve:
        """Takes the steps that are left; then the learner has the best weights."""
        self._go_on()
        began_s, tokens, saved_s = time.monotonic(), 0, time.monotonic()
        while not self._position.is_over:
            batch = self._plan[self._position.step]
            self._step(batch)
            tokens += sum(row.tokens for row in batch)
            self._tell(tokens / (time.monotonic() - began_s))
            is_stopped = self._should_stop()
            if is_stopped or self._position.is_over or time.monotonic() - saved_s > CHECKPOINT_S:
                self._save()
                saved_s = time.monotonic()
            if is_stopped and not self._position.is_over:
                raise TrainingStopped
        self._learner.put_weights(self._best)
        return self._position.curve

    def _step(self, batch: Sequence[EncodedRow]) -> None:
        step = self._position.step + 1
        loss = self._learner.step(batch, rate(step, len(self._plan), self._recipe))
        if not math.isfinite(loss):
            raise TrainingFailed(f"The loss is no number at step {step}; look at the rows, or train with a lower learning rate.")
        curve = self._position.curve
        curve = replace(curve, train=[*curve.train, LossPoint(step, loss)])
        is_last = step == len(self._plan)
        if is_last or step % self._validate_every == 0:
            curve = self._validated(curve, step)
        is_over = is_last or _has_lost_patience(curve, self._recipe.patience)
        self._position = replace(self._position, step=step, is_over=is_over, curve=curve)

    def _validated(self, curve: LossCurve, step: int) -> LossCurve:
        """Keeps the weights when no validation was better; without rows to validate on, the last ones are the best."""
        if self._data.held_out:
            loss = self._learner.loss(self._data.held_out)
            is_best = all(loss < point.loss for point in curve.validation)
            curve = replace(curve, validation=[*curve.validation, LossPoint(step, loss)])
            if not is_best:
                return curve
        self._best = self._learner.weights()
        return replace(curve, best_step=step)

    @property
    def _validate_every(self) -> int:
        return max(1, len(self._plan) // (self._recipe.epochs * VALIDATIONS_PER_EPOCH))

    def _tell(self, tokens_per_s: float) -> None:
        if not self._process.is_first:
            return
        step, curve = self._position.step, self._position.curve
        left = sum(row.tokens for batch in self._plan[step:] for row in batch)
        validation = curve.validation[-1].loss if curve.validation else None
        self._on_progress(Progress(step, len(self._plan), curve.train[-1].loss, validation, tokens_per_s, left / tokens_per_s))

    def _go_on(self) -> None:
        found = checkpoints.load(self._file, self._position.recipe_hash)
        if found:
            self._position, tensors = found
            self._learner.put_state({name: tensor for name, tensor in tensors.items() if not name.startswith("best ")})
            self._best = {name.removeprefix("best "): tensor for name, tensor in tensors.items() if name.startswith("best ")}

    def _save(self) -> None:
        if self._process.is_first:
            best = {f"best {name}": tensor for name, tensor in self._best.items()}
            checkpoints.save(self._file, self._position, {**self._learner.state(), **best})


def rate(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of a step (from 1): a linear warm-up, then a cosine down to 0 after the last one (pure)."""
    warm_up = min(recipe.warm_up_steps, steps)
    if step <= warm_up:
        return recipe.learning_rate * step / warm_up
    done = (step - warm_up) / max(1, steps - warm_up + 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _has_lost_patience(curve: LossCurve, patience: int) -> bool:
    """Whether so many validations in a row were no better than the best before them."""
    losses = [point.loss for point in curve.validation]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])


def save_lora(learner: Learner, folder: Path) -> None:
    """A peft folder, whole or absent; an older one is replaced."""
    from safetensors.torch import save as as_bytes

    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    config = learner.model.peft_config["default"]
    config.inference_mode = True
    config.target_modules = sorted(config.target_modules)  # a set, whose order differs from process to process
    config.save_pretrained(str(unfinished))
    checkpoints.write(unfinished / "adapter_model.safetensors", as_bytes(learner.weights(), {"format": "pt"}))
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Turns what the machine lacks into TrainingFailed."""
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as err:
        raise TrainingFailed(OUT_OF_MEMORY) from err
    except RuntimeError as err:
        if "can't allocate memory" not in str(err) and "failed to allocate" not in str(err).lower():
            raise
        raise TrainingFailed(OUT_OF_MEMORY) from err
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrainingFailed(DISK_FULL) from err


# Several processes


def _is_one_of_many() -> bool:
    return "WORLD_SIZE" in os.environ


def _together(recipe: Recipe, dataset: Path, out: Path, on_progress: OnProgress, should_stop: Callable[[], bool]) -> LossCurve:
    curves: list[LossCurve] = []

    def take(told: Mapping[str, Any]) -> None:
        if "progress" in told:
            on_progress(Progress(**told["progress"]))
        if "curve" in told:
            curves.append(checkpoints.curve_of(told["curve"]))
        if should_stop():
            raise TrainingStopped

    recipe_text = json.dumps(recipe.to_json())
    run_together("training.fine_tune", [recipe_text, str(dataset), str(out)], recipe.processes, take)
    return curves[-1]


def _tell_line(told: Mapping[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


def _one_of_many(arguments: Sequence[str]) -> None:
    """What torchrun runs: the recipe as JSON, the dataset, the folder of the result. The first process tells JSON lines."""
    recipe, dataset, out = Recipe(**json.loads(arguments[0])), Path(arguments[1]), Path(arguments[2])
    try:
        curve = fine_tune(recipe, dataset, out, lambda progress: _tell_line({"progress": asdict(progress)}))
    except TrainingFailed as err:
        _tell_line({"failed": str(err)})
        sys.exit(1)
    if os.environ["RANK"] == "0":
        _tell_line({"curve": asdict(curve)})


if __name__ == "__main__":
    _one_of_many(sys.argv[1:])
