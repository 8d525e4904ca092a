"""How good the answers are: right, cited, rightly withheld; next to LlamaIndex's default engine with the same models.

    python -m benchmarks.answers [--peer PYTHON --peer-sample N] [--home FOLDER]

On the handbook, the weights of the quote selection and the threshold of the gate are chosen again in five folds by page, on
the other four folds each, and the figures are those of the fold left out. SQuAD runs with what is shipped, untouched.
"""

import argparse
import asyncio
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.corpora import Corpus, handbook, squad
from bot import abstention, grounding, questions, quotes
from bot.audiences import audience_at_terminal
from bot.conversation import Outcome, Question, Quote, turns
from bot.evaluating import run_cases
from bot.evaluation import Case, Observation, Score, is_right, is_same_page, score, scores_by_style
from bot.main import Timbre, build
from bot.settings import AnswerSettings, Settings
from bot.sources import Sources
from knowledge.documents import Audience
from knowledge.retrieval import Retrieval
from knowledge.sentences import sentences

FOLDS = 5
CANDIDATES = 100  # settings of the quote selection that compete in each fold; the first guess and what is shipped among them
GATE_QUANTILE = 0.28  # of the answerable training questions' signals: this share is not answered
WORD_PENALTY = 0.0015  # per word beyond 60, so that longer answers do not win by length alone
STYLES = ("direct", "keyword", "follow_up", "multi_fact", "messy", "paraphrase")
FIRST_GUESS = {
    "PASSAGE_WEIGHT": 1.2, "MAXSIM_WEIGHT": 1.0, "COSINE_WEIGHT": 0.4, "ANSWER_TYPE_WEIGHT": 0.1, "LENGTH_PENALTY": 0.25,
    "MIN_SHARE_OF_BEST": 0.9, "QUOTED_PASSAGES": 5, "MAX_WORDS": 90,
}  # fmt: skip
SPACE: dict[str, Sequence[float]] = {
    "PASSAGE_WEIGHT": (0.4, 0.6, 0.8, 1.0, 1.2), "MAXSIM_WEIGHT": (0.7, 1.0, 1.3), "COSINE_WEIGHT": (0.4, 0.6, 0.8, 1.0),
    "ANSWER_TYPE_WEIGHT": (0.05, 0.1, 0.15, 0.2, 0.25), "LENGTH_PENALTY": (0.1, 0.2, 0.25, 0.3),
    "MIN_SHARE_OF_BEST": (0.85, 0.88, 0.9, 0.92), "QUOTED_PASSAGES": (4, 5, 6, 8),
    "MAX_WORDS": (70, 80, 90, 100),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A case with what retrieval found, so that selections can be compared without searching again."""

    case: Case
    query: str
    start: int
    retrieval: Retrieval


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(args.home or scratch)
        _handbook(home / "handbook", args)
        print()
        _squad(home / "squad", Path(scratch) / "squad-text")


def _handbook(home: Path, args: argparse.Namespace) -> None:
    corpus = handbook()
    timbre, found = prepared(corpus, home)
    print(f"## Handbook, {len(corpus.cases)} questions\n")
    _print_pages(found)
    chosen, outcomes = out_of_fold(found)
    print("### Without the gate, out of fold\n")
    _print_scores([_plain_score(style, found, chosen) for style in (*STYLES, "all")], with_gate=False)
    print("\n### With the gate, out of fold\n")
    _print_scores(scores_by_style(corpus.cases, outcomes))
    print("\n### As shipped, through the whole engine\n")
    observations = _observed(timbre, corpus.cases)
    _print_scores(scores_by_style(corpus.cases, observations))
    print(f"\nUnsupported sentences per 100 (numbers, names, addresses, polarity; by rules): {_unsupported_quotes(found):.0f}")
    _print_topic_changes(timbre, found)
    if args.peer:
        _print_peer(corpus, observations, found, args)
    timbre.database.close()


def _squad(home: Path, folder: Path) -> None:
    corpus = squad(folder)
    timbre, found = prepared(corpus, home)
    print(f"## SQuAD, {len(corpus.cases)} questions, as shipped (nothing chosen on it)\n")
    _print_pages(found)
    shipped = [_selection(one, {}) for one in found]
    _print_scores([_plain_score("squad", found, shipped)], with_gate=False)
    print()
    _print_scores(scores_by_style(corpus.cases, _observed(timbre, corpus.cases)))
    timbre.database.close()


def prepared(corpus: Corpus, home: Path) -> tuple[Timbre, list[Found]]:
    timbre = build(Settings(home=home, answer=AnswerSettings(wording="quote")), lambda step: print(f"({step})", file=sys.stderr))
    sources = Sources(timbre.knowledge)
    sources.ingest(sources.describe(str(corpus.folder), "corpus", None), _progress)
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    return timbre, asyncio.run(_find(timbre, corpus.cases, audience))


async def _find(timbre: Timbre, cases: Sequence[Case], audience: Audience) -> list[Found]:
    found = []
    for case in cases:
        retrieval, start = await timbre.engine.find(Question(case.question, audience, turns(case.history)))
        found.append(Found(case, retrieval.query, start, retrieval))
    return found


def _print_topic_changes(timbre: Timbre, found: Sequence[Found]) -> None:
    """Every answerable question that needs no history, asked after one about another page: does the turn before harm it?"""
    rng = random.Random(5)
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    own = [one for one in found if one.case.is_answerable and not one.case.history]
    others = [rng.choice([other.case for other in own if not other.case.pages & one.case.pages]) for one in own]
    cases = [replace(one.case, history=(("user", other.question),)) for one, other in zip(own, others, strict=True)]
    after = asyncio.run(_find(timbre, cases, audience))
    before = mean(is_right(one.case, _observation(one, _selection(one, {}))) for one in own)
    changed = mean(is_right(one.case, _observation(one, _selection(one, {}))) for one in after)
    taken = mean(one.start > 0 for one in after)
    rights = f"right without the gate {changed:.2f}, the same without history {before:.2f}"
    print(f"\nChanges of topic ({len(own)}): taken for a follow-up {taken:.2f}; {rights}")


def _observed(timbre: Timbre, cases: Sequence[Case]) -> list[Observation]:
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    return asyncio.run(run_cases(timbre, cases, audience, "benchmark", _progress))


def out_of_fold(found: Sequence[Found]) -> tuple[list[list[Quote]], list[Observation]]:
    """For each case the quotes, and the gated outcome, under settings and threshold chosen without its fold."""
    folds = np.array([fold_of(one.case) for one in found])
    is_answerable = np.array([one.case.is_answerable for one in found])
    signals = np.array([abstention.signal(one.retrieval) for one in found])
    selections = [[_selection(one, settings) for one in found] for settings in _candidates()]
    values = np.array([[_value(one, selected) for one, selected in zip(found, row, strict=True)] for row in selections])
    chosen: list[list[Quote]] = [[] for _ in found]
    outcomes: list[Observation] = [Observation(Outcome.UNKNOWN, "", (), 0.0) for _ in found]
    for fold in range(FOLDS):
        training = (folds != fold) & is_answerable
        best = int(values[:, training].mean(axis=1).argmax())
        threshold = float(np.quantile(signals[training], GATE_QUANTILE))
        for i in np.flatnonzero(folds == fold).tolist():
            chosen[i] = selections[best][i]
            outcomes[i] = _gated(found[i], chosen[i], float(signals[i]), threshold)
    return chosen, outcomes


def fold_of(case: Case) -> int:
    """By page, so that no page's questions are on both sides."""
    key = min(case.pages) if case.pages else case.id
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % FOLDS


def _candidates() -> list[dict[str, float]]:
    rng = random.Random(1)
    shipped = {name: getattr(quotes, name) for name in SPACE}
    return [FIRST_GUESS, shipped, *({name: rng.choice(values) for name, values in SPACE.items()} for _ in range(CANDIDATES))]


def _selection(one: Found, settings: dict[str, float]) -> list[Quote]:
    shipped = {name: getattr(quotes, name) for name in settings}
    for name, value in settings.items():
        setattr(quotes, name, value)
    parts = [(one.start + first, one.start + last) for first, last in questions.parts(one.query[one.start :])]
    selected = quotes.select(one.retrieval, parts, 3)
    for name, value in shipped.items():
        setattr(quotes, name, value)
    return selected


def _value(one: Found, selected: Sequence[Quote]) -> float:
    """What a selection is chosen by: right, somewhat for the right page first, somewhat against length."""
    seen = _observation(one, selected)
    first = bool(selected) and any(is_same_page(seen.locations[0], page) for page in one.case.pages)
    return is_right(one.case, seen) + 0.3 * first - WORD_PENALTY * max(0, len(seen.text.split()) - 60)


def _observation(one: Found, selected: Sequence[Quote]) -> Observation:
    locations = [quote.passage.document.location for quote in selected]
    return Observation(
        Outcome.ANSWERED, "\n".join(quote.shown for quote in selected), locations, sum(one.retrieval.timings_s.values())
    )


def _gated(one: Found, selected: Sequence[Quote], signal: float, threshold: float) -> Observation:
    if abstention.is_off_limits(one.case.question) or not selected:
        return Observation(Outcome.UNKNOWN, "", (), 0.0)
    if signal >= threshold:
        return _observation(one, selected)
    parts = [(one.start, len(one.query))]
    pages = [quote.passage.document.location for quote in quotes.best_by_page(one.retrieval, parts, 3)]
    return Observation(Outcome.CLOSEST, "", pages, 0.0)


def _plain_score(style: str, found: Sequence[Found], chosen: Sequence[Sequence[Quote]]) -> Score:
    pairs = [
        (one, s) for one, s in zip(found, chosen, strict=True) if one.case.is_answerable and style in (one.case.style, "all")
    ]
    return score(style, [one.case for one, _ in pairs], [_observation(one, selected) for one, selected in pairs])


def _print_pages(found: Sequence[Found]) -> None:
    """Page R@k: the share of answerable questions whose gold page is among the first k pages retrieved."""
    ranks = []
    for one in found:
        pages = list(dict.fromkeys(passage.document.location for passage in one.retrieval.passages))
        hits = [i for i, page in enumerate(pages) if any(is_same_page(page, gold) for gold in one.case.pages)]
        if one.case.is_answerable:
            ranks.append(min(hits, default=99))
    print("Page recall: " + ", ".join(f"R@{k} {mean(rank < k for rank in ranks):.3f}" for k in (1, 3, 5, 10)) + "\n")


def _unsupported_quotes(found: Sequence[Found]) -> float:
    """Of the quoted sentences, those that are not word for word in the passage they cite; per 100."""
    quoted = [quote for one in found for quote in _selection(one, {})]
    return 100 * mean(quote.text not in quote.passage.chunk.text for quote in quoted)


def _print_scores(scores: Sequence[Score], with_gate: bool = True) -> None:
    gated: list[tuple[str, Callable[[Score], object]]] = [
        ("right of answered", lambda s: s.right_of_answered),
        ("cited page gold", lambda s: s.cited_gold),
        ("not answered", lambda s: s.not_answered),
        ("of those, gold page linked", lambda s: s.linked_gold),
    ]
    columns: list[tuple[str, Callable[[Score], object]]] = [
        ("style", lambda s: s.style),
        ("n", lambda s: s.n),
        ("right", lambda s: s.right),
    ]
    columns += gated if with_gate else [("cited page gold", lambda s: s.cited_gold)]
    columns += [("words", lambda s: f"{s.words:.0f}"), ("s p50/p95", lambda s: f"{s.p50_s:.2f}/{s.p95_s:.2f}")]
    print("| " + " | ".join(name for name, _ in columns) + " |")
    print("|" + " --- |" * len(columns))
    for one in scores:
        print("| " + " | ".join(str(value(one)) for _, value in columns) + " |")


def _print_peer(corpus: Corpus, observations: Sequence[Observation], found: Sequence[Found], args: argparse.Namespace) -> None:
    """LlamaIndex on a fixed sample of the answerable questions and the same number of unanswerable ones, beside Timbre."""
    rng = random.Random(3)
    picked = sorted(rng.sample(range(len(corpus.cases)), min(args.peer_sample, len(corpus.cases))))
    rows = _ask_peer(corpus, [corpus.cases[i] for i in picked], args.peer)
    theirs = [Observation(Outcome.ANSWERED, row["text"], row["pages"], row["seconds"]) for row in rows]
    print(
        f"\n### Beside LlamaIndex's default query engine, the same two models: {len(picked)} of {len(corpus.cases)} questions\n"
    )
    cases = [corpus.cases[i] for i in picked]
    _print_scores(scores_by_style(cases, theirs)[-2:])
    print("\nTimbre on the same questions:\n")
    _print_scores(scores_by_style(cases, [observations[i] for i in picked])[-2:])
    print(f"\nLlamaIndex, unsupported sentences per 100, by the same rules: {_unsupported_peer(corpus, rows):.0f}")


def _ask_peer(corpus: Corpus, cases: Sequence[Case], python: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "questions.jsonl"
        file.write_text("\n".join(json.dumps({"id": c.id, "question": c.question, "history": list(c.history)}) for c in cases))
        script = Path(__file__).with_name("peer_llamaindex.py")
        command = [python, str(script), "--corpus", str(corpus.folder), "--questions", str(file), "--models", f"{folder}/models"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def _unsupported_peer(corpus: Corpus, rows: Sequence[dict[str, Any]]) -> float:
    """Of LlamaIndex's sentences, those that none of its source pages supports by our rules; per 100."""
    unsupported, total = 0, 0
    for row in rows:
        pages = [(corpus.folder / page).read_text() for page in row["pages"]]
        for sentence in sentences(row["text"]):
            total += 1
            unsupported += not any(grounding.is_supported(sentence, page, 1.0, "") for page in pages)
    return 100 * unsupported / max(total, 1)


def _progress(what: str, done: int, total: int) -> None:
    if done == total:
        print(f"({what}: {total})", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="Python of the environment with LlamaIndex; without it the peer is left out")
    parser.add_argument("--peer-sample", type=int, default=40, help="questions that LlamaIndex is asked (5 to 15 s each)")
    parser.add_argument("--home", help="keep the indexes in this folder and use them again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
