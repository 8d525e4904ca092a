"""What `bot.main` puts together of knowledge, as a value for those who use it whole. Builds nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.storage.database import Database
from knowledge.catalogue import Catalogue
from knowledge.ingestion import Ingestion
from knowledge.ports import ChunkIndex, Embedder
from knowledge.retrieval import HybridRetriever


@dataclass(frozen=True)
class Knowledge:
    """The parts of knowledge, put together. `indexes` are those that `index` is made of, by name."""

    database: Database
    embedder: Embedder
    catalogue: Catalogue
    index: ChunkIndex
    indexes: Mapping[str, ChunkIndex]
    ingestion: Ingestion
    retriever: HybridRetriever
