"""Embedding in bulk gives the same vectors as embedding here."""

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
