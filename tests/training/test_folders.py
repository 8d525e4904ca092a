"""Folders of datasets and releases: whole or absent, whatever happens to their writer."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from training.errors import FolderCorrupt
from training.folders import publish, read_manifest

KILLS = int(os.environ.get("KILLS", "5"))
ROOT = Path(__file__).parents[2]


def write(folder: Path) -> Mapping[str, object]:
    (folder / "lora").mkdir()
    (folder / "rows.jsonl").write_text('{"row": 1}\n')
    (folder / "lora" / "weights.bin").write_bytes(b"weights")
    return {"id": "d-1"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_published_folder_holds_what_was_written_and_a_manifest_with_hashes(tmp_path: Path) -> None:
    publish(tmp_path / "datasets" / "d-1", write)

    manifest = read_manifest(tmp_path / "datasets" / "d-1")
    assert manifest["id"] == "d-1"
    assert sorted(manifest["files"]) == ["lora/weights.bin", "rows.jsonl"]
    assert names(tmp_path / "datasets") == ["d-1"]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> Mapping[str, object]:
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path / "d-1", fail)

    assert names(tmp_path) == []


def test_a_folder_that_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    publish(tmp_path / "d-1", write)
    before = (tmp_path / "d-1" / "manifest.json").stat()

    publish(tmp_path / "d-1", lambda folder: {"id": "another"})

    assert read_manifest(tmp_path / "d-1")["id"] == "d-1"
    assert (tmp_path / "d-1" / "manifest.json").stat().st_ino == before.st_ino
    assert names(tmp_path) == ["d-1"]


def test_a_corrupt_folder_is_replaced(tmp_path: Path) -> None:
    publish(tmp_path / "d-1", write)
    (tmp_path / "d-1" / "rows.jsonl").write_text("half")

    publish(tmp_path / "d-1", write)

    assert (tmp_path / "d-1" / "rows.jsonl").read_text() == '{"row": 1}\n'
    assert names(tmp_path) == ["d-1"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("rows.jsonl", '{"row": 2}\n', "rows.jsonl is not what was written"),
        ("rows.jsonl", None, "rows.jsonl cannot be read"),
        ("lora/weights.bin", "", "lora/weights.bin is not what was written"),
        ("manifest.json", None, "manifest.json is missing or broken"),
        ("manifest.json", '{"id": "d-1", "fi', "manifest.json is missing or broken"),
        ("manifest.json", '{"id": "d-1"}', "manifest.json is missing or broken"),
        ("manifest.json", "[]", "manifest.json is missing or broken"),
    ],
)
def test_what_was_changed_since_is_named(tmp_path: Path, name: str, content: str | None, complaint: str) -> None:
    publish(tmp_path / "d-1", write)
    file = tmp_path / "d-1" / name
    file.unlink() if content is None else file.write_text(content)

    with pytest.raises(FolderCorrupt, match=complaint):
        read_manifest(tmp_path / "d-1")


def test_the_unfinished_folder_of_a_living_writer_is_left_to_it(tmp_path: Path) -> None:
    is_writing, may_end = threading.Event(), threading.Event()

    def write_slowly(folder: Path) -> Mapping[str, object]:
        is_writing.set()
        assert may_end.wait(10)
        return write(folder)

    slow = threading.Thread(target=publish, args=(tmp_path / "d-2", write_slowly))
    slow.start()
    assert is_writing.wait(10)
    publish(tmp_path / "d-1", write)
    may_end.set()
    slow.join(10)

    assert names(tmp_path) == ["d-1", "d-2"]
    assert read_manifest(tmp_path / "d-2")["id"] == "d-1"


def test_writers_of_the_same_folder_at_once_leave_one_whole_folder(tmp_path: Path) -> None:
    writers = [threading.Thread(target=publish, args=(tmp_path / "d-1", write)) for _ in range(8)]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(10)

    assert names(tmp_path) == ["d-1"]
    assert read_manifest(tmp_path / "d-1")


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_whole_folders_and_its_leftovers_are_swept(tmp_path: Path) -> None:
    rng = random.Random(1)
    for _ in range(KILLS):
        job = subprocess.Popen(
            [sys.executable, "-m", "tests.training.publish_job", str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert job.stdout
        assert job.stdout.readline() == "started\n"
        time.sleep(rng.uniform(0, 0.1))  # the moment of the kill is what is tested
        job.kill()
        job.wait()
        job.stdout.close()

        for folder in tmp_path.glob("[0-9]*"):
            assert read_manifest(folder)["number"] == int(folder.name)

    publish(tmp_path / "last", write)

    assert [name for name in names(tmp_path) if name.startswith(".")] == []
    assert json.loads((tmp_path / "last" / "manifest.json").read_text())["id"] == "d-1"
