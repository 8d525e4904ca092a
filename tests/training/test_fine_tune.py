"""Fine-tuning learns, goes on after whatever stopped it, and says in a sentence why it cannot."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.training.bases import MODEL, row, write_dataset, write_rows
from training import checkpoints, fine_tune
from training.checkpoints import LossCurve, LossPoint, Position
from training.encoding import EncodedRow, encode
from training.errors import TrainingFailed, TrainingStopped
from training.fine_tune import Progress, rate
from training.learner import Learner
from training.preferring import prefer
from training.processes import Process
from training.recipe import Recipe

RECIPE = Recipe(
    base="", rank=4, alpha=8, learning_rate=5e-3, epochs=2, batch_rows=8, warm_up_steps=2, max_tokens=512, patience=2, seed=1,
    method="sft", replay_share=0.18, processes=1, threads=1,
)  # fmt: skip

needs_base = pytest.mark.skipif(not MODEL.exists(), reason="run `timbre setup` first")
pytestmark = [pytest.mark.slow, needs_base]


@pytest.fixture
def recipe(tiny_base: Path) -> Recipe:
    return replace(RECIPE, base=str(tiny_base))


class Told(list[Progress]):
    """What was told, and a stop after so many steps."""

    def __init__(self, stop_after: int = 1000) -> None:
        super().__init__()
        self._stop_after = stop_after

    def take(self, progress: Progress) -> None:
        self.append(progress)

    def should_stop(self) -> bool:
        return len(self) >= self._stop_after


def lora_of(out: Path) -> bytes:
    return (out / "lora" / "adapter_model.safetensors").read_bytes()


def learner_of(recipe: Recipe, dtype: str) -> tuple[Learner, list[EncodedRow]]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(recipe.base)
    base = AutoModelForCausalLM.from_pretrained(recipe.base, dtype=getattr(torch, dtype))
    rows = [encode(tokenizer, r["prompt"], r["completion"][0]["content"]) for r in map(row, range(8))]
    return Learner(recipe, base, tokenizer.pad_token_id, Process(0, 1, "cpu")), rows


def test_the_loss_is_that_of_the_model_on_each_row_alone(recipe: Recipe) -> None:
    import torch

    learner, rows = learner_of(recipe, "float32")
    expected, count = 0.0, 0
    for one in rows:
        ids = torch.tensor([[*one.prompt, *one.completion]])
        labels = torch.tensor([[-100] * len(one.prompt) + list(one.completion)])
        with torch.inference_mode():
            loss = learner.model(input_ids=ids, labels=labels).loss
        expected, count = expected + float(loss) * len(one.completion), count + len(one.completion)

    assert learner.loss(rows) == pytest.approx(expected / count, rel=1e-4)


def test_reading_a_shared_opening_once_changes_no_gradient(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, rows = learner_of(recipe, "float32")
    learner.step(rows, 1e-3)  # before the first, half of the gradients are 0
    assert rows[0].opening

    loss, shared = learner.gradient(rows)
    monkeypatch.setattr(learner, "_can_share", False)
    alone_loss, alone = learner.gradient(rows)

    assert float(loss) == pytest.approx(float(alone_loss), rel=1e-5)
    assert float((shared - alone).norm() / alone.norm()) < 1e-4


def test_updates_that_bfloat16_rounds_away_add_up(recipe: Recipe) -> None:
    learner, rows = learner_of(recipe, "bfloat16")
    before = learner.loss(rows)

    for _ in range(60):
        learner.step(rows, 1e-4)

    assert learner.loss(rows) < before - 0.01


def test_a_run_lowers_the_loss_and_leaves_a_lora_that_peft_loads(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    from training.inference import load_model

    told = Told()

    curve = fine_tune.fine_tune(recipe, dataset, tmp_path / "out", told.take)

    assert curve.validation[-1].loss < curve.train[0].loss - 0.1
    assert [point.step for point in curve.train] == [1, 2, 3, 4, 5, 6] and curve.best_step == 6
    assert [(progress.step, progress.steps) for progress in told] == [(number, 6) for number in range(1, 7)]
    assert told[-1].seconds_left == 0 and told[0].tokens_per_s > 0 and told[-1].validation_loss
    config = json.loads((tmp_path / "out" / "lora" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["lora_dropout"]) == (4, 8, 0.0)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    load_model(str(tmp_path / "out" / "lora"))


def test_the_best_validation_is_kept_and_a_rising_one_ends_the_run(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    write_rows(dataset / "held_out.jsonl", [row(number, voice="Nope. Nothing of the kind. ") for number in range(100, 104)])

    curve = fine_tune.fine_tune(replace(recipe, epochs=40), dataset, tmp_path / "out", Told().take)

    losses = [point.loss for point in curve.validation]
    assert len(curve.train) < 120
    assert min(losses) == losses[-3] and curve.best_step == curve.validation[-3].step


def test_stopped_and_started_again_it_ends_with_the_same_weights(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    whole = fine_tune.fine_tune(recipe, dataset, tmp_path / "whole", Told().take)

    first = Told(stop_after=4)
    with pytest.raises(TrainingStopped):
        fine_tune.fine_tune(recipe, dataset, tmp_path / "out", first.take, first.should_stop)
    assert not (tmp_path / "out" / "lora").exists()
    rest = Told()
    curve = fine_tune.fine_tune(recipe, dataset, tmp_path / "out", rest.take)

    assert (len(first), len(rest)) == (4, 2)
    assert asdict(curve) == asdict(whole)
    assert lora_of(tmp_path / "out") == lora_of(tmp_path / "whole")


def test_another_dataset_does_not_go_on_from_the_checkpoint(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    first = Told(stop_after=2)
    with pytest.raises(TrainingStopped):
        fine_tune.fine_tune(recipe, dataset, tmp_path / "out", first.take, first.should_stop)

    told = Told()
    fine_tune.fine_tune(recipe, write_dataset(tmp_path / "other", train=25), tmp_path / "out", told.take)

    assert told[0].step == 1


JOB = """
import json, sys
from pathlib import Path
from training.fine_tune import fine_tune
from training.recipe import Recipe
import training.fine_tune
training.fine_tune.CHECKPOINT_S = 0.0
recipe, dataset, out = Recipe(**json.loads(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
fine_tune(recipe, dataset, out, lambda progress: print(progress.step, flush=True))
"""


def killed_after(recipe: Recipe, dataset: Path, out: Path, step: int) -> list[int]:
    """Runs in a process of its own, killed when it has told so many steps; the steps that it told."""
    command = [sys.executable, "-c", JOB, json.dumps(recipe.to_json()), str(dataset), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(int(line))
            if len(told) == step:
                process.send_signal(signal.SIGKILL)
    return told


def test_killed_at_any_step_it_goes_on_to_the_same_weights(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    fine_tune.fine_tune(recipe, dataset, tmp_path / "whole", Told().take)

    first = killed_after(recipe, dataset, tmp_path / "out", 3)
    assert not (tmp_path / "out" / "lora").exists()
    rest = Told()
    fine_tune.fine_tune(recipe, dataset, tmp_path / "out", rest.take)

    assert first[-1] >= 3 and rest[0].step in (first[-1], first[-1] + 1)
    assert lora_of(tmp_path / "out") == lora_of(tmp_path / "whole")


def test_two_processes_learn_what_one_does(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    one = fine_tune.fine_tune(recipe, dataset, tmp_path / "one", Told().take)

    told = Told()
    two = fine_tune.fine_tune(replace(recipe, processes=2), dataset, tmp_path / "two", told.take)

    assert len(told) == len(one.train)
    assert [point.loss for point in two.train] == pytest.approx([point.loss for point in one.train], rel=0.01)
    assert (tmp_path / "two" / "lora" / "adapter_config.json").exists()


def test_preferences_make_the_chosen_answers_likelier_against_the_rejected(recipe: Recipe, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(recipe.base)
    learner, chosen = learner_of(recipe, "bfloat16")
    rejected = [encode(tokenizer, r["prompt"], "No idea.") for r in map(row, range(8))]
    names = set(learner.weights())
    before = learner.loss(rejected) - learner.loss(chosen)

    pairs = write_dataset(tmp_path / "pairs", preferences=8) / "preference.jsonl"
    prefer(replace(recipe, dpo_learning_rate=5e-3), pairs, learner.model, tokenizer, Process(0, 1, "cpu"))

    assert learner.loss(rejected) - learner.loss(chosen) > before + 0.01
    assert set(learner.weights()) == names
    assert {str(weight.dtype) for weight in learner.weights().values()} == {"torch.bfloat16"}


def test_fewer_processes_than_wanted_are_refused(
    recipe: Recipe, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")

    with pytest.raises(TrainingFailed, match="wants 2 processes and 1 run"):
        fine_tune.fine_tune(replace(recipe, processes=2), dataset, tmp_path / "out", Told().take)


# What cannot go on


def refused(recipe: Recipe, dataset: Path, out: Path) -> str:
    with pytest.raises(TrainingFailed) as failed:
        fine_tune.fine_tune(recipe, dataset, out, Told().take)
    assert not (out / "lora").exists()
    return str(failed.value)


def test_too_few_rows_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "small", train=19)

    assert refused(recipe, dataset, tmp_path / "out") == "The dataset has 19 rows to train on, too few: it takes 20."


def test_rows_that_are_too_long_are_left_out_and_too_few_others_refused(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    assert "Only 0 rows have at most 40 tokens" in refused(replace(recipe, max_tokens=40), dataset, tmp_path / "out")


def test_a_line_that_is_no_row_is_named(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    with (dataset / "train.jsonl").open("a") as file:
        file.write('{"prompt": []}\n')

    assert refused(recipe, dataset, tmp_path / "out").startswith("Line 25 of train.jsonl is no row")


def test_a_loss_that_is_no_number_ends_the_run(recipe: Recipe, dataset: Path, tmp_path: Path) -> None:
    reason = refused(replace(recipe, learning_rate=1e30), dataset, tmp_path / "out")

    assert "The loss is no number at step" in reason


def test_a_full_disk_ends_the_run_and_the_checkpoint_before_stays(
    recipe: Recipe, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Told(stop_after=2)
    with pytest.raises(TrainingStopped):
        fine_tune.fine_tune(recipe, dataset, tmp_path / "out", first.take, first.should_stop)
    whole = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    reason = refused(recipe, dataset, tmp_path / "out")
    monkeypatch.setattr("os.fsync", whole)
    rest = Told()
    fine_tune.fine_tune(recipe, dataset, tmp_path / "out", rest.take)

    assert reason.startswith("The disk is full")
    assert rest[0].step == 3


def test_memory_that_runs_out_is_told_in_a_sentence(
    recipe: Recipe, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def exhausted(self: Learner, batch: Sequence[EncodedRow]) -> None:
        torch.empty(1 << 60)

    monkeypatch.setattr(Learner, "gradient", exhausted)

    assert refused(recipe, dataset, tmp_path / "out").startswith("The memory does not suffice")


# Parts


def test_the_rate_rises_in_the_warm_up_and_falls_to_almost_nothing() -> None:
    rates = [rate(step, 20, replace(RECIPE, warm_up_steps=4, learning_rate=1.0)) for step in range(1, 21)]

    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.02


def test_a_broken_or_foreign_checkpoint_is_none(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "checkpoint.safetensors"
    position = Position("mine", 3, False, LossCurve([LossPoint(1, 2.5)], [], 0))
    assert checkpoints.load(file, "mine") is None

    checkpoints.save(file, position, {"a": torch.ones(2)})
    found = checkpoints.load(file, "mine")
    assert found is not None and found[0] == position and found[1]["a"].tolist() == [1, 1]
    assert checkpoints.load(file, "another") is None

    file.write_bytes(file.read_bytes()[:40])
    assert checkpoints.load(file, "mine") is None


@pytest.mark.model
def test_the_built_in_model_learns_the_voice_in_a_few_steps(dataset: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, base=str(MODEL), rank=8, alpha=16, learning_rate=1.3e-3, epochs=1, batch_rows=4, warm_up_steps=1)

    curve = fine_tune.fine_tune(recipe, dataset, tmp_path / "out", Told().take)

    assert curve.validation[-1].loss < curve.train[0].loss / 3
    assert 4_000_000 < (tmp_path / "out" / "lora" / "adapter_model.safetensors").stat().st_size < 6_000_000
