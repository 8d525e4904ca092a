"""Reduced search: while an index's server is away, the copy of its entries in the database is searched."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from knowledge.documents import DocumentId
from knowledge.errors import IndexAway, IndexUnavailable
from knowledge.ports import ChunkIndex, GenerationId, IndexEntry, IndexQuery, Legs

logger = logging.getLogger(__name__)

PROBE_PAUSE_S = 0.5  # between two looks whether the server is back
_NOTHING = IndexQuery([], [], np.zeros(0, np.float32), frozenset())
"""Finds nothing, and fails where a search would."""


class FallbackIndex:
    """A ChunkIndex that searches `copy` while `index` is away; everything else needs `index` itself.

    The first search that meets the absence waits for its deadline; the next ones go to the copy at once, until a look in the
    background finds the server again. Then `on_return` is called before searches go back: what was written meanwhile is in the
    copy only.
    """

    def __init__(self, index: ChunkIndex, copy: ChunkIndex, on_return: Callable[[], None]) -> None:
        self._index = index
        self._copy = copy
        self._on_return = on_return
        self._lock = threading.Lock()
        self._is_away = False
        self._probe: threading.Thread | None = None
        self._closed = threading.Event()

    def search(self, query: IndexQuery) -> Legs:
        if self._is_away:
            return self._reduced(query)
        try:
            return self._index.search(query)
        except IndexUnavailable as err:
            if self._copy.live_generation() is None:
                raise  # there is nothing to fall back on
            self._note_absence(err)
            return self._reduced(query)

    def live_generation(self) -> GenerationId | None:
        """While the index is away it is the copy's."""
        try:
            return self._index.live_generation()
        except IndexAway:
            return self._copy.live_generation()

    def create_generation(self) -> GenerationId:
        return self._index.create_generation()

    def replace_documents(self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        self._index.replace_documents(generation, documents)

    def activate(self, generation: GenerationId) -> None:
        self._index.activate(generation)

    def count(self, generation: GenerationId) -> int:
        return self._index.count(generation)

    def entries(self, generation: GenerationId) -> Iterator[IndexEntry]:
        return self._index.entries(generation)

    def close(self) -> None:
        self._closed.set()
        if self._probe is not None:
            self._probe.join()
        self._index.close()
        self._copy.close()

    def _reduced(self, query: IndexQuery) -> Legs:
        return replace(self._copy.search(query), is_reduced=True)

    def _note_absence(self, err: IndexUnavailable) -> None:
        with self._lock:
            if self._is_away:
                return
            self._is_away = True
            logger.warning("reduced search: %s", err)
            self._probe = threading.Thread(target=self._await_return, name="index-probe", daemon=True)
            self._probe.start()

    def _await_return(self) -> None:
        while not self._closed.wait(PROBE_PAUSE_S):
            try:
                if self._index.live_generation() is None:
                    continue
                self._on_return()
                self._index.search(_NOTHING)
            except IndexUnavailable:
                continue
            except Exception:
                logger.exception("cannot go back to the index yet")
                continue
            logger.warning("the index is back; searches use it again")
            self._is_away = False
            return
