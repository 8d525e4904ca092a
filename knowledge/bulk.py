"""Embeds many texts at once in worker processes; a few in this one."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType

from knowledge.embedding import BATCH_TEXTS
from knowledge.ports import Embedder
from knowledge.vectors import PackedEmbedding

POOL_WORTHWHILE_TEXTS = 256  # below, starting processes takes longer than they save

_worker_embedder: Embedder | None = None


def _start_worker(load: Callable[[], Embedder]) -> None:
    global _worker_embedder
    Thread(target=_end_with_parent, daemon=True).start()
    _worker_embedder = load()


def _end_with_parent() -> None:
    """The pool does not end its processes when this one's parent is killed: they would wait for work for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _embed_in_worker(texts: list[str]) -> list[PackedEmbedding]:
    assert _worker_embedder is not None
    return [PackedEmbedding.pack(embedding) for embedding in _worker_embedder.embed(texts)]


class Embeddings:
    """The vectors of a batch of texts, some of them still being made."""

    def __init__(self, ready: dict[str, PackedEmbedding], running: list[tuple[list[str], Future[list[PackedEmbedding]]]]) -> None:
        self._ready = ready
        self._running = running

    def result(self) -> dict[str, PackedEmbedding]:
        """Waits for all of them; by text hash."""
        for keys, future in self._running:
            self._ready.update(zip(keys, future.result(), strict=True))
        self._running = []
        return self._ready


class BulkEmbedder:
    """Spreads texts over `workers` processes of one thread each (measured: 202 texts/s on two cores, one process 145).

    `load` makes the embedder inside a worker and must be picklable. The processes start with the first large batch.
    """

    def __init__(self, embedder: Embedder, load: Callable[[], Embedder], workers: int | None = None) -> None:
        self._embedder = embedder
        self._load = load
        self._workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "BulkEmbedder":
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def submit(self, texts: Mapping[str, str]) -> Embeddings:
        """Starts on the texts, given by hash. Large batches run in the background until `result` is asked for."""
        if self._pool is None and len(texts) < POOL_WORTHWHILE_TEXTS:
            embedded = self._embedder.embed(list(texts.values()))
            return Embeddings({k: PackedEmbedding.pack(e) for k, e in zip(texts, embedded, strict=True)}, [])
        keys = sorted(texts, key=lambda key: len(texts[key]), reverse=True)
        parts = [keys[start : start + BATCH_TEXTS] for start in range(0, len(keys), BATCH_TEXTS)]
        pool = self._started_pool()
        return Embeddings({}, [(part, pool.submit(_embed_in_worker, [texts[key] for key in part])) for part in parts])

    def _started_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, get_context("spawn"), initializer=_start_worker, initargs=(self._load,)
            )
        return self._pool
