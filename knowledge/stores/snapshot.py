"""Chunks in memory, scored exactly: BM25 with Lucene's formula and cosine (pure)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.bm25 import K1, SCORE_DIGITS, B, idf
from knowledge.documents import Audience, ChunkId, DocumentId
from knowledge.ports import Floats, GenerationId, Hit, IndexEntry, IndexQuery, Legs

Counts = NDArray[np.int64]
Scores = NDArray[np.float64]


class Postings:
    """BM25 over one field. `documents[i]` holds the term numbers of chunk i, in the vocabulary's numbering."""

    def __init__(self, documents: Sequence[Counts], vocabulary_size: int) -> None:
        lengths = np.array([len(terms) for terms in documents], np.int64)
        terms = np.concatenate(documents) if len(documents) else np.zeros(0, np.int64)
        rows = np.repeat(np.arange(len(documents)), lengths)
        pairs, frequencies = np.unique(terms * max(len(documents), 1) + rows, return_counts=True)
        self._rows = pairs % max(len(documents), 1)
        self._starts = np.searchsorted(pairs // max(len(documents), 1), np.arange(vocabulary_size + 1))
        self._size = len(documents)
        average = lengths.mean() if len(documents) else 1.0
        norm = K1 * (1 - B + B * lengths[self._rows] / max(average, 1e-9))
        self._impacts: Scores = frequencies / (frequencies + norm)

    def document_frequency(self, term: int) -> int:
        return int(self._starts[term + 1] - self._starts[term])

    def scores(self, query: Iterable[int]) -> Scores:
        """(chunks,) BM25 of each chunk; a term that the query repeats counts repeatedly."""
        scores = np.zeros(self._size)
        for term in query:
            start, end = self._starts[term], self._starts[term + 1]
            scores[self._rows[start:end]] += idf(self._size, int(end - start)) * self._impacts[start:end]
        return scores


class Vocabulary:
    """Terms to consecutive numbers; grows, never forgets."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def learn(self, terms: Sequence[str]) -> Counts:
        numbers = self._numbers
        return np.fromiter((numbers.setdefault(term, len(numbers)) for term in terms), np.int64, len(terms))

    def known(self, terms: Iterable[str]) -> list[int]:
        return [number for term in terms if (number := self._numbers.get(term)) is not None]

    def get(self, term: str) -> int | None:
        return self._numbers.get(term)


@dataclass(frozen=True)
class _Entry:
    """An IndexEntry with its terms as numbers."""

    chunk_id: ChunkId
    audience: Audience
    stems: Counts
    grams: Counts
    vector: Floats


class Snapshot:
    """All entries of one generation, searchable. `replace` changes documents; searches see the result at once."""

    def __init__(self, generation: GenerationId) -> None:
        self.generation = generation
        self._stem_terms, self._gram_terms = Vocabulary(), Vocabulary()
        self._documents: dict[DocumentId, list[_Entry]] = {}
        self._arrange()

    def __len__(self) -> int:
        return len(self._chunk_ids)

    def replace(self, documents: Collection[DocumentId], entries: Iterable[IndexEntry]) -> None:
        """Forgets `documents` and puts in `entries`, which belong to them."""
        for document_id in documents:
            self._documents.pop(document_id, None)
        for entry in entries:
            self._documents.setdefault(entry.document_id, []).append(self._learn(entry))
        self._arrange()

    def search(self, query: IndexQuery) -> Legs:
        allowed = self._allowed(query.audience)
        stems, grams = self._stem_terms.known(query.stems), self._gram_terms.known(query.grams)
        return Legs(
            self.generation,
            len(self),
            {stem: self._frequency(stem) for stem in query.counted},
            self._best(self._stems.scores(stems), allowed, query.limit, above=0.0) if stems else [],
            self._best(self._grams.scores(grams), allowed, query.limit, above=0.0) if grams else [],
            self._best(self._vectors @ query.vector, allowed, query.limit) if len(self) else [],
        )

    def _frequency(self, stem: str) -> int:
        number = self._stem_terms.get(stem)
        return 0 if number is None else self._stems.document_frequency(number)

    def _learn(self, entry: IndexEntry) -> _Entry:
        stems, grams = self._stem_terms.learn(entry.stems), self._gram_terms.learn(entry.grams)
        return _Entry(entry.chunk_id, entry.audience, stems, grams, entry.vector)

    def _arrange(self) -> None:
        entries = sorted((e for group in self._documents.values() for e in group), key=lambda entry: entry.chunk_id)
        self._chunk_ids: Counts = np.array([entry.chunk_id for entry in entries], np.int64)
        self._vectors: Floats = np.stack([e.vector for e in entries]) if entries else np.zeros((0, 1), np.float32)
        self._stems = Postings([entry.stems for entry in entries], len(self._stem_terms))
        self._grams = Postings([entry.grams for entry in entries], len(self._gram_terms))
        audiences = {entry.audience: 0 for entry in entries}
        self._audiences = list(audiences)
        numbers = {audience: number for number, audience in enumerate(self._audiences)}
        self._audience_of: Counts = np.array([numbers[entry.audience] for entry in entries], np.int64)

    def _allowed(self, audience: Audience) -> NDArray[np.bool_]:
        """(chunks,) whether the chunk's audience and the asker's groups share a label."""
        readable = np.array([bool(audience & labels) for labels in self._audiences], bool)
        return readable[self._audience_of] if len(self) else np.zeros(0, bool)

    def _best(self, scores: NDArray[np.floating], allowed: NDArray[np.bool_], limit: int, above: float = -np.inf) -> list[Hit]:
        """The best allowed chunks, ties broken by chunk id."""
        rows = np.flatnonzero(allowed & (scores > above))
        if len(rows) > limit:
            cut = np.partition(scores[rows], -limit)[-limit]
            rows = rows[scores[rows] >= cut - 10**-SCORE_DIGITS]
        rounded = np.round(scores[rows].astype(np.float64), SCORE_DIGITS)
        order = np.lexsort((self._chunk_ids[rows], -rounded))[:limit]
        return [Hit(ChunkId(int(self._chunk_ids[rows[i]])), float(rounded[i])) for i in order]
