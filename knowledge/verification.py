"""Compares an index with the catalogue, chunk by chunk."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.catalogue import Catalogue
from knowledge.documents import ChunkId
from knowledge.ingestion import Progress
from knowledge.ports import ChunkIndex, Floats, IndexEntry

SAME_COSINE = 0.999  # a server may normalise vectors in its own arithmetic


@dataclass(frozen=True)
class Verification:
    """How an index differs from the catalogue. `missing` chunks are only in the catalogue, `surplus` ones only in the index,
    `different` ones have another audience, other terms or another vector there.
    """

    index: str
    chunks: int
    missing: Sequence[ChunkId]
    surplus: Sequence[ChunkId]
    different: Sequence[ChunkId]

    @property
    def is_whole(self) -> bool:
        return not (self.missing or self.surplus or self.different)


def verify(name: str, index: ChunkIndex, catalogue: Catalogue, progress: Progress) -> Verification:
    """Compares the live generation with the catalogue. Raises IndexUnavailable when there is none or it is away."""
    expected: dict[ChunkId, tuple[bytes, Floats]] = {}
    documents = catalogue.all_documents()
    for done, document_id in enumerate(documents, 1):
        expected |= {entry.chunk_id: (_fingerprint(entry), entry.vector) for entry in catalogue.entries(document_id)}
        progress("reading the catalogue", done, len(documents))
    generation = index.live_generation()
    entries = index.entries(generation) if generation is not None else iter(())
    held: set[ChunkId] = set()
    different = []
    for entry in entries:
        held.add(entry.chunk_id)
        progress(f"comparing with {name}", len(held), len(expected))
        if entry.chunk_id in expected and not _is_same(entry, *expected[entry.chunk_id]):
            different.append(entry.chunk_id)
    return Verification(name, len(held), sorted(expected.keys() - held), sorted(held - expected.keys()), sorted(different))


def _fingerprint(entry: IndexEntry) -> bytes:
    """All that must be equal to the letter."""
    parts = (str(entry.document_id), *sorted(entry.audience), "", *entry.stems, "", *entry.grams)
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()


def _is_same(entry: IndexEntry, fingerprint: bytes, vector: Floats) -> bool:
    return _fingerprint(entry) == fingerprint and float(np.dot(entry.vector, vector)) >= SAME_COSINE
