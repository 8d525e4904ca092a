"""The index on a Weaviate server: a collection for each generation, behind an alias that names the live one.

Beside the server's objects the same entries stand in SQL (`rows.py`). They say what a generation consists of: a hit that they do
not hold is not shown, so a document changes at once although the server takes its objects one by one. A server counts replaced
objects in its statistics until it merges its files, minutes later or never. Where its scores drift by more than a thousandth, the
rows score its hits with exact statistics (`statistics.py`), and it is asked for more where better chunks may be beyond them.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from sqlmodel import Session
from weaviate import WeaviateAsyncClient
from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections import CollectionAsync
from weaviate.exceptions import WeaviateInsertManyAllFailedError, WeaviateQueryError
from weaviate.proto.v1 import base_pb2, base_search_pb2, search_get_pb2

from knowledge.bm25 import MAX_GRAMS, SCORE_DIGITS, rarest
from knowledge.documents import ChunkId, DocumentId
from knowledge.errors import IndexAway, IndexUnavailable, NothingIndexed
from knowledge.ports import Database, Floats, GenerationId, Hit, IndexEntry, IndexQuery, Legs
from knowledge.settings import IndexSettings
from knowledge.stores import statistics
from knowledge.stores.connection import BULK_TIMEOUT_S, QUESTION_TIMEOUT_S, Connection
from knowledge.stores.remembered import Memory, Remembered
from knowledge.stores.rows import Field, IndexRows, gone
from knowledge.vectors import pack_floats

logger = logging.getLogger(__name__)

LAYOUT_VERSION = "2"  # of the server's objects; a generation of another one is built anew
FIRST_OBJECT = UUID("7c9e6b1a-52d3-4f08-8000-000000000000")  # the id of chunk 0's object; the next one's is one higher
TIE_SLACK = 20  # hits asked for beyond the limit: the server breaks ties its own way
SEARCHES = 5  # a search that met a change of the generation or of a document is made again
DRIFT_FACTOR = 4  # times the limit are asked for where the server's choice may have drifted
SAMPLED = 5  # best hits of a lexical leg whose score is worked out again, and the last one
MAX_DRIFT = 1e-3  # relative, of a score that is taken as it is; see benchmarks/README.md for what it may change
STREAMED_FROM = 200  # objects; a stream takes a second to close, below that one request is quicker
DELETED_TOGETHER = 50  # documents whose old objects one request deletes
WATCH_PAUSE_S = 1.0  # between two looks whether the server still lives while it takes objects
PAGE = 500  # objects read at a time

Scores = Mapping[ChunkId, float]
_Terms = Mapping[ChunkId, Mapping[Field, Sequence[str]]]
_Ask = Callable[..., search_get_pb2.SearchRequest]
_Collection = CollectionAsync[Any, Any]


@dataclass(frozen=True)
class _Found:
    """What the server found: the chunks of each leg with its score, best first.

    `is_sure` says that the alias was looked up for it; otherwise the rows must say that the generation is live still.
    """

    generation: GenerationId
    stems: Scores
    grams: Scores
    dense: Scores
    is_sure: bool

    @property
    def chunks(self) -> set[ChunkId]:
        return {*self.stems, *self.grams, *self.dense}

    def only(self, readable: set[ChunkId]) -> "_Found":
        stems, grams, dense = (_only(leg, readable) for leg in (self.stems, self.grams, self.dense))
        return replace(self, stems=stems, grams=grams, dense=dense)

    def legs(self, size: int, frequencies: Mapping[str, int], limit: int) -> Legs:
        stems, grams, dense = (_best(leg, limit) for leg in (self.stems, self.grams, self.dense))
        return Legs(self.generation, size, frequencies, stems, grams, dense)


class _Swapped(Exception):
    """The generation that was searched is not the live one any more."""


class WeaviateIndex:
    """A ChunkIndex on a Weaviate server (1.36 or newer) and its rows in SQL."""

    def __init__(self, database: Database, rows: IndexRows, settings: IndexSettings) -> None:
        self._database = database
        self._rows = rows
        self._name = settings.name
        self._url = settings.url
        self._connection = Connection(settings)
        self._memory = Memory(rows)
        self._last_live: GenerationId | None = None

    def live_generation(self) -> GenerationId | None:
        generation = self._connection.run(self._aliased)
        if generation is None:
            return None
        with self._database.reading() as session:
            if not self._rows.holds(session, generation):
                return None  # another embedder's, or of a database that is gone
            is_settled = self._rows.live(session) == generation
        if not is_settled:  # a process died between the server's swap and the database's
            with self._database.writing() as session:
                self._rows.activate(session, generation)
        return generation

    def create_generation(self) -> GenerationId:
        with self._database.writing() as session:
            generation = self._rows.create(session)
        self._connection.run(partial(self._create, generation), BULK_TIMEOUT_S)
        return generation

    def replace_documents(self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        """New objects first, then the rows, then the old objects: a reader sees the rows' change only.

        While the server is away the rows change all the same, so that the copy which is searched then is up to date; the server
        is not searched again before it has got these documents.
        """
        entries = [entry for group in documents.values() for entry in group]
        try:
            self._connection.run(partial(self._put, generation, entries), BULK_TIMEOUT_S)
        except IndexAway:
            self._replace_rows(generation, documents, is_behind=True)
            raise
        self._replace_rows(generation, documents, is_behind=False)
        self._connection.run(partial(self._delete_outdated, generation, documents), BULK_TIMEOUT_S)

    def activate(self, generation: GenerationId) -> None:
        with self._database.reading() as session:
            if not self._rows.holds(session, generation):
                raise gone(generation)
        self._connection.run(partial(self._point, generation), BULK_TIMEOUT_S)
        with self._database.writing() as session:
            self._rows.activate(session, generation)
        self._connection.run(partial(self._drop_others, generation), BULK_TIMEOUT_S)

    def count(self, generation: GenerationId) -> int:
        return self._connection.run(partial(self._count, generation))

    def entries(self, generation: GenerationId) -> Iterator[IndexEntry]:
        after = None
        while page := self._connection.run(partial(self._page, generation, after), BULK_TIMEOUT_S):
            yield from (_entry(found) for found in page)
            after = page[-1].uuid

    def search(self, query: IndexQuery) -> Legs:
        limit = query.limit + TIE_SLACK
        widest = DRIFT_FACTOR * limit
        asked = self._guessed(query)
        for remaining in reversed(range(SEARCHES)):
            try:
                found = self._connection.run(partial(self._ask, asked, limit))
            except _Swapped:
                self._last_live = None
                continue
            with self._database.reading() as session:
                state = self._rows.state(session, found.generation)
                if state is None or not (state.is_live or found.is_sure):
                    self._last_live = None
                    continue
                if state.is_behind:
                    raise IndexAway(self._url, "it is being brought up to date")
                known = self._memory.of(session, found.generation, state.last_change)
                guessed, asked = asked, _narrowed(query, known.statistics(session, "grams", query.grams).frequencies)
                if remaining and asked.grams != guessed.grams:
                    continue  # the guess was wrong, as it may be after a change
                audiences = known.audiences(session, list(found.chunks))
                if remaining and audiences.keys() != found.chunks:
                    continue  # a document was being replaced
                readable = {chunk for chunk, audience in audiences.items() if audience & query.audience}
                corrected = self._corrected(session, asked, found.only(readable), known)
                if remaining and limit < widest and _may_lack(found, corrected, limit, query.limit):
                    limit = widest
                    continue
                frequencies = known.statistics(session, "stems", query.counted).frequencies
                return corrected.legs(known.size, {stem: frequencies[stem] for stem in query.counted}, query.limit)
        if self.live_generation() is None:
            raise NothingIndexed  # what is there was built by another embedder, or by an earlier Timbre
        raise IndexAway(self._url, "it is being rebuilt again and again")

    def close(self) -> None:
        self._connection.close()

    # Rows and hits to legs

    def _guessed(self, query: IndexQuery) -> IndexQuery:
        """The query as it is probably narrowed: exactly known is that only once the server has named its generation."""
        last = self._memory.last
        if last is None or len(set(query.grams)) <= MAX_GRAMS:
            return query
        with self._database.reading() as session:
            return _narrowed(query, last.estimates(session, "grams", query.grams))

    def _replace_rows(
        self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]], is_behind: bool
    ) -> None:
        after = statistics.count_terms(entry for entries in documents.values() for entry in entries)
        with self._database.writing() as session:
            before = statistics.count_terms(self._rows.of_documents(session, generation, list(documents)))
            self._rows.replace(session, generation, documents)
            statistics.add(session, generation, after - before)
            self._rows.mark_behind(session, generation, list(documents), is_behind)

    def _corrected(self, session: Session, query: IndexQuery, found: _Found, known: Remembered) -> _Found:
        """The same hits, with lexical scores made here where the server's drift."""
        sampled = self._rows.terms(session, known.generation, list({*_sample(found.stems), *_sample(found.grams)}))
        stems = self._scores(session, known, "stems", query.stems, found.stems, sampled)
        grams = self._scores(session, known, "grams", query.grams, found.grams, sampled)
        return replace(found, stems=stems, grams=grams)

    def _scores(
        self, session: Session, known: Remembered, field: Field, asked: Sequence[str], server: Scores, sampled: _Terms
    ) -> Scores:
        if not server:
            return server
        exact = known.statistics(session, field, asked)

        def right(chunks: Sequence[ChunkId], terms: _Terms) -> dict[ChunkId, float]:
            return dict(zip(chunks, exact.scores(asked, (terms[chunk][field] for chunk in chunks)), strict=True))

        if _drift(server, right(_sample(server), sampled)) <= MAX_DRIFT:
            return server
        chunks = list(server)
        return right(chunks, self._rows.terms(session, known.generation, chunks))

    # Work on the server

    async def _aliased(self, client: WeaviateAsyncClient) -> GenerationId | None:
        alias = await client.alias.get(alias_name=self._name)
        return self._generation_of(alias.collection) if alias else None

    async def _ask(self, query: IndexQuery, limit: int, client: WeaviateAsyncClient) -> _Found:
        """The hits of all legs in the generation that the alias names, or named when it was last looked up.

        A question that may find nothing looks it up in any case, and so fails where the server is away.
        """
        last = self._last_live if query.audience else None
        generation = last or await self._aliased(client)
        if generation is None:
            raise NothingIndexed
        grams_leg, dense_leg, stems_leg = _searches(client, self._collection_name(generation), query, limit)
        try:
            grams, dense, stems = await asyncio.gather(grams_leg, dense_leg, stems_leg)
        except WeaviateQueryError as err:
            if "could not find class" in str(err):
                raise _Swapped from err
            raise
        self._last_live = generation
        return _Found(generation, stems, grams, dense, is_sure=last is None)

    async def _create(self, generation: GenerationId, client: WeaviateAsyncClient) -> None:
        """An empty collection, in place of one that a database of the past left under this number."""
        name = self._collection_name(generation)
        if await self._aliased(client) == generation:
            await client.alias.delete(alias_name=self._name)
        await client.collections.delete(name)
        await client.collections.create(
            name,
            vector_config=Configure.Vectors.self_provided(
                # exact at every size, and still exact after a crash; HNSW loses recall then (measured)
                vector_index_config=Configure.VectorIndex.flat(distance_metric=VectorDistances.COSINE)
            ),
            sharding_config=Configure.sharding(desired_count=1),  # shards would count document frequencies each for itself
            properties=[
                *(Property(name=n, data_type=DataType.TEXT, tokenization=Tokenization.WHITESPACE, index_filterable=False)
                  for n in ("stems", "grams")),
                Property(
                    name="audience", data_type=DataType.TEXT_ARRAY, tokenization=Tokenization.FIELD, index_searchable=False
                ),
                Property(name="chunk", data_type=DataType.INT, index_range_filters=True),
                Property(name="document", data_type=DataType.INT),
            ],
        )  # fmt: skip

    async def _put(self, generation: GenerationId, entries: Sequence[IndexEntry], client: WeaviateAsyncClient) -> None:
        await self._is_there(client)
        collection = client.collections.use(self._collection_name(generation))
        put = _stream if len(entries) >= STREAMED_FROM else _insert
        failures = await self._watched(put(collection, entries), client)
        for failure in failures:
            logger.error("Weaviate refused an object: %s", failure)
        if failures:
            await self._is_there(client)
            raise IndexUnavailable(f"The index at {self._url} refused {len(failures)} of {len(entries)} chunks: {failures[0]}")

    async def _watched(self, work: Coroutine[Any, Any, list[str]], client: WeaviateAsyncClient) -> list[str]:
        """The result of `work`, left to itself when the server dies: a stream takes two minutes to notice that."""
        writing = asyncio.ensure_future(work)
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            while not (await asyncio.wait({writing}, timeout=WATCH_PAUSE_S))[0]:
                await self._is_there(client)
        finally:
            writing.cancel()
        return writing.result()

    async def _delete_outdated(
        self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]], client: WeaviateAsyncClient
    ) -> None:
        collection = client.collections.use(self._collection_name(generation))
        items = list(documents.items())
        for start in range(0, len(items), DELETED_TOGETHER):
            outdated = Filter.any_of(
                [_outdated(document, entries) for document, entries in items[start : start + DELETED_TOGETHER]]
            )
            while (await collection.data.delete_many(where=outdated)).matches:
                pass  # one request deletes at most as many as the server's QUERY_MAXIMUM_RESULTS

    async def _point(self, generation: GenerationId, client: WeaviateAsyncClient) -> None:
        name = self._collection_name(generation)
        if not await client.collections.exists(name):
            raise gone(generation)
        if not await client.alias.update(alias_name=self._name, new_target_collection=name):
            await client.alias.create(alias_name=self._name, target_collection=name)

    async def _drop_others(self, generation: GenerationId, client: WeaviateAsyncClient) -> None:
        for name in await client.collections.list_all():
            if self._generation_of(name) not in (None, generation):
                await client.collections.delete(name)

    async def _count(self, generation: GenerationId, client: WeaviateAsyncClient) -> int:
        name = self._collection_name(generation)
        if not await client.collections.exists(name):
            return 0
        return (await client.collections.use(name).aggregate.over_all(total_count=True)).total_count or 0

    async def _page(self, generation: GenerationId, after: Any, client: WeaviateAsyncClient) -> Sequence[Any]:
        collection = client.collections.use(self._collection_name(generation))
        return (await collection.query.fetch_objects(limit=PAGE, after=after, include_vector=True)).objects

    async def _is_there(self, client: WeaviateAsyncClient) -> None:
        """Asks the server something small. Raises when it does not answer."""
        async with asyncio.timeout(QUESTION_TIMEOUT_S):
            await client.get_meta()

    def _collection_name(self, generation: GenerationId) -> str:
        return f"{self._name}_{generation}"

    def _generation_of(self, collection: str) -> GenerationId | None:
        """The generation that the collection of this name holds; none for a stranger's."""
        number = collection.removeprefix(f"{self._name}_")
        return GenerationId(int(number)) if number.isdecimal() else None


def _narrowed(query: IndexQuery, frequencies: Mapping[str, int]) -> IndexQuery:
    return replace(query, grams=rarest(query.grams, frequencies, MAX_GRAMS))


def _searches(
    client: WeaviateAsyncClient, collection: str, query: IndexQuery, limit: int
) -> tuple[Awaitable[Scores], Awaitable[Scores], Awaitable[Scores]]:
    """The search of grams, of vectors and of stems: the longest first."""
    if not query.audience:  # no filter would find everything
        return _nothing(), _nothing(), _nothing()
    audience = base_pb2.Filters(
        operator=base_pb2.Filters.OPERATOR_CONTAINS_ANY,
        target=base_pb2.FilterTarget(property="audience"),
        value_text_array=base_pb2.TextArray(values=sorted(query.audience)),
    )
    ask = partial(
        search_get_pb2.SearchRequest,
        collection=collection,
        limit=limit,
        filters=audience,
        properties=search_get_pb2.PropertiesRequest(),  # none: to return any, the server would parse all, the terms too
        uses_123_api=True,
        uses_125_api=True,
        uses_127_api=True,
    )
    return (
        _lexical(client, ask, "grams", query.grams),
        _dense(client, ask, query.vector),
        _lexical(client, ask, "stems", query.stems),
    )


async def _nothing() -> Scores:
    return {}


async def _lexical(client: WeaviateAsyncClient, ask: _Ask, name: str, terms: Sequence[str]) -> Scores:
    if not terms:
        return {}
    by_terms = base_search_pb2.BM25(query=" ".join(terms), properties=[name])
    found = await _results(client, ask(bm25_search=by_terms, metadata=search_get_pb2.MetadataRequest(uuid=True, score=True)))
    return {_chunk(hit): hit.score for hit in found}


async def _dense(client: WeaviateAsyncClient, ask: _Ask, vector: Floats) -> Scores:
    single = base_pb2.Vectors(vector_bytes=pack_floats(vector), type=base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32)
    by_vector = base_search_pb2.NearVector(vectors=[single])
    found = await _results(client, ask(near_vector=by_vector, metadata=search_get_pb2.MetadataRequest(uuid=True, distance=True)))
    return {_chunk(hit): 1 - hit.distance for hit in found}


async def _results(client: WeaviateAsyncClient, request: search_get_pb2.SearchRequest) -> Sequence[search_get_pb2.MetadataResult]:
    """What the client's own queries ask for, without the objects that they make of a reply: 2 ms of a processor a search."""
    reply = await client._connection.grpc_search(request)
    return [found.metadata for found in reply.results]


def _chunk(hit: search_get_pb2.MetadataResult) -> ChunkId:
    return ChunkId(int.from_bytes(hit.id_as_bytes) - FIRST_OBJECT.int)


async def _insert(collection: _Collection, entries: Sequence[IndexEntry]) -> list[str]:
    """Puts the entries in with one request; what was refused."""
    if not entries:
        return []
    try:
        result = await collection.data.insert_many([_object(entry) for entry in entries])
    except WeaviateInsertManyAllFailedError as err:
        return [str(err)] * len(entries)
    return [error.message for error in result.errors.values()]


async def _stream(collection: _Collection, entries: Sequence[IndexEntry]) -> list[str]:
    """Puts the entries in as the server can take them; what was refused."""
    async with collection.batch.stream() as batch:
        for entry in entries:
            made = _object(entry)
            await batch.add_object(properties=made.properties, uuid=made.uuid, vector=made.vector)
    return [failed.message for failed in collection.batch.failed_objects]


def _object(entry: IndexEntry) -> DataObject[Any, Any]:
    """The same chunk always has the same id: putting it in again replaces it. A hit is told by it alone."""
    properties = {
        "stems": " ".join(entry.stems),
        "grams": " ".join(entry.grams),
        "audience": sorted(entry.audience),
        "chunk": int(entry.chunk_id),
        "document": int(entry.document_id),
    }
    return DataObject(properties=properties, uuid=UUID(int=FIRST_OBJECT.int + entry.chunk_id), vector=entry.vector.tolist())


def _entry(found: Any) -> IndexEntry:
    held = found.properties
    return IndexEntry(
        ChunkId(int(held["chunk"])),
        DocumentId(int(held["document"])),
        frozenset(held["audience"] or ()),
        (held["stems"] or "").split(),
        (held["grams"] or "").split(),
        np.asarray(found.vector["default"], np.float32),
    )


def _outdated(document: DocumentId, entries: Sequence[IndexEntry]) -> Any:
    """A filter for the objects of the document's earlier versions: chunk numbers only grow."""
    of_document = Filter.by_property("document").equal(int(document))
    if not entries:
        return of_document
    return of_document & Filter.by_property("chunk").less_than(min(int(entry.chunk_id) for entry in entries))


def _sample(server: Scores) -> list[ChunkId]:
    """The hits whose scores are worked out again: the best ones and the last."""
    chunks = list(server)
    return [*chunks[:SAMPLED], *chunks[SAMPLED:][-1:]]


def _drift(server: Scores, right: Scores) -> float:
    """The largest relative error of the server's scores, of those chunks whose right one is known."""
    return max((abs(server[chunk] / score - 1) if score else math.inf for chunk, score in right.items()), default=0.0)


def _may_lack(found: _Found, corrected: _Found, asked_for: int, limit: int) -> bool:
    """Whether chunks that were not found may belong among the best `limit` of a lexical leg."""
    legs = ((found.stems, corrected.stems), (found.grams, corrected.grams))
    return any(len(server) == asked_for and _lacks(server, right, limit) for server, right in legs)


def _lacks(server: Scores, right: Scores, limit: int) -> bool:
    """Whether a chunk below the server's hits may be among the best, if its score must rise by as much as the most of theirs."""
    best = sorted(right.values(), reverse=True)[:limit]
    rise = max((score / server[chunk] for chunk, score in right.items()), default=1.0)
    return len(best) < limit or round(best[-1], SCORE_DIGITS) <= round(min(server.values()) * rise, SCORE_DIGITS)


def _only(scores: Mapping[ChunkId, float], readable: set[ChunkId]) -> dict[ChunkId, float]:
    return {chunk: score for chunk, score in scores.items() if chunk in readable}


def _best(scores: Mapping[ChunkId, float], limit: int) -> list[Hit]:
    best = sorted((-round(score, SCORE_DIGITS), chunk) for chunk, score in scores.items())
    return [Hit(chunk, -score) for score, chunk in best[:limit]]
