"""The index on a Weaviate server: a collection for each generation, behind an alias that names the live one.

Beside the server's objects the same entries stand in SQL (`rows.py`). They say what a generation consists of: a hit that they do
not hold is not shown, so a document changes at once although the server takes its objects one by one. A server counts replaced
objects in its statistics until it compacts its files, minutes later; where its scores show that, it is asked for more hits, and
the rows score them with exact statistics (`statistics.py`), so that hits equal the embedded index's at any moment.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sqlmodel import Session
from weaviate import WeaviateAsyncClient
from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections import CollectionAsync
from weaviate.exceptions import WeaviateInsertManyAllFailedError, WeaviateQueryError
from weaviate.util import generate_uuid5

from knowledge.bm25 import SCORE_DIGITS, FieldStatistics
from knowledge.documents import ChunkId, DocumentId
from knowledge.errors import IndexAway, IndexUnavailable, NothingIndexed
from knowledge.ports import Database, GenerationId, Hit, IndexEntry, IndexQuery, Legs
from knowledge.settings import IndexSettings
from knowledge.stores import statistics
from knowledge.stores.connection import BULK_TIMEOUT_S, QUESTION_TIMEOUT_S, Connection
from knowledge.stores.rows import Field, IndexRows, gone

logger = logging.getLogger(__name__)

TIE_SLACK = 20  # hits asked for beyond the limit: the server breaks ties its own way
SEARCHES = 5  # a search that met a change of the generation or of a document is made again
DRIFT_FACTOR = 4  # times the limit are asked for where the server's scores, and so its choice, have drifted
SAMPLED = 5  # best hits of a lexical leg whose score is worked out again, and the last one
SAME_SCORE = 5e-6  # relative; the server reckons in single precision. One object too many among 50,000 shows
STREAMED_FROM = 200  # objects; a stream takes a second to close, below that one request is quicker
DELETED_TOGETHER = 50  # documents whose old objects one request deletes
WATCH_PAUSE_S = 1.0  # between two looks whether the server still lives while it takes objects
PAGE = 500  # objects read at a time


@dataclass(frozen=True)
class _Found:
    """What the server found: the chunks of each leg with its score, best first."""

    generation: GenerationId
    stems: Mapping[ChunkId, float]
    grams: Mapping[ChunkId, float]
    dense: Mapping[ChunkId, float]

    @property
    def chunks(self) -> set[ChunkId]:
        return {*self.stems, *self.grams, *self.dense}


class _Swapped(Exception):
    """The generation went between asking for its name and searching it."""


class WeaviateIndex:
    """A ChunkIndex on a Weaviate server (1.36 or newer) and its rows in SQL."""

    def __init__(self, database: Database, rows: IndexRows, settings: IndexSettings) -> None:
        self._database = database
        self._rows = rows
        self._name = settings.name
        self._url = settings.url
        self._connection = Connection(settings)

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
        limit, has_drifted = query.limit + TIE_SLACK, False
        for remaining in reversed(range(SEARCHES)):
            try:
                found = self._connection.run(partial(self._ask, query, limit))
            except _Swapped:
                continue
            with self._database.reading() as session:
                if not self._rows.holds(session, found.generation):
                    continue
                if self._rows.is_behind(session, found.generation):
                    raise IndexAway(self._url, "it is being brought up to date")
                audiences = self._rows.audiences(session, found.generation, list(found.chunks))
                if remaining and audiences.keys() != found.chunks:
                    continue  # a document was being replaced
                readable = {chunk for chunk, audience in audiences.items() if audience & query.audience}
                if legs := self._legs(session, query, found, readable, has_drifted or not remaining):
                    return legs
                limit, has_drifted = DRIFT_FACTOR * query.limit, True
        if self.live_generation() is None:
            raise NothingIndexed  # what is there was built by another embedder, or by an earlier Timbre
        raise IndexAway(self._url, "it is being rebuilt again and again")

    def close(self) -> None:
        self._connection.close()

    # Rows and hits to legs

    def _replace_rows(
        self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]], is_behind: bool
    ) -> None:
        after = statistics.count_terms(entry for entries in documents.values() for entry in entries)
        with self._database.writing() as session:
            before = statistics.count_terms(self._rows.of_documents(session, generation, list(documents)))
            self._rows.replace(session, generation, documents)
            statistics.add(session, generation, after - before)
            self._rows.mark_behind(session, generation, list(documents), is_behind)

    def _legs(self, session: Session, query: IndexQuery, found: _Found, readable: set[ChunkId], has_drifted: bool) -> Legs | None:
        """The hits of readable chunks, with lexical scores made here if the server drifts; none if that shows only now."""
        of_stems, of_grams = statistics.of_fields(session, found.generation, [*query.stems, *query.counted], query.grams)
        stems, grams, dense = (_only(leg, readable) for leg in (found.stems, found.grams, found.dense))
        score_stems = partial(self._scored, session, found.generation, "stems", query.stems, of_stems)
        score_grams = partial(self._scored, session, found.generation, "grams", query.grams, of_grams)
        if has_drifted:
            stems, grams = score_stems([*stems]), score_grams([*grams])
        elif not (_is_exact(stems, score_stems) and _is_exact(grams, score_grams)):
            return None
        return Legs(
            found.generation,
            of_stems.size,
            {stem: of_stems.frequencies[stem] for stem in query.counted},
            _best(stems, query.limit),
            _best(grams, query.limit),
            _best(dense, query.limit),
        )

    def _scored(
        self,
        session: Session,
        generation: GenerationId,
        field: Field,
        asked: Sequence[str],
        exact: FieldStatistics,
        chunks: Sequence[ChunkId],
    ) -> dict[ChunkId, float]:
        terms = self._rows.terms(session, generation, field, chunks)
        return {chunk: exact.score(asked, terms[chunk]) for chunk in chunks}

    # Work on the server

    async def _aliased(self, client: WeaviateAsyncClient) -> GenerationId | None:
        alias = await client.alias.get(alias_name=self._name)
        return self._generation_of(alias.collection) if alias else None

    async def _ask(self, query: IndexQuery, limit: int, client: WeaviateAsyncClient) -> _Found:
        """The hits of all legs in the generation that the alias names now."""
        generation = await self._aliased(client)
        if generation is None:
            raise NothingIndexed
        collection = client.collections.use(self._collection_name(generation))
        if not query.audience:  # no filter would find everything
            return _Found(generation, {}, {}, {})
        readable = Filter.by_property("audience").contains_any(sorted(query.audience))
        legs = (
            _lexical(collection, "stems", query.stems, readable, limit),
            _lexical(collection, "grams", query.grams, readable, limit),
            _dense(collection, query, readable, limit),
        )
        try:
            stems, grams, dense = await asyncio.gather(*legs)
        except WeaviateQueryError as err:
            if "could not find class" in str(err):
                raise _Swapped from err
            raise
        return _Found(generation, stems, grams, dense)

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


async def _lexical(
    collection: CollectionAsync[Any, Any], name: str, terms: Sequence[str], readable: Any, limit: int
) -> dict[ChunkId, float]:
    if not terms:
        return {}
    result = await collection.query.bm25(
        " ".join(terms), query_properties=[name], limit=limit, filters=readable, return_properties=["chunk"],
        return_metadata=MetadataQuery(score=True),
    )  # fmt: skip
    return {ChunkId(int(found.properties["chunk"])): found.metadata.score or 0.0 for found in result.objects}


async def _dense(collection: CollectionAsync[Any, Any], query: IndexQuery, readable: Any, limit: int) -> dict[ChunkId, float]:
    result = await collection.query.near_vector(
        query.vector.tolist(), limit=limit, filters=readable, return_properties=["chunk"],
        return_metadata=MetadataQuery(distance=True),
    )  # fmt: skip
    return {ChunkId(int(found.properties["chunk"])): 1 - (found.metadata.distance or 0.0) for found in result.objects}


async def _insert(collection: CollectionAsync[Any, Any], entries: Sequence[IndexEntry]) -> list[str]:
    """Puts the entries in with one request; what was refused."""
    if not entries:
        return []
    try:
        result = await collection.data.insert_many([_object(entry) for entry in entries])
    except WeaviateInsertManyAllFailedError as err:
        return [str(err)] * len(entries)
    return [error.message for error in result.errors.values()]


async def _stream(collection: CollectionAsync[Any, Any], entries: Sequence[IndexEntry]) -> list[str]:
    """Puts the entries in as the server can take them; what was refused."""
    async with collection.batch.stream() as batch:
        for entry in entries:
            made = _object(entry)
            await batch.add_object(properties=made.properties, uuid=made.uuid, vector=made.vector)
    return [failed.message for failed in collection.batch.failed_objects]


def _object(entry: IndexEntry) -> DataObject[Any, Any]:
    """The same chunk always has the same id: putting it in again replaces it."""
    properties = {
        "stems": " ".join(entry.stems),
        "grams": " ".join(entry.grams),
        "audience": sorted(entry.audience),
        "chunk": int(entry.chunk_id),
        "document": int(entry.document_id),
    }
    return DataObject(properties=properties, uuid=generate_uuid5(int(entry.chunk_id)), vector=entry.vector.tolist())


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


def _is_exact(scores: Mapping[ChunkId, float], score: Callable[[Sequence[ChunkId]], Mapping[ChunkId, float]]) -> bool:
    """Whether a sample of the server's scores is right. An object that is gone, but still counted, moves every score: it
    counts in the number of chunks and in their mean length.
    """
    chunks = list(scores)
    sample = score([*chunks[:SAMPLED], *chunks[-1:]])
    return all(math.isclose(scores[chunk], right, rel_tol=SAME_SCORE) for chunk, right in sample.items())


def _only(scores: Mapping[ChunkId, float], readable: set[ChunkId]) -> dict[ChunkId, float]:
    return {chunk: score for chunk, score in scores.items() if chunk in readable}


def _best(scores: Mapping[ChunkId, float], limit: int) -> list[Hit]:
    hits = (Hit(chunk, round(score, SCORE_DIGITS)) for chunk, score in scores.items())
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]
