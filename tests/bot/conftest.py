"""Fixtures of the conversation: a small handbook that is already indexed, with and without a model that words."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.conversation import Exchange, Question
from bot.main import Timbre, build
from bot.settings import Settings
from knowledge.documents import EVERYONE
from tests.conftest import silent
from tests.databases import PostgresDatabases
from tests.fakes import HashingEmbedder, ScriptedModel

ALL = frozenset({EVERYONE})
LEAVE = "# Annual leave\n\nFull-time employees get 27 days of annual leave. Dogs are welcome on Friday.\n"
PARKING = "# Parking\n\n## Where can I park my bicycle?\n\nBicycles park in the harbour shed.\n"


def ingest(timbre: Timbre, folder: Path, *groups: str) -> None:
    """Reads the folder as a source of its name, for these groups or for everyone."""
    timbre.knowledge.ingestion.ingest(folder.name, str(folder), frozenset(groups) or ALL, lambda *_: None)


class Worded:
    """Timbre with a scripted model that words every answer; `says` fills the model's queue, `shown` is what was streamed."""

    def __init__(self, settings: Settings, embedder: HashingEmbedder) -> None:
        self.model = ScriptedModel()
        self.timbre = build(settings, silent, embedder=embedder, language_model=self.model, wording="model")
        self.shown = ""

    def says(self, *answers: str) -> None:
        self.model.answers += answers

    async def ask(self, text: str) -> Exchange:
        def show(piece: str) -> None:
            self.shown += piece

        return await self.timbre.engine.answer(Question(text, ALL), show)


@pytest.fixture
def settings(tmp_path: Path, database_kind: str, request: pytest.FixtureRequest) -> Settings:
    """With a TIMBRE_HOME and a database at the newest schema already, that holds a handbook where the test wants one."""
    home = tmp_path / "home"
    home.mkdir()
    has_handbook = {"handbook", "worded"} & set(request.fixturenames)
    if database_kind == "postgres":
        template = request.getfixturevalue("handbook_template" if has_handbook else "postgres_template")
        databases: PostgresDatabases = request.getfixturevalue("postgres")
        url = databases.new(template)
        request.addfinalizer(lambda: databases.drop(url))
        return Settings(home=home, database_url=url)
    shutil.copyfile(request.getfixturevalue("handbook_file" if has_handbook else "migrated_file"), home / "timbre.db")
    return Settings(home=home)


def read_handbook(settings: Settings, folder: Path) -> None:
    """Makes a database with two documents indexed, to be copied: parsing starts a process and takes a second."""
    (folder / "leave.md").write_text(LEAVE)
    (folder / "parking.md").write_text(PARKING)
    timbre = build(settings, silent, embedder=HashingEmbedder())
    ingest(timbre, folder)
    timbre.knowledge.index.close()
    timbre.database.close()


@pytest.fixture(scope="session")
def handbook_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    settings = Settings.model_construct(home=home)  # a fixture of the session runs before the environment is cleaned
    read_handbook(settings, tmp_path_factory.mktemp("handbook"))
    return home / "timbre.db"


@pytest.fixture(scope="session")
def handbook_template(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresDatabases, postgres_template: str
) -> Iterator[str]:
    url = postgres.new(postgres_template)
    settings = Settings.model_construct(home=tmp_path_factory.mktemp("home"), database_url=url)
    read_handbook(settings, tmp_path_factory.mktemp("handbook"))
    yield url
    postgres.drop(url)


@pytest.fixture
def handbook(settings: Settings, embedder: HashingEmbedder) -> Iterator[Timbre]:
    """Timbre with two documents for everyone, about leave and parking; answers are quotes."""
    built = build(settings, silent, embedder=embedder)
    yield built
    built.knowledge.index.close()
    built.database.close()


@pytest.fixture
def worded(settings: Settings, embedder: HashingEmbedder) -> Iterator[Worded]:
    """The same, with a scripted model that words the answers."""
    made = Worded(settings, embedder)
    yield made
    made.timbre.knowledge.index.close()
    made.timbre.database.close()
