"""Questions in seven languages about pages in the same language: the lexical legs carry what an English model does not know.

The pages and questions are our own (multilingual/); the English sample handbook stands beside them.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.knowledge_parts import Knowledge
from bot.main import build_knowledge, open_database
from bot.settings import Settings
from knowledge.documents import EVERYONE, ChunkId
from knowledge.ports import Hit, Legs
from knowledge.retrieval import index_query
from tests.conftest import SAMPLES, silent
from tests.journeys.commands import EMBEDDING

FOLDER = Path(__file__).parent / "multilingual"
LANGUAGES = ("ar", "de", "es", "hi", "ja", "ru", "zh")
QUESTIONS = [json.loads(line) for line in (FOLDER / "questions.jsonl").read_text().splitlines()]
ALL = frozenset({EVERYONE})

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.skipif(not EMBEDDING.exists(), reason="run `timbre setup` first"),
]


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    database = open_database(settings)
    opened = build_knowledge(settings, database, silent)
    for name, place in {"pages": FOLDER, "handbook": SAMPLES / "handbook"}.items():
        opened.ingestion.ingest(name, str(place), ALL, lambda *_: None)
    yield opened
    database.close()


def asked(language: str) -> list[dict[str, str]]:
    return [row for row in QUESTIONS if row["page"].startswith(f"{language}/")]


def pages(knowledge: Knowledge, hits: list[Hit]) -> list[str]:
    """The pages of the hits, best first, each once."""
    ids = [ChunkId(hit.chunk_id) for hit in hits]
    chunks = knowledge.catalogue.chunks(ids)
    return list(dict.fromkeys(chunks[chunk_id][0].location for chunk_id in ids))


def legs(knowledge: Knowledge, question: str) -> Legs:
    return knowledge.index.search(index_query(question, knowledge.embedder.embed([question])[0], ALL))


def test_every_language_has_questions_about_every_page() -> None:
    written = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.md")}

    assert {row["page"] for row in QUESTIONS} == written
    assert {page[:2] for page in written} == set(LANGUAGES) and min(len(asked(one)) for one in LANGUAGES) >= 8


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_character_grams_find_the_right_page(knowledge: Knowledge, language: str) -> None:
    questions = asked(language)

    found = [pages(knowledge, list(legs(knowledge, row["question"]).grams)) for row in questions]

    first = sum(row["page"] == places[0] for row, places in zip(questions, found, strict=True))
    assert first >= 7, [(row["question"], places[:2]) for row, places in zip(questions, found, strict=True)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_retrieval_finds_the_right_page(knowledge: Knowledge, language: str) -> None:
    questions = asked(language)

    found = [knowledge.retriever.retrieve(row["question"], ALL).passages for row in questions]

    places = [list(dict.fromkeys(passage.document.location for passage in passages)) for passages in found]
    first = sum(row["page"] == place[0] for row, place in zip(questions, places, strict=True))
    assert first >= 6, [(row["question"], place[:2]) for row, place in zip(questions, places, strict=True)]
    assert [row["question"] for row, place in zip(questions, places, strict=True) if row["page"] not in place[:3]] == []
