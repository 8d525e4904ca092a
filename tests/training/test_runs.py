"""Run folders: one run at a time, a status that is never half and never lies, and runs that go on."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from training import runs
from training.errors import RunRefused
from training.forecast import Budget
from training.runs import Request, Status, Telling

REQUEST = Request("/data/d-1", "base", Budget(60, 0, 0.0), overrides={"epochs": 1})
HOLDER = """
import sys
from pathlib import Path
from training import runs
with runs.only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return runs.create(tmp_path / "runs", REQUEST)


def test_a_new_run_waits_and_is_read_as_it_was_wanted(folder: Path) -> None:
    run = runs.read(folder)

    assert (run.id, run.request, run.status.state, run.is_alive) == (folder.name, REQUEST, "waiting", False)
    assert run.to_json()["dataset"] == "d-1"


def test_the_newest_run_is_the_first_and_folders_that_are_no_run_are_left_out(folder: Path) -> None:
    newer = folder.with_name("29990101-000000-abcd")
    folder.rename(newer)
    older = runs.create(newer.parent, REQUEST)
    (newer.parent / "20200101-000000-0000").mkdir()

    assert [run.folder for run in runs.all_runs(newer.parent)] == [newer, older]


@pytest.mark.slow
def test_one_run_at_a_time_and_the_lock_ends_with_the_process(folder: Path) -> None:
    other = runs.create(folder.parent, REQUEST)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"

        assert runs.running(folder.parent) == folder.name
        assert runs.read(folder).is_alive and not runs.read(other).is_alive
        with pytest.raises(RunRefused, match=f"The run {folder.name} is at work"), runs.only_one(other):
            pass

        process.kill()
    assert runs.running(folder.parent) == ""
    with runs.only_one(other):
        assert runs.read(other).is_alive


def test_a_run_whose_process_is_gone_was_cut_off_whatever_its_state_says(folder: Path) -> None:
    runs.write_status(folder, Status("training", step=3, steps=9))
    run = runs.read(folder)

    assert run.is_cut_off and not run.is_alive
    assert runs.to_continue(folder.parent, REQUEST) == folder


@pytest.mark.parametrize("state", ["failed", "refused", "passed", "trained", "forecast"])
def test_a_run_that_has_ended_is_not_continued(folder: Path, state: runs.State) -> None:
    runs.write_status(folder, Status(state))

    assert not runs.read(folder).is_cut_off
    assert runs.to_continue(folder.parent, REQUEST) is None


def test_a_run_for_something_else_is_not_continued(folder: Path) -> None:
    assert runs.to_continue(folder.parent, replace(REQUEST, dataset="/data/d-2")) is None
    assert runs.to_continue(folder.parent, REQUEST) == folder


def test_the_status_is_told_at_every_change_and_beats_in_between(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.runs.HEARTBEAT_S", 0.001)
    with runs.only_one(folder), Telling(folder) as telling:
        telling.tell(state="training", step=2, steps=9, loss=1.5)
        told = runs.read(folder).status
        (folder / "status.json").write_text("{}")
        while (folder / "status.json").read_text() == "{}":
            pass
        telling.log({"step": 2, "loss": 1.5})

    assert (told.state, told.step, told.loss) == ("training", 2, 1.5)
    assert told.pid and told.heartbeat_at
    assert runs.read(folder).status.step == 2
    assert json.loads((folder / "log.jsonl").read_text()) == {"step": 2, "loss": 1.5}


def test_a_stop_that_was_asked_for_before_does_not_end_the_next_try(folder: Path) -> None:
    runs.request_stop(folder)
    assert runs.should_stop(folder)

    with Telling(folder):
        assert not runs.should_stop(folder)
