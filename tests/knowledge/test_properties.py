"""What holds for every text and every index, not only for the examples of the other tests."""

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from knowledge.chunking import MAX_CHUNK_TOKENS, chunk_document
from knowledge.documents import Block, ChunkId, DocumentId, ParsedDocument, Section
from knowledge.ports import GenerationId, Hit, IndexEntry, IndexQuery, Legs
from knowledge.ranking import fuse, max_sim, rerank, token_words, weigh_tokens
from knowledge.sentences import sentence_spans
from knowledge.stores.snapshot import Snapshot
from knowledge.terms import MAX_QUERY_TERMS, content_words, grams, query_grams, query_stems, stems, words
from knowledge.vectors import pack_int8, unpack_int8
from tests.fuzz.promises import check_chunks, count_tokens
from tests.properties import texts

EVERYBODY = frozenset({"everyone"})
terms = st.lists(st.sampled_from("abcdefg"), max_size=12)
scores = st.floats(0, 50, width=32)
hits = st.dictionaries(st.integers(1, 30), scores, max_size=20).map(
    lambda found: [Hit(ChunkId(chunk), score) for chunk, score in sorted(found.items(), key=lambda item: (-item[1], item[0]))]
)
blocks = st.builds(Block, st.sampled_from(["paragraph", "item", "row", "code"]), texts.filter(str.strip), st.just(""))


@given(texts)
def test_terms_survive_storage_and_hold_no_white_space(text: str) -> None:
    for analysed in (words(text), stems(text), grams(text), query_stems(text), query_grams(text)):
        assert " ".join(analysed).split() == analysed


@given(texts)
def test_a_question_has_the_terms_of_its_content_words_and_no_others(text: str) -> None:
    assert set(query_stems(text)) <= set(stems(text)) and set(query_grams(text)) <= set(grams(text))
    assert bool(query_stems(text)) == bool(words(text)) == bool(content_words(text))
    assert max(len(query_stems(text)), len(query_grams(text))) <= MAX_QUERY_TERMS


@given(texts, st.sampled_from(["\u200b", "\u00ad", "\u202e", "\u2060"]), st.data())
def test_signs_that_nobody_sees_change_no_term(text: str, sign: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))

    assert stems(text[:place] + sign + text[place:]) == stems(text)


@given(texts)
def test_sentences_hold_the_text_in_order_and_lose_only_white_space(text: str) -> None:
    spans = sentence_spans(text)

    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges) and all(text[start:end].strip() == text[start:end] != "" for start, end in spans)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())


@given(st.lists(st.lists(blocks, min_size=1, max_size=6), min_size=1, max_size=4))
def test_chunks_hold_all_of_a_document_and_are_small_enough(sections: list[list[Block]]) -> None:
    utf8 = [[Block(b.kind, b.text.encode(errors="replace").decode(), b.lead_in) for b in section] for section in sections]
    document = ParsedDocument("Title", tuple(Section((f"H{n}",), "", tuple(section)) for n, section in enumerate(utf8)))

    chunks = chunk_document(document, count_tokens)

    check_chunks(document, chunks)
    assert all(count_tokens([chunk.text])[0] <= 1.5 * MAX_CHUNK_TOKENS for chunk in chunks)  # marks and gaps are not counted


def entry(chunk: int, stem_terms: Sequence[str], gram_terms: Sequence[str]) -> IndexEntry:
    vector = np.eye(3, dtype=np.float32)[chunk % 3]
    return IndexEntry(ChunkId(chunk), DocumentId(chunk // 2), EVERYBODY, stem_terms, gram_terms, vector)


def plain_bm25(documents: Sequence[Sequence[str]], asked: Sequence[str], row: int) -> float:
    """Lucene's BM25, straight from the formula."""
    score = 0.0
    for term in asked:
        n, tf = sum(term in other for other in documents), documents[row].count(term)
        if tf:
            norm = 1.2 * (1 - 0.75 + 0.75 * len(documents[row]) * len(documents) / sum(map(len, documents)))
            score += math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)) * tf / (tf + norm)
    return score


@given(st.lists(st.tuples(terms, terms), min_size=1, max_size=12), st.lists(st.sampled_from("abcdefgh"), max_size=8), st.data())
def test_the_snapshot_scores_as_the_formula_says_also_after_changes(
    rows: list[tuple[list[str], list[str]]], asked: list[str], data: st.DataObject
) -> None:
    snapshot = Snapshot(GenerationId(1), 3)
    snapshot.replace([], [entry(chunk, ["old"] * 3, ["old"]) for chunk in range(len(rows) + 4)])
    replaced = [DocumentId(number) for number in range((len(rows) + 5) // 2 + 1)]
    snapshot.replace(replaced, [entry(chunk, *row) for chunk, row in enumerate(rows)])
    limit = data.draw(st.integers(1, 12))

    legs = snapshot.search(IndexQuery(asked, asked, np.eye(3, dtype=np.float32)[0], EVERYBODY, limit))

    for leg, documents in ((legs.stems, [row[0] for row in rows]), (legs.grams, [row[1] for row in rows])):
        expected = {chunk: score for chunk in range(len(rows)) if (score := plain_bm25(documents, asked, chunk)) > 0}
        best = sorted(expected, key=lambda chunk: (-round(expected[chunk], 5), chunk))[:limit]
        np.testing.assert_allclose([hit.score for hit in leg], [expected[chunk] for chunk in best], atol=2e-5)
        assert all(abs(expected[hit.chunk_id] - hit.score) < 2e-5 for hit in leg)
    assert len(legs.dense) == min(limit, len(rows))


@given(hits, hits, hits)
def test_fusion_ranks_every_hit_once_between_0_and_1(stem: list[Hit], gram: list[Hit], dense: list[Hit]) -> None:
    fused = fuse(Legs(GenerationId(1), 9, {}, stem, gram, dense))

    assert set(fused) == {hit.chunk_id for leg in (stem, gram, dense) for hit in leg}
    assert all(-1e-6 <= score <= 1 + 1e-6 for score in fused.values())
    rounded = [(-round(score, 6), chunk) for chunk, score in fused.items()]
    assert rounded == sorted(rounded)


@given(st.dictionaries(st.integers(1, 40).map(ChunkId), scores), st.dictionaries(st.integers(1, 40).map(ChunkId), scores))
def test_reranking_orders_exactly_what_maxsim_scored(fused: dict[ChunkId, float], max_sims: dict[ChunkId, float]) -> None:
    assert sorted(rerank(fused, max_sims)) == sorted(max_sims)


@given(texts, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=20))
def test_every_token_has_a_weight_that_is_none_below_0(text: str, spans: list[tuple[int, int]]) -> None:
    offsets = [(min(span), max(span)) for span in spans if max(span) <= len(text)]

    weights = weigh_tokens(token_words(text, offsets), {"leav": 3.0, "27": 5.0})

    assert weights.shape == (len(offsets),) and bool(np.isfinite(weights).all()) and bool((weights >= 0).all())


@given(st.integers(0, 6), st.integers(1, 5), st.randoms(use_true_random=False))
def test_max_sim_lies_between_0_and_1(tokens: int, columns: int, rng: "object") -> None:
    draw = rng.uniform  # type: ignore[attr-defined]  # hypothesis' Random
    best = np.array([[draw(-1.001, 1.001) for _ in range(columns)] for _ in range(tokens)], np.float32).reshape(tokens, columns)
    weights = np.array([draw(0, 9) for _ in range(tokens)], np.float32)

    assert 0 <= max_sim(best, weights) <= 1


@given(st.lists(st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=8), max_size=6))
def test_packed_token_vectors_point_where_they_did(rows: list[list[float]]) -> None:
    vectors = np.array(rows, np.float32).reshape(-1, 8)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)

    unpacked = unpack_int8(pack_int8(units), 8)

    assert unpacked.shape == units.shape
    present = np.linalg.norm(units, axis=1) > 0
    assert bool((np.sum(unpacked * units, axis=1)[present] > 0.999).all())
