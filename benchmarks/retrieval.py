"""How well the right page is found: Timbre next to LlamaIndex, LangChain and Haystack, each with hybrid retrieval.

    python -m benchmarks.retrieval [--peers PYTHON] [--home FOLDER]

All get the same pages, the same queries (those that Timbre's engine makes: shorthand spelled out, the turn before in front of
a follow-up) and the same embedding model. Each peer runs in every set-up of its script, and the one that is best on these
very questions stands for it. Timbre's weights are chosen again in five folds by page, and its figures on the handbook are
those of the fold left out; SQuAD runs with the weights chosen on the handbook, untouched.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks import results, weights
from benchmarks.answers import STYLES, Found, prepared
from benchmarks.corpora import Corpus, handbook, squad
from bot.audiences import audience_at_terminal
from bot.main import Timbre
from knowledge import ranking
from knowledge.documents import Audience

PEERS = {"LlamaIndex": "llamaindex", "LangChain": "langchain", "Haystack": "haystack"}
SQUAD_QUESTIONS = 1000  # half of them are impossible, and left out
CUTOFFS = (1, 3, 5, 10)
RESAMPLES = 10_000
SEED = 11

Measure = Callable[[int], float]
"""Of one question, by its rank: how many pages stand before the first right one."""


@dataclass(frozen=True)
class Result:
    """What a system in one set-up did: the rank of each question, and the median milliseconds of a query."""

    system: str
    setup: str
    chunks: int
    ranks: Sequence[int]
    p50_ms: float

    def value(self, measure: Measure) -> float:
        return mean(map(measure, self.ranks))


@dataclass(frozen=True)
class Searched:
    """A corpus as Timbre searched it, once: for the choice of weights, and for the clock."""

    corpus: Corpus
    questions: Sequence[weights.Searched]
    queries: Sequence[str]
    chunks: int
    p50_ms: float


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(args.home or scratch)
        corpora = [_answerable(corpus) for corpus in (handbook(), squad(home / "squad-text", SQUAD_QUESTIONS))]
        tuned, other = (_searched(corpus, home / corpus.name) for corpus in corpora)
        chosen = {one.corpus.name: weights.best(one.questions) for one in (tuned, other)}
        print(f"Chosen on the handbook: {chosen['handbook']}; on SQuAD: {chosen['squad']}; shipped: {_shipped()}\n")
        report = {"weights": {**chosen, "shipped": _shipped()}, "corpora": {}}
        for one, foreign in ((tuned, chosen["squad"]), (other, chosen["handbook"])):
            ours = [
                _result(one, "out of fold", weights.out_of_fold(one.questions)),
                _result(one, "weights of the other corpus", weights.ranks(one.questions, foreign)),
                _result(one, "as shipped", weights.ranks(one.questions, {})),
            ]
            peers = [_peer(one, peer, args.peers) for peer in PEERS] if args.peers else []
            shown = ours[0] if one is tuned else ours[1]
            report["corpora"][one.corpus.name] = _report(one, shown, ours, peers)
        versions = _versions(args.peers) if args.peers else {}
        print(f"Written: {results.write('retrieval', report, versions).name}")


def _answerable(corpus: Corpus) -> Corpus:
    return replace(corpus, cases=[case for case in corpus.cases if case.is_answerable])


def _searched(corpus: Corpus, home: Path) -> Searched:
    timbre, found = prepared(corpus, home)
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    generation = timbre.knowledge.index.live_generation()
    assert generation is not None
    p50_ms = 1000 * median(_seconds(timbre, found, audience))
    searched = weights.search(timbre, found, audience)
    chunks = timbre.knowledge.index.count(generation)
    timbre.database.close()
    return Searched(corpus, searched, [one.query for one in found], chunks, p50_ms)


def _seconds(timbre: Timbre, found: Sequence[Found], audience: Audience) -> list[float]:
    """Of each query, its embedding and the re-rank included; everything is warm, since all have been found before."""
    seconds = []
    for one in found:
        started = time.perf_counter()
        timbre.knowledge.retriever.retrieve(one.query, audience)
        seconds.append(time.perf_counter() - started)
    return seconds


def _shipped() -> weights.Setting:
    return {name: getattr(ranking, name) for name in weights.SPACE}


def _result(searched: Searched, setup: str, ranks: Sequence[int]) -> Result:
    return Result("Timbre", setup, searched.chunks, ranks, searched.p50_ms)


def _peer(searched: Searched, peer: str, python: str) -> list[Result]:
    """The peer in all its set-ups, best first (by MRR, then R@1)."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(list(searched.queries), file)
        file.flush()
        script = Path(__file__).with_name(f"peer_{PEERS[peer]}_retrieval.py")
        command = [python, str(script), "--corpus", str(searched.corpus.folder), "--queries", file.name]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [_of_peer(searched, peer, json.loads(line)) for line in output.splitlines()]
    return sorted(found, key=lambda result: (-result.value(weights.reciprocal), -result.value(_within(1))))


def _of_peer(searched: Searched, peer: str, row: dict[str, Any]) -> Result:
    ranks = [weights.rank_of(one.case, pages) for one, pages in zip(searched.questions, row["pages"], strict=True)]
    return Result(peer, row["setup"], row["chunks"], ranks, 1000 * median(row["seconds"]))


def _within(cutoff: int) -> Measure:
    return lambda rank: float(rank < cutoff)


def _report(searched: Searched, shown: Result, ours: Sequence[Result], peers: Sequence[Sequence[Result]]) -> dict[str, Any]:
    """Prints the tables of one corpus and gives the same as JSON."""
    best = [setups[0] for setups in peers]
    print(f"## {searched.corpus.name}, {len(searched.questions)} questions\n")
    _print_results([*ours, *best])
    styles = [style for style in STYLES if any(one.case.style == style for one in searched.questions)]
    if styles:
        _print_styles(searched, [shown, *best], styles)
    for peer in best:
        print(f"Ahead of {peer.system}: " + ", ".join(_signed(name, _lead(shown, peer, m)) for name, m in _measures().items()))
    print()
    tried = [_row(result) for setups in peers for result in setups]
    leads = {peer.system: {name: _lead(shown, peer, m) for name, m in _measures().items()} for peer in best}
    return {
        "questions": len(searched.questions),
        "systems": [_row(result) for result in (shown, *best)],
        "by_style": {style: {r.system: _of_style(searched, r, style) for r in (shown, *best)} for style in styles},
        "timbre": [_row(result) for result in ours],
        "peers": tried,
        "ahead": leads,
    }


def _measures() -> dict[str, Measure]:
    return {"R@1": _within(1), "R@5": _within(5), "MRR": weights.reciprocal}


def _lead(ours: Result, theirs: Result, measure: Measure) -> tuple[float, float, float]:
    """How far we are ahead, and the 95 % interval of that: a paired bootstrap over the questions."""
    differences = np.array([measure(a) - measure(b) for a, b in zip(ours.ranks, theirs.ranks, strict=True)])
    picks = np.random.default_rng(SEED).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[picks].mean(axis=1), (0.025, 0.975))
    return round(float(differences.mean()), 4), round(float(low), 4), round(float(high), 4)


def _signed(name: str, lead: tuple[float, float, float]) -> str:
    return f"{name} {lead[0]:+.3f} ({lead[1]:+.3f} to {lead[2]:+.3f})"


def _row(result: Result) -> dict[str, Any]:
    recall = {f"R@{cutoff}": round(result.value(_within(cutoff)), 4) for cutoff in CUTOFFS}
    scores = {**recall, "MRR": round(result.value(weights.reciprocal), 4)}
    return {"system": result.system, "setup": result.setup, "chunks": result.chunks, **scores, "p50_ms": round(result.p50_ms, 1)}


def _of_style(searched: Searched, result: Result, style: str) -> dict[str, float]:
    ranks = [rank for rank, one in zip(result.ranks, searched.questions, strict=True) if one.case.style == style]
    return {"n": len(ranks), **{f"R@{cutoff}": round(mean(rank < cutoff for rank in ranks), 4) for cutoff in (1, 5)}}


def _print_results(shown: Sequence[Result]) -> None:
    rows = [_row(result) for result in shown]
    print("| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(f"{value:.3f}" if name[1] in "@R" else str(value) for name, value in row.items()) + " |")
    print()


def _print_styles(searched: Searched, shown: Sequence[Result], styles: Sequence[str]) -> None:
    print("| R@1 / R@5 | " + " | ".join(styles) + " |\n|" + " --- |" * (1 + len(styles)))
    for result in shown:
        scores = [_of_style(searched, result, style) for style in styles]
        print(f"| {result.system} | " + " | ".join(f"{one['R@1']:.2f} / {one['R@5']:.2f}" for one in scores) + " |")
    print()


def _versions(python: str) -> dict[str, str]:
    packages = "llama-index-core langchain-classic haystack-ai faiss-cpu sentence-transformers torch".split()
    code = f"import importlib.metadata as m, json; print(json.dumps({{p: m.version(p) for p in {packages}}}))"
    versions: dict[str, str] = json.loads(subprocess.run([python, "-c", code], check=True, stdout=subprocess.PIPE).stdout)
    return versions


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="Python of the environment with the peers; without it they are left out")
    parser.add_argument("--home", help="keep the indexes in this folder and use them again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
