"""Fixtures: a clean environment, a TIMBRE_HOME of one's own, and the product built through its composition root."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from bot.main import Timbre, build
from bot.settings import Settings
from bot.storage.database import Database, sqlite_url
from knowledge.settings import IndexSettings
from tests import services
from tests.fakes import HashingEmbedder

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


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A real, empty SQLite database at the newest schema."""
    path = tmp_path / "timbre.db"
    shutil.copyfile(migrated_file, path)
    opened = Database(sqlite_url(path))
    yield opened
    opened.close()


def administer(server: URL, statement: str) -> None:
    """Runs a statement that no transaction may hold, such as CREATE DATABASE."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[URL]:
    """A Postgres database at the newest schema, to be copied."""
    server = make_url(services.postgres_address())
    template = server.set(database=f"test_{os.getpid()}")
    administer(server, f"CREATE DATABASE {template.database}")
    database = Database(template.render_as_string(hide_password=False))
    database.migrate()
    database.close()
    yield template
    administer(server, f"DROP DATABASE {template.database} WITH (FORCE)")


@pytest.fixture(scope="session")
def database_numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def postgres_url(postgres_template: URL, database_numbers: Iterator[int]) -> Iterator[str]:
    """A Postgres database of the test's own, empty and at the newest schema."""
    name = f"{postgres_template.database}_{next(database_numbers)}"
    administer(postgres_template.set(database="postgres"), f"CREATE DATABASE {name} TEMPLATE {postgres_template.database}")
    yield postgres_template.set(database=name).render_as_string(hide_password=False)
    administer(postgres_template.set(database="postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def weaviate_settings() -> Iterator[IndexSettings]:
    """The Weaviate of `make services`, with a name of the test's own, whose collections go afterwards."""
    found = services.weaviate_settings(f"Test{uuid4().hex}")
    yield found
    services.drop_collections(found)
