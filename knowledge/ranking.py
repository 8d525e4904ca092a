"""Ranking above the index (pure): fusion of the legs, and idf-weighted MaxSim of question tokens over passage tokens."""

from collections.abc import Mapping, Sequence
from unicodedata import category

import numpy as np

from knowledge.documents import Chunk, ChunkId
from knowledge.ports import Embedding, Floats, Hit, Legs
from knowledge.terms import STOP_WORDS, stems, words

DENSE_WEIGHT = 0.7
"""Share of the dense leg in the fusion. .4 to .5 is best for questions in the page's own words (SQuAD), .8 for chat."""
STEM_SHARE = 0.5
"""Share of stems in the lexical half; the rest is character grams."""
MAXSIM_WEIGHT = 0.7
"""Share of MaxSim in the final order of the candidates."""
SENTENCE_MARKS = frozenset("?.!？。！")
STOP_WORD_WEIGHT = 0.1
MARK_WEIGHT = 1.0
"""What a stop word, and a mark that ends a sentence, count in MaxSim, as a share of the mean weight of the content words.

They carry no meaning of their own, but their vectors carry that of the sentence: without them page R@1 on the handbook falls
from .78 to .74.
"""


def fuse(legs: Legs) -> dict[ChunkId, float]:
    """Min-max fusion of the legs, 0..1; a chunk that a leg did not find has 0 there. Best first, ties by chunk id."""
    stem, gram, dense = (_min_max(leg) for leg in (legs.stems, legs.grams, legs.dense))
    lexical = 1 - DENSE_WEIGHT
    scores = {
        chunk: lexical * (STEM_SHARE * stem.get(chunk, 0.0) + (1 - STEM_SHARE) * gram.get(chunk, 0.0))
        + DENSE_WEIGHT * dense.get(chunk, 0.0)
        for chunk in {*stem, *gram, *dense}
    }
    return dict(sorted(scores.items(), key=lambda item: (-round(item[1], 6), item[0])))


def _min_max(hits: Sequence[Hit]) -> dict[ChunkId, float]:
    if not hits:
        return {}
    top, bottom = hits[0].score, hits[-1].score
    spread = top - bottom
    return {hit.chunk_id: (hit.score - bottom) / spread if spread > 0 else 1.0 for hit in hits}


def token_words(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """For each token the whole word that it is a piece of."""
    return [_word_around(text, start, end) for start, end in offsets]


def _word_around(text: str, start: int, end: int) -> str:
    if not any(char.isalnum() for char in text[start:end]):
        return text[start:end]  # punctuation stands for itself, or the final "?" would weigh as much as the word before it
    while start > 0 and _is_of_word(text[start - 1]):
        start -= 1
    while end < len(text) and _is_of_word(text[end]):
        end += 1
    return text[start:end].casefold()


def _is_of_word(char: str) -> bool:
    """Letters and digits, and the marks that many scripts write vowels with."""
    return char.isalnum() or category(char).startswith("M")


def weigh_tokens(token_words_: Sequence[str], idf: Mapping[str, float]) -> Floats:
    """(tokens,) what each token of a question counts: the idf of its word, shared by the word's pieces.

    Stop words and the marks that end a sentence count as the two constants say, other punctuation nothing. Equal weights when
    no content word is left. `idf` is by stem.
    """
    content = [_content_weight(word, idf) / max(1, token_words_.count(word)) for word in token_words_]
    present = [weight for weight in content if weight > 0]
    if not present:
        return np.array([1.0 if words(word) else 0.0 for word in token_words_], np.float32)
    mean = sum(present) / len(present)
    return np.array([own or mean * _share(word) for own, word in zip(content, token_words_, strict=True)], np.float32)


def _content_weight(word: str, idf: Mapping[str, float]) -> float:
    return 0.0 if word in STOP_WORDS else max((idf.get(stem, 0.0) for stem in stems(word)), default=0.0)


def _share(word: str) -> float:
    if word in SENTENCE_MARKS:
        return MARK_WEIGHT
    return STOP_WORD_WEIGHT if word in STOP_WORDS else 0.0


def match(query: Embedding, chunk: Chunk, passage: Embedding) -> tuple[Floats, Floats]:
    """How a question meets a passage.

    Returns (question tokens, 1 + units): each question token's best cosine to a token of the prefix (column 0) and of each
    unit; and (units,): the cosine of the question to each unit's mean token vector.
    """
    columns = _columns(chunk, passage)  # (passage tokens,), -1 for tokens between units
    similarities = query.token_vectors @ passage.token_vectors.T  # (question tokens, passage tokens)
    best = np.zeros((len(query.token_vectors), 1 + len(chunk.units)), np.float32)
    cosines = np.zeros(len(chunk.units), np.float32)
    for column in np.unique(columns[columns >= 0]):
        members = columns == column
        best[:, column] = similarities[:, members].max(axis=1)
        if column:
            mean = passage.token_vectors[members].mean(axis=0)
            cosines[column - 1] = mean @ query.vector / max(float(np.linalg.norm(mean)), 1e-9)
    return best, cosines


def _columns(chunk: Chunk, passage: Embedding) -> np.ndarray:
    base = len(chunk.indexed_text) - len(chunk.text)
    starts = passage.offsets[:, 0] - base
    columns = np.where(starts < 0, 0, -1)
    for number, unit in enumerate(chunk.units, 1):
        columns[(starts >= unit.start) & (starts < unit.end)] = number
    return columns


def max_sim(best: Floats, weights: Floats) -> float:
    """Weighted mean over question tokens of their best cosine in the passage: 1 when every word that matters is met."""
    total = float(weights.sum())
    mean = float(best.max(axis=1) @ weights) / total if total > 0 and best.size else 0.0
    return min(1.0, max(0.0, mean))  # cosines may be negative, and exceed 1 by rounding


def rerank(fused: Mapping[ChunkId, float], max_sims: Mapping[ChunkId, float]) -> list[ChunkId]:
    """The candidates in `max_sims` by a mix of fused score and MaxSim, each scaled to 0..1 over the candidates."""
    candidates = list(max_sims)
    first, second = _scaled([fused.get(c, 0.0) for c in candidates]), _scaled([max_sims[c] for c in candidates])
    mixed = (1 - MAXSIM_WEIGHT) * first + MAXSIM_WEIGHT * second
    return [candidates[i] for i in np.lexsort((np.array(candidates), -np.round(mixed, 6)))]


def _scaled(values: Sequence[float]) -> np.ndarray:
    array = np.array(values, np.float64)
    spread = float(np.ptp(array)) if len(array) else 0.0
    return (array - array.min()) / spread if spread > 0 else np.ones_like(array)
