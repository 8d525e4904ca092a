"""BM25 with Lucene's formula, which is Weaviate's too: the parts that every index shares (pure)."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

K1, B = 1.2, 0.75  # Lucene's and Weaviate's defaults
SCORE_DIGITS = 5  # scores are compared rounded, so that float noise never decides between equals
MAX_GRAMS = 32  # different ones that a query searches for; no answer came out worse, and a long question costs a server half


def idf(size: int, frequency: int) -> float:
    """The weight of a term that `frequency` of `size` chunks hold."""
    return math.log(1 + (size - frequency + 0.5) / (frequency + 0.5))


def rarest(terms: Sequence[str], frequencies: Mapping[str, int], limit: int) -> list[str]:
    """The terms, in their order and repeated as they are, but for those that are commoner than `limit` others."""
    distinct = sorted(set(terms), key=lambda term: (frequencies[term], term))
    kept = set(distinct[:limit])
    return [term for term in terms if term in kept]


@dataclass(frozen=True)
class FieldStatistics:
    """What BM25 needs to know of one field of a generation: chunks, terms in all of them, and chunks by term."""

    size: int
    total_terms: int
    frequencies: Mapping[str, int]

    def scores(self, query: Sequence[str], texts: Iterable[Sequence[str]]) -> list[float]:
        """BM25 of each chunk that consists of these terms; a term that the query repeats counts repeatedly."""
        asked = Counter(term for term in query if term in self.frequencies)
        weights = {term: times * idf(self.size, self.frequencies[term]) for term, times in asked.items()}
        average = max(self.total_terms, 1) / max(self.size, 1)
        return [_score(weights, terms, K1 * (1 - B + B * len(terms) / average)) for terms in texts]


def _score(weights: Mapping[str, float], terms: Sequence[str], norm: float) -> float:
    held = Counter(filter(weights.__contains__, terms))
    return sum(weights[term] * tf / (tf + norm) for term, tf in held.items())
