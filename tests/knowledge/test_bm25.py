"""BM25 with Lucene's formula, against numbers worked out by hand."""

import math

import pytest

from knowledge.bm25 import FieldStatistics, idf


@pytest.mark.parametrize(("chunks", "frequency"), [(10, 0), (10, 3), (10, 10), (0, 0)])
def test_idf_is_lucenes(chunks: int, frequency: int) -> None:
    assert idf(chunks, frequency) == pytest.approx(math.log(1 + (chunks - frequency + 0.5) / (frequency + 0.5)))


def test_a_chunk_scores_by_frequency_and_length_and_a_repeated_term_counts_repeatedly() -> None:
    statistics = FieldStatistics(size=10, total_terms=40, frequencies={"leave": 3, "day": 5})
    norm = 1.2 * (0.25 + 0.75 * 5 / 4)  # five terms where the average is four

    scores = statistics.scores(["leave", "leave", "day", "week"], ["leave leave day of rest".split()])

    assert scores == [pytest.approx(2 * idf(10, 3) * 2 / (2 + norm) + idf(10, 5) * 1 / (1 + norm))]


def test_a_chunk_without_the_terms_and_an_empty_generation_score_nothing() -> None:
    assert FieldStatistics(10, 40, {"leave": 3}).scores(["leave"], [["day"]]) == [0]
    assert FieldStatistics(0, 0, {}).scores(["leave"], [[]]) == [0]
