"""`timbre train` as people run it: the real executable, on a base that trains in seconds."""

import json
from pathlib import Path

import pytest

from tests.journeys.commands import Run, refusal
from tests.training.bases import MODEL, make_tiny_base, write_dataset
from training import datasets, folders

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not MODEL.exists(), reason="run `timbre setup` first")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A TIMBRE_HOME with a dataset of 24 rows."""
    root = tmp_path / "home" / "training" / "datasets"

    def write(folder: Path) -> dict[str, object]:
        write_dataset(folder)
        return {
            "id": "d-000000000001", "parent": "", "counts": {"correction": 24}, "held_out": 6, "rejected": {}, "excluded": {},
            "exchanges": [], "phrases": ["Hello there!"], "settings": {}, "imbalances": [],
        }  # fmt: skip

    folders.publish(root / "d-000000000001", write)
    datasets.use(root, "d-000000000001")
    return tmp_path / "home"


def test_without_a_dataset_it_says_how_to_make_one(tmp_path: Path, base: Path) -> None:
    assert "There is no dataset yet; make one with `timbre dataset build`." in refusal(
        Run(tmp_path / "empty", "train", "run", TIMBRE_MODEL__ID=str(base))
    )


def test_a_model_on_a_server_cannot_be_trained(home: Path) -> None:
    said = refusal(Run(home, "train", "run", TIMBRE_MODEL__URL="http://localhost:1/v1", TIMBRE_MODEL__ID="m"))

    assert "which Timbre cannot train" in said


def test_before_any_run_status_and_stop_say_so(home: Path) -> None:
    assert Run(home, "train", "status").out == "There was no run yet.\n"
    assert Run(home, "train", "status", "--json").json == {}
    assert "No run is at work." in refusal(Run(home, "train", "stop"))


def test_a_run_that_is_stopped_goes_on_when_it_is_called_again(home: Path, base: Path) -> None:
    model = {"TIMBRE_MODEL__ID": str(base), "TIMBRE_MODEL__MAX_NEW_TOKENS": "16"}  # of random words, which never end
    started = Run(home, "train", "run", "--detach", "--json", **model).json
    twice = Run(home, "train", "run", **model)
    asked = Run(home, "train", "stop", "--json").json
    again = Run(home, "train", "run", "--json", **model)

    assert started["is_alive"] and started["id"] == asked["id"]
    assert f"The run {started['id']} is at work" in refusal(twice)
    while again.status and "is at work" in again.err:  # it stops after its step
        again = Run(home, "train", "run", "--json", **model)
    lines = [json.loads(line) for line in again.out.splitlines()]
    assert again.status == 1, again.err
    assert (lines[-1]["id"], lines[-1]["state"], lines[-1]["release"]) == (started["id"], "refused", "")
    assert "The voice of approved answers was not measured." in lines[-1]["why"]  # the rows quote nothing that the engine sends
    assert f"{started['id']}: refused" in Path(lines[-1]["report"]).read_text("utf-8")
    assert f"The whole report: {lines[-1]['report']}" in Run(home, "train", "status").out
    assert Run(home, "releases", "--json").json["releases"] == []


def test_the_forecast_is_told_and_over_the_budget_nothing_starts(home: Path, base: Path) -> None:
    told = Run(home, "train", "forecast", TIMBRE_MODEL__ID=str(base), TIMBRE_COST_PER_HOUR="6")
    refused = Run(home, "train", "run", TIMBRE_MODEL__ID=str(base), TIMBRE_TRAINING__MAX_MINUTES="0.001")

    assert told.status == 0, told.err
    assert "24 rows: 3 epochs in batches of 4, 24 steps with replay." in told.out
    assert "A run takes about 1 minute, " in told.out and " at 6 an hour, at " in told.out
    assert refused.status == 1
    assert "more than TIMBRE_TRAINING__MAX_MINUTES (0)" in refused.out
