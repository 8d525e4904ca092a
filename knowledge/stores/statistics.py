"""Exact BM25 statistics of a generation, kept in SQL beside an index on a server. Works inside the caller's session.

A server's own statistics count replaced objects until it compacts its files (minutes), which reorders answers meanwhile;
and it tells nobody its document frequencies, which the weights of a question's words need.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlmodel import Session, col, select

from knowledge.ports import GenerationId, IndexEntry
from knowledge.stores.rows import Field
from knowledge.tables import GenerationRow, IndexTermRow, in_slices

_ADD = text(
    "INSERT INTO index_term (generation_id, field, term, chunks) VALUES (:generation_id, :field, :term, :chunks) "
    "ON CONFLICT (generation_id, field, term) DO UPDATE SET chunks = index_term.chunks + excluded.chunks"
)


@dataclass
class TermCounts:
    """What some entries hold: chunks, terms in all, and for each term the chunks that hold it."""

    chunks: int = 0
    stem_terms: int = 0
    gram_terms: int = 0
    stems: Counter[str] = field(default_factory=Counter)
    grams: Counter[str] = field(default_factory=Counter)

    def __sub__(self, other: "TermCounts") -> "TermCounts":
        """The difference; counts may be negative."""
        stems, grams = Counter(self.stems), Counter(self.grams)
        stems.subtract(other.stems)
        grams.subtract(other.grams)
        totals = (self.chunks - other.chunks, self.stem_terms - other.stem_terms, self.gram_terms - other.gram_terms)
        return TermCounts(*totals, stems, grams)


def count_terms(entries: Iterable[IndexEntry]) -> TermCounts:
    counts = TermCounts()
    for entry in entries:
        counts.chunks += 1
        counts.stem_terms += len(entry.stems)
        counts.gram_terms += len(entry.grams)
        counts.stems.update(set(entry.stems))
        counts.grams.update(set(entry.grams))
    return counts


def add(session: Session, generation: GenerationId, change: TermCounts) -> None:
    """Adds the change to the generation's statistics."""
    row = session.get_one(GenerationRow, generation)
    row.chunks += change.chunks
    row.stem_terms += change.stem_terms
    row.gram_terms += change.gram_terms
    session.add(row)
    changes = [
        {"generation_id": generation, "field": name, "term": term, "chunks": chunks}
        for name, counts in (("stems", change.stems), ("grams", change.grams))
        for term, chunks in sorted(counts.items())
        if chunks
    ]
    if changes:
        session.connection().execute(_ADD, changes)


@dataclass(frozen=True)
class Totals:
    """A generation's chunks, and the terms in all of them."""

    chunks: int
    stem_terms: int
    gram_terms: int


def totals(session: Session, generation: GenerationId) -> Totals:
    row = session.get_one(GenerationRow, generation)
    return Totals(row.chunks, row.stem_terms, row.gram_terms)


def frequencies(session: Session, generation: GenerationId, name: Field, terms: Sequence[str]) -> dict[str, int]:
    """For each of the terms the number of chunks that hold it in this field."""
    found = dict.fromkeys(terms, 0)
    for part in in_slices(list(found)):
        where = (IndexTermRow.generation_id == generation, IndexTermRow.field == name, col(IndexTermRow.term).in_(part))
        found.update(session.exec(select(IndexTermRow.term, IndexTermRow.chunks).where(*where)).all())
    return found
