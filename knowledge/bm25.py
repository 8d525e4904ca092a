"""BM25 with Lucene's formula, which is Weaviate's too: the parts that every index shares (pure)."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

K1, B = 1.2, 0.75  # Lucene's and Weaviate's defaults
SCORE_DIGITS = 5  # scores are compared rounded, so that float noise never decides between equals


def idf(size: int, frequency: int) -> float:
    """The weight of a term that `frequency` of `size` chunks hold."""
    return math.log(1 + (size - frequency + 0.5) / (frequency + 0.5))


@dataclass(frozen=True)
class FieldStatistics:
    """What BM25 needs to know of one field of a generation: chunks, terms in all of them, and chunks by term."""

    size: int
    total_terms: int
    frequencies: Mapping[str, int]

    def score(self, query: Sequence[str], terms: Sequence[str]) -> float:
        """BM25 of a chunk that consists of `terms`; a term that the query repeats counts repeatedly."""
        asked = Counter(query)
        norm = K1 * (1 - B + B * len(terms) * self.size / max(self.total_terms, 1))
        held = Counter(filter(asked.__contains__, terms))
        weights = ((asked[term] * idf(self.size, self.frequencies[term]), tf) for term, tf in held.items())
        return sum(weight * tf / (tf + norm) for weight, tf in weights)
