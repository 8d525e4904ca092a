"""Do the embedded index and Weaviate rank alike? Top fives on the shared corpora, also right after a third has changed.

python -m benchmarks.parity      (the Weaviate of `make services`, or the one that TIMBRE_INDEX__URL names)
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

from benchmarks import results
from benchmarks.corpora import Corpus, handbook, squad
from benchmarks.services import weaviate_settings
from bot.knowledge_parts import Knowledge
from bot.main import build_knowledge, open_database
from bot.settings import Settings
from bot.sources import Sources
from bot.storage.database import Database, sqlite_url
from knowledge.documents import EVERYONE, ChunkId, DocumentId
from knowledge.ports import ChunkIndex, Hit, IndexEntry, IndexQuery, Legs
from knowledge.ranking import fuse
from knowledge.retrieval import index_query
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows
from knowledge.stores.weaviate import WeaviateIndex

TOP = 5
SEED = 7
COLLECTIONS = "Parity"  # name of the alias on the server, and prefix of its collections
NEW_CHUNK_IDS = 1_000_000  # above all that the catalogue gave

Top = Callable[[Legs], list[ChunkId]]
Documents = Mapping[DocumentId, Sequence[IndexEntry]]


@dataclass(frozen=True)
class Parity:
    """Of the queries of a corpus: the share with the same top five, as a set and in the same order; and so for each leg."""

    corpus: str
    state: str
    queries: int
    same_set: float
    same_order: float
    same_set_by_leg: dict[str, float]


def main() -> None:
    found: list[Parity] = []
    with tempfile.TemporaryDirectory() as folder:
        for corpus in (handbook(), squad(Path(folder) / "squad")):
            print(f"· {corpus.name}", file=sys.stderr)
            found += compare(corpus, Path(folder) / f"{corpus.name}-home")
    for one in found:
        legs = ", ".join(f"{name} {share:.3f}" for name, share in one.same_set_by_leg.items())
        fused = f"same top {TOP} for {one.same_set:.4f}, in the same order {one.same_order:.4f}"
        print(f"{one.corpus:8} {one.state:20} {one.queries:3} queries: {fused} (legs apart: {legs})")
    print(f"Written: {results.write('parity', {'top': TOP, 'parity': [asdict(one) for one in found]}).name}")


def compare(corpus: Corpus, home: Path) -> Iterator[Parity]:
    """Both indexes with the corpus' chunks, asked all its questions; then a third of the documents changes in both."""
    settings = Settings(home=home)
    with closing(open_database(settings)) as database:
        knowledge = build_knowledge(settings, database, lambda _: None)
        sources = Sources(knowledge)
        sources.ingest(sources.describe(str(corpus.folder), corpus.name, None), lambda *_: None)
        documents = {d: knowledge.catalogue.entries(d) for d in knowledge.catalogue.all_documents()}
        queries = [query_of(knowledge, case.question) for case in corpus.cases]
        with closing(embedded(home)) as one, closing(on_weaviate(home)) as other:
            for index in (one, other):
                generation = index.create_generation()
                index.replace_documents(generation, documents)
                index.activate(generation)
            yield measured(corpus.name, "fresh", one, other, queries)
            for index in (one, other):
                live = index.live_generation()
                assert live is not None
                index.replace_documents(live, changed(documents))
            yield measured(corpus.name, "a third just changed", one, other, queries)


def embedded(home: Path) -> ChunkIndex:
    return EmbeddedIndex(_database(home / "embedded.db"), _rows())


def on_weaviate(home: Path) -> ChunkIndex:
    return WeaviateIndex(_database(home / "weaviate.db"), _rows(), weaviate_settings(COLLECTIONS))


def query_of(knowledge: Knowledge, question: str) -> IndexQuery:
    return index_query(question, knowledge.embedder.embed([question])[0], frozenset({EVERYONE}))


def changed(documents: Documents) -> dict[DocumentId, Sequence[IndexEntry]]:
    """A sixth of the documents with the terms and vectors of another one, a sixth without any chunk."""
    rng = Random(SEED)
    chosen = rng.sample(sorted(documents), len(documents) // 3)
    updated, deleted = chosen[::2], chosen[1::2]
    donors = rng.sample(sorted(documents), len(updated))
    new = {document: _as(document, documents[donor]) for document, donor in zip(updated, donors, strict=True)}
    return {**new, **{key: [] for key in deleted}}


def measured(corpus: str, state: str, one: ChunkIndex, other: ChunkIndex, queries: Sequence[IndexQuery]) -> Parity:
    pairs = [(one.search(query), other.search(query)) for query in queries]

    legs: dict[str, Top] = {
        "stems": lambda found: _ids(found.stems),
        "grams": lambda found: _ids(found.grams),
        "dense": lambda found: _ids(found.dense),
    }
    by_leg = {name: _share(pairs, top, set) for name, top in legs.items()}
    return Parity(corpus, state, len(queries), _share(pairs, _fused, set), _share(pairs, _fused, list), by_leg)


def _share(pairs: Sequence[tuple[Legs, Legs]], top: Top, kind: Callable[[list[ChunkId]], object]) -> float:
    """Of the pairs, those whose tops are equal as that kind of collection."""
    return sum(kind(top(one)) == kind(top(other)) for one, other in pairs) / len(pairs)


def _ids(hits: Sequence[Hit]) -> list[ChunkId]:
    return [hit.chunk_id for hit in hits[:TOP]]


def _fused(legs: Legs) -> list[ChunkId]:
    return list(fuse(legs))[:TOP]


def _as(document: DocumentId, entries: Sequence[IndexEntry]) -> list[IndexEntry]:
    """The entries as a new version of the document."""
    return [replace(e, document_id=document, chunk_id=_new_id(document, n)) for n, e in enumerate(entries)]


def _new_id(document: DocumentId, number: int) -> ChunkId:
    return ChunkId(NEW_CHUNK_IDS + 1_000 * document + number)


def _database(path: Path) -> Database:
    database = Database(sqlite_url(path))
    database.migrate()
    return database


def _rows() -> IndexRows:
    return IndexRows("parity", 384)


if __name__ == "__main__":
    main()
