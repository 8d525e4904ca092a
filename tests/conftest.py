"""Fixtures: a clean environment, a TIMBRE_HOME of one's own, and the product built through its composition root."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bot.main import Timbre, build
from bot.settings import Settings
from bot.storage.database import Database, sqlite_url
from knowledge.settings import IndexSettings
from tests import services
from tests.databases import PostgresDatabases
from tests.fakes import HashingEmbedder
from training.inference import SPIN_COUNT

os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # before any test imports torch

SAMPLES = Path(__file__).parent.parent / "samples"
SHARED = Path(__file__).parent.parent.parent / "shared"


def silent(_: str) -> None:
    """A `notify` that tells nobody."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test; anything that reads TIMBRE_HOME gets an empty one."""
    for name in [name for name in os.environ if name.startswith("TIMBRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIMBRE_HOME", str(tmp_path / "home"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def timbre(settings: Settings, embedder: HashingEmbedder) -> Iterator[Timbre]:
    """The product on a real SQLite database, with the hashing embedder."""
    built = build(settings, silent, embedder=embedder)
    yield built
    built.database.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write({"a.md": "# A", ...}) makes a folder of documents and returns it; a second call adds to it."""

    def make(files: dict[str, Any], folder: str = "docs") -> Path:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / folder

    return make


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest schema, to be copied: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("schema") / "migrated.db"
    database = Database(sqlite_url(path))
    database.migrate()
    database.close()
    return path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `both_databases` that use a database run twice."""
    if "database_kind" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        kinds = ["sqlite", pytest.param("postgres", marks=pytest.mark.service)]
        metafunc.parametrize("database_kind", kinds, indirect=True)


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "sqlite")


@pytest.fixture
def new_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if database_kind == "sqlite":
        yield sqlite_url(tmp_path / "timbre.db")
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres")
    url = databases.new()
    yield url
    databases.drop(url)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    """An empty database at the newest schema."""
    if database_kind == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    shutil.copyfile(migrated_file, tmp_path / "timbre.db")
    return sqlite_url(tmp_path / "timbre.db")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A real, empty database at the newest schema; SQLite, or for tests marked `both_databases` each in turn."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres() -> PostgresDatabases:
    """Makes databases on the Postgres of `make services`."""
    return PostgresDatabases(services.postgres_address())


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresDatabases) -> Iterator[str]:
    """A Postgres database at the newest schema, to be copied."""
    url = postgres.new()
    database = Database(url)
    database.migrate()
    database.close()
    yield url
    postgres.drop(url)


@pytest.fixture
def postgres_url(postgres: PostgresDatabases, postgres_template: str) -> Iterator[str]:
    """A Postgres database of the test's own, empty and at the newest schema."""
    url = postgres.new(postgres_template)
    yield url
    postgres.drop(url)


@pytest.fixture
def weaviate_settings() -> Iterator[IndexSettings]:
    """The Weaviate of `make services`, with a name of the test's own, whose collections go afterwards."""
    found = services.weaviate_settings(f"Test{uuid4().hex}")
    yield found
    services.drop_collections(found)
