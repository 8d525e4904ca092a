"""Chunks in memory, searched exactly: BM25 with Lucene's formula and cosine (pure).

They lie in two segments: the settled one holds nearly all, the recent one what has changed since. So a correction among
100,000 chunks costs what the recent segment costs; once that is a tenth of all, the two are settled into one.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from knowledge.bm25 import MAX_GRAMS, SCORE_DIGITS, rarest
from knowledge.documents import Audience, ChunkId, DocumentId
from knowledge.ports import Floats, GenerationId, Hit, IndexEntry, IndexQuery, Legs
from knowledge.stores.postings import Bm25, Mask, Numbers, Postings, Sizes, Vocabulary

MAX_RECENT_SHARE = 0.1
MIN_RECENT = 1_000  # chunks that may be recent in any case; putting so few together takes milliseconds
BLOCK = 5_000  # entries that are sorted together; those of 100,000 at once would fill gigabytes for a moment


@dataclass(frozen=True)
class Segment:
    """Chunks, row by row, with all that they are found by. Those that are not `alive` have been replaced."""

    chunk_ids: Sizes
    documents: Sizes
    audiences: Numbers
    vectors: Floats
    stems: Postings
    grams: Postings
    alive: Mask

    def __len__(self) -> int:
        return len(self.chunk_ids)

    @property
    def dead(self) -> int:
        return int(np.count_nonzero(~self.alive))

    def without(self, documents: Collection[DocumentId]) -> "Segment":
        return replace(self, alive=self.alive & ~np.isin(self.documents, list(documents)))

    def packed(self) -> "Segment":
        """Only the chunks that are alive."""
        if not self.dead:
            return self
        return Segment(
            self.chunk_ids[self.alive],
            self.documents[self.alive],
            self.audiences[self.alive],
            self.vectors[self.alive],
            self.stems.only(self.alive),
            self.grams.only(self.alive),
            self.alive[self.alive],
        )

    @classmethod
    def joined(cls, segments: Sequence["Segment"]) -> "Segment":
        """The chunks of all that are alive; there must be one segment at least."""
        parts = [segment.packed() for segment in segments if len(segment) > segment.dead] or [segments[0].packed()]
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.chunk_ids for part in parts]),
            np.concatenate([part.documents for part in parts]),
            np.concatenate([part.audiences for part in parts]),
            np.concatenate([part.vectors for part in parts]),
            Postings.joined([part.stems for part in parts]),
            Postings.joined([part.grams for part in parts]),
            np.concatenate([part.alive for part in parts]),
        )


@dataclass(frozen=True)
class _Learned:
    """An IndexEntry with its audience and terms as numbers: a tenth of the memory."""

    chunk_id: ChunkId
    document_id: DocumentId
    audience: int
    vector: Floats
    stems: Numbers
    grams: Numbers


class Snapshot:
    """All entries of one generation, searchable. `replace` changes documents; searches see the result at once."""

    def __init__(self, generation: GenerationId, dimensions: int) -> None:
        self.generation = generation
        self._dimensions = dimensions
        self._stem_terms, self._gram_terms = Vocabulary(), Vocabulary()
        self._audiences: dict[Audience, int] = {}
        self._settled = self._recent = self._segment([])
        self._arrange()

    def __len__(self) -> int:
        return int(np.count_nonzero(self._alive))

    def replace(self, documents: Collection[DocumentId], entries: Iterable[IndexEntry]) -> None:
        """Forgets `documents` and puts in `entries`, which belong to them."""
        added = list(self._segments(entries))
        self._settled = self._settled.without(documents)
        self._recent = Segment.joined([self._recent.without(documents), *added])
        if len(self._recent) + self._settled.dead > max(MIN_RECENT, MAX_RECENT_SHARE * len(self._settled)):
            self._settled, self._recent = Segment.joined([self._settled, self._recent]), self._segment([])
        self._arrange()

    def search(self, query: IndexQuery) -> Legs:
        allowed = self._allowed(query.audience)
        dense = np.concatenate([self._settled.vectors @ query.vector, self._recent.vectors @ query.vector])
        grams = rarest(query.grams, self._grams.document_frequencies(query.grams), MAX_GRAMS)
        return Legs(
            self.generation,
            len(self),
            self._stems.document_frequencies(query.counted),
            self._best(self._stems.scores(query.stems), allowed, query.limit, above=0.0) if query.stems else [],
            self._best(self._grams.scores(grams), allowed, query.limit, above=0.0) if grams else [],
            self._best(dense, allowed, query.limit),
        )

    def _segments(self, entries: Iterable[IndexEntry]) -> Iterator[Segment]:
        remaining = iter(entries)
        while len(segment := self._segment(islice(remaining, BLOCK))):
            yield segment

    def _segment(self, entries: Iterable[IndexEntry]) -> Segment:
        learned = [self._learn(entry) for entry in entries]
        return Segment(
            np.array([entry.chunk_id for entry in learned], np.int64),
            np.array([entry.document_id for entry in learned], np.int64),
            np.array([entry.audience for entry in learned], np.int32),
            np.array([entry.vector for entry in learned], np.float32).reshape(len(learned), self._dimensions),
            Postings.of([entry.stems for entry in learned], len(self._stem_terms)),
            Postings.of([entry.grams for entry in learned], len(self._gram_terms)),
            np.ones(len(learned), bool),
        )

    def _learn(self, entry: IndexEntry) -> _Learned:
        audience = self._audiences.setdefault(entry.audience, len(self._audiences))
        terms = (self._stem_terms.learn(entry.stems), self._gram_terms.learn(entry.grams))
        return _Learned(entry.chunk_id, entry.document_id, audience, entry.vector, *terms)

    def _arrange(self) -> None:
        segments = (self._settled, self._recent)
        self._chunk_ids = np.concatenate([segment.chunk_ids for segment in segments])
        self._audience_of = np.concatenate([segment.audiences for segment in segments])
        masks = [segment.alive for segment in segments]
        self._alive = np.concatenate(masks)
        self._stems = Bm25(self._stem_terms, [segment.stems for segment in segments], masks)
        self._grams = Bm25(self._gram_terms, [segment.grams for segment in segments], masks)

    def _allowed(self, audience: Audience) -> Mask:
        """(chunks,) whether the chunk is alive, and its audience and the asker's groups share a label."""
        readable = np.array([bool(audience & labels) for labels in self._audiences], bool)
        allowed: Mask = self._alive & readable[self._audience_of]
        return allowed

    def _best(self, scores: NDArray[np.floating], allowed: Mask, limit: int, above: float = -np.inf) -> list[Hit]:
        """The best allowed chunks, ties broken by chunk id."""
        rows = np.flatnonzero(allowed & (scores > above))
        if len(rows) > limit:
            cut = np.partition(scores[rows], -limit)[-limit]
            rows = rows[scores[rows] >= cut - 10**-SCORE_DIGITS]
        rounded = np.round(scores[rows].astype(np.float64), SCORE_DIGITS)
        order = np.lexsort((self._chunk_ids[rows], -rounded))[:limit]
        return [Hit(ChunkId(int(self._chunk_ids[rows[i]])), float(rounded[i])) for i in order]
