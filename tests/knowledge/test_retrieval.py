"""Retrieval: the right passages in order, for those who may read them, whatever happens meanwhile."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from bot.storage.database import Database
from knowledge.documents import EVERYONE, DocumentId
from knowledge.errors import IndexUnavailable
from knowledge.ports import ChunkIndex, GenerationId, IndexEntry, IndexQuery, Legs
from knowledge.retrieval import HybridRetriever
from tests.knowledge.library import ALL, Library

Write = Callable[..., Path]

LEAVE = "# Annual leave\n\nYou have thirty days of holiday.\n\n## Carry over\n\nUnused days expire in March."
PAY = "# Pay\n\nSalaries arrive on the twentieth."
GROUPS = ("everyone", "people team", "ß", "日本", "a,b", "*")
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split()


class BusyIndex(ChunkIndex):
    """The index of a library in which something happens right after each search, before its hits are read."""

    def __init__(self, index: ChunkIndex, happen: Callable[[], object]) -> None:
        self._index = index
        self._happen = happen
        self.searches = 0

    def search(self, query: IndexQuery) -> Legs:
        legs = self._index.search(query)
        self.searches += 1
        self._happen()
        return legs

    def live_generation(self) -> GenerationId | None:
        return self._index.live_generation()

    def create_generation(self) -> GenerationId:
        return self._index.create_generation()

    def replace_documents(self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        self._index.replace_documents(generation, documents)

    def entries(self, generation: GenerationId) -> Iterator[IndexEntry]:
        return self._index.entries(generation)

    def close(self) -> None:
        self._index.close()

    def activate(self, generation: GenerationId) -> None:
        self._index.activate(generation)

    def count(self, generation: GenerationId) -> int:
        return self._index.count(generation)


def busy(library: Library, *events: Callable[[], object]) -> tuple[HybridRetriever, BusyIndex]:
    """A retriever, in whose first searches the events happen, one each."""
    waiting = list(events)
    index = BusyIndex(library.index, lambda: waiting.pop(0)() if waiting else None)
    return HybridRetriever(library.catalogue, index, library.embedder), index


def random_page(rng: random.Random) -> str:
    return "\n\n".join(f"## {rng.choice(WORDS)}\n\n{' '.join(rng.choices(WORDS, k=rng.randint(1, 9)))}." for _ in range(3))


def test_the_passage_in_the_questions_words_comes_first(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))

    passages = library.passages("When do unused days expire?")

    assert passages[0].location == "leave.md#carry-over"
    assert [passage.rank for passage in passages] == [1, 2, 3]


def test_limit_keeps_the_best(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))

    assert [p.chunk_id for p in library.passages("days", limit=2)] == [p.chunk_id for p in library.passages("days")][:2]


def test_a_passage_tells_how_it_was_found(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))

    first = library.passages("unused days expire")[0]

    assert set(first.legs) == {"stems", "grams", "cosine", "fused"}
    assert first.document.title == "Annual leave"
    assert first.chunk.heading_path == ("Carry over",)
    assert first.match.shape == (3, 1 + len(first.chunk.units))
    assert first.unit_cosines.shape == (len(first.chunk.units),)


def test_a_retrieval_tells_how_the_question_was_understood(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    retrieval = library.retriever.retrieve("Do days expire?", frozenset({EVERYONE}))

    assert [retrieval.query[start:end] for start, end in retrieval.token_offsets] == ["Do", "days", "expire?"]
    assert 0 < retrieval.token_weights[0] < retrieval.token_weights[1] < retrieval.token_weights[2]
    assert all(seconds >= 0 for seconds in retrieval.timings_s.values())


@pytest.mark.parametrize("query", ["", " ", "?!", "the", "🙂", "日本語", "x" * 5000, "a\x00b", "word " * 2000])
def test_any_question_is_answered_with_some_order(library: Library, write: Write, query: str) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))

    passages = library.passages(query)

    assert [passage.rank for passage in passages] == list(range(1, len(passages) + 1))
    assert all(0 <= passage.score <= 1 for passage in passages)


def test_without_an_index_retrieval_says_what_to_do(library: Library) -> None:
    with pytest.raises(IndexUnavailable, match="timbre ingest"):
        library.passages("leave")


@pytest.mark.slow
def test_nobody_ever_finds_what_they_may_not_read(library: Library, write: Write) -> None:
    rng = random.Random(20)
    for n in range(8):
        pages = {f"{n}-{i}.md": random_page(rng) for i in range(2)}
        library.ingest(write(pages, f"source{n}"), rng.sample(GROUPS, rng.randint(0, 3)), name=f"source{n}")
    for n in range(4):
        audience = frozenset(rng.sample(GROUPS, rng.randint(1, 2)))
        library.ingestion.add_standard_answer(f"key{n}", f"{WORDS[n]} {WORDS[n + 1]}", "An answer.", audience)
    named = library.retriever.retrieve("alpha beta", frozenset(GROUPS), ALL).passages
    for passage in named[:10]:
        library.catalogue.add_known_question(passage.chunk_id, "alpha beta", "confirmed", f"exchange-{passage.chunk_id}")

    for _ in range(60):
        asking = frozenset(rng.sample([*GROUPS, "stranger", ""], rng.randint(0, 3)))
        query = " ".join(rng.choices(WORDS, k=2))
        for passage in library.retriever.retrieve(query, asking, ALL).passages:
            assert passage.document.audience & asking


@pytest.mark.slow
def test_scores_lie_between_0_and_1_and_ranks_follow_the_order(library: Library, write: Write) -> None:
    rng = random.Random(21)
    library.ingest(write({f"{n}.md": random_page(rng) for n in range(12)}))

    for _ in range(40):
        passages = library.passages(" ".join(rng.choices(WORDS, k=rng.randint(1, 4))))
        assert all(0 <= passage.score <= 1 for passage in passages)
        assert all(0 <= passage.legs["fused"] <= 1 for passage in passages)
        assert [passage.rank for passage in passages] == list(range(1, len(passages) + 1))
        assert len({passage.chunk_id for passage in passages}) == len(passages)


def test_the_same_question_gives_the_same_passages(database: Database, library: Library, write: Write) -> None:
    rng = random.Random(22)
    library.ingest(write({f"{n}.md": random_page(rng) for n in range(6)}))

    once, again = library.passages("alpha beta"), Library(database).passages("alpha beta")

    assert [(p.chunk_id, p.score) for p in once] == [(p.chunk_id, p.score) for p in again]


def test_an_empty_audience_finds_nothing(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    assert library.passages("holiday", []) == []


def test_a_document_replaced_between_search_and_reading_is_searched_for_again(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)
    retriever, index = busy(library, lambda: library.ingest(write({"leave.md": LEAVE.replace("March", "June")})))

    passages = retriever.retrieve("unused days expire", frozenset({EVERYONE})).passages

    assert index.searches == 2
    assert passages[0].chunk.text == "Unused days expire in June."


def test_a_document_deleted_between_search_and_reading_is_left_out(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)

    def delete() -> None:
        (folder / "leave.md").unlink()
        library.ingest(folder)

    retriever, _ = busy(library, delete)

    passages = retriever.retrieve("unused days expire", frozenset({EVERYONE})).passages

    assert [passage.location for passage in passages] == ["pay.md#pay"]


def test_a_document_that_is_replaced_all_the_time_is_left_out_in_the_end(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    changes = [lambda n=n: library.ingest(write({"leave.md": LEAVE.replace("March", str(n))})) for n in range(20)]
    retriever, index = busy(library, *changes)

    passages = retriever.retrieve("unused days expire", frozenset({EVERYONE})).passages

    assert [passage.location for passage in passages] == ["pay.md#pay"]
    assert [passage.rank for passage in passages] == [1]
    assert index.searches <= 5


def test_a_rebuild_between_search_and_reading_changes_nothing(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    before = [passage.chunk_id for passage in library.passages("unused days expire")]
    retriever, _ = busy(library, library.rebuild)

    assert [p.chunk_id for p in retriever.retrieve("unused days expire", frozenset({EVERYONE})).passages] == before


def test_an_audience_narrowed_between_search_and_reading_counts(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE})
    library.ingest(folder)
    retriever, _ = busy(library, lambda: library.ingest(folder, ["people team"]))

    assert retriever.retrieve("unused days expire", frozenset({EVERYONE})).passages == []


def test_another_process_finds_what_was_just_ingested(database: Database, library: Library, write: Write) -> None:
    other = Library(database)
    library.ingest(write({"pay.md": PAY}))
    before = other.locations("unused days expire")

    library.ingest(write({"leave.md": LEAVE}))

    assert before == ["pay.md#pay"]
    assert other.locations("unused days expire")[0] == "leave.md#carry-over"


@pytest.mark.slow
def test_many_threads_retrieve_while_documents_change(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    found: list[set[str]] = []

    def ask() -> None:
        for _ in range(10):
            found.append({passage.document.location for passage in library.passages("salaries arrive")})

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(5):
        library.ingest(write({"leave.md": LEAVE.replace("March", f"month {n}")}))
    for thread in threads:
        thread.join()

    assert len(found) == 40
    assert all("pay.md" in locations for locations in found)
    assert np.isfinite([passage.score for passage in library.passages("days")]).all()
