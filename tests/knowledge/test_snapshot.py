"""A snapshot that was changed, in either of its segments, answers exactly as one that was made afresh."""

from collections.abc import Mapping, Sequence
from random import Random

import numpy as np

from knowledge.documents import ChunkId, DocumentId
from knowledge.embedding import unit
from knowledge.ports import GenerationId, IndexEntry, IndexQuery, Legs
from knowledge.stores.snapshot import MIN_RECENT, Snapshot

DIMENSIONS = 4
CHUNKS = 5  # of a document
WORDS = [f"w{number}" for number in range(60)]
ALL = frozenset({"everyone"})


def document(rng: Random, number: int, version: int = 0) -> list[IndexEntry]:
    """Random chunks; those of another version have other numbers, and words that no other version has."""
    words = [*WORDS, f"v{version}"]
    first = (version * 10_000 + number) * CHUNKS
    return [entry(rng, first + i, number, words) for i in range(CHUNKS)]


def entry(rng: Random, chunk: int, number: int, words: Sequence[str]) -> IndexEntry:
    audience = ALL if rng.random() < 0.9 else frozenset({"people"})
    stems, grams = (rng.choices(words, k=rng.randint(0, 20)) for _ in range(2))
    vector = unit(np.array([rng.gauss(0, 1) for _ in range(DIMENSIONS)], np.float32))
    return IndexEntry(ChunkId(chunk), DocumentId(number), audience, stems, grams, vector)


def snapshot_of(documents: dict[int, list[IndexEntry]]) -> Snapshot:
    made = Snapshot(GenerationId(1), DIMENSIONS)
    made.replace([], [e for entries in documents.values() for e in entries])
    return made


def answers(snapshot: Snapshot) -> list[Legs]:
    rng = Random(3)
    asked = [entry(rng, 0, 0, [*WORDS, "v0", "v1", "unknown"]) for _ in range(20)]
    return [snapshot.search(IndexQuery(e.stems, e.grams, e.vector, ALL, limit=30)) for e in asked]


def frequencies(snapshot: Snapshot) -> Mapping[str, int]:
    nothing = np.zeros(DIMENSIONS, np.float32)
    return snapshot.search(IndexQuery([], [], nothing, frozenset(), counted=[*WORDS, "v0", "v1", "unknown"])).frequencies


def test_single_corrections_are_searched_as_if_they_had_been_there_from_the_start() -> None:
    rng = Random(7)
    documents = {number: document(rng, number) for number in range(MIN_RECENT // CHUNKS + 10)}  # settled at once
    changed = snapshot_of(documents)

    for number in (3, 90, 3, 500):  # an old one twice, and a new one
        documents[number] = document(rng, number, version=1)
        changed.replace([DocumentId(number)], documents[number])
        afresh = snapshot_of(documents)
        assert answers(changed) == answers(afresh)
        assert (len(changed), frequencies(changed)) == (len(afresh), frequencies(afresh))


def test_a_removed_document_leaves_no_trace_in_either_segment() -> None:
    rng = Random(7)
    documents = {number: document(rng, number) for number in range(MIN_RECENT // CHUNKS + 10)}
    changed = snapshot_of(documents)
    changed.replace([DocumentId(900)], document(rng, 900))

    changed.replace([DocumentId(4), DocumentId(900)], [])

    del documents[4]
    afresh = snapshot_of(documents)
    assert answers(changed) == answers(afresh)
    assert (len(changed), frequencies(changed)) == (len(afresh), frequencies(afresh))


def test_many_changes_are_settled_without_a_difference() -> None:
    rng = Random(7)
    size = MIN_RECENT // CHUNKS + 10
    documents = {number: document(rng, number) for number in range(size)}
    changed = snapshot_of(documents)

    for start in range(0, size, 30):  # as an ingestion does while people ask; more than a segment holds
        numbers = range(start, start + 30)
        documents |= {number: document(rng, number, version=1) for number in numbers}
        changed.replace([DocumentId(number) for number in numbers], [e for number in numbers for e in documents[number]])

    afresh = snapshot_of(documents)
    assert answers(changed) == answers(afresh)
    assert (len(changed), frequencies(changed)) == (len(afresh), frequencies(afresh))


def test_the_last_document_may_go_and_another_come() -> None:
    rng = Random(7)
    changed = snapshot_of({1: document(rng, 1)})

    changed.replace([DocumentId(1)], [])
    assert all((legs.stems, legs.grams, legs.dense) == ([], [], []) for legs in answers(changed))
    changed.replace([DocumentId(2)], new := document(rng, 2))

    assert answers(changed) == answers(snapshot_of({2: new}))
