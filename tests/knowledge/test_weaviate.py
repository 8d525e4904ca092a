"""The index on a real Weaviate: what it promises beyond the contract of every index, also while its server is killed."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.storage.database import Database
from knowledge.documents import DocumentId
from knowledge.errors import IndexAway, IndexUnavailable
from knowledge.settings import IndexSettings
from knowledge.stores import statistics
from knowledge.stores.connection import Connection
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.fallback import FallbackIndex
from knowledge.stores.rows import IndexRows
from knowledge.stores.weaviate import STREAMED_FROM, WeaviateIndex
from tests.contracts.test_chunk_index import DIMENSIONS, entry, fill, frequencies, ids, query
from tests.servers import WeaviateServer, private_weaviate

pytestmark = [pytest.mark.service, pytest.mark.slow]

ROWS = IndexRows("analysis", DIMENSIONS)
AWAY_S = 3.0  # the time in which an absence must be told
HEALED_S = 2.0  # the time after the server's return in which searches must use it again


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    with private_weaviate(tmp_path_factory.mktemp("weaviate")) as started:
        yield started


@pytest.fixture
def settings(server: WeaviateServer) -> IndexSettings:
    return settings_of(server)


@pytest.fixture
def index(database: Database, settings: IndexSettings) -> Iterator[WeaviateIndex]:
    with closing(WeaviateIndex(database, ROWS, settings)) as opened:
        yield opened


def settings_of(server: WeaviateServer) -> IndexSettings:
    return IndexSettings(kind="weaviate", url=server.url, grpc_port=server.grpc_port, api_key=SecretStr(server.api_key))


def seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def away(work: Callable[[], object]) -> None:
    with pytest.raises(IndexAway, match="TIMBRE_INDEX__URL"):
        work()


def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.05)


def test_an_absent_server_is_told_within_three_seconds_and_found_again_within_two(
    index: WeaviateIndex, server: WeaviateServer
) -> None:
    generation = fill(index, *(entry(chunk, "leave", "_lea") for chunk in range(50)))
    server.kill_9()

    for work in (lambda: index.search(query("leave")), index.live_generation, lambda: index.count(generation)):
        assert seconds(lambda work=work: away(work)) < AWAY_S  # type: ignore[misc]

    server.start()
    assert seconds(lambda: index.search(query("leave"))) < HEALED_S


@pytest.mark.parametrize("chunks", [3, 2 * STREAMED_FROM])
def test_a_server_that_missed_a_change_is_not_searched_before_it_has_it(
    index: WeaviateIndex, server: WeaviateServer, chunks: int
) -> None:
    generation = fill(index, entry(1, "leave"), entry(2, "leave"))
    new = {DocumentId(1): [entry(100 + chunk, "leave", document=1) for chunk in range(chunks)]}
    server.kill_9()
    assert seconds(lambda: away(lambda: index.replace_documents(generation, new))) < AWAY_S
    server.start()

    away(lambda: index.search(query("leave")))
    index.replace_documents(generation, new)

    assert ids(index.search(query("leave", limit=3)).stems)[0] == 2
    assert index.count(generation) == chunks + 1


def test_a_server_that_swallows_every_call_is_away_too(database: Database) -> None:
    settings = IndexSettings(kind="weaviate", url="http://192.0.2.1:8080")  # a network that leads nowhere
    with closing(WeaviateIndex(database, ROWS, settings)) as index:
        assert seconds(lambda: away(index.live_generation)) < AWAY_S


def test_a_wrong_key_is_named(database: Database, settings: IndexSettings) -> None:
    wrong = settings.model_copy(update={"api_key": SecretStr("no")})

    with closing(WeaviateIndex(database, ROWS, wrong)) as index, pytest.raises(IndexUnavailable, match="TIMBRE_INDEX__API_KEY"):
        index.live_generation()


def test_a_server_that_is_too_old_is_named(settings: IndexSettings) -> None:
    with pytest.raises(IndexUnavailable, match=r"has version 1.35.9; it must be 1.36 or newer"):
        Connection(settings)._check_version("1.35.9")


def test_a_swap_that_died_between_server_and_database_is_finished(index: WeaviateIndex, database: Database) -> None:
    old = fill(index, entry(1, "leave"))
    new = index.create_generation()
    index.replace_documents(new, {DocumentId(2): [entry(2, "leave")]})
    index._connection.run(lambda client: index._point(new, client))  # the process dies here

    seen = ids(index.search(query("leave")).stems)
    with database.reading() as session:
        before = ROWS.live(session)
    live = index.live_generation()
    with database.reading() as session:
        after = ROWS.live(session)

    assert (seen, before, live, after) == ([2], old, new, new)


def test_a_chunk_that_the_rows_do_not_hold_is_not_shown(index: WeaviateIndex, database: Database) -> None:
    generation = fill(index, entry(1, "leave"))
    index._connection.run(lambda client: index._put(generation, [entry(9, "leave")], client))  # killed before the rows

    assert ids(index.search(query("leave")).stems) == [1]


def test_statistics_stay_exact_through_every_change(index: WeaviateIndex, database: Database) -> None:
    generation = fill(index, *(entry(chunk, "leave day") for chunk in range(30)))
    for version in range(1, 4):
        for document in range(0, 30, 2):
            chunk = 100 * version + document
            index.replace_documents(generation, {DocumentId(document): [entry(chunk, "leave sick", document=document)]})

    with database.reading() as session:
        kept = statistics.totals(session, generation)
        by_term = statistics.frequencies(session, generation, "stems", ["leave", "day", "sick"])

    assert (kept.chunks, kept.stem_terms, by_term) == (30, 60, {"leave": 30, "day": 15, "sick": 15})
    assert frequencies(index, "leave day sick") == (30, {"leave": 30, "day": 15, "sick": 15})


def test_a_database_that_is_gone_leaves_nothing_live(index: WeaviateIndex, tmp_path: Path) -> None:
    fill(index, entry(1, "leave"))
    fresh = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    fresh.migrate()

    with closing(fresh), closing(WeaviateIndex(fresh, ROWS, index._connection._settings)) as other:
        before = other.live_generation()
        generation = fill(other, entry(5, "leave"))

        assert (before, ids(other.search(query("leave")).stems), other.live_generation()) == (None, [5], generation)


def test_while_the_server_is_away_the_copy_is_searched_and_then_the_server_again(
    index: WeaviateIndex, database: Database, server: WeaviateServer
) -> None:
    generation = fill(index, entry(1, "leave"), entry(2, "leave"))
    caught_up = threading.Event()

    def catch_up() -> None:
        index.replace_documents(generation, {DocumentId(3): [entry(3, "leave")]})
        caught_up.set()

    fallback = FallbackIndex(index, EmbeddedIndex(database, ROWS), catch_up)
    with closing(fallback):
        before = fallback.search(query("leave"))
        server.kill_9()
        first = seconds(lambda: fallback.search(query("leave")))
        away(lambda: fallback.replace_documents(generation, {DocumentId(3): [entry(3, "leave")]}))
        during = fallback.search(query("leave"))
        server.start()
        healed = seconds(lambda: until(lambda: not fallback.search(query("leave")).is_reduced))
        after = fallback.search(query("leave"))

    assert [legs.is_reduced for legs in (before, during, after)] == [False, True, False]
    assert [ids(legs.stems) for legs in (before, during, after)] == [[1, 2], [1, 2, 3], [1, 2, 3]]
    assert caught_up.is_set()
    assert first < AWAY_S
    assert healed < HEALED_S


def test_without_a_copy_to_search_the_error_says_what_is_wrong(database: Database) -> None:
    settings = IndexSettings(kind="weaviate", url="http://127.0.0.1:1")
    fallback = FallbackIndex(WeaviateIndex(database, ROWS, settings), EmbeddedIndex(database, ROWS), lambda: None)

    with closing(fallback):
        away(lambda: fallback.search(query("leave")))
