"""Knowledge's parts on one database, for tests. Files are parsed in this process, so that a test takes milliseconds."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bot.storage.database import Database
from knowledge.bulk import BulkEmbedder
from knowledge.catalogue import Catalogue, Source
from knowledge.documents import EVERYONE, ParsedDocument, Passage
from knowledge.ingestion import Ingestion, IngestReport
from knowledge.parsing import parse
from knowledge.parsing.sandbox import ParsingSandbox
from knowledge.ports import ChunkIndex
from knowledge.retrieval import HybridRetriever
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows
from tests.fakes import HashingEmbedder

ALL = 1000  # more passages than a test has


class ParsingHere(ParsingSandbox):
    """A sandbox without walls: parses in this process."""

    def parse(self, data: bytes, location: str) -> ParsedDocument:
        return parse(data, location)


class Library:
    """Everything of knowledge on `database`. A second one on the same database is what another process sees."""

    def __init__(
        self,
        database: Database,
        embedder: HashingEmbedder | None = None,
        sandbox: Callable[[], ParsingSandbox] = ParsingHere,
        max_file_bytes: int = 2**20,
        index: ChunkIndex | None = None,
    ) -> None:
        self.embedder = embedder or HashingEmbedder()
        self.catalogue = Catalogue(database, self.embedder.name, self.embedder.dimensions)
        self.index = index or EmbeddedIndex(database, IndexRows(self.embedder.name, self.embedder.dimensions))
        self.ingestion = Ingestion(
            self.catalogue, self.index, self.embedder, self._bulk, sandbox, max_file_bytes=max_file_bytes
        )  # fmt: skip
        self.retriever = HybridRetriever(self.catalogue, self.index, self.embedder)

    def _bulk(self) -> BulkEmbedder:
        return BulkEmbedder(self.embedder, HashingEmbedder, workers=1)

    def ingest(self, place: Path | str, audience: Sequence[str] = (EVERYONE,), name: str = "docs") -> IngestReport:
        return self.ingestion.ingest(name, str(place), frozenset(audience), lambda *_: None)

    def forget(self, source: Source) -> int:
        return self.ingestion.forget(source, lambda *_: None)

    def rebuild(self) -> int:
        return self.ingestion.rebuild(lambda *_: None)

    def passages(self, query: str, audience: Sequence[str] = (EVERYONE,), limit: int = ALL) -> Sequence[Passage]:
        return self.retriever.retrieve(query, frozenset(audience), limit).passages

    def locations(self, query: str, audience: Sequence[str] = (EVERYONE,)) -> list[str]:
        """Where the passages for a query are, best first."""
        return [passage.location for passage in self.passages(query, audience)]

    def texts(self, query: str, audience: Sequence[str] = (EVERYONE,)) -> list[str]:
        """The passages' texts for a query, best first."""
        return [passage.chunk.text for passage in self.passages(query, audience)]
