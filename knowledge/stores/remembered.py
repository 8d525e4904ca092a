"""What the rows say of a generation, remembered while no document changes: audiences, and exact BM25 statistics.

A search beside a server asks them for hundreds of chunks and dozens of terms, mostly the same ones as before; reading those again
takes as long as the server's search. Works inside the caller's session.
"""

from collections.abc import Sequence

from sqlmodel import Session

from knowledge.bm25 import FieldStatistics
from knowledge.documents import Audience, ChunkId
from knowledge.ports import GenerationId
from knowledge.stores import statistics
from knowledge.stores.rows import Field, IndexRows
from knowledge.stores.statistics import Totals


class Remembered:
    """A generation as of one change. Only sessions that see this change may be handed in. Safe for threads."""

    def __init__(self, rows: IndexRows, generation: GenerationId, change: int, totals: Totals) -> None:
        self.generation = generation
        self.change = change
        self.size = totals.chunks
        self._rows = rows
        self._audiences: dict[ChunkId, Audience] = {}
        self._labels: dict[Audience, Audience] = {}  # each set of labels once, however many chunks have it
        self._frequencies: dict[Field, dict[str, int]] = {"stems": {}, "grams": {}}
        self._total_terms: dict[Field, int] = {"stems": totals.stem_terms, "grams": totals.gram_terms}

    def audiences(self, session: Session, chunks: Sequence[ChunkId]) -> dict[ChunkId, Audience]:
        """The audience of those of the chunks that the generation holds."""
        if new := [chunk for chunk in chunks if chunk not in self._audiences]:
            found = self._rows.audiences(session, self.generation, new)
            self._audiences.update((chunk, self._labels.setdefault(audience, audience)) for chunk, audience in found.items())
        return {chunk: self._audiences[chunk] for chunk in chunks if chunk in self._audiences}

    def statistics(self, session: Session, field: Field, terms: Sequence[str]) -> FieldStatistics:
        """The field's statistics, with the frequencies of these terms at least."""
        known = self._frequencies[field]
        if new := [term for term in terms if term not in known]:
            known.update(statistics.frequencies(session, self.generation, field, new))
        return FieldStatistics(self.size, self._total_terms[field], known)

    def estimates(self, session: Session, field: Field, terms: Sequence[str]) -> dict[str, int]:
        """How many chunks hold each of these terms, as of this change or another that the session sees. Remembers nothing."""
        known = self._frequencies[field]
        new = statistics.frequencies(session, self.generation, field, [term for term in terms if term not in known])
        return {term: known.get(term, 0) for term in terms} | new


class Memory:
    """Remembers the generation that was asked for last."""

    def __init__(self, rows: IndexRows) -> None:
        self._rows = rows
        self.last: Remembered | None = None

    def of(self, session: Session, generation: GenerationId, change: int) -> Remembered:
        """What is remembered of the generation, whose last change the session sees; nothing yet after a change."""
        last = self.last
        if last is None or (last.generation, last.change) != (generation, change):
            last = self.last = Remembered(self._rows, generation, change, statistics.totals(session, generation))
        return last
