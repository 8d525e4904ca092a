"""The catalogue's rows, written only by `catalogue.py`, and the index's, written only by `stores/`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class SourceRow(SQLModel, table=True):
    """A place that documents come from. `audience` is a JSON list of group labels."""

    __tablename__ = "source"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    place: str
    audience: list[str] = Field(sa_column=Column(JSON, nullable=False))
    read_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    error: str = ""


class DocumentRow(SQLModel, table=True):
    """A file of a source. `version` counts its contents; chunks of an older version are on their way out.

    state: stored (chunks are in, the index has not got them yet), indexed, failed (see `error`), deleted (index to clean).
    """

    __tablename__ = "document"
    __table_args__ = (UniqueConstraint("source_id", "location"),)
    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(sa_column=Column(ForeignKey("source.id", ondelete="CASCADE"), nullable=False))
    location: str
    title: str = ""
    content_hash: str = ""
    parser_version: str = ""
    audience: list[str] = Field(sa_column=Column(JSON, nullable=False))
    state: str = Field(index=True)
    error: str = ""
    version: int = 0
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ChunkRow(SQLModel, table=True):
    """A piece of a document. `id` is the chunk number that every index uses and breaks ties by; it is never used again."""

    __tablename__ = "chunk"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, primary_key=True)
    document_id: int = Field(sa_column=Column(ForeignKey("document.id", ondelete="CASCADE"), nullable=False, index=True))
    version: int
    text: str
    prefix: str
    anchor: str
    heading_path: list[str] = Field(sa_column=Column(JSON, nullable=False))
    units: list[list[int | str]] = Field(sa_column=Column(JSON, nullable=False))
    text_hash: str = Field(index=True)


class EmbeddingRow(SQLModel, table=True):
    """A text's vectors under one embedder, found by the text's hash: a text that comes back is not embedded again."""

    __tablename__ = "embedding"
    text_hash: str = Field(primary_key=True)
    embedder: str = Field(primary_key=True)
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    token_vectors: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    offsets: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class KnownQuestionRow(SQLModel, table=True):
    """A question that people confirmed as answered by a chunk: one more way to find it, removable.

    It names the chunk by document and text, so it survives a new build of the index and ends with the text it was about.
    kind: confirmed (an answer rated helpful) or standard (the question of a standard answer).
    """

    __tablename__ = "known_question"
    id: int | None = Field(default=None, primary_key=True)
    document_id: int = Field(sa_column=Column(ForeignKey("document.id", ondelete="CASCADE"), nullable=False, index=True))
    text_hash: str
    question: str
    kind: str
    origin: str = Field(default="", index=True)


class GenerationRow(SQLModel, table=True):
    """One build of the index, with one analysis (embedder, terms, labels, index). state: building or live; one is live at most.

    Kept for an index on a server only: `chunks`, `stem_terms` and `gram_terms` count what it holds (`stores/statistics.py`);
    `behind` are the documents whose rows changed while the server was away.
    """

    __tablename__ = "generation"
    id: int | None = Field(default=None, primary_key=True)
    analysis: str
    state: str = "building"
    chunks: int = 0
    stem_terms: int = 0
    gram_terms: int = 0
    behind: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class IndexTermRow(SQLModel, table=True):
    """How many chunks of a generation hold a term. field: stems or grams. Kept for an index on a server only."""

    __tablename__ = "index_term"
    generation_id: int = Field(
        sa_column=Column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    field: str = Field(primary_key=True)
    term: str = Field(primary_key=True)
    chunks: int


class IndexEntryRow(SQLModel, table=True):
    """What the index holds of a chunk in one generation; terms are joined by spaces."""

    __tablename__ = "index_entry"
    __table_args__ = (Index("ix_index_entry_document", "generation_id", "document_id"),)
    generation_id: int = Field(
        sa_column=Column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    chunk_id: int = Field(primary_key=True)
    document_id: int
    audience: list[str] = Field(sa_column=Column(JSON, nullable=False))
    stems: str
    grams: str
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class IndexChangeRow(SQLModel, table=True):
    """The documents that changed in a generation, in order: what a reader has to load again."""

    __tablename__ = "index_change"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, primary_key=True)
    generation_id: int = Field(sa_column=Column(ForeignKey("generation.id", ondelete="CASCADE"), nullable=False, index=True))
    document_id: int


MAX_SQL_VARIABLES = 500  # far below every database's limit
Item = TypeVar("Item")


def in_slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in parts that fit into one `IN (...)`."""
    return (items[start : start + MAX_SQL_VARIABLES] for start in range(0, len(items), MAX_SQL_VARIABLES))
