"""Vectors to bytes and back: unit vectors as float32, token vectors as int8 with one scale each (pure)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.ports import Embedding, Floats, Ints

INT8_MAX = 127


def pack_floats(vectors: Floats) -> bytes:
    return np.ascontiguousarray(vectors, np.float32).tobytes()


def unpack_floats(data: bytes, dimensions: int) -> Floats:
    """(rows, dimensions); a single vector comes back as one row."""
    return np.frombuffer(data, np.float32).reshape(-1, dimensions)


def pack_int8(vectors: Floats) -> bytes:
    """Scaled per vector so that its largest component is 127. Unit length is restored on the way back, so no scale is kept.

    Costs 384 bytes a token for 384 dimensions; the cosine to the original is >= .9999.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True) if len(vectors) else np.ones((0, 1), np.float32)
    scaled = np.divide(vectors * INT8_MAX, largest, out=np.zeros_like(vectors), where=largest > 0)
    packed: bytes = np.rint(scaled).astype(np.int8).tobytes()
    return packed


def unpack_int8(data: bytes, dimensions: int) -> Floats:
    """(tokens, dimensions), unit length."""
    small: NDArray[np.int8] = np.frombuffer(data, np.int8).reshape(-1, dimensions)
    vectors = small.astype(np.float32)
    lengths = np.sqrt(np.einsum("td,td->t", vectors, vectors))[:, None]
    unit: Floats = np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return unit


@dataclass(frozen=True)
class PackedEmbedding:
    """An Embedding as the catalogue stores it: float32 vector, int8 token vectors, int32 offsets."""

    vector: bytes
    token_vectors: bytes
    offsets: bytes

    @classmethod
    def pack(cls, embedding: Embedding) -> "PackedEmbedding":
        offsets = np.ascontiguousarray(embedding.offsets, np.int32).tobytes()
        return cls(pack_floats(embedding.vector), pack_int8(embedding.token_vectors), offsets)

    def unpack(self, dimensions: int) -> Embedding:
        offsets: Ints = np.frombuffer(self.offsets, np.int32).reshape(-1, 2)
        return Embedding(unpack_floats(self.vector, dimensions)[0], unpack_int8(self.token_vectors, dimensions), offsets)
