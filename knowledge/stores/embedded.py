"""The index that needs no server: entries in the SQL database, searched in memory by every process that asks."""

import threading
from collections.abc import Sequence

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from knowledge.documents import ChunkId, DocumentId
from knowledge.errors import IndexUnavailable
from knowledge.ports import Database, GenerationId, IndexEntry, IndexQuery, Legs
from knowledge.stores.snapshot import Snapshot
from knowledge.tables import GenerationRow, IndexChangeRow, IndexEntryRow, in_slices
from knowledge.vectors import pack_floats, unpack_floats


class EmbeddedIndex:
    """A ChunkIndex over the tables generation, index_entry and index_change.

    `analysis` names the embedder and the terms: a generation of another analysis counts as none, since its vectors and
    terms cannot be compared with a question's.

    Each process keeps a snapshot of the live generation and, before a search, loads the documents that have changed
    since; a new generation is loaded whole. Safe for threads.
    """

    def __init__(self, database: Database, analysis: str, dimensions: int) -> None:
        self._database = database
        self._analysis = analysis
        self._dimensions = dimensions
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._seen_change = 0

    def live_generation(self) -> GenerationId | None:
        with self._database.reading() as session:
            return self._live(session)

    def create_generation(self) -> GenerationId:
        with self._database.writing() as session:
            row = GenerationRow(analysis=self._analysis)
            session.add(row)
            session.flush()
            assert row.id is not None
            return GenerationId(row.id)

    def replace_document(self, generation: GenerationId, document_id: DocumentId, entries: Sequence[IndexEntry]) -> None:
        with self._database.writing() as session:
            session.exec(
                delete(IndexEntryRow).where(
                    col(IndexEntryRow.generation_id) == generation, col(IndexEntryRow.document_id) == document_id
                )
            )
            session.add_all(_row(generation, entry) for entry in entries)
            session.add(IndexChangeRow(generation_id=generation, document_id=document_id))

    def activate(self, generation: GenerationId) -> None:
        with self._database.writing() as session:
            row = session.get(GenerationRow, generation)
            if row is None:
                raise IndexUnavailable(f"Index generation {generation} is gone; run `timbre reindex` again.")
            row.state = "live"
            others = select(GenerationRow.id).where(col(GenerationRow.id) != generation)
            session.exec(delete(IndexEntryRow).where(col(IndexEntryRow.generation_id).in_(others)))
            session.exec(delete(IndexChangeRow).where(col(IndexChangeRow.generation_id).in_(others)))
            session.exec(delete(GenerationRow).where(col(GenerationRow.id) != generation))

    def count(self, generation: GenerationId) -> int:
        with self._database.reading() as session:
            where = col(IndexEntryRow.generation_id) == generation
            return session.exec(select(func.count()).select_from(IndexEntryRow).where(where)).one()

    def search(self, query: IndexQuery) -> Legs:
        with self._lock:
            return self._fresh_snapshot().search(query)

    def document_frequencies(self, stems: Sequence[str]) -> tuple[int, list[int]]:
        with self._lock:
            return self._fresh_snapshot().document_frequencies(stems)

    def _fresh_snapshot(self) -> Snapshot:
        with self._database.reading() as session:
            live = self._live(session)
            if live is None:
                raise IndexUnavailable("Nothing is indexed yet; run `timbre ingest PATH` first.")
            if self._snapshot is None or self._snapshot.generation != live:
                self._load_all(session, live)
            else:
                self._load_changes(session, self._snapshot)
            assert self._snapshot is not None
            return self._snapshot

    def _live(self, session: Session) -> GenerationId | None:
        where = (GenerationRow.state == "live", GenerationRow.analysis == self._analysis)
        row = session.exec(select(GenerationRow.id).where(*where)).first()
        return None if row is None else GenerationId(row)

    def _load_all(self, session: Session, live: GenerationId) -> None:
        self._seen_change = _last_change(session, live)
        snapshot = Snapshot(live)
        rows = session.exec(select(IndexEntryRow).where(col(IndexEntryRow.generation_id) == live)).all()
        snapshot.replace([], [self._entry(row) for row in rows])
        self._snapshot = snapshot

    def _load_changes(self, session: Session, snapshot: Snapshot) -> None:
        last = _last_change(session, snapshot.generation)
        if last == self._seen_change:
            return
        changed = session.exec(
            select(IndexChangeRow.document_id)
            .where(col(IndexChangeRow.generation_id) == snapshot.generation, col(IndexChangeRow.id) > self._seen_change)
            .distinct()
        ).all()
        rows = [row for part in in_slices(changed) for row in self._rows_of(session, snapshot.generation, part)]
        snapshot.replace([DocumentId(document) for document in changed], [self._entry(row) for row in rows])
        self._seen_change = last

    def _rows_of(self, session: Session, generation: GenerationId, documents: Sequence[int]) -> Sequence[IndexEntryRow]:
        where = (col(IndexEntryRow.generation_id) == generation, col(IndexEntryRow.document_id).in_(documents))
        return session.exec(select(IndexEntryRow).where(*where)).all()

    def _entry(self, row: IndexEntryRow) -> IndexEntry:
        return IndexEntry(
            ChunkId(row.chunk_id),
            DocumentId(row.document_id),
            frozenset(row.audience),
            row.stems.split(),
            row.grams.split(),
            unpack_floats(row.vector, self._dimensions)[0],
        )


def _last_change(session: Session, generation: GenerationId) -> int:
    where = col(IndexChangeRow.generation_id) == generation
    return session.exec(select(func.max(IndexChangeRow.id)).where(where)).one() or 0


def _row(generation: GenerationId, entry: IndexEntry) -> IndexEntryRow:
    return IndexEntryRow(
        generation_id=generation,
        chunk_id=entry.chunk_id,
        document_id=entry.document_id,
        audience=sorted(entry.audience),
        stems=" ".join(entry.stems),
        grams=" ".join(entry.grams),
        vector=pack_floats(entry.vector),
    )
