"""Fusion, token weights and MaxSim, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from knowledge.documents import Chunk, ChunkId, Unit
from knowledge.ports import Embedding, Floats, GenerationId, Hit, Legs
from knowledge.ranking import fuse, match, max_sim, rerank, token_words, weigh_tokens


def hits(**scores: float) -> list[Hit]:
    """hits(c1=2.0, c2=1.0): best first."""
    return [Hit(ChunkId(int(name[1:])), score) for name, score in scores.items()]


def legs(stems: list[Hit], grams: list[Hit], dense: list[Hit]) -> Legs:
    return Legs(GenerationId(1), 3, {}, stems, grams, dense)


def floats(*rows: tuple[float, ...]) -> Floats:
    return np.array(rows, np.float32)


def test_fusion_weighs_the_legs_after_scaling_each_to_0_1() -> None:
    fused = fuse(legs(hits(c1=8, c2=4, c3=0), hits(c2=5, c1=1), hits(c3=0.9, c2=0.6, c1=0.4)))

    assert fused == pytest.approx({2: 0.3 * (0.5 * 0.5 + 0.5 * 1) + 0.7 * 0.4, 3: 0.7, 1: 0.3 * 0.5}, abs=1e-9)
    assert list(fused) == [3, 2, 1]


def test_fusion_scales_negative_cosines_too() -> None:
    assert fuse(legs([], [], hits(c1=0.5, c2=0.0, c3=-0.5))) == pytest.approx({1: 0.7, 2: 0.35, 3: 0.0})


def test_equal_scores_of_a_leg_all_count_in_full_and_ties_go_by_chunk_id() -> None:
    fused = fuse(legs(hits(c9=3, c2=3, c5=3), [], []))

    assert list(fused) == [2, 5, 9]
    assert list(fused.values()) == pytest.approx([0.15] * 3)


def test_fusing_nothing_gives_nothing() -> None:
    assert fuse(legs([], [], [])) == {}


def test_reranking_mixes_the_fused_score_with_max_sim() -> None:
    fused = {ChunkId(1): 1.0, ChunkId(2): 0.5, ChunkId(3): 0.0}

    # fused scaled: 1, .5, 0; MaxSim scaled: 0, 1, .5; mixed .3 and .7: .3, .85, .35
    assert rerank(fused, {ChunkId(1): 0.2, ChunkId(2): 0.8, ChunkId(3): 0.5}) == [2, 3, 1]


def test_reranking_breaks_ties_by_chunk_id() -> None:
    assert rerank({}, {ChunkId(7): 0.5, ChunkId(3): 0.5}) == [3, 7]
    assert rerank({}, {}) == []


def test_a_token_stands_for_the_whole_word_that_it_is_a_piece_of() -> None:
    assert token_words("Reimbursement?", [(0, 2), (2, 13), (13, 14)]) == ["reimbursement", "reimbursement", "?"]
    assert token_words("छुट्टी कब?", [(0, 2), (7, 9)]) == ["छुट्टी", "कब"]


def test_the_pieces_of_a_word_share_its_weight_and_stop_words_and_marks_count_by_the_mean() -> None:
    weights = weigh_tokens(["the", "reimburse", "reimburse", "vpn", "?", ","], {"reimburs": 4.0, "vpn": 3.0, "the": 0.1})

    mean = (2 + 2 + 3) / 3
    assert weights.tolist() == pytest.approx([0.1 * mean, 2, 2, 3, mean, 0])


def test_words_count_equally_where_none_has_a_weight() -> None:
    assert weigh_tokens(["who", "is", "?"], {}).tolist() == [1, 1, 0]
    assert weigh_tokens([], {}).tolist() == []


def embedding(vector: tuple[float, ...], tokens: list[tuple[float, ...]], offsets: list[tuple[int, int]]) -> Embedding:
    token_vectors = np.array(tokens, np.float32).reshape(-1, len(vector))
    return Embedding(np.array(vector, np.float32), token_vectors, np.array(offsets, np.int32).reshape(-1, 2))


CHUNK = Chunk("- aa bb\n- cc", "pp", ("H",), "h", (Unit(2, 7, 0, "item"), Unit(10, 12, 1, "item")))
#     indexed text: "pp\n- aa bb\n- cc": prefix 0..2, unit one "aa bb" from 5, unit two "cc" from 13
PASSAGE = embedding(
    (1, 0), [(1, 0), (0, -1), (0.8, 0.6), (0, 1), (0, -1), (-1, 0)], [(0, 2), (3, 4), (5, 7), (8, 10), (11, 12), (13, 15)]
)


def test_each_question_token_meets_its_best_token_in_the_prefix_and_in_each_unit() -> None:
    question = embedding((0, 1), [(1, 0), (0, 1)], [(0, 1), (2, 3)])

    best, cosines = match(question, CHUNK, PASSAGE)

    assert best == pytest.approx(floats((1, 0.8, -1), (0, 1, 0)), abs=1e-6)
    assert cosines == pytest.approx(np.array([0.8 / math.hypot(0.4, 0.8), 0]), abs=1e-6)


def test_tokens_between_the_units_count_nowhere() -> None:
    question = embedding((0, -1), [(0, -1)], [(0, 1)])

    best, _ = match(question, CHUNK, PASSAGE)

    assert best.tolist() == [[0, pytest.approx(-0.6), 0]]


def test_a_question_without_tokens_matches_nothing() -> None:
    best, cosines = match(embedding((0, 0), [], []), CHUNK, PASSAGE)

    assert (best.shape, cosines.tolist()) == ((0, 3), [0, 0])
    assert max_sim(best, np.zeros(0, np.float32)) == 0


def test_max_sim_is_the_weighted_mean_of_the_best_cosines() -> None:
    assert max_sim(floats((0.2, 1.0), (0.6, 0.4)), np.array([1, 3], np.float32)) == pytest.approx((1 * 1.0 + 3 * 0.6) / 4)


@pytest.mark.parametrize("best", [floats((-0.5, -0.2)), floats((1.0000001, 0)), floats((-1.0, -1.0), (0.5, 0.2))])
def test_max_sim_lies_between_0_and_1(best: Floats) -> None:
    assert 0 <= max_sim(best, np.ones(len(best), np.float32)) <= 1


def test_max_sim_without_any_weight_is_0() -> None:
    assert max_sim(floats((1.0, 1.0)), np.zeros(1, np.float32)) == 0
