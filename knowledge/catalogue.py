"""The truth about sources, documents, chunks and embeddings, in SQL. Knows nothing of files, models or indexes."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func
from sqlmodel import Session, col, delete, select, update

from knowledge.documents import Audience, Chunk, ChunkId, DocumentId, DocumentRef, DocumentState, Unit
from knowledge.errors import UnknownSource
from knowledge.labels import labels_of
from knowledge.ports import Database, Embedding, IndexEntry
from knowledge.tables import ChunkRow, DocumentRow, EmbeddingRow, KnownQuestionRow, SourceRow, in_slices
from knowledge.terms import grams, stems
from knowledge.vectors import PackedEmbedding, unpack_floats

STANDARD_ANSWERS = "standard-answers"
"""The source that holds approved corrections; it has no files."""
STANDARD_ANSWERS_PLACE = "corrections approved by support staff"


@dataclass(frozen=True)
class Source:
    """A place that documents come from."""

    id: int
    name: str
    place: str
    audience: Audience
    read_at: datetime | None
    error: str


@dataclass(frozen=True)
class DocumentStatus:
    """What the catalogue knows of a document without its text."""

    id: DocumentId
    location: str
    title: str
    content_hash: str
    parser_version: str
    audience: Audience
    state: DocumentState
    error: str


@dataclass(frozen=True)
class SourceSummary:
    """A source with its number of documents by state and of chunks, and the documents that failed."""

    source: Source
    documents: int
    chunks: int
    failed: Sequence[DocumentStatus]


@dataclass(frozen=True)
class KnownQuestion:
    """A question known to be answered by the chunk `chunk_id`."""

    id: int
    question: str
    chunk_id: ChunkId
    kind: str
    audience: Audience
    source: str


def text_hash(chunk: Chunk) -> str:
    return hashlib.sha256(chunk.indexed_text.encode()).hexdigest()


class Catalogue:
    """Reads and writes the catalogue. `embedder` names the embedding model whose vectors count."""

    def __init__(self, database: Database, embedder: str, dimensions: int) -> None:
        self._database = database
        self._embedder = embedder
        self._dimensions = dimensions

    # Sources

    def sources(self) -> list[Source]:
        with self._database.reading() as session:
            return [_source(row) for row in session.exec(select(SourceRow).order_by(SourceRow.name)).all()]

    def source(self, name: str) -> Source:
        """Raises UnknownSource when there is none of that name."""
        known = {source.name: source for source in self.sources()}
        if name not in known:
            raise UnknownSource(name, list(known))
        return known[name]

    def put_source(self, name: str, place: str, audience: Audience) -> Source:
        """Adds the source, or changes the place and audience of the one with this name."""
        with self._database.writing() as session:
            row = session.exec(select(SourceRow).where(SourceRow.name == name)).first() or SourceRow(
                name=name, place="", audience=[]
            )
            row.place, row.audience = place, sorted(audience)
            session.add(row)
            session.flush()
            return _source(row)

    def mark_read(self, source_id: int, error: str = "") -> None:
        with self._database.writing() as session:
            values = {"error": error} if error else {"error": "", "read_at": datetime.now(UTC)}
            session.exec(update(SourceRow).where(col(SourceRow.id) == source_id).values(values))

    def remove_source(self, source_id: int) -> None:
        """Removes a source without documents from the catalogue."""
        with self._database.writing() as session:
            session.exec(delete(SourceRow).where(col(SourceRow.id) == source_id))

    def summaries(self) -> list[SourceSummary]:
        return [self._summary(source) for source in self.sources()]

    # Documents

    def documents(self, source_id: int) -> dict[str, DocumentStatus]:
        """The documents of a source by location, deleted ones that the index still holds included."""
        with self._database.reading() as session:
            rows = session.exec(select(DocumentRow).where(DocumentRow.source_id == source_id)).all()
            return {row.location: _status(row) for row in rows}

    def store(
        self,
        source: Source,
        location: str,
        title: str,
        content_hash: str,
        parser_version: str,
        chunks: Sequence[Chunk],
        embeddings: Mapping[str, PackedEmbedding],
        audience: Audience | None = None,
    ) -> DocumentId:
        """Writes a new version of a document with its chunks and the embeddings that were missing, in one transaction.

        The audience is the source's unless the document has its own.

        The document is then `stored`; the chunks of the version before stay until `mark_indexed`, so that searches which
        found them still can read them.
        """
        with self._database.writing() as session:
            row = self._document_row(session, source.id, location)
            row.title, row.content_hash, row.parser_version = title, content_hash, parser_version
            row.audience = sorted(source.audience if audience is None else audience)
            row.state, row.error = "stored", ""
            row.version += 1
            session.add(row)
            session.flush()
            assert row.id is not None
            session.add_all(_chunk_row(row.id, row.version, chunk) for chunk in chunks)
            self._insert_embeddings(session, embeddings)
            return DocumentId(row.id)

    def mark_failed(self, source: Source, location: str, content_hash: str, parser_version: str, reason: str) -> None:
        """Records why a document cannot be used; a version that was indexed before leaves the index with it."""
        with self._database.writing() as session:
            row = self._document_row(session, source.id, location)
            row.content_hash, row.parser_version = content_hash, parser_version
            row.audience, row.state, row.error = sorted(source.audience), "failed", reason
            row.version += 1
            session.add(row)

    def mark_deleted(self, document_ids: Iterable[DocumentId]) -> None:
        self._set_state(document_ids, "deleted")

    def change_audience(self, document_ids: Iterable[DocumentId], audience: Audience) -> None:
        """Gives the documents another audience; they are `stored` until the index has it."""
        with self._database.writing() as session:
            for document_id in document_ids:
                values = {"audience": sorted(audience), "state": "stored"}
                session.exec(update(DocumentRow).where(col(DocumentRow.id) == document_id).values(values))

    def waiting(self) -> list[DocumentId]:
        """Documents that the index does not show as the catalogue has them: stored, deleted, or failed with old chunks."""
        with self._database.reading() as session:
            failed_with_chunks = (col(DocumentRow.state) == "failed") & col(DocumentRow.id).in_(select(ChunkRow.document_id))
            where = col(DocumentRow.state).in_(["stored", "deleted"]) | failed_with_chunks
            return [
                DocumentId(i) for i in session.exec(select(DocumentRow.id).where(where).order_by(col(DocumentRow.id))).all() if i
            ]

    def all_documents(self) -> list[DocumentId]:
        """The documents that a whole index holds."""
        with self._database.reading() as session:
            where = col(DocumentRow.state).in_(["stored", "indexed"])
            return [
                DocumentId(i) for i in session.exec(select(DocumentRow.id).where(where).order_by(col(DocumentRow.id))).all() if i
            ]

    def mark_indexed(self, document_ids: Iterable[DocumentId]) -> None:
        """The index now holds what `entries` said: old chunks go, a deleted document goes altogether."""
        with self._database.writing() as session:
            for document_id in document_ids:
                _mark_indexed(session, document_id)

    def drop_unused_embeddings(self) -> int:
        """Deletes vectors of texts that no chunk has any more; how many."""
        with self._database.writing() as session:
            unused = col(EmbeddingRow.text_hash).not_in(select(ChunkRow.text_hash))
            return int(session.exec(delete(EmbeddingRow).where(unused)).rowcount)

    # What an index and a search need

    def missing_embeddings(self, hashes: Sequence[str]) -> set[str]:
        """Those of the text hashes that have no vectors under this embedder."""
        with self._database.reading() as session:
            return set(hashes) - self._embedded(session, hashes)

    def texts_without_embedding(self) -> dict[str, str]:
        """Indexed text by hash, of every current chunk that has no vectors under this embedder."""
        with self._database.reading() as session:
            embedded = select(EmbeddingRow.text_hash).where(EmbeddingRow.embedder == self._embedder)
            rows = session.exec(
                select(ChunkRow)
                .join(DocumentRow, col(DocumentRow.id) == col(ChunkRow.document_id))
                .where(col(ChunkRow.version) == col(DocumentRow.version), col(ChunkRow.text_hash).not_in(embedded))
            ).all()
            return {row.text_hash: _chunk(row).indexed_text for row in rows}

    def add_embeddings(self, embeddings: Mapping[str, PackedEmbedding]) -> None:
        with self._database.writing() as session:
            self._insert_embeddings(session, embeddings)

    def entries(self, document_id: DocumentId) -> list[IndexEntry]:
        """What the index should hold of a document; nothing for a deleted or failed one."""
        with self._database.reading() as session:
            where = (DocumentRow.id == document_id, col(DocumentRow.state).in_(["stored", "indexed"]))
            found = session.exec(select(DocumentRow, SourceRow.name).join(SourceRow).where(*where)).first()
            if found is None:
                return []
            document, source = found
            labels = labels_of(source, frozenset(document.audience))
            rows = session.exec(
                select(ChunkRow, EmbeddingRow.vector)
                .join(EmbeddingRow, col(EmbeddingRow.text_hash) == col(ChunkRow.text_hash))
                .where(
                    ChunkRow.document_id == document_id,
                    ChunkRow.version == document.version,
                    EmbeddingRow.embedder == self._embedder,
                )
            ).all()
            return [self._entry(document_id, labels, row, vector) for row, vector in rows]

    def chunks(self, chunk_ids: Sequence[ChunkId]) -> dict[ChunkId, tuple[DocumentRef, Chunk]]:
        """The chunks with where they come from; one that is gone is left out."""
        found: dict[ChunkId, tuple[DocumentRef, Chunk]] = {}
        with self._database.reading() as session:
            for part in in_slices(chunk_ids):
                rows = session.exec(
                    select(ChunkRow, DocumentRow, SourceRow)
                    .join(DocumentRow, col(DocumentRow.id) == col(ChunkRow.document_id))
                    .join(SourceRow, col(SourceRow.id) == col(DocumentRow.source_id))
                    .where(col(ChunkRow.id).in_(part))
                ).all()
                found |= {ChunkId(row.id or 0): (_ref(document, source), _chunk(row)) for row, document, source in rows}
        return found

    def embeddings(self, chunk_ids: Sequence[ChunkId]) -> dict[ChunkId, Embedding]:
        """The vectors of the chunks' indexed text."""
        found: dict[ChunkId, Embedding] = {}
        with self._database.reading() as session:
            for part in in_slices(chunk_ids):
                rows = session.exec(
                    select(ChunkRow.id, EmbeddingRow)
                    .join(EmbeddingRow, col(EmbeddingRow.text_hash) == col(ChunkRow.text_hash))
                    .where(col(ChunkRow.id).in_(part), EmbeddingRow.embedder == self._embedder)
                ).all()
                found |= {ChunkId(chunk_id or 0): self._unpack(row) for chunk_id, row in rows}
        return found

    def headings(self, audience: Audience, sources: Collection[str] = ()) -> list[tuple[str, str]]:
        """(title, last heading) of every chunk that the audience may read, in order: what suggestions are made of.

        `sources` are the only ones to look in; empty: all.
        """
        of_sources = [col(SourceRow.name).in_(sources)] if sources else []
        with self._database.reading() as session:
            rows = session.exec(
                select(DocumentRow.title, ChunkRow.heading_path, DocumentRow.audience)
                .join(ChunkRow, col(ChunkRow.document_id) == col(DocumentRow.id))
                .join(SourceRow, col(SourceRow.id) == col(DocumentRow.source_id))
                .where(DocumentRow.state == "indexed", *of_sources)
                .order_by(col(ChunkRow.id))
            ).all()
            return [(title, path[-1] if path else "") for title, path, groups in rows if audience & set(groups)]

    def groups(self) -> Audience:
        """Every group label that a document or source names."""
        with self._database.reading() as session:
            lists = [*session.exec(select(SourceRow.audience)).all(), *session.exec(select(DocumentRow.audience)).all()]
            return frozenset(label for labels in lists for label in labels)

    # Known questions

    def add_known_question(self, chunk_id: ChunkId, question: str, kind: str, origin: str) -> None:
        """Remembers that the chunk answers the question; `origin` is the exchange or the standard answer it comes from."""
        with self._database.writing() as session:
            chunk = session.get(ChunkRow, chunk_id)
            if chunk is None:
                return
            session.exec(delete(KnownQuestionRow).where(col(KnownQuestionRow.origin) == origin))
            row = KnownQuestionRow(
                document_id=chunk.document_id, text_hash=chunk.text_hash, question=question, kind=kind, origin=origin
            )
            session.add(row)

    def remove_known_question(self, *, id: int | None = None, origin: str | None = None) -> bool:
        """Forgets a known question by its number or its origin; False when there was none."""
        condition = col(KnownQuestionRow.id) == id if id is not None else col(KnownQuestionRow.origin) == origin
        with self._database.writing() as session:
            return bool(session.exec(delete(KnownQuestionRow).where(condition)).rowcount)

    def known_questions(self) -> list[KnownQuestion]:
        """All known questions whose chunk still exists as it was."""
        with self._database.reading() as session:
            rows = session.exec(
                select(KnownQuestionRow, ChunkRow.id, DocumentRow.audience, SourceRow.name)
                .join(DocumentRow, col(DocumentRow.id) == col(KnownQuestionRow.document_id))
                .join(SourceRow, col(SourceRow.id) == col(DocumentRow.source_id))
                .join(ChunkRow, col(ChunkRow.document_id) == col(DocumentRow.id))
                .where(
                    col(ChunkRow.text_hash) == col(KnownQuestionRow.text_hash),
                    col(ChunkRow.version) == col(DocumentRow.version),
                    DocumentRow.state == "indexed",
                )
                .order_by(col(KnownQuestionRow.id))
            ).all()
            return [
                KnownQuestion(row.id or 0, row.question, ChunkId(chunk_id or 0), row.kind, frozenset(groups), source)
                for row, chunk_id, groups, source in rows
            ]

    # Rows and values

    def _summary(self, source: Source) -> SourceSummary:
        documents = [d for d in self.documents(source.id).values() if d.state != "deleted"]
        with self._database.reading() as session:
            joined = select(func.count()).select_from(ChunkRow).join(DocumentRow)
            where = (DocumentRow.source_id == source.id, col(ChunkRow.version) == col(DocumentRow.version))
            chunks = session.exec(joined.where(*where)).one()
        failed = [document for document in documents if document.state == "failed"]
        return SourceSummary(source, len(documents) - len(failed), chunks, failed)

    def _set_state(self, document_ids: Iterable[DocumentId], state: DocumentState) -> None:
        with self._database.writing() as session:
            for part in in_slices(list(document_ids)):
                session.exec(update(DocumentRow).where(col(DocumentRow.id).in_(part)).values(state=state))

    def _document_row(self, session: Session, source_id: int, location: str) -> DocumentRow:
        where = (DocumentRow.source_id == source_id, DocumentRow.location == location)
        row = session.exec(select(DocumentRow).where(*where)).first()
        row = row or DocumentRow(
            source_id=source_id, location=location, audience=[], state="stored", changed_at=datetime.now(UTC)
        )
        row.changed_at = datetime.now(UTC)
        return row

    def _embedded(self, session: Session, hashes: Sequence[str]) -> set[str]:
        present: set[str] = set()
        for part in in_slices(hashes):
            where = (col(EmbeddingRow.text_hash).in_(part), EmbeddingRow.embedder == self._embedder)
            present.update(session.exec(select(EmbeddingRow.text_hash).where(*where)).all())
        return present

    def _insert_embeddings(self, session: Session, embeddings: Mapping[str, PackedEmbedding]) -> None:
        present = self._embedded(session, list(embeddings))
        session.add_all(self._embedding_row(key, packed) for key, packed in embeddings.items() if key not in present)

    def _embedding_row(self, key: str, packed: PackedEmbedding) -> EmbeddingRow:
        return EmbeddingRow(
            text_hash=key,
            embedder=self._embedder,
            vector=packed.vector,
            token_vectors=packed.token_vectors,
            offsets=packed.offsets,
        )

    def _unpack(self, row: EmbeddingRow) -> Embedding:
        return PackedEmbedding(row.vector, row.token_vectors, row.offsets).unpack(self._dimensions)

    def _entry(self, document_id: DocumentId, labels: Audience, row: ChunkRow, vector: bytes) -> IndexEntry:
        text = _chunk(row).indexed_text
        return IndexEntry(
            ChunkId(row.id or 0), document_id, labels, stems(text), grams(text), unpack_floats(vector, self._dimensions)[0]
        )


def _mark_indexed(session: Session, document_id: DocumentId) -> None:
    row = session.get(DocumentRow, document_id)
    if row is None:
        return
    if row.state == "deleted":
        session.exec(delete(ChunkRow).where(col(ChunkRow.document_id) == document_id))
        session.exec(delete(KnownQuestionRow).where(col(KnownQuestionRow.document_id) == document_id))
        session.delete(row)
        return
    old = col(ChunkRow.version) < row.version
    session.exec(delete(ChunkRow).where(col(ChunkRow.document_id) == document_id, old))
    row.state = "indexed" if row.state == "stored" else row.state
    session.add(row)


def _source(row: SourceRow) -> Source:
    assert row.id is not None
    at = row.read_at
    read_at = at.replace(tzinfo=UTC) if at and at.tzinfo is None else at  # SQLite keeps no time zone
    return Source(row.id, row.name, row.place, frozenset(row.audience), read_at, row.error)


def _status(row: DocumentRow) -> DocumentStatus:
    state: DocumentState = row.state  # type: ignore[assignment]  # the column holds nothing else
    audience = frozenset(row.audience)
    return DocumentStatus(
        DocumentId(row.id or 0), row.location, row.title, row.content_hash, row.parser_version, audience, state, row.error
    )


def _ref(document: DocumentRow, source: SourceRow) -> DocumentRef:
    is_standard = source.name == STANDARD_ANSWERS
    address = "" if is_standard else address_of(source.place, document.location)
    return DocumentRef(
        DocumentId(document.id or 0), source.name, document.title, document.location, address,
        frozenset(document.audience), is_standard,
    )  # fmt: skip


def address_of(place: str, location: str) -> str:
    """The address of a document of a source: its place, a slash, its location; the place alone for a single file."""
    return place if place.rstrip("/").endswith(location) else f"{place.rstrip('/')}/{location}"


def _chunk_row(document_id: int, version: int, chunk: Chunk) -> ChunkRow:
    return ChunkRow(
        document_id=document_id,
        version=version,
        text=chunk.text,
        prefix=chunk.prefix,
        anchor=chunk.anchor,
        heading_path=list(chunk.heading_path),
        units=[[unit.start, unit.end, unit.block, unit.kind, unit.lead_in] for unit in chunk.units],
        text_hash=text_hash(chunk),
    )


def _chunk(row: ChunkRow) -> Chunk:
    units = tuple(Unit(*unit) for unit in row.units)  # type: ignore[arg-type]  # written by _chunk_row
    return Chunk(row.text, row.prefix, tuple(row.heading_path), row.anchor, units)
