"""What knowledge needs of the world: an embedding model and an index."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NewType, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from knowledge.documents import Audience, ChunkId, DocumentId

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
GenerationId = NewType("GenerationId", int)


@dataclass(frozen=True)
class Embedding:
    """A text as vectors, all of unit length.

    vector: (dimensions,); token_vectors: (tokens, dimensions), in context; offsets: (tokens, 2), the characters of the
    text that each token covers, special tokens left out.
    """

    vector: Floats
    token_vectors: Floats
    offsets: Ints


class Embedder(Protocol):
    """Turns text into vectors. Deterministic: the same text gives the same vectors, in any batch, to 1e-2 cosine."""

    @property
    def name(self) -> str:
        """Names model and runtime; vectors of different names are never compared."""

    @property
    def dimensions(self) -> int: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text, special tokens left out, never truncated."""

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """One embedding per text, in order; text beyond the model's length is cut off; no texts give an empty list."""


@dataclass(frozen=True)
class IndexEntry:
    """A chunk as an index stores it. `stems` and `grams` are analysed terms; `vector` has unit length.

    `audience` are the labels that it is found by (`labels.py`). A later version of a document has higher chunk ids.
    """

    chunk_id: ChunkId
    document_id: DocumentId
    audience: Audience
    stems: Sequence[str]
    grams: Sequence[str]
    vector: Floats


@dataclass(frozen=True)
class Hit:
    """A chunk that a leg found. BM25 scores are >= 0 and unbounded, cosines lie in -1..1."""

    chunk_id: ChunkId
    score: float


@dataclass(frozen=True)
class IndexQuery:
    """One question to an index. Empty terms skip their leg; of the labels in `audience` a chunk must have one.

    `counted` are the stems whose document frequencies are wanted.
    """

    stems: Sequence[str]
    grams: Sequence[str]
    vector: Floats
    audience: Audience
    limit: int = 100
    counted: Sequence[str] = ()


@dataclass(frozen=True)
class Legs:
    """The hits of each leg, best first, ties broken by chunk id, at most `limit` each, all from one generation.

    `size` is the generation's number of chunks, `frequencies` the number of them that hold each counted stem, whoever asks.
    `is_reduced` says that the index was away and its copy in the database was searched.
    """

    generation: GenerationId
    size: int
    frequencies: Mapping[str, int]
    stems: Sequence[Hit]
    grams: Sequence[Hit]
    dense: Sequence[Hit]
    is_reduced: bool = False


class Database(Protocol):
    """Hands out sessions on the one SQL database (implemented by `bot/storage`, which alone knows which one it is)."""

    def reading(self) -> AbstractContextManager[Session]:
        """A session on one consistent state, which waits for nobody."""

    def writing(self) -> AbstractContextManager[Session]:
        """A session that commits at its end, or rolls back when the block raises; writers wait for each other."""


class ChunkIndex(Protocol):
    """Finds chunks by terms and vectors. A cache: everything in it can be made again from the catalogue.

    BM25 is Lucene's: `ln(1 + (N - n + .5) / (n + .5)) * tf / (tf + k1 * (1 - b + b * length / average))`, k1 1.2, b .75,
    over the whole generation, whoever asks. Of a query's grams the bm25.MAX_GRAMS count that the fewest chunks hold. A search
    sees exactly one generation and whole documents only.
    Every method but `close` raises IndexAway when the index cannot be reached. Safe for threads.
    """

    def live_generation(self) -> GenerationId | None:
        """The generation that searches read; none before the first `activate`."""

    def create_generation(self) -> GenerationId:
        """A new, empty generation that no search sees yet."""

    def replace_documents(self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        """Puts the entries in place of all that the generation holds of each document; no entries remove it.

        Raises IndexUnavailable when the index refuses an entry, or the generation is gone; doing it again is harmless.
        """

    def activate(self, generation: GenerationId) -> None:
        """Makes the generation live, at once for every process, and drops all others. Raises IndexUnavailable when it is gone."""

    def count(self, generation: GenerationId) -> int:
        """The number of chunks in a generation; 0 when it is gone."""

    def entries(self, generation: GenerationId) -> Iterator[IndexEntry]:
        """Everything that the generation holds, in any order, to be compared with the catalogue."""

    def search(self, query: IndexQuery) -> Legs:
        """The best chunks that the audience may read. Raises NothingIndexed when no generation is live."""

    def close(self) -> None:
        """Lets go of connections; the index is not used afterwards."""
