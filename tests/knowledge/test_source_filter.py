"""Questions to some sources only: on both indexes, what is found is in them or an approved correction, and may be read."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bot.storage.database import Database
from knowledge.catalogue import STANDARD_ANSWERS
from knowledge.documents import EVERYONE, Passage
from knowledge.errors import NothingIndexed
from knowledge.labels import labels_asked, labels_of
from knowledge.ports import ChunkIndex
from knowledge.retrieval import LEG_LIMIT
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows
from knowledge.verification import verify
from tests.fakes import DIMENSIONS
from tests.knowledge.library import ALL, Library

Write = Callable[..., Path]

LEAVE = "# Annual leave\n\nYou have thirty days of holiday."
PAY = "# Pay\n\nSalaries arrive on the twentieth."
QUESTION = "when does money land"
PAY_STAFF = frozenset({"people team"})
READERS = frozenset({EVERYONE})
GROUPS = ("everyone", "people team", "hr\u241feveryone", "日本")
SOURCES = ("hr", "wiki", "a b", "ß")


@pytest.fixture(params=["embedded", pytest.param("weaviate", marks=pytest.mark.service)])
def index(request: pytest.FixtureRequest, database: Database) -> Iterator[ChunkIndex]:
    with closing(_index(request, database, "analysis")) as opened:
        yield opened


@pytest.fixture
def library(database: Database, index: ChunkIndex) -> Library:
    return Library(database, index=index)


def _index(request: pytest.FixtureRequest, database: Database, analysis: str) -> ChunkIndex:
    rows = IndexRows(analysis, DIMENSIONS)
    if request.node.callspec.params["index"] == "embedded":
        return EmbeddedIndex(database, rows)
    from knowledge.stores.weaviate import WeaviateIndex

    return WeaviateIndex(database, rows, request.getfixturevalue("weaviate_settings"))


def found(library: Library, query: str, *sources: str, audience: frozenset[str] = READERS) -> Sequence[Passage]:
    return library.retriever.retrieve(query, audience, ALL, sources=sources).passages


def sources_of(passages: Sequence[Passage]) -> list[str]:
    return sorted({passage.document.source for passage in passages})


def test_a_question_to_some_sources_finds_these_and_approved_corrections(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}, "hr"), name="hr")
    library.ingest(write({"pay.md": PAY}, "wiki"), name="wiki")
    library.ingest(write({"leave.md": LEAVE}, "old"), name="old")
    library.ingestion.add_standard_answer("x1", "how many days of holiday", "Thirty.", READERS)

    filters: list[list[str]] = [[], ["hr"], ["wiki", "old"], ["unknown"]]

    assert [sources_of(found(library, "days of holiday", *sources)) for sources in filters] == [
        ["hr", "old", STANDARD_ANSWERS, "wiki"],
        ["hr", STANDARD_ANSWERS],
        ["old", STANDARD_ANSWERS, "wiki"],
        [STANDARD_ANSWERS],
    ]


@pytest.mark.slow
def test_a_source_is_searched_whole_however_much_better_others_match(library: Library, write: Write) -> None:
    better = {f"{n}.md": f"# Holiday\n\nHoliday holiday days {n}." for n in range(LEG_LIMIT + 5)}
    library.ingest(write(better, "wiki"), name="wiki")
    library.ingest(write({"leave.md": LEAVE}, "hr"), name="hr")

    passages = found(library, "holiday days", "hr")

    assert [passage.document.location for passage in passages] == ["leave.md"]
    assert {"stems", "grams", "cosine"} <= set(passages[0].legs)


def test_who_may_not_read_a_source_finds_nothing_in_it(library: Library, write: Write) -> None:
    library.ingest(write({"pay.md": PAY}, "pay"), ["people team"], name="pay")

    assert found(library, "salaries", "pay") == []
    assert found(library, "salaries", "pay", audience=frozenset()) == []
    assert sources_of(found(library, "salaries", "pay", audience=PAY_STAFF)) == ["pay"]


def test_a_known_question_leads_into_no_other_source(library: Library, write: Write) -> None:
    library.ingest(write({"pay.md": PAY}, "pay"), name="pay")
    library.ingest(write({"leave.md": LEAVE}, "hr"), name="hr")
    chunk_id = found(library, "salaries", "pay")[0].chunk_id
    library.catalogue.add_known_question(chunk_id, QUESTION, "confirmed", "exchange-1")

    assert [passage.found_by for passage in found(library, QUESTION, "pay")] == [QUESTION]
    assert [passage.found_by for passage in found(library, QUESTION, "hr")] == [""]


def test_headings_are_those_of_the_sources(library: Library, write: Write) -> None:
    library.ingest(write({"pay.md": PAY}, "pay"), name="pay")
    library.ingest(write({"leave.md": LEAVE}, "hr"), name="hr")

    assert library.catalogue.headings(READERS, ["hr"]) == [("Annual leave", "")]
    assert len(library.catalogue.headings(READERS)) == 2


def test_the_catalogue_refuses_what_a_forged_group_name_would_find(library: Library, write: Write) -> None:
    # A group that is called like the label of another source's readers.
    library.ingest(write({"pay.md": PAY}, "pay"), ["hr\u241feveryone"], name="pay")

    assert found(library, "salaries", "hr") == []
    assert found(library, "salaries", "hr", audience=READERS | {"hr\u241feveryone"}) == []


def test_a_change_of_audience_holds_within_the_source_too(library: Library, write: Write) -> None:
    folder = write({"pay.md": PAY}, "pay")
    library.ingest(folder, name="pay")
    before = len(found(library, "salaries", "pay"))

    library.ingest(folder, ["people team"], name="pay")

    assert (before, found(library, "salaries", "pay")) == (1, [])
    assert len(found(library, "salaries", "pay", audience=PAY_STAFF)) == 1


def test_a_whole_index_is_found_whole(library: Library, index: ChunkIndex, write: Write) -> None:
    library.ingest(write({"pay.md": PAY}, "pay"), ["people team", "ß"], name="pay")
    library.ingestion.add_standard_answer("x1", QUESTION, "On the twentieth.", READERS)

    verification = verify("index", index, library.catalogue, lambda *_: None)

    assert (verification.is_whole, verification.chunks) == (True, 2)


def test_an_index_that_was_built_without_such_labels_says_what_to_do(
    request: pytest.FixtureRequest, database: Database, library: Library, write: Write
) -> None:
    library.ingest(write({"pay.md": PAY}))

    with closing(_index(request, database, "the next analysis")) as later:
        upgraded = Library(database, index=later)
        with pytest.raises(NothingIndexed, match="timbre reindex"):
            found(upgraded, "salaries", "docs")
        upgraded.rebuild()

        assert sources_of(found(upgraded, "salaries", "docs")) == ["docs"]


@pytest.mark.slow
def test_nobody_finds_what_is_elsewhere_or_not_for_them(library: Library, write: Write) -> None:
    rng = random.Random(23)
    words = "alpha beta gamma delta epsilon".split()
    for name in SOURCES:
        pages = {f"{n}.md": f"# {rng.choice(words)}\n\n{' '.join(rng.choices(words, k=6))}." for n in range(3)}
        library.ingest(write(pages, name), rng.sample(GROUPS, rng.randint(0, 2)), name=name)
    library.ingestion.add_standard_answer("x1", "alpha beta", "Gamma.", frozenset({rng.choice(GROUPS)}))

    for _ in range(60):
        audience = frozenset(rng.sample(GROUPS, rng.randint(0, 3)))
        sources = rng.sample(SOURCES, rng.randint(1, 2))
        passages = found(library, " ".join(rng.choices(words, k=2)), *sources, audience=audience)
        everywhere = found(library, "alpha beta gamma delta epsilon", audience=audience)
        assert all(p.document.audience & audience and p.document.source in (*sources, STANDARD_ANSWERS) for p in passages)
        expected = {p.chunk_id for p in everywhere if p.document.source in (*sources, STANDARD_ANSWERS)}
        assert {p.chunk_id for p in passages} == expected


def test_labels_of_different_sources_never_meet() -> None:
    held = labels_of("hr", frozenset({"everyone", "a"}))

    assert held & labels_asked(frozenset({"everyone"}), []) == {"everyone"}
    assert len(held & labels_asked(frozenset({"everyone", "b"}), ["wiki", "hr"])) == 1
    assert not held & labels_asked(frozenset({"everyone"}), ["wiki"])
    assert not held & labels_asked(frozenset(), ["hr"])
