"""Hybrid retrieval: the index's legs fused, known questions added, the best candidates re-ranked by MaxSim."""

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from knowledge import ranking
from knowledge.bm25 import idf
from knowledge.catalogue import STANDARD_ANSWERS, Catalogue, KnownQuestion
from knowledge.documents import Audience, Chunk, ChunkId, DocumentRef, Passage
from knowledge.labels import labels_asked
from knowledge.ports import ChunkIndex, Embedder, Embedding, Floats, IndexQuery, Legs
from knowledge.terms import query_grams, query_stems, stems

LEG_LIMIT = 100  # hits of each leg that enter the fusion
RERANKED = 30  # candidates that MaxSim orders
KNOWN_QUESTION_COSINE = 0.6  # below, a known question is about something else
KNOWN_QUESTIONS_TRIED = 5
DEFAULT_LIMIT = 30
STALE_RETRIES = 3  # a document replaced between search and reading is searched for again


@dataclass(frozen=True)
class Retrieval:
    """The passages of a query, best first, and how the query was understood.

    `token_offsets` is (question tokens, 2), the characters that each covers; `token_weights` (question tokens,) is what
    each counts in MaxSim. `timings_s` are seconds by step. `is_reduced` says that the index was away and its copy in the
    database was searched.
    """

    query: str
    passages: Sequence[Passage]
    token_offsets: np.ndarray
    token_weights: Floats
    timings_s: dict[str, float] = field(default_factory=dict)
    is_reduced: bool = False


@dataclass(frozen=True)
class Readable:
    """What may be found: what the audience may read, in these sources where there are any, approved corrections included."""

    audience: Audience
    sources: Collection[str] = ()

    @property
    def labels(self) -> Audience:
        return labels_asked(self.audience, [*self.sources, STANDARD_ANSWERS] if self.sources else ())

    def includes(self, audience: Audience, source: str) -> bool:
        """Whether it includes what this audience may read, in this source."""
        return bool(audience & self.audience) and (not self.sources or source in (*self.sources, STANDARD_ANSWERS))


def index_query(query: str, embedding: Embedding, labels: Audience, counted: Sequence[str] = ()) -> IndexQuery:
    """What the index is asked for a query."""
    return IndexQuery(query_stems(query), query_grams(query), embedding.vector, labels, LEG_LIMIT, counted)


class HybridRetriever:
    """Implements bot's Retriever over any ChunkIndex."""

    def __init__(self, catalogue: Catalogue, index: ChunkIndex, embedder: Embedder) -> None:
        self._catalogue = catalogue
        self._index = index
        self._embedder = embedder
        self._known = _KnownQuestions(catalogue, embedder)

    def retrieve(self, query: str, audience: Audience, limit: int = DEFAULT_LIMIT, *, sources: Collection[str] = ()) -> Retrieval:
        started = time.perf_counter()
        embedding = self._embedder.embed([query])[0]
        embedded = time.perf_counter()
        passages, weights, legs = self._passages(query, embedding, Readable(audience, sources), limit)
        timings = {"embed_query": embedded - started, "retrieve": time.perf_counter() - embedded}
        return Retrieval(query, passages, embedding.offsets, weights, timings, legs.is_reduced)

    def _passages(self, query: str, embedding: Embedding, readable: Readable, limit: int) -> tuple[list[Passage], Floats, Legs]:
        """The passages with the token weights and the legs that they were found by."""
        words = ranking.token_words(query, [(int(start), int(end)) for start, end in embedding.offsets])
        counted = sorted({stem for word in words for stem in stems(word)})
        asked = index_query(query, embedding, readable.labels, counted)
        for _ in range(STALE_RETRIES):
            legs = self._index.search(asked)
            weights = ranking.weigh_tokens(words, {stem: idf(legs.size, n) for stem, n in legs.frequencies.items()})
            known = self._known.matches(embedding, weights, readable)
            fused = _with_known(ranking.fuse(legs), known)
            candidates = list(fused)[:RERANKED]
            chunks, embeddings = self._catalogue.chunks(candidates), self._catalogue.embeddings(candidates)
            if all(chunk_id in chunks and chunk_id in embeddings for chunk_id in candidates):
                break
        # The catalogue has the last word on who may read: the index may not have heard of a change yet.
        present = [c for c in candidates if c in chunks and c in embeddings and _is_readable(chunks[c][0], readable)]
        found = {c: self._passage(c, *chunks[c], embeddings[c], embedding, weights, legs, fused, known) for c in present}
        order = ranking.rerank(fused, {chunk_id: passage.score for chunk_id, passage in found.items()})
        return [replace(found[chunk_id], rank=rank) for rank, chunk_id in enumerate(order[:limit], 1)], weights, legs

    def _passage(
        self,
        chunk_id: ChunkId,
        document: DocumentRef,
        chunk: Chunk,
        stored: Embedding,
        query: Embedding,
        weights: Floats,
        legs: Legs,
        fused: dict[ChunkId, float],
        known: dict[ChunkId, tuple[KnownQuestion, float]],
    ) -> Passage:
        match, cosines = ranking.match(query, chunk, stored)
        question, known_match = known.get(chunk_id, (None, 0.0))
        score = max(ranking.max_sim(match, weights), known_match)
        by_leg = {"stems": legs.stems, "grams": legs.grams, "cosine": legs.dense}
        scores = {name: hit.score for name, leg in by_leg.items() for hit in leg if hit.chunk_id == chunk_id}
        scores["fused"] = fused[chunk_id]
        found_by = question.question if question else ""
        return Passage(chunk_id, document, chunk, score, 0, scores, found_by, known_match, match, cosines)


def _is_readable(document: DocumentRef, readable: Readable) -> bool:
    return readable.includes(document.audience, document.source)


def _with_known(fused: dict[ChunkId, float], known: dict[ChunkId, tuple[KnownQuestion, float]]) -> dict[ChunkId, float]:
    """A chunk found by a known question counts as well as the question matches, if that is better."""
    scores = fused | {chunk_id: max(score, fused.get(chunk_id, 0.0)) for chunk_id, (_, score) in known.items()}
    return dict(sorted(scores.items(), key=lambda item: (-round(item[1], 6), item[0])))


class _KnownQuestions:
    """The catalogue's known questions with their vectors, kept as long as the questions are the same."""

    def __init__(self, catalogue: Catalogue, embedder: Embedder) -> None:
        self._catalogue = catalogue
        self._embedder = embedder
        self._lock = threading.Lock()
        self._embeddings: dict[str, Embedding] = {}

    def matches(self, query: Embedding, weights: Floats, readable: Readable) -> dict[ChunkId, tuple[KnownQuestion, float]]:
        """For each chunk that a similar known question leads to: that question, and its MaxSim with the query, 0..1."""
        usable = [known for known in self._catalogue.known_questions() if readable.includes(known.audience, known.source)]
        if not usable:
            return {}
        embeddings = self._embedded([known.question for known in usable])
        cosines = np.stack([embedding.vector for embedding in embeddings]) @ query.vector
        found: dict[ChunkId, tuple[KnownQuestion, float]] = {}
        for i in np.argsort(-cosines)[:KNOWN_QUESTIONS_TRIED]:
            if cosines[i] < KNOWN_QUESTION_COSINE:
                break
            score = ranking.max_sim(query.token_vectors @ embeddings[i].token_vectors.T, weights)
            if score > found.get(usable[i].chunk_id, (None, 0.0))[1]:
                found[usable[i].chunk_id] = (usable[i], score)
        return found

    def _embedded(self, questions: Sequence[str]) -> list[Embedding]:
        with self._lock:
            new = [question for question in dict.fromkeys(questions) if question not in self._embeddings]
            self._embeddings |= dict(zip(new, self._embedder.embed(new), strict=True))
            return [self._embeddings[question] for question in questions]
