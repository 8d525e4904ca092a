"""A run from its request to a LoRA, in a process of its own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.bases import MODEL, row, write_rows
from training import pipeline, runs
from training.canaries import CANARIES
from training.examples import PromptCompletion, completion_of
from training.forecast import Budget
from training.replay import read_prompts, repeated, replay_rows, whole_sentences
from training.runs import Request

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not MODEL.exists(), reason="run `timbre setup` first")]


@pytest.fixture
def request_(tiny_base: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setattr("training.pipeline.read_prompts", lambda: ["What is the capital of France?", "Name a fruit."])
    return Request(str(dataset), str(tiny_base), Budget(60, 0, 1.0), overrides={"epochs": 1, "learning_rate": 5e-3})


@pytest.fixture
def folder(request_: Request, tmp_path: Path) -> Path:
    return runs.create(tmp_path / "runs", request_)


def test_a_run_leaves_forecast_replay_rows_losses_and_lora(folder: Path) -> None:
    status = pipeline.run(folder)

    assert (status.state, status.why) == ("trained", ""), status
    assert status.step == status.steps == 10  # (24 + 6 replay rows + 8 canaries) / 4
    assert status.forecast.startswith("about 1 minute, ") and " at 1 an hour" in status.forecast
    added = [json.loads(line)["origin"] for line in (folder / "replay.jsonl").read_text().splitlines()]
    assert added == ["replay"] * 6 + ["canary"] * CANARIES
    assert len((folder / "log.jsonl").read_text().splitlines()) == 10
    assert len(json.loads((folder / "losses.json").read_text())["train"]) == 10
    assert any("epochs is 1, as wanted" in reason for reason in status.recipe)
    assert (folder / "lora" / "adapter_model.safetensors").exists()
    assert runs.running(folder.parent) == ""


def test_a_dataset_with_replay_rows_of_its_own_gets_no_more(folder: Path, dataset: Path) -> None:
    rows = [row(number, origin="replay" if number > 20 else "answer") for number in range(24)]
    write_rows(dataset / "train.jsonl", rows)

    status = pipeline.run(folder)

    assert (status.state, status.steps) == ("trained", 8), status
    added = [json.loads(line)["origin"] for line in (folder / "replay.jsonl").read_text().splitlines()]
    assert added == ["canary"] * CANARIES


def test_a_forecast_trains_nothing(request_: Request, tmp_path: Path) -> None:
    folder = runs.create(tmp_path / "runs", replace(request_, is_forecast=True))

    status = pipeline.run(folder)

    assert (status.state, status.step) == ("forecast", 0) and status.forecast
    assert not runs.read(folder).is_cut_off
    assert not (folder / "lora").exists() and not (folder / "log.jsonl").exists()


def test_over_the_budget_nothing_is_trained(request_: Request, tmp_path: Path) -> None:
    folder = runs.create(tmp_path / "runs", replace(request_, budget=Budget(60, 200, 0)))

    status = pipeline.run(folder)

    assert status.state == "refused" and "MB of memory, and has 200" in status.why
    assert not (folder / "lora").exists()


def test_what_goes_wrong_is_the_reason_of_the_state(request_: Request, tmp_path: Path) -> None:
    folder = runs.create(tmp_path / "runs", replace(request_, base=str(tmp_path / "nothing")))

    status = pipeline.run(folder)

    assert status.state == "failed" and "cannot be read" in status.why


def test_a_run_that_was_killed_goes_on_and_is_whole(folder: Path) -> None:
    command = [sys.executable, "-m", "training", str(folder), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while process.poll() is None and runs.read(folder).status.step < 3:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    cut_off = runs.read(folder)

    again = subprocess.run(command, capture_output=True, text=True, check=False)

    assert cut_off.is_cut_off and cut_off.status.state == "training"
    assert again.returncode == 0, again.stderr
    status = json.loads(again.stdout.splitlines()[-1])
    assert (status["state"], status["step"]) == ("trained", status["steps"])
    assert (folder / "lora" / "adapter_model.safetensors").exists()


# Replay


def test_replay_rows_are_answered_once_and_kept_for_just_this_base_and_these_prompts(tiny_base: Path, tmp_path: Path) -> None:
    told: list[int] = []
    prompts = ["Name a fruit.", "Name a bird."]

    def answered(asked: Sequence[str]) -> list[PromptCompletion]:
        return replay_rows(str(tiny_base), asked, tmp_path / "cache", lambda done, _: told.append(done))

    first, second = answered(prompts), answered(prompts)
    assert first == second and told == [1, 2]
    answered(prompts[:1])

    assert told == [1, 2, 1]
    (kept, *_), files = first, sorted((tmp_path / "cache").iterdir())
    assert kept.origin == "replay" and kept.prompt == [{"role": "user", "content": prompts[0]}]
    assert len(files) == 2 and completion_of(json.loads(files[0].read_text().splitlines()[0])).origin == "replay"


def test_the_prompts_that_are_shipped_are_many_and_different() -> None:
    prompts = read_prompts()

    assert len(prompts) == len(set(prompts)) >= 40


def test_answers_that_the_limit_cut_off_end_with_a_sentence() -> None:
    assert whole_sentences(" Paris. It lies on the Seine. It is known for its ") == "Paris. It lies on the Seine."
    assert whole_sentences("Mercury, Venus, Earth") == "Mercury, Venus, Earth"


def test_few_replay_rows_are_taken_more_than_once() -> None:
    one, two = (PromptCompletion([], text, "", "replay", "") for text in ("a", "b"))

    assert repeated([one, two], 3) == [one, two, one]
    assert repeated([one, two], 1) == [one]
