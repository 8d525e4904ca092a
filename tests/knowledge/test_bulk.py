"""Embedding in bulk gives the same vectors as embedding here."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from knowledge.bulk import POOL_WORTHWHILE_TEXTS, BulkEmbedder
from knowledge.ports import Embedder
from knowledge.vectors import PackedEmbedding
from tests.fakes import HashingEmbedder


def texts(count: int) -> dict[str, str]:
    """So many texts by key, of different lengths."""
    return {f"key {n}": f"text {n} " + "word " * (n % 17) for n in range(count)}


def broken() -> Embedder:
    raise AssertionError("no worker is needed")


def test_a_small_batch_is_embedded_in_this_process() -> None:
    embedder = HashingEmbedder()
    some = texts(60)

    with BulkEmbedder(embedder, broken) as bulk:
        vectors = bulk.submit(some).result()

    assert vectors == {key: PackedEmbedding.pack(embedder.embed([text])[0]) for key, text in some.items()}


def test_no_texts_need_no_work() -> None:
    with BulkEmbedder(HashingEmbedder(), broken) as bulk:
        assert bulk.submit({}).result() == {}


@pytest.mark.slow
def test_worker_processes_give_the_same_vectors() -> None:
    embedder = HashingEmbedder()
    many, more = texts(POOL_WORTHWHILE_TEXTS + 40), {"other": "and another one"}

    with BulkEmbedder(embedder, HashingEmbedder, workers=2) as bulk:
        first, second = bulk.submit(many), bulk.submit(more)
        vectors = second.result() | first.result()

    assert embedder.embedded == 0
    assert vectors == {key: PackedEmbedding.pack(embedder.embed([text])[0]) for key, text in (many | more).items()}


POOL = f"""
from knowledge.bulk import BulkEmbedder
from multiprocessing import active_children
from tests.fakes import HashingEmbedder
from tests.knowledge.test_bulk import texts

if __name__ == "__main__":
    with BulkEmbedder(HashingEmbedder(), HashingEmbedder, workers=2) as bulk:
        bulk.submit(texts({POOL_WORTHWHILE_TEXTS})).result()
        print(*(child.pid for child in active_children()), flush=True)
        input()
"""


@pytest.mark.slow
def test_worker_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    # They wait on a queue that they hold both ends of, so nothing else would ever wake them.
    (tmp_path / "pool.py").write_text(POOL)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(tmp_path / "pool.py")]

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()

    assert len(workers) == 2
    assert all(is_gone_within(pid, seconds=20) for pid in workers)


def is_gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":  # no one may be there to reap it
            return True
        time.sleep(0.05)
    return False
