"""Vectors survive packing."""

import numpy as np

from knowledge.embedding import unit
from knowledge.ports import Embedding
from knowledge.vectors import PackedEmbedding, pack_floats, pack_int8, unpack_floats, unpack_int8

RNG = np.random.default_rng(11)


def test_floats_come_back_exactly() -> None:
    vectors = RNG.standard_normal((5, 384)).astype(np.float32)

    assert np.array_equal(unpack_floats(pack_floats(vectors), 384), vectors)
    assert np.array_equal(unpack_floats(pack_floats(vectors[0]), 384), vectors[:1])


def test_int8_vectors_come_back_as_unit_vectors_in_the_same_direction() -> None:
    vectors = unit(RNG.standard_normal((500, 384)).astype(np.float32) ** 3)

    data = pack_int8(vectors)
    back = unpack_int8(data, 384)

    assert len(data) == 500 * 384
    assert np.allclose(np.linalg.norm(back, axis=1), 1, atol=1e-6)
    assert float((vectors * back).sum(axis=1).min()) >= 0.999


def test_zero_vectors_stay_zero() -> None:
    assert np.array_equal(unpack_int8(pack_int8(np.zeros((2, 8), np.float32)), 8), np.zeros((2, 8)))
    assert np.array_equal(unit(np.zeros((2, 8), np.float32)), np.zeros((2, 8)))


def test_an_embedding_without_tokens_can_be_packed() -> None:
    empty = Embedding(np.ones(8, np.float32), np.zeros((0, 8), np.float32), np.zeros((0, 2), np.int32))

    back = PackedEmbedding.pack(empty).unpack(8)

    assert (back.token_vectors.shape, back.offsets.shape) == ((0, 8), (0, 2))


def test_a_packed_embedding_keeps_its_offsets() -> None:
    offsets = np.array([[0, 5], [6, 70_000]], np.int64)
    embedding = Embedding(np.ones(8, np.float32), np.ones((2, 8), np.float32), offsets.astype(np.int32))

    assert PackedEmbedding.pack(embedding).unpack(8).offsets.tolist() == offsets.tolist()
