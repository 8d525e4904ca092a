"""What becomes of the scores of a Weaviate whose statistics count chunks that are gone. Needs no server: its hits are made up."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from bot.storage.database import Database
from knowledge.documents import ChunkId, DocumentId
from knowledge.ports import GenerationId
from knowledge.settings import IndexSettings
from knowledge.stores import statistics
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.remembered import Memory, Remembered
from knowledge.stores.rows import IndexRows
from knowledge.stores.weaviate import WeaviateIndex, _Found, _may_lack
from tests.contracts.test_chunk_index import DIMENSIONS, entry, query

ROWS = IndexRows("analysis", DIMENSIONS)
TEXTS = ["annual leave", "leave leave leave and a day off", "sick day", "an annual report of the day", "leave of absence"]
ASKED = query("leave annual", "day")


@pytest.fixture
def index(database: Database) -> Iterator[WeaviateIndex]:
    with closing(WeaviateIndex(database, ROWS, IndexSettings(kind="weaviate"))) as opened:
        yield opened


@pytest.fixture
def generation(index: WeaviateIndex, database: Database) -> GenerationId:
    """A generation that stands in the rows."""
    with database.writing() as session:
        made = ROWS.create(session)
    documents = {DocumentId(i): [entry(i, text, text)] for i, text in enumerate(TEXTS)}
    index._replace_rows(made, documents, is_behind=False)
    with database.writing() as session:
        ROWS.activate(session, made)
    return made


@pytest.fixture
def right(database: Database, generation: GenerationId) -> _Found:
    """The hits with the scores that they should have."""
    with closing(EmbeddedIndex(database, ROWS)) as exact:
        legs = exact.search(ASKED)
    stems, grams, dense = ({hit.chunk_id: hit.score for hit in leg} for leg in (legs.stems, legs.grams, legs.dense))
    return _Found(generation, stems, grams, dense, is_sure=True)


def drifted(found: _Found, factor: float) -> _Found:
    stems, grams = ({chunk: score * factor for chunk, score in leg.items()} for leg in (found.stems, found.grams))
    return _Found(found.generation, stems, grams, found.dense, is_sure=True)


def corrected(index: WeaviateIndex, database: Database, found: _Found) -> _Found:
    with database.reading() as session:
        return index._corrected(session, ASKED, found, Memory(ROWS).of(session, found.generation, 1))


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.01, 2])
def test_scores_that_have_drifted_are_worked_out_from_the_rows(
    index: WeaviateIndex, database: Database, right: _Found, factor: float
) -> None:
    found = corrected(index, database, drifted(right, factor))

    assert found.stems == pytest.approx(right.stems, abs=1e-5)
    assert found.grams == pytest.approx(right.grams, abs=1e-5)


def test_scores_that_are_right_to_a_thousandth_are_taken_as_they_are(
    index: WeaviateIndex, database: Database, right: _Found
) -> None:
    nearly = drifted(right, 1.0005)

    found = corrected(index, database, nearly)

    assert (found.stems, found.grams) == (nearly.stems, nearly.grams)


def leg(*scores: float) -> _Found:
    """A find of stems alone, the best first."""
    return _Found(GenerationId(1), {ChunkId(i): score for i, score in enumerate(scores)}, {}, {}, is_sure=True)


@pytest.mark.parametrize(
    ("server", "true", "lacks"),
    [
        ((9, 8, 7, 6), (9, 8, 7, 6), False),
        ((9, 8, 7, 6), (4.5, 4, 3.5, 3), False),  # all fall alike, and so do those that were not found
        ((9, 8, 7, 6), (9, 8, 7, 9), True),  # one rises by half: another of almost 6 may reach 9
        ((9, 8, 7, 6), (9, 6.5, 3, 2), False),
        ((9, 8, 6, 6), (9, 6.2, 6.2, 6.2), True),  # the second may rank below one of 6 that rises like the last
        ((9, 6, 6, 6), (9, 6, 6, 6), True),  # ties beyond the last
    ],
)
def test_more_is_asked_for_only_where_what_was_not_found_may_belong_among_the_best(
    server: tuple[float, ...], true: tuple[float, ...], lacks: bool
) -> None:
    assert _may_lack(leg(*server), leg(*true), asked_for=4, limit=2) is lacks


def test_a_server_that_has_no_more_is_not_asked_for_more() -> None:
    assert not _may_lack(leg(9, 6), leg(6, 9), asked_for=4, limit=2)


def test_what_is_remembered_is_forgotten_with_the_next_change(
    index: WeaviateIndex, database: Database, generation: GenerationId
) -> None:
    memory = Memory(ROWS)

    def remembered() -> Remembered:
        with database.reading() as session:
            state = ROWS.state(session, generation)
            assert state
            known = memory.of(session, generation, state.last_change)
            known.audiences(session, [ChunkId(0), ChunkId(7)])
            known.statistics(session, "stems", ["leave"])
            return known

    before, same = remembered(), remembered()
    index._replace_rows(generation, {DocumentId(0): [entry(7, "sick leave", document=0, audience=["people"])]}, is_behind=False)
    after = remembered()

    assert same is before
    with database.reading() as session:
        assert after.audiences(session, [ChunkId(0), ChunkId(7)]) == {7: frozenset({"people"})}
        assert after.statistics(session, "stems", ["leave"]).total_terms == statistics.totals(session, generation).stem_terms
