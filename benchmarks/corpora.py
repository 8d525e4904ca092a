"""The corpora and question sets that the benchmarks run on, as folders of documents and cases."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.evaluation import Case, read_cases

SHARED = Path(__file__).resolve().parents[2] / "shared" / "corpora"
SQUAD_QUESTIONS = 300  # half of them impossible
SEED = 7


@dataclass(frozen=True)
class Corpus:
    """A folder of documents and the questions about it."""

    name: str
    folder: Path
    cases: Sequence[Case]


def handbook() -> Corpus:
    """The 18F/TTS handbook with all three question files (258 questions)."""
    files = ("qa", "qa-more", "qa-unanswerable")
    cases = [case for file in files for case in read_cases(SHARED / "handbook" / f"{file}.jsonl")]
    return Corpus("handbook", SHARED / "handbook" / "pages", cases)


def squad(folder: Path, questions: int = SQUAD_QUESTIONS) -> Corpus:
    """SQuAD 2.0 (half of dev): every paragraph a text file below `folder`; a fixed sample of questions, half impossible."""
    articles = json.loads((SHARED / "squad" / "dev-half.json").read_text())["data"]
    cases = []
    for article in articles:
        for number, paragraph in enumerate(article["paragraphs"]):
            location = f"{article['title']}/{number:03}.txt"
            path = folder / location
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(paragraph["context"].replace("\n", " "))
            cases += [_squad_case(question, location) for question in paragraph["qas"]]
    rng = random.Random(SEED)
    sample = [rng.sample([c for c in cases if c.is_answerable is kind], questions // 2) for kind in (True, False)]
    return Corpus("squad", folder, [*sample[0], *sample[1]])


def _squad_case(question: dict[str, object], location: str) -> Case:
    answers = question["answers"]
    assert isinstance(answers, list)
    accept = [sorted({answer["text"] for answer in answers})] if answers else []
    is_answerable = not question["is_impossible"]
    style = "squad" if is_answerable else "impossible"
    return Case(str(question["id"]), str(question["question"]).strip(), (), frozenset({location}), accept, is_answerable, style)
