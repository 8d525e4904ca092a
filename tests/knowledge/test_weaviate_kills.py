"""The server of the index is killed with -9 at random moments: of an ingestion, of questions, of a swap.

KILLS=20 makes it twenty kills each (`make faults`); the suite makes two.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from bot.storage.database import Database
from knowledge.documents import EVERYONE
from knowledge.settings import IndexSettings
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.fallback import FallbackIndex
from knowledge.stores.rows import IndexRows
from knowledge.stores.weaviate import WeaviateIndex
from knowledge.verification import verify
from tests.fakes import HashingEmbedder
from tests.knowledge.library import Library
from tests.servers import WeaviateServer, private_weaviate

pytestmark = [pytest.mark.service, pytest.mark.slow]

KILLS = int(os.environ.get("KILLS", "2"))
PAGES = 60
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split()
READERS = frozenset({EVERYONE})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateServer]:
    with private_weaviate(tmp_path_factory.mktemp("weaviate")) as started:
        yield started


@pytest.fixture
def library(database: Database, server: WeaviateServer) -> Iterator[Library]:
    """A library on the server, which falls back on the copy in the database."""
    rows = IndexRows(HashingEmbedder.name, HashingEmbedder.dimensions)
    settings = IndexSettings(kind="weaviate", url=server.url, grpc_port=server.grpc_port, api_key=SecretStr(server.api_key))
    index = WeaviateIndex(database, rows, settings)
    fallback = FallbackIndex(index, EmbeddedIndex(database, rows), lambda: None)
    with closing(fallback):
        yield Library(database, index=fallback)


class Asker:
    """Asks in a thread of its own, again and again; keeps what was wrong with an answer and how many were right."""

    def __init__(self, library: Library, problem_of: Callable[[set[str]], str]) -> None:
        self._library = library
        self._problem_of = problem_of
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.problems: list[str] = []
        self.asked = self.reduced = 0

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._is_done.is_set():
            try:
                retrieval = self._library.retriever.retrieve("edition alpha", READERS, limit=30)
            except Exception as err:
                self.problems.append(f"no answer: {err!r}")
                continue
            self.asked += 1
            self.reduced += retrieval.is_reduced
            if problem := self._problem_of({passage.chunk.text for passage in retrieval.passages}):
                self.problems.append(problem)


@contextmanager
def killed_within(server: WeaviateServer, seconds: float) -> Iterator[None]:
    """The server dies at that moment of the block and is started again at once; at the end of the block it is up."""

    def kill_and_start() -> None:
        server.kill_9()
        server.start()

    timer = threading.Timer(seconds, kill_and_start)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def write(folder: Path, edition: int) -> Path:
    """Every page in that edition, in words of its own."""
    folder.mkdir(exist_ok=True)
    for page in range(PAGES):
        rng = Random(f"{edition} {page}")
        text = f"# Page {page}\n\n" + "\n\n".join(
            f"## Part {part}\n\nThis is edition {edition} alpha of page {page}: {' '.join(rng.choices(WORDS, k=30))}."
            for part in range(3)
        )
        (folder / f"{page:02}.md").write_text(text)
    return folder


def of_whole_pages(texts: set[str]) -> str:
    """What is wrong with the passages found: none at all, or two editions of one page."""
    editions: dict[str, set[str]] = {}
    for text in texts:
        words = text.split("This is edition ")[-1].split()
        editions.setdefault(words[4], set()).add(words[0])
    mixed = {page: found for page, found in editions.items() if len(found) > 1}
    return f"mixed: {mixed}" if mixed else "nothing found" if not texts else ""


def difference_from_now(library: Library) -> Callable[[set[str]], str]:
    """What is wrong with the passages found, if they are others than those found now."""
    expected = {p.chunk.text for p in library.retriever.retrieve("edition alpha", READERS, limit=30).passages}
    return lambda texts: "" if texts == expected else f"other passages: {texts ^ expected}"


def is_whole(library: Library) -> bool:
    """The index and its copy hold exactly what the catalogue does."""
    assert isinstance(library.index, FallbackIndex)
    return verify("index", library.index, library.catalogue, lambda *_: None).is_whole


def test_a_server_killed_while_it_takes_documents(library: Library, server: WeaviateServer, tmp_path: Path) -> None:
    library.ingest(write(tmp_path / "docs", edition=0))
    rng = Random(1)

    with Asker(library, of_whole_pages) as asker:
        for edition in range(1, KILLS + 1):
            folder = write(tmp_path / "docs", edition)
            with killed_within(server, rng.uniform(0, 1.5)):
                library.ingest(folder)
            assert is_whole(library)

    assert asker.problems == []
    assert asker.asked > KILLS
    print(f"{KILLS} kills during ingestion: {asker.asked} questions, {asker.reduced} by reduced search")  # noqa: T201


def test_a_server_killed_while_it_is_asked(library: Library, server: WeaviateServer, tmp_path: Path) -> None:
    library.ingest(write(tmp_path / "docs", edition=0))
    differs, rng = difference_from_now(library), Random(2)

    with Asker(library, differs) as asker, Asker(library, differs) as other:
        for _ in range(KILLS):
            with killed_within(server, rng.uniform(0.2, 1)):
                pass

    assert asker.problems + other.problems == []
    assert asker.reduced
    assert is_whole(library)
    print(f"{KILLS} kills during questions: {asker.asked + other.asked} asked, {asker.reduced + other.reduced} by reduced search")  # noqa: T201


def test_a_server_killed_while_generations_are_swapped(library: Library, server: WeaviateServer, tmp_path: Path) -> None:
    library.ingest(write(tmp_path / "docs", edition=0))
    differs, rng = difference_from_now(library), Random(3)

    with Asker(library, differs) as asker:
        for _ in range(KILLS):
            with killed_within(server, rng.uniform(0, 2)):
                library.rebuild()
            assert is_whole(library)

    assert asker.problems == []
    print(f"{KILLS} kills during rebuilds: {asker.asked} questions, {asker.reduced} by reduced search")  # noqa: T201
