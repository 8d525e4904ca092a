"""The SQL side of every index: generations, their entries, and what changed. Works inside the caller's session.

The embedded index searches these rows; beside a server they are the list of what the server's objects must be, and the copy
that is searched while it is away.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, delete, select

from knowledge.documents import Audience, ChunkId, DocumentId
from knowledge.errors import IndexUnavailable
from knowledge.ports import GenerationId, IndexEntry
from knowledge.tables import GenerationRow, IndexChangeRow, IndexEntryRow, in_slices
from knowledge.vectors import pack_floats, unpack_floats

Field = Literal["stems", "grams"]
PAGE = 1_000  # entries read at a time, of 5 kB each: those of 100,000 chunks at once would fill a gigabyte


@dataclass(frozen=True)
class GenerationState:
    """`is_behind`: the server lacks what the rows say of a document; `last_change` is the newest one's number, 0 before it."""

    is_live: bool
    is_behind: bool
    last_change: int


class IndexRows:
    """The tables generation, index_entry and index_change.

    `analysis` names embedder, terms, labels and index: a generation of another analysis counts as none, since its vectors
    and terms cannot be compared with a question's.
    """

    def __init__(self, analysis: str, dimensions: int) -> None:
        self._analysis = analysis
        self.dimensions = dimensions

    def live(self, session: Session) -> GenerationId | None:
        where = (GenerationRow.state == "live", GenerationRow.analysis == self._analysis)
        row = session.exec(select(GenerationRow.id).where(*where)).first()
        return None if row is None else GenerationId(row)

    def holds(self, session: Session, generation: GenerationId) -> bool:
        """Whether the generation exists and is of this analysis, live or not."""
        row = session.get(GenerationRow, generation)
        return row is not None and row.analysis == self._analysis

    def create(self, session: Session) -> GenerationId:
        row = GenerationRow(analysis=self._analysis)
        session.add(row)
        session.flush()
        assert row.id is not None
        return GenerationId(row.id)

    def replace(self, session: Session, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        """Puts the entries in place of the documents' rows. Raises IndexUnavailable when the generation is gone."""
        if session.get(GenerationRow, generation) is None:
            raise gone(generation)
        for part in in_slices(list(documents)):
            of_part = (col(IndexEntryRow.generation_id) == generation, col(IndexEntryRow.document_id).in_(part))
            session.exec(delete(IndexEntryRow).where(*of_part))
        session.add_all(_row(generation, entry) for entries in documents.values() for entry in entries)
        session.add_all(IndexChangeRow(generation_id=generation, document_id=document) for document in documents)

    def mark_behind(self, session: Session, generation: GenerationId, documents: Sequence[DocumentId], is_behind: bool) -> None:
        """Whether the server lacks what the rows say of these documents."""
        row = session.get_one(GenerationRow, generation)
        others = set(row.behind) - set(documents)
        row.behind = sorted(others | set(documents) if is_behind else others)
        session.add(row)

    def state(self, session: Session, generation: GenerationId) -> GenerationState | None:
        """The state of a generation of this analysis; none when there is no such generation."""
        last = select(func.max(IndexChangeRow.id)).where(col(IndexChangeRow.generation_id) == generation).scalar_subquery()
        columns = (GenerationRow.analysis, GenerationRow.state, GenerationRow.behind)
        row = session.exec(select(*columns, last).where(col(GenerationRow.id) == generation)).first()
        if row is None or row[0] != self._analysis:
            return None
        return GenerationState(is_live=row[1] == "live", is_behind=bool(row[2]), last_change=row[3] or 0)

    def activate(self, session: Session, generation: GenerationId) -> None:
        """Makes the generation live and drops all others. Raises IndexUnavailable when it is gone."""
        row = session.get(GenerationRow, generation)
        if row is None:
            raise gone(generation)
        row.state = "live"
        others = select(GenerationRow.id).where(col(GenerationRow.id) != generation)
        session.exec(delete(IndexEntryRow).where(col(IndexEntryRow.generation_id).in_(others)))
        session.exec(delete(IndexChangeRow).where(col(IndexChangeRow.generation_id).in_(others)))
        session.exec(delete(GenerationRow).where(col(GenerationRow.id) != generation))

    def count(self, session: Session, generation: GenerationId) -> int:
        where = col(IndexEntryRow.generation_id) == generation
        return session.exec(select(func.count()).select_from(IndexEntryRow).where(where)).one()

    def entries(self, session: Session, generation: GenerationId) -> Iterator[IndexEntry]:
        """All entries of a generation, by chunk id."""
        rows = select(IndexEntryRow).where(col(IndexEntryRow.generation_id) == generation).order_by(col(IndexEntryRow.chunk_id))
        return map(self._entry, session.exec(rows.execution_options(yield_per=PAGE)))

    def of_documents(self, session: Session, generation: GenerationId, documents: Sequence[DocumentId]) -> Iterator[IndexEntry]:
        for part in in_slices(documents):
            where = (col(IndexEntryRow.generation_id) == generation, col(IndexEntryRow.document_id).in_(part))
            yield from map(self._entry, session.exec(select(IndexEntryRow).where(*where)))

    def audiences(self, session: Session, generation: GenerationId, chunks: Sequence[ChunkId]) -> dict[ChunkId, Audience]:
        """The audience of those of the chunks that the generation holds."""
        columns = (IndexEntryRow.chunk_id, IndexEntryRow.audience)
        found: dict[ChunkId, Audience] = {}
        for part in in_slices(chunks):
            rows = session.exec(select(*columns).where(*_of_chunks(generation, part))).all()
            found |= {ChunkId(chunk): frozenset(audience) for chunk, audience in rows}
        return found

    def terms(
        self, session: Session, generation: GenerationId, chunks: Sequence[ChunkId]
    ) -> dict[ChunkId, dict[Field, list[str]]]:
        """The stems and the grams of those of the chunks that the generation holds."""
        columns = (IndexEntryRow.chunk_id, IndexEntryRow.stems, IndexEntryRow.grams)
        found: dict[ChunkId, dict[Field, list[str]]] = {}
        for part in in_slices(chunks):
            rows = session.exec(select(*columns).where(*_of_chunks(generation, part))).all()
            found |= {ChunkId(chunk): {"stems": stems.split(), "grams": grams.split()} for chunk, stems, grams in rows}
        return found

    def last_change(self, session: Session, generation: GenerationId) -> int:
        """The number of the newest change; 0 before the first."""
        where = col(IndexChangeRow.generation_id) == generation
        return session.exec(select(func.max(IndexChangeRow.id)).where(where)).one() or 0

    def changed_since(self, session: Session, generation: GenerationId, change: int) -> list[DocumentId]:
        where = (col(IndexChangeRow.generation_id) == generation, col(IndexChangeRow.id) > change)
        return [DocumentId(i) for i in session.exec(select(IndexChangeRow.document_id).where(*where).distinct()).all()]

    def _entry(self, row: IndexEntryRow) -> IndexEntry:
        return IndexEntry(
            ChunkId(row.chunk_id),
            DocumentId(row.document_id),
            frozenset(row.audience),
            row.stems.split(),
            row.grams.split(),
            unpack_floats(row.vector, self.dimensions)[0],
        )


def _of_chunks(generation: GenerationId, chunks: Sequence[ChunkId]) -> tuple[ColumnElement[bool], ...]:
    return col(IndexEntryRow.generation_id) == generation, col(IndexEntryRow.chunk_id).in_(chunks)


def gone(generation: GenerationId) -> IndexUnavailable:
    """What is raised for a generation that another process has dropped."""
    return IndexUnavailable(f"Index generation {generation} is gone; run `timbre reindex` again.")


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
