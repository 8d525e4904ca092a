"""Makes passages and retrievals from texts, without a database or an index: what the pure rules are tested on."""

from collections.abc import Sequence

import numpy as np

from bot.conversation import Quote
from knowledge import ranking
from knowledge.chunking import chunk_document
from knowledge.documents import EVERYONE, Block, ChunkId, DocumentId, DocumentRef, ParsedDocument, Passage, Section
from knowledge.retrieval import Retrieval
from knowledge.terms import STOP_WORDS
from tests.fakes import HashingEmbedder

EMBEDDER = HashingEmbedder()


def a_passage(
    *blocks: str | Block,
    query: str = "",
    number: int = 1,
    title: str = "Annual leave",
    heading: str = "",
    location: str = "leave.md",
    is_standard_answer: bool = False,
    known_match: float = 0.0,
) -> Passage:
    """The first chunk of a document of these paragraphs, as it meets `query`. `number` is its chunk and its document."""
    section = Section(
        (heading,) if heading else (), "", tuple(Block("paragraph", b) if isinstance(b, str) else b for b in blocks)
    )
    (chunk,) = chunk_document(ParsedDocument(title, (section,)), EMBEDDER.count_tokens)
    asked, stored = EMBEDDER.embed([query or title, chunk.indexed_text])
    match, cosines = ranking.match(asked, chunk, stored)
    document = DocumentRef(
        DocumentId(number), "handbook", title, location, f"/docs/{location}", frozenset({EVERYONE}), is_standard_answer
    )
    score = max(ranking.max_sim(match, np.ones(len(match), np.float32)), known_match)
    return Passage(ChunkId(number), document, chunk, score, number, {"fused": score}, "", known_match, match, cosines)


def a_retrieval(query: str, passages: Sequence[Passage]) -> Retrieval:
    """The passages for the query; its content words weigh 1, the others nothing."""
    offsets = EMBEDDER.embed([query])[0].offsets
    words = ranking.token_words(query, [(int(start), int(end)) for start, end in offsets])
    weights = np.array([float(word not in STOP_WORDS) for word in words], np.float32)
    return Retrieval(query, passages, offsets, weights)


def a_quote(text: str, *, context: str = "", title: str = "Annual leave", heading: str = "", number: int = 1) -> Quote:
    return Quote(text, a_passage(text, title=title, heading=heading, number=number), 1.0, context)
