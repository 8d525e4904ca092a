"""What every ChunkIndex promises. To add an implementation, add one line to `IMPLEMENTATIONS`."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from threading import Thread

import numpy as np
import pytest

from bot.storage.database import Database
from knowledge.bm25 import MAX_GRAMS
from knowledge.documents import ChunkId, DocumentId
from knowledge.errors import NothingIndexed
from knowledge.ports import ChunkIndex, GenerationId, Hit, IndexEntry, IndexQuery
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows

pytestmark = pytest.mark.both_databases

DIMENSIONS = 3
LABELS = ("ß", "日本", "a,b", "*", "people team", "ÉCOLE", "%", "everyone'; --", "handbook\u241feveryone")

OpenIndex = Callable[[], ChunkIndex]


@pytest.fixture(params=["embedded", pytest.param("weaviate", marks=pytest.mark.service)])
def open_index(request: pytest.FixtureRequest, database: Database) -> Iterator[OpenIndex]:
    """Opens an index; a second one is what another process sees."""
    make = {"embedded": embedded, "weaviate": on_weaviate}[request.param]
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(make(request, database)))


def embedded(request: pytest.FixtureRequest, database: Database) -> ChunkIndex:
    return EmbeddedIndex(database, IndexRows("analysis", DIMENSIONS))


def on_weaviate(request: pytest.FixtureRequest, database: Database) -> ChunkIndex:
    from knowledge.stores.weaviate import WeaviateIndex

    return WeaviateIndex(database, IndexRows("analysis", DIMENSIONS), request.getfixturevalue("weaviate_settings"))


@pytest.fixture
def index(open_index: OpenIndex) -> ChunkIndex:
    return open_index()


def entry(
    chunk: int,
    stems: str = "",
    grams: str = "",
    vector: Sequence[float] = (1, 0, 0),
    audience: Sequence[str] = ("everyone",),
    document: int | None = None,
) -> IndexEntry:
    """A chunk; its document has the same number unless told otherwise."""
    unit = np.array(vector, np.float32) / np.float32(np.linalg.norm(vector))
    document_id = DocumentId(chunk if document is None else document)
    return IndexEntry(ChunkId(chunk), document_id, frozenset(audience), stems.split(), grams.split(), unit)


def query(
    stems: str = "",
    grams: str = "",
    vector: Sequence[float] = (1, 0, 0),
    audience: Sequence[str] = ("everyone",),
    limit: int = 100,
) -> IndexQuery:
    return IndexQuery(stems.split(), grams.split(), np.array(vector, np.float32), frozenset(audience), limit)


def fill(index: ChunkIndex, *entries: IndexEntry) -> GenerationId:
    """A live generation that holds the entries."""
    generation = index.create_generation()
    documents = {e.document_id: [other for other in entries if other.document_id == e.document_id] for e in entries}
    index.replace_documents(generation, documents)
    index.activate(generation)
    return generation


def ids(hits: Sequence[Hit]) -> list[int]:
    return [hit.chunk_id for hit in hits]


def frequencies(index: ChunkIndex, counted: str) -> tuple[int, dict[str, int]]:
    """The size of the generation, and how many chunks hold each stem, as somebody hears it who may read nothing."""
    asked = IndexQuery([], [], np.array([1, 0, 0], np.float32), frozenset(), counted=counted.split())
    legs = index.search(asked)
    return legs.size, dict(legs.frequencies)


def bm25(texts: Sequence[str], asked: str, row: int) -> float:
    """Lucene's BM25 of `texts[row]`, straight from the formula."""
    documents = [text.split() for text in texts]
    average = sum(len(words) for words in documents) / len(documents)
    words, score = documents[row], 0.0
    for term in asked.split():
        n = sum(term in other for other in documents)
        idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
        tf = words.count(term)
        score += idf * tf / (tf + 1.2 * (1 - 0.75 + 0.75 * len(words) / average))
    return score


def test_nothing_is_live_before_the_first_activation(index: ChunkIndex) -> None:
    index.create_generation()

    assert index.live_generation() is None


def test_searching_without_a_live_generation_is_an_error_that_says_what_to_do(index: ChunkIndex) -> None:
    with pytest.raises(NothingIndexed, match="timbre ingest"):
        index.search(query("leave"))


def test_an_empty_live_generation_finds_nothing(index: ChunkIndex) -> None:
    generation = fill(index)

    legs = index.search(query("leave", "_lea"))

    assert (legs.generation, legs.stems, legs.grams, legs.dense) == (generation, [], [], [])
    assert frequencies(index, "leave") == (0, {"leave": 0})


def test_a_generation_that_is_being_built_is_invisible(index: ChunkIndex) -> None:
    live = fill(index, entry(1, "leave"))

    building = index.create_generation()
    index.replace_documents(building, {DocumentId(2): [entry(2, "leave")]})

    assert index.live_generation() == live
    assert ids(index.search(query("leave")).stems) == [1]
    assert frequencies(index, "leave") == (1, {"leave": 1})


def test_activation_swaps_the_generation_and_drops_all_others(index: ChunkIndex) -> None:
    old = fill(index, entry(1, "leave"))
    abandoned = index.create_generation()
    index.replace_documents(abandoned, {DocumentId(9): [entry(9, "leave")]})

    new = fill(index, entry(2, "leave"))

    legs = index.search(query("leave"))
    assert (index.live_generation(), legs.generation) == (new, new)
    assert (ids(legs.stems), ids(legs.dense)) == ([2], [2])
    assert [index.count(generation) for generation in (old, abandoned, new)] == [0, 0, 1]


def test_replacing_a_document_puts_its_new_chunks_in_place_of_the_old(index: ChunkIndex) -> None:
    generation = fill(index, entry(1, "leave", document=1), entry(2, "leave", document=1), entry(3, "leave", document=3))
    index.search(query("leave"))

    index.replace_documents(generation, {DocumentId(1): [entry(4, "leave", document=1)]})

    assert ids(index.search(query("leave")).stems) == [3, 4]
    assert index.count(generation) == 2


def test_replacing_a_document_by_nothing_removes_it(index: ChunkIndex) -> None:
    generation = fill(index, entry(1, "leave"), entry(2, "leave"))

    index.replace_documents(generation, {DocumentId(1): []})
    index.replace_documents(generation, {DocumentId(77): []})

    assert ids(index.search(query("leave")).stems) == [2]
    assert frequencies(index, "leave") == (1, {"leave": 1})


def test_the_last_document_can_be_removed(index: ChunkIndex) -> None:
    generation = fill(index, entry(1, "leave", "_lea"))
    index.search(query("leave"))

    index.replace_documents(generation, {DocumentId(1): []})

    legs = index.search(query("leave", "_lea"))
    assert (legs.stems, legs.grams, legs.dense) == ([], [], [])


@pytest.mark.parametrize("asked", ["leave", "leave annual", "leave leave annual", "annual unknown", "day day day"])
@pytest.mark.parametrize("field", ["stems", "grams"])
def test_lexical_scores_are_lucenes_bm25(index: ChunkIndex, field: str, asked: str) -> None:
    texts = ["annual leave", "leave leave leave and a day off", "sick day", "an annual report of the day", "nothing"]
    fill(index, *(entry(i, **{field: text}) for i, text in enumerate(texts)))  # type: ignore[arg-type]

    legs = index.search(query(**{field: asked}))  # type: ignore[arg-type]

    hits = {hit.chunk_id: hit.score for hit in getattr(legs, field)}
    expected = {i: score for i in range(len(texts)) if (score := bm25(texts, asked, i)) > 0}
    assert hits == pytest.approx(expected, abs=1e-5)


def test_bm25_follows_the_documents_that_come_and_go(index: ChunkIndex) -> None:
    generation = fill(index, entry(0, "annual leave"), entry(1, "leave"), entry(2, "sick leave certificate"))
    index.search(query("leave"))

    index.replace_documents(generation, {DocumentId(1): [entry(3, "parental leave for both parents", document=1)]})

    texts = ["annual leave", "sick leave certificate", "parental leave for both parents"]
    expected = {chunk: bm25(texts, "leave", row) for row, chunk in enumerate((0, 2, 3))}
    assert {h.chunk_id: h.score for h in index.search(query("leave")).stems} == pytest.approx(expected, abs=1e-5)


def test_a_score_does_not_depend_on_who_asks(index: ChunkIndex) -> None:
    fill(index, entry(1, "salary band"), entry(2, "salary", audience=["people"]), entry(3, "salary of all", audience=["people"]))

    mine = index.search(query("salary")).stems
    everything = index.search(query("salary", audience=["everyone", "people"])).stems

    assert ids(mine) == [1]
    assert mine[0].score == next(hit.score for hit in everything if hit.chunk_id == 1)
    assert frequencies(index, "salary") == (3, {"salary": 3})


def test_dense_scores_are_cosines(index: ChunkIndex) -> None:
    fill(index, entry(1, vector=(1, 0, 0)), entry(2, vector=(1, 1, 0)), entry(3, vector=(-1, 0, 0)), entry(4, vector=(0, 0, 1)))

    hits = index.search(query(vector=(1, 0, 0))).dense

    assert ids(hits) == [1, 2, 4, 3]
    assert [hit.score for hit in hits] == pytest.approx([1, math.sqrt(0.5), 0, -1], abs=1e-5)


def test_ties_are_broken_by_chunk_id_in_every_leg(index: ChunkIndex) -> None:
    fill(index, *(entry(chunk, "leave", "_lea", (1, 2, 3)) for chunk in (5, 3, 9, 1, 7)))

    legs = index.search(query("leave", "_lea", limit=3))

    assert [ids(leg) for leg in (legs.stems, legs.grams, legs.dense)] == [[1, 3, 5]] * 3


def test_each_leg_has_at_most_limit_hits_and_they_are_the_best(index: ChunkIndex) -> None:
    rng = random.Random(7)
    vectors = [[rng.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(40)]
    fill(index, *(entry(i, "leave " * (1 + i % 7) + "x " * i, vector=v, document=i // 10) for i, v in enumerate(vectors)))

    few, all_of_them = index.search(query("leave", limit=5)), index.search(query("leave", limit=100))

    assert len(all_of_them.stems) == len(all_of_them.dense) == 40
    assert (few.stems, few.dense) == (all_of_them.stems[:5], all_of_them.dense[:5])


def test_an_empty_audience_finds_nothing(index: ChunkIndex) -> None:
    fill(index, entry(1, "leave", "_lea"), entry(2, "leave", "_lea", audience=[]))

    legs = index.search(query("leave", "_lea", audience=[]))

    assert (legs.stems, legs.grams, legs.dense) == ([], [], [])


def test_a_chunk_without_an_audience_is_for_nobody(index: ChunkIndex) -> None:
    fill(index, entry(1, "leave", audience=[]))

    assert index.search(query("leave", audience=["everyone", ""])).dense == []


def test_an_unknown_label_matches_nobody(index: ChunkIndex) -> None:
    fill(index, entry(1, "leave"), entry(2, "leave", audience=["people"]))

    assert index.search(query("leave", audience=["Everyone", "every", "people team", "*"])).dense == []


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_matched_whole_whatever_its_characters(index: ChunkIndex, label: str) -> None:
    fill(index, *(entry(chunk, "leave", "_lea", audience=[other]) for chunk, other in enumerate(LABELS)))

    legs = index.search(query("leave", "_lea", audience=[label]))

    assert [ids(leg) for leg in (legs.stems, legs.grams, legs.dense)] == [[LABELS.index(label)]] * 3


def test_one_shared_label_is_enough(index: ChunkIndex) -> None:
    fill(index, entry(1, audience=["a", "b"]), entry(2, audience=["b", "c"]), entry(3, audience=["c"]))

    assert ids(index.search(query(audience=["a", "b"])).dense) == [1, 2]


def test_empty_terms_skip_their_leg(index: ChunkIndex) -> None:
    fill(index, entry(1, "leave", "_lea"))

    without_stems, without_grams = index.search(query("", "_lea")), index.search(query("leave", ""))

    assert (ids(without_stems.stems), ids(without_stems.grams), ids(without_stems.dense)) == ([], [1], [1])
    assert (ids(without_grams.stems), ids(without_grams.grams), ids(without_grams.dense)) == ([1], [], [1])


def test_terms_that_no_chunk_holds_find_nothing(index: ChunkIndex) -> None:
    fill(index, entry(1, "leave", "_lea"))

    legs = index.search(query("submarine", "_sub"))

    assert (legs.stems, legs.grams) == ([], [])


def test_only_the_rarest_grams_of_a_long_question_count(index: ChunkIndex) -> None:
    rare = [f"r{number}" for number in range(MAX_GRAMS)]
    fill(index, entry(1, grams="common"), entry(2, grams="common"), *(entry(3 + i, grams=gram) for i, gram in enumerate(rare)))

    short, long = index.search(query("", "common r0")), index.search(query("", " ".join(["common", *rare])))

    assert ids(short.grams) == [3, 1, 2]
    assert sorted(ids(long.grams)) == list(range(3, 3 + MAX_GRAMS))
    assert index.search(query("", " ".join([*rare, "common"]))).grams == long.grams


def test_stems_and_grams_are_separate_fields(index: ChunkIndex) -> None:
    fill(index, entry(1, stems="leave"), entry(2, grams="leave"))

    legs = index.search(query("leave", "leave"))

    assert (ids(legs.stems), ids(legs.grams)) == ([1], [2])


def test_document_frequencies_count_chunks_not_occurrences(index: ChunkIndex) -> None:
    fill(index, entry(1, "leave leave day"), entry(2, "day"), entry(3, "", "leave"))

    assert frequencies(index, "day leave submarine day") == (3, {"day": 2, "leave": 1, "submarine": 0})
    assert frequencies(index, "") == (3, {})


def test_another_process_sees_every_change_at_once(open_index: OpenIndex) -> None:
    writer, reader = open_index(), open_index()
    generation = fill(writer, entry(1, "leave"), entry(2, "leave"))
    seen = [ids(reader.search(query("leave")).stems)]

    writer.replace_documents(generation, {DocumentId(3): [entry(3, "leave")]})
    seen.append(ids(reader.search(query("leave")).stems))
    writer.replace_documents(generation, {DocumentId(1): []})
    seen.append(ids(reader.search(query("leave")).stems))
    fill(writer, entry(4, "leave"))
    seen.append(ids(reader.search(query("leave")).stems))

    assert seen == [[1, 2], [1, 2, 3], [2, 3], [4]]


def test_a_change_of_audience_alone_reaches_another_process(open_index: OpenIndex) -> None:
    writer, reader = open_index(), open_index()
    generation = fill(writer, entry(1, "leave"))
    before = ids(reader.search(query("leave")).stems)

    writer.replace_documents(generation, {DocumentId(1): [entry(1, "leave", audience=["people"])]})

    assert (before, ids(reader.search(query("leave")).stems)) == ([1], [])
    assert ids(reader.search(query("leave", audience=["people"])).stems) == [1]


@pytest.mark.slow
def test_a_search_sees_whole_documents_only(open_index: OpenIndex) -> None:
    writer, reader = open_index(), open_index()
    versions = [[entry(3 * v + i, "leave", document=1) for i in range(3)] for v in range(30)]
    generation = fill(writer, *versions[0])

    def write() -> None:
        for version in versions:
            writer.replace_documents(generation, {DocumentId(1): version})

    thread = Thread(target=write)
    thread.start()
    seen = set()
    while thread.is_alive():
        seen.add(tuple(ids(reader.search(query("leave")).dense)))
    thread.join()

    assert seen <= {tuple(e.chunk_id for e in version) for version in versions}
    assert ids(reader.search(query("leave")).dense) == [e.chunk_id for e in versions[-1]]
