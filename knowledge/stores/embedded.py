"""The index that needs no server: entries in the SQL database, searched in memory by every process that asks."""

import threading
from collections.abc import Iterator, Mapping, Sequence

from sqlmodel import Session

from knowledge.documents import DocumentId
from knowledge.errors import NothingIndexed
from knowledge.ports import Database, GenerationId, IndexEntry, IndexQuery, Legs
from knowledge.stores.rows import IndexRows
from knowledge.stores.snapshot import Snapshot


class EmbeddedIndex:
    """A ChunkIndex over its rows in SQL.

    Each process keeps a snapshot of the live generation and, before a search, loads the documents that have changed
    since; a new generation is loaded whole.
    """

    def __init__(self, database: Database, rows: IndexRows) -> None:
        self._database = database
        self._rows = rows
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._seen_change = 0

    def live_generation(self) -> GenerationId | None:
        with self._database.reading() as session:
            return self._rows.live(session)

    def create_generation(self) -> GenerationId:
        with self._database.writing() as session:
            return self._rows.create(session)

    def replace_documents(self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        with self._database.writing() as session:
            self._rows.replace(session, generation, documents)

    def activate(self, generation: GenerationId) -> None:
        with self._database.writing() as session:
            self._rows.activate(session, generation)

    def count(self, generation: GenerationId) -> int:
        with self._database.reading() as session:
            return self._rows.count(session, generation)

    def entries(self, generation: GenerationId) -> Iterator[IndexEntry]:
        with self._database.reading() as session:
            yield from self._rows.entries(session, generation)

    def search(self, query: IndexQuery) -> Legs:
        with self._lock:
            return self._fresh_snapshot().search(query)

    def close(self) -> None:
        """Holds no connection of its own."""

    def _fresh_snapshot(self) -> Snapshot:
        with self._database.reading() as session:
            live = self._rows.live(session)
            if live is None:
                raise NothingIndexed
            if self._snapshot is None or self._snapshot.generation != live:
                self._snapshot = self._load_all(session, live)
            else:
                self._load_changes(session, self._snapshot)
            return self._snapshot

    def _load_all(self, session: Session, live: GenerationId) -> Snapshot:
        self._seen_change = self._rows.last_change(session, live)
        snapshot = Snapshot(live, self._rows.dimensions)
        snapshot.replace([], self._rows.entries(session, live))
        return snapshot

    def _load_changes(self, session: Session, snapshot: Snapshot) -> None:
        last = self._rows.last_change(session, snapshot.generation)
        if last == self._seen_change:
            return
        changed = self._rows.changed_since(session, snapshot.generation, self._seen_change)
        snapshot.replace(changed, self._rows.of_documents(session, snapshot.generation, changed))
        self._seen_change = last
