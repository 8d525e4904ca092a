"""Building the index anew from the catalogue, forgetting a source, and changing the embedding model."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.storage.database import Database
from knowledge.documents import DocumentId
from knowledge.errors import IndexUnavailable, UnknownSource
from knowledge.ports import Embedding
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows
from tests.fakes import DIMENSIONS, HashingEmbedder
from tests.knowledge.library import Library

pytestmark = pytest.mark.both_databases

Write = Callable[..., Path]

LEAVE = "# Annual leave\n\nYou have thirty days of holiday.\n\n## Carry over\n\nUnused days expire in March."
PAY = "# Pay\n\nSalaries arrive on the twentieth."


class OtherEmbedder(HashingEmbedder):
    """Another model: the same directions in another order."""

    name = "another-model"

    def embed(self, texts: list[str]) -> list[Embedding]:  # type: ignore[override]  # a list is the sequence that it gets
        embeddings = super().embed(texts)
        return [Embedding(e.vector[::-1].copy(), e.token_vectors[:, ::-1].copy(), e.offsets) for e in embeddings]


def test_a_rebuild_swaps_to_a_generation_that_finds_the_same(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    before, generation, embedded = library.passages("unused days"), library.index.live_generation(), library.embedder.embedded

    chunks = library.rebuild()

    assert (chunks, library.embedder.embedded) == (3, embedded)
    assert library.index.live_generation() != generation
    assert [(p.chunk_id, p.score) for p in library.passages("unused days")] == [(p.chunk_id, p.score) for p in before]


def test_a_rebuild_mends_an_index_that_was_damaged(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    generation = library.index.live_generation()
    assert generation is not None
    for document in library.catalogue.all_documents():
        library.index.replace_documents(generation, {document: []})

    library.rebuild()

    assert len(library.locations("days")) == 3


def test_a_rebuild_drops_the_vectors_of_texts_that_are_gone(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    library.ingest(write({"leave.md": "# Annual leave\n\nAsk us."}))

    library.rebuild()

    report = library.ingest(write({"leave.md": LEAVE}))
    assert report.embedded == 2


def test_another_embedding_model_starts_without_a_live_generation(database: Database, library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    other = Library(database, OtherEmbedder())

    assert other.index.live_generation() is None
    with pytest.raises(IndexUnavailable):
        other.passages("holiday")


def test_a_rebuild_with_another_embedding_model_embeds_the_stored_texts(
    database: Database, library: Library, write: Write
) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY, "copy.md": PAY})
    library.ingest(folder)
    before = library.passages("unused days")
    for path in folder.iterdir():
        path.unlink()

    other = Library(database, OtherEmbedder())
    chunks = other.rebuild()

    assert (chunks, other.embedder.embedded) == (4, 3)
    after = other.passages("unused days")
    assert [p.location for p in after] == [p.location for p in before]
    assert [p.score for p in after] == pytest.approx([p.score for p in before], abs=1e-5)
    assert library.index.live_generation() is None


def test_an_ingestion_with_another_embedding_model_rebuilds_first(database: Database, library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)

    other = Library(database, OtherEmbedder())
    report = other.ingest(folder)

    assert (report.unchanged, report.embedded) == (2, 0)
    assert other.locations("unused days expire")[0] == "leave.md#carry-over"


def test_going_back_to_the_first_model_embeds_nothing(database: Database, library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))
    Library(database, OtherEmbedder()).rebuild()
    embedded = library.embedder.embedded

    library.rebuild()

    assert library.embedder.embedded == embedded
    assert len(library.locations("holiday")) == 2


def test_forgetting_a_source_removes_all_of_it(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE, "broken.md": ""}, "one"), ["people team"], name="one")
    library.ingest(write({"pay.md": PAY}, "two"), name="two")
    chunk_ids = [passage.chunk_id for passage in library.passages("holiday", ["people team"])]

    count = library.forget(library.catalogue.source("one"))

    assert count == 2
    assert library.locations("holiday", ["people team", "everyone"]) == ["pay.md#pay"]
    assert [source.name for source in library.catalogue.sources()] == ["two"]
    assert (library.catalogue.chunks(chunk_ids), library.catalogue.embeddings(chunk_ids)) == ({}, {})
    assert library.catalogue.groups() == {"everyone"}


def test_forgetting_keeps_the_vectors_that_another_source_shares(library: Library, write: Write) -> None:
    library.ingest(write({"a.md": PAY}, "one"), name="one")
    library.ingest(write({"b.md": PAY}, "two"), name="two")

    library.forget(library.catalogue.source("one"))

    assert library.rebuild() == 1
    assert library.locations("salaries") == ["b.md#pay"]


def test_a_source_can_be_forgotten_under_another_embedding_model(database: Database, library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}, "one"), name="one")
    library.ingest(write({"pay.md": PAY}, "two"), name="two")

    Library(database, OtherEmbedder()).forget(library.catalogue.source("one"))

    assert [source.name for source in library.catalogue.sources()] == ["two"]
    assert library.locations("holiday") == ["pay.md#pay"]


def test_a_source_is_forgotten_before_anything_was_indexed(library: Library) -> None:
    source = library.catalogue.put_source("docs", "/nowhere", frozenset())

    assert library.forget(source) == 0
    assert library.catalogue.sources() == []


def test_a_forgotten_source_can_come_back(library: Library, write: Write) -> None:
    folder = write({"pay.md": PAY})
    library.ingest(folder)
    library.forget(library.catalogue.source("docs"))

    report = library.ingest(folder)

    assert (report.added, report.embedded) == (1, 1)
    assert library.locations("salaries") == ["pay.md#pay"]


def test_an_unknown_source_is_an_error_that_names_the_known_ones(library: Library, write: Write) -> None:
    with pytest.raises(UnknownSource, match="none yet"):
        library.catalogue.source("docs")
    library.ingest(write({"pay.md": PAY}), name="handbook")

    with pytest.raises(UnknownSource, match=r"'docs'.*handbook"):
        library.catalogue.source("docs")


def test_headings_are_those_that_the_audience_may_read(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}, "one"), ["people team"], name="one")
    library.ingest(write({"pay.md": PAY}, "two"), name="two")

    assert library.catalogue.headings(frozenset({"everyone"})) == [("Pay", "")]
    assert library.catalogue.headings(frozenset({"people team"})) == [("Annual leave", ""), ("Annual leave", "Carry over")]
    assert library.catalogue.headings(frozenset()) == []


def test_the_address_of_a_passage_is_what_a_person_can_open(library: Library, write: Write) -> None:
    folder = write({"hr/pay.md": PAY, "pay.md": PAY})
    library.ingest(folder)
    library.ingest(folder / "pay.md", name="single")

    found = {(p.document.source, p.document.location): p.document.address for p in library.passages("salaries")}

    assert found == {
        ("docs", "hr/pay.md"): f"{folder}/hr/pay.md",
        ("docs", "pay.md"): f"{folder}/pay.md",
        ("single", "pay.md"): f"{folder}/pay.md",
    }


def test_a_generation_that_is_gone_cannot_be_activated(database: Database) -> None:
    index = EmbeddedIndex(database, IndexRows("analysis", DIMENSIONS))
    old, new = index.create_generation(), index.create_generation()
    index.activate(new)

    with pytest.raises(IndexUnavailable, match="timbre reindex"):
        index.activate(old)

    assert index.live_generation() == new


def test_a_generation_of_another_analysis_counts_as_none(database: Database) -> None:
    first, second = (EmbeddedIndex(database, IndexRows(analysis, DIMENSIONS)) for analysis in ("one", "two"))
    generation = first.create_generation()
    first.replace_documents(generation, {DocumentId(1): []})
    first.activate(generation)

    assert (first.live_generation(), second.live_generation()) == (generation, None)
