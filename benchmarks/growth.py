"""How retrieval grows with the number of chunks: each index filled with 1k, 10k and 100k of them and asked real questions.

What is timed is what stands between the query's embedding and the re-rank: analysing the query, the search, the fusion.

The chunks are the real ones of both corpora as far as they reach (about 2,600 with more than one sentence). More are made by
crossing: the first half of one with the second half of another, so that lengths, words and their frequencies stay those of
real text. What does not grow is the vocabulary, so the lists that BM25 walks are rather too long than too short. A crossed
chunk's vector is the direction between those of its halves, which the real embedder made.

All questions are asked in several rounds, and the quickest round counts: what else the machine does makes a round slower, never
quicker. In the first round a process knows nothing yet, nor does a server that was just filled.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.services import SERVICES, weaviate_settings
from bot.evaluation import quantile
from bot.knowledge_parts import Knowledge
from bot.storage.database import Database, sqlite_url
from knowledge.documents import EVERYONE, Audience, Chunk, ChunkId, DocumentId
from knowledge.embedding import unit
from knowledge.errors import IndexUnavailable
from knowledge.ports import ChunkIndex, Floats, GenerationId, IndexEntry, IndexQuery
from knowledge.ranking import fuse
from knowledge.retrieval import LEG_LIMIT
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows
from knowledge.terms import grams, query_grams, query_stems, stems

SIZES = (1_000, 10_000, 100_000)
CHUNKS_PER_DOCUMENT = 10  # as in the handbook
DOCUMENTS_PER_SECRET = 10  # every tenth document is for a group that the asker is not in
STRIDE = 997  # chunks between the two halves of a crossed chunk, per pass: another document's
CORRECTIONS = 20
ROUNDS = 5
DOCUMENTS_AT_ONCE = 100  # handed to the index together
COLLECTIONS = "Growth"  # name of the alias on the server, and prefix of its collections
SEED = 7
ASKER: Audience = frozenset({EVERYONE})

OpenIndex = Callable[[Database, int], ChunkIndex]


def open_embedded(database: Database, dimensions: int) -> ChunkIndex:
    return EmbeddedIndex(database, IndexRows("growth", dimensions))


def open_weaviate(database: Database, dimensions: int) -> ChunkIndex:
    """On the server of `make services`. Raises IndexUnavailable when none was started."""
    if not SERVICES.exists():
        raise IndexUnavailable("No Weaviate was started here; run `make services` first.")
    from knowledge.stores.weaviate import WeaviateIndex

    return WeaviateIndex(database, IndexRows("growth", dimensions), weaviate_settings(COLLECTIONS))


INDEXES: dict[str, OpenIndex] = {"embedded": open_embedded, "weaviate": open_weaviate}


@contextmanager
def opened(name: str, folder: Path, dimensions: int) -> Iterator[ChunkIndex]:
    database = Database(sqlite_url(folder / "growth.db"))
    database.migrate()
    try:
        with closing(INDEXES[name](database, dimensions)) as index:
            yield index
    finally:
        database.close()


@dataclass(frozen=True)
class Asked:
    """A question as the retriever has it before it searches."""

    text: str
    vector: Floats


@dataclass(frozen=True)
class Growth:
    """What one index does at one size.

    `load_s` is the first search of a process; `correction_*` from a document's new version to the end of the search that finds
    it, less what a search takes; `memory_mb` what the asking process holds more than before (a server's memory is its own).
    """

    index: str
    chunks: int
    questions: int
    p50_ms: float
    p95_ms: float
    fill_s: float
    load_s: float
    correction_p50_ms: float
    correction_max_ms: float
    memory_mb: float


@dataclass(frozen=True)
class _Half:
    """The analysed half of a real chunk."""

    stems: Sequence[str]
    grams: Sequence[str]
    vector: Floats


class MadeChunks:
    """Any number of index entries, the same each time."""

    def __init__(self, knowledge: Knowledge) -> None:
        catalogue = knowledge.catalogue
        ids = [entry.chunk_id for document in catalogue.all_documents() for entry in catalogue.entries(document)]
        real = [chunk for _, chunk in catalogue.chunks(ids).values() if len(chunk.units) > 1]
        Random(SEED).shuffle(real)
        pairs = [_halves(chunk) for chunk in real]
        self._first = _analysed(knowledge, [first for first, _ in pairs])
        self._second = _analysed(knowledge, [second for _, second in pairs])

    def document(self, number: int) -> list[IndexEntry]:
        """The entries of document `number`, counted from 0."""
        start = number * CHUNKS_PER_DOCUMENT
        return [self._entry(chunk) for chunk in range(start, start + CHUNKS_PER_DOCUMENT)]

    def _entry(self, number: int) -> IndexEntry:
        size, document = len(self._first), number // CHUNKS_PER_DOCUMENT
        crossing, row = divmod(number, size)
        first, second = self._first[row], self._second[(row + crossing * STRIDE) % size]
        audience = frozenset({"board"}) if document % DOCUMENTS_PER_SECRET == 0 else ASKER
        vector = unit(first.vector + second.vector)
        terms = ([*first.stems, *second.stems], [*first.grams, *second.grams])
        return IndexEntry(ChunkId(number + 1), DocumentId(document + 1), audience, *terms, vector)


def _halves(chunk: Chunk) -> tuple[str, str]:
    """The indexed text cut where the sentence starts that is nearest to the middle."""
    cut = min((u.start for u in chunk.units[1:]), key=lambda start: abs(start - len(chunk.text) / 2))
    before = len(chunk.indexed_text) - len(chunk.text)
    return chunk.indexed_text[: before + cut], chunk.text[cut:]


def _analysed(knowledge: Knowledge, texts: Sequence[str]) -> list[_Half]:
    embeddings = knowledge.embedder.embed(texts)
    return [_Half(stems(text), grams(text), e.vector) for text, e in zip(texts, embeddings, strict=True)]


def measure(name: str, folder: Path, made: MadeChunks, size: int, asked: Sequence[Asked]) -> Growth:
    """Fills the index `name` with `size` chunks and asks it in a process of its own, as after a fresh start."""
    with opened(name, folder, len(asked[0].vector)) as index:
        started = time.perf_counter()
        generation = _fill(index, made, size)
        fill_s = time.perf_counter() - started
        corrections = [made.document(size // CHUNKS_PER_DOCUMENT // CORRECTIONS * i) for i in range(CORRECTIONS)]
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            growth = pool.submit(_ask, name, folder, generation, size, asked, corrections, fill_s).result()
        index.activate(index.create_generation())  # leaves an empty one on a server
    return growth


def _fill(index: ChunkIndex, made: MadeChunks, size: int) -> GenerationId:
    generation = index.create_generation()
    documents = range(size // CHUNKS_PER_DOCUMENT)
    for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
        numbers = documents[start : start + DOCUMENTS_AT_ONCE]
        index.replace_documents(generation, {DocumentId(number + 1): made.document(number) for number in numbers})
    index.activate(generation)
    return generation


def _ask(
    name: str,
    folder: Path,
    generation: GenerationId,
    size: int,
    asked: Sequence[Asked],
    corrections: Sequence[Sequence[IndexEntry]],
    fill_s: float,
) -> Growth:
    before_mb = _memory_mb()
    with opened(name, folder, len(asked[0].vector)) as index:
        load_s = _search_s(index, asked[0])
        rounds = [sorted(_search_s(index, one) for one in asked) for _ in range(ROUNDS)]
        seconds = min(rounds, key=sum)
        memory_mb = _memory_mb() - before_mb
        corrected = sorted(_correction_s(index, generation, entries, asked[0]) for entries in corrections)
    return Growth(
        name,
        size,
        len(asked),
        p50_ms=1000 * quantile(seconds, 0.5),
        p95_ms=1000 * quantile(seconds, 0.95),
        fill_s=fill_s,
        load_s=load_s,
        correction_p50_ms=1000 * quantile(corrected, 0.5),
        correction_max_ms=1000 * corrected[-1],
        memory_mb=memory_mb,
    )


def _search_s(index: ChunkIndex, asked: Asked) -> float:
    started = time.perf_counter()
    terms = query_stems(asked.text)
    fuse(index.search(IndexQuery(terms, query_grams(asked.text), asked.vector, ASKER, LEG_LIMIT, counted=sorted({*terms}))))
    return time.perf_counter() - started


def _correction_s(index: ChunkIndex, generation: GenerationId, entries: Sequence[IndexEntry], asked: Asked) -> float:
    """Seconds from a document's new version to the end of the next search, less what any search takes."""
    usual = _search_s(index, asked)
    started = time.perf_counter()
    index.replace_documents(generation, {entries[0].document_id: entries})
    _search_s(index, asked)
    return time.perf_counter() - started - usual


def _memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
