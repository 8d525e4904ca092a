"""Which chunks hold which terms, and BM25 with Lucene's formula over them (pure)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.bm25 import K1, B, idf

ROW_BITS = 32  # of a sort key; the term's number stands above them

Numbers = NDArray[np.int32]
Sizes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Scores = NDArray[np.float64]
Found = tuple[Numbers, Numbers, Sizes]
"""(postings,) rows and counts of some terms, one term after the other, and (terms,) how many postings each has."""


class Vocabulary(dict[str, int]):
    """Terms to consecutive numbers; nothing is forgotten."""

    def learn(self, terms: Sequence[str]) -> Numbers:
        """The number of each term; new terms get the next ones."""
        return np.fromiter(map(self.__getitem__, terms), np.int32, len(terms))

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self)
        return number


@dataclass(frozen=True)
class Postings:
    """One field of some chunks. Term t stands in the chunks `rows[starts[t] : starts[t + 1]]`, `counts` times in each.

    `lengths` (chunks,) counts the terms of each chunk. A term that the vocabulary learned later stands nowhere.
    """

    starts: Sizes
    rows: Numbers
    counts: Numbers
    lengths: Numbers

    @classmethod
    def of(cls, texts: Sequence[Numbers], vocabulary_size: int) -> "Postings":
        """`texts[i]` are the numbers of the terms of chunk i, as they occur."""
        lengths = np.array([len(terms) for terms in texts], np.int32)
        terms = np.concatenate(texts).astype(np.int64) if texts else np.zeros(0, np.int64)
        keys = (terms << ROW_BITS) | np.repeat(np.arange(len(texts)), lengths)
        keys.sort()
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(firsts, append=len(keys)).astype(np.int32)
        keys = keys[firsts]
        starts = np.searchsorted(keys, np.arange(vocabulary_size + 1) << ROW_BITS)
        return cls(starts, keys.astype(np.int32), counts, lengths)  # int32 keeps the lower half of a key: the row

    @classmethod
    def joined(cls, parts: Sequence["Postings"]) -> "Postings":
        """The parts' chunks one after the other, in time linear in their postings."""
        frequencies = _padded([np.diff(part.starts) for part in parts])  # (parts, terms)
        starts = _starts(frequencies.sum(axis=0))
        rows, counts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
        free, base = starts[:-1].copy(), 0  # where each term's next posting goes; the part's first row
        for part, frequency in zip(parts, frequencies, strict=True):
            places = np.arange(len(part.rows)) + np.repeat(free - _starts(frequency)[:-1], frequency)
            rows[places], counts[places] = part.rows + np.int32(base), part.counts
            free += frequency
            base += len(part.lengths)
        return cls(starts, rows, counts, np.concatenate([part.lengths for part in parts]))

    def only(self, kept: Mask) -> "Postings":
        """The chunks that are `kept` (chunks,), numbered anew."""
        stays = kept[self.rows]
        new_rows = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        return Postings(_starts(stays)[self.starts], new_rows[self.rows[stays]], self.counts[stays], self.lengths[kept])

    def found(self, terms: Sequence[int]) -> Found:
        """The postings of these terms; one that is not known here has none."""
        slices = [slice(*self.starts[t : t + 2]) if t + 1 < len(self.starts) else slice(0) for t in terms]
        rows, counts = ([values[one] for one in slices] for values in (self.rows, self.counts))
        return np.concatenate(rows), np.concatenate(counts), np.array([len(one) for one in rows], np.int64)


class Bm25:
    """Scores one field of all parts together. Chunks that are not `alive` (one mask a part) do not count."""

    def __init__(self, vocabulary: Vocabulary, parts: Sequence[Postings], alive: Sequence[Mask]) -> None:
        self._vocabulary = vocabulary
        self._parts = parts
        self._alive = alive
        lengths = np.concatenate([part.lengths[mask] for part, mask in zip(parts, alive, strict=True)])
        self._size = len(lengths)
        average = max(float(lengths.mean()), 1e-9) if self._size else 1.0
        self._norms = [np.asarray(K1 * (1 - B + B * part.lengths / average), np.float64) for part in parts]

    def document_frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """For each term the number of chunks that hold it."""
        distinct = list(dict.fromkeys(terms))
        if not distinct:
            return {}
        counted = self._frequencies(self._found(distinct))
        return {term: int(frequency) for term, frequency in zip(distinct, counted, strict=True)}

    def scores(self, terms: Sequence[str]) -> Scores:
        """(chunks of all parts,) BM25 of each chunk; a term that the query repeats counts repeatedly.

        A chunk that is not alive counts in no other's score and has one that means nothing.
        """
        times = Counter(terms)
        found = self._found(list(times))
        weights: Scores = np.multiply([idf(self._size, n) for n in self._frequencies(found)], list(times.values()))
        return np.concatenate([_impacts(*one, weights, norms) for one, norms in zip(found, self._norms, strict=True)])

    def _found(self, terms: Sequence[str]) -> list[Found]:
        numbers = [self._vocabulary.get(term, len(self._vocabulary)) for term in terms]
        return [part.found(numbers) for part in self._parts]

    def _frequencies(self, found: Sequence[Found]) -> Sizes:
        """(terms,) the number of chunks that hold each."""
        by_part = [_alive_sizes(rows, sizes, mask) for (rows, _, sizes), mask in zip(found, self._alive, strict=True)]
        return np.asarray(np.sum(by_part, axis=0), np.int64)


def _alive_sizes(rows: Numbers, sizes: Sizes, alive: Mask) -> Sizes:
    """(terms,) how many of each term's postings are of chunks that are alive."""
    if alive.all():
        return sizes
    terms_of_dead = np.searchsorted(np.cumsum(sizes), np.flatnonzero(~alive[rows]), side="right")
    return sizes - np.bincount(terms_of_dead, minlength=len(sizes))


def _impacts(rows: Numbers, counts: Numbers, sizes: Sizes, weights: Scores, norms: Scores) -> Scores:
    """(chunks,) the sum over the postings of each chunk; `weights` (terms,) is what each term counts."""
    impacts = np.repeat(weights, sizes) * counts / (counts + norms[rows])
    return np.asarray(np.bincount(rows, impacts, len(norms)), np.float64)


def _padded(frequencies: Sequence[Sizes]) -> Sizes:
    """(parts, terms) with zeros for the terms that a part does not know."""
    width = max(map(len, frequencies))
    return np.stack([np.pad(one, (0, width - len(one))) for one in frequencies])


def _starts(sizes: Sizes | Mask) -> Sizes:
    """Where each begins when they stand one after the other, and the end of the last."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
