"""The values of knowledge: what a parser yields, what the catalogue stores and what a query returns. No input or output."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NewType, TypeAlias

import numpy as np
from numpy.typing import NDArray

ChunkId = NewType("ChunkId", int)
DocumentId = NewType("DocumentId", int)

EVERYONE = "everyone"  # the group that every person belongs to

Audience: TypeAlias = frozenset[str]
BlockKind: TypeAlias = Literal["paragraph", "item", "row", "code"]
DocumentState: TypeAlias = Literal["stored", "indexed", "failed", "deleted"]


@dataclass(frozen=True)
class Block:
    """A paragraph, list item, table row or code block, as plain text.

    `lead_in` is the line that a list item or table row needs to be understood ("To apply you need:"), empty if none.
    """

    kind: BlockKind
    text: str
    lead_in: str = ""


@dataclass(frozen=True)
class Section:
    """The blocks under one heading. `heading_path` runs from the outermost heading inwards, without the title."""

    heading_path: tuple[str, ...]
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class ParsedDocument:
    """A file as a parser understood it. `keywords` are search words that the author declared, not text to quote."""

    title: str
    sections: tuple[Section, ...]
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """The smallest piece that may be quoted: a sentence, a list item, a table row. `start` and `end` index chunk text.

    `block` numbers the block that the unit stems from, so that neighbours in one paragraph can be told apart.
    """

    start: int
    end: int
    block: int
    kind: BlockKind
    lead_in: str = ""


@dataclass(frozen=True)
class Chunk:
    """A piece of a document as it is indexed and quoted.

    `prefix` (title, heading path, keywords) goes in front of `text` in the index and never into a quote.
    """

    text: str
    prefix: str
    heading_path: tuple[str, ...]
    anchor: str
    units: tuple[Unit, ...]

    @property
    def indexed_text(self) -> str:
        return f"{self.prefix}\n{self.text}" if self.prefix else self.text

    @property
    def heading(self) -> str:
        return " > ".join(self.heading_path)


@dataclass(frozen=True)
class DocumentRef:
    """Where a passage comes from. `location` is the path or address within the source, without an anchor."""

    document_id: DocumentId
    source: str
    title: str
    location: str
    address: str
    """What a person can open: a URL, or a file's absolute address; empty for what has none (a standard answer)."""
    audience: Audience
    is_standard_answer: bool = False


@dataclass(frozen=True)
class Passage:
    """A chunk retrieved for a query.

    `score` is the relevance signal in 0..1 (idf-weighted MaxSim: 1 when every word that matters is met by an equal
    word in context); `rank` counts from 1; `legs` holds the scores that led here, by name, for `/why`.
    `found_by` is the known question that led here, empty if none; `known_match` says how well it meets the query, 0..1.

    `match` is (question tokens, 1 + units): the best cosine of each question token in the prefix (column 0) and in each
    unit; `unit_cosines` is (units,): the cosine of the whole question to each unit in its context.
    """

    chunk_id: ChunkId
    document: DocumentRef
    chunk: Chunk
    score: float
    rank: int
    legs: dict[str, float] = field(default_factory=dict)
    found_by: str = ""
    known_match: float = 0.0
    match: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 1), np.float32), repr=False, compare=False)
    unit_cosines: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32), repr=False, compare=False)

    @property
    def location(self) -> str:
        """`path#anchor`, the address within the source."""
        return f"{self.document.location}#{self.chunk.anchor}" if self.chunk.anchor else self.document.location


def normalise_audience(groups: Sequence[str]) -> Audience:
    """Group labels, trimmed, in Unicode form NFC, without empty ones."""
    from unicodedata import normalize

    return frozenset(label for group in groups if (label := normalize("NFC", group).strip()))
