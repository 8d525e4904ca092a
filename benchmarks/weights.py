"""Chooses the weights of Timbre's ranking on questions, by cross-validation with folds by page.

Every question is searched once; its legs and the MaxSim of its candidates are kept, so that a setting costs only arithmetic,
by the very functions of `knowledge/ranking.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from types import ModuleType

import numpy as np

from benchmarks.answers import FOLDS, Found, fold_of
from bot.evaluation import Case, is_same_page
from bot.main import Timbre
from knowledge import ranking, retrieval
from knowledge.documents import Audience, ChunkId
from knowledge.ports import Legs

CANDIDATES = 100  # of each question, by the shipped fusion, whose MaxSim is kept; what other weights add beyond is left out
NOT_FOUND = 99
SPACE: dict[str, Sequence[float]] = {
    "DENSE_WEIGHT": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "STEM_SHARE": (0.3, 0.5, 0.7),
    "MAXSIM_WEIGHT": (0.4, 0.5, 0.6, 0.7, 0.8),
}
Setting = Mapping[str, float]


@dataclass(frozen=True)
class Searched:
    """A question with all that its ranking is made of."""

    case: Case
    legs: Legs
    max_sims: Mapping[ChunkId, float]
    pages: Mapping[ChunkId, str]


def search(timbre: Timbre, found: Sequence[Found], audience: Audience) -> list[Searched]:
    retriever, embedder = timbre.knowledge.retriever, timbre.knowledge.embedder
    searched = []
    with _constants(retrieval, {"RERANKED": CANDIDATES}):
        for one in found:
            passages = retriever.retrieve(one.query, audience, CANDIDATES).passages
            legs = timbre.knowledge.index.search(retrieval.index_query(one.query, embedder.embed([one.query])[0], audience))
            max_sims = {passage.chunk_id: passage.score for passage in passages}
            pages = {passage.chunk_id: passage.document.location for passage in passages}
            searched.append(Searched(one.case, legs, max_sims, pages))
    return searched


def ranks(searched: Sequence[Searched], setting: Setting) -> list[int]:
    """For each question how many pages stand before the first right one."""
    with _constants(ranking, setting):
        return [rank_of(one.case, _pages(one)) for one in searched]


def best(searched: Sequence[Searched]) -> Setting:
    """The setting with the best mean reciprocal rank."""
    settings = list(_settings())
    return settings[int(_reciprocal_ranks(searched, settings).mean(axis=1).argmax())]


def out_of_fold(searched: Sequence[Searched]) -> list[int]:
    """The ranks of each question under the setting that is best on the other folds."""
    settings = list(_settings())
    values = _reciprocal_ranks(searched, settings)
    folds = np.array([fold_of(one.case) for one in searched])
    found = np.zeros(len(searched), int)
    for fold in range(FOLDS):
        chosen = settings[int(values[:, folds != fold].mean(axis=1).argmax())]
        members = np.flatnonzero(folds == fold).tolist()
        found[members] = ranks([searched[i] for i in members], chosen)
    return found.tolist()


def rank_of(case: Case, pages: Sequence[str]) -> int:
    hits = (rank for rank, page in enumerate(pages) if any(is_same_page(page, gold) for gold in case.pages))
    return next(hits, NOT_FOUND)


def reciprocal(rank: int) -> float:
    """Of MRR@10."""
    return 1 / (rank + 1) if rank < 10 else 0.0


def _settings() -> Iterator[Setting]:
    return (dict(zip(SPACE, values, strict=True)) for values in product(*SPACE.values()))


def _reciprocal_ranks(searched: Sequence[Searched], settings: Sequence[Setting]) -> np.ndarray:  # (settings, questions)
    return np.array([[reciprocal(rank) for rank in ranks(searched, setting)] for setting in settings])


def _pages(one: Searched) -> list[str]:
    fused = ranking.fuse(one.legs)
    candidates = [chunk for chunk in list(fused)[: retrieval.RERANKED] if chunk in one.max_sims]
    order = ranking.rerank(fused, {chunk: one.max_sims[chunk] for chunk in candidates})
    return list(dict.fromkeys(one.pages[chunk] for chunk in order))


@contextmanager
def _constants(module: ModuleType, values: Mapping[str, float]) -> Iterator[None]:
    shipped = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in shipped.items():
            setattr(module, name, value)
