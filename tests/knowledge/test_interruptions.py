"""An ingestion that ends anywhere is finished by the next one."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from bot.storage.database import Database, sqlite_url
from knowledge.catalogue import Source, text_hash
from knowledge.chunking import chunk_document
from knowledge.documents import EVERYONE, DocumentId
from knowledge.parsing import PARSER_VERSION, parse
from knowledge.ports import GenerationId, IndexEntry
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.rows import IndexRows
from knowledge.vectors import PackedEmbedding
from tests.fakes import HashingEmbedder
from tests.knowledge.library import Library

pytestmark = pytest.mark.both_databases

Write = Callable[..., Path]

LEAVE = "# Annual leave\n\nYou have thirty days of holiday.\n\n## Carry over\n\nUnused days expire in March."
PAY = "# Pay\n\nSalaries arrive on the twentieth."


class Killed(BaseException):
    """Stands for the end of the process."""


class DyingIndex(EmbeddedIndex):
    """The process dies when `lives` documents have been put into the index."""

    def __init__(self, database: Database, lives: int) -> None:
        super().__init__(database, IndexRows(HashingEmbedder.name, HashingEmbedder.dimensions))
        self._lives = lives

    def replace_documents(self, generation: GenerationId, documents: Mapping[DocumentId, Sequence[IndexEntry]]) -> None:
        if len(documents) > self._lives:
            raise Killed
        self._lives -= len(documents)
        super().replace_documents(generation, documents)


def dying(database: Database, lives: int) -> Library:
    return Library(database, index=DyingIndex(database, lives))


def store_without_indexing(library: Library, source: Source, location: str, text: str) -> DocumentId:
    """What a run leaves behind that is killed between storing a document and putting it into the index."""
    document = parse(text.encode(), location)
    chunks = chunk_document(document, library.embedder.count_tokens)
    texts = {text_hash(chunk): chunk.indexed_text for chunk in chunks}
    vectors = {key: PackedEmbedding.pack(library.embedder.embed([indexed])[0]) for key, indexed in texts.items()}
    return library.catalogue.store(source, location, document.title, "hash", PARSER_VERSION, chunks, vectors)


def test_a_document_that_was_stored_and_not_indexed_is_finished_by_the_next_run(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))
    store_without_indexing(library, library.catalogue.source("docs"), "pay.md", PAY)
    before = library.locations("salaries")

    library.ingest(write({"other.md": "# Other\n\nText."}, "other"), name="other")

    assert "pay.md#pay" not in before
    assert library.locations("salaries")[0] == "pay.md#pay"
    assert library.catalogue.waiting() == []


def test_until_then_the_version_before_is_found_and_can_be_read(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    store_without_indexing(library, library.catalogue.source("docs"), "leave.md", LEAVE.replace("March", "June"))

    assert library.texts("unused days expire")[0] == "Unused days expire in March."


def test_a_standard_answer_finishes_what_was_left_behind(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))
    store_without_indexing(library, library.catalogue.source("docs"), "pay.md", PAY)

    library.ingestion.add_standard_answer("x1", "what is a tidebook", "A calendar.", frozenset({EVERYONE}))

    assert library.locations("salaries")[0] == "pay.md#pay"


@pytest.mark.parametrize("lives", [0, 1, 2])
def test_a_first_run_that_dies_is_finished_by_the_next(database: Database, write: Write, lives: int) -> None:
    folder = write({"a.md": LEAVE, "b.md": PAY, "c.md": "# Third\n\nMore text.", "d.md": ""})
    with pytest.raises(Killed):
        dying(database, lives).ingest(folder)

    report = Library(database).ingest(folder)

    assert len(report.failures) == 1
    assert sorted(Library(database).locations("days")) == ["a.md#annual-leave", "a.md#carry-over", "b.md#pay", "c.md#third"]


@pytest.mark.parametrize("lives", [0, 1])
def test_a_change_of_audience_that_dies_is_finished_by_the_next(database: Database, write: Write, lives: int) -> None:
    folder = write({"a.md": LEAVE, "b.md": PAY})
    Library(database).ingest(folder)
    with pytest.raises(Killed):
        dying(database, lives).ingest(folder, ["people team"])

    library = Library(database)
    meanwhile = library.locations("days")
    library.ingest(folder, ["people team"])

    assert meanwhile == []  # a document never shows itself to those who may no longer read it
    assert (library.locations("days"), len(library.locations("days", ["people team"]))) == ([], 3)


@pytest.mark.parametrize("lives", [0, 1])
def test_a_deletion_that_dies_is_finished_by_the_next(database: Database, write: Write, lives: int) -> None:
    folder = write({"a.md": LEAVE, "b.md": PAY, "c.md": "# Third\n\nMore text."})
    Library(database).ingest(folder)
    (folder / "a.md").unlink()
    (folder / "b.md").unlink()
    with pytest.raises(Killed):
        dying(database, lives).ingest(folder)

    library = Library(database)
    library.ingest(folder)

    assert library.locations("days") == ["c.md#third"]


@pytest.mark.parametrize("lives", [0, 1])
def test_a_rebuild_that_dies_leaves_the_live_index_in_place(database: Database, write: Write, lives: int) -> None:
    library = Library(database)
    library.ingest(write({"a.md": LEAVE, "b.md": PAY}))
    before = [passage.chunk_id for passage in library.passages("days")]
    with pytest.raises(Killed):
        dying(database, lives).rebuild()

    during = [passage.chunk_id for passage in library.passages("days")]
    library.rebuild()

    assert during == before == [passage.chunk_id for passage in library.passages("days")]


@pytest.mark.parametrize("lives", [0, 1])
def test_forgetting_that_dies_can_be_repeated(database: Database, write: Write, lives: int) -> None:
    library = Library(database)
    library.ingest(write({"a.md": LEAVE, "b.md": PAY}))
    with pytest.raises(Killed):
        dying(database, lives).forget(library.catalogue.source("docs"))

    library.forget(library.catalogue.source("docs"))

    assert library.catalogue.sources() == []
    assert library.locations("days") == []


# A real process, killed for real

WORDS = [f"{first}{second}" for first in "ba ke li mo nu ra se ti vo zu".split() for second in "dan fel gim hop jut".split()]
PAGES = 150


def make_pages(folder: Path) -> None:
    rng = random.Random(150)
    folder.mkdir()
    for n in range(PAGES):
        sections = [f"## {rng.choice(WORDS)} {i}\n\n{' '.join(rng.choices(WORDS, k=12))}." for i in range(2)]
        (folder / f"page-{n:03}.md").write_text("\n\n".join([f"# Page {n}", *sections]) if n % 40 else "")


def run_job(database: str, folder: Path, kill_at_line: int | None = None) -> bool:
    """Runs the job and kills it when it has printed so many lines; whether it finished."""
    environment = os.environ | {"TMPDIR": str(folder.parent)}
    command = [sys.executable, "-m", "tests.knowledge.ingest_job", database, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2]) as job:
        assert job.stdout
        for number, line in enumerate(job.stdout, 1):
            if number == kill_at_line:
                job.kill()
                break
            if line == "finished\n":
                return True
    return False


def results(database: str) -> list[list[tuple[str, str, float]]]:
    """What some questions find: (location, text, score)."""
    rng = random.Random(151)
    opened = Database(database)
    library = Library(opened)
    found = []
    for _ in range(12):
        passages = library.passages(" ".join(rng.choices(WORDS, k=3)))
        found.append([(passage.location, passage.chunk.text, round(passage.score, 4)) for passage in passages])
    opened.close()
    return found


@pytest.mark.slow
def test_an_ingestion_killed_again_and_again_ends_like_an_undisturbed_one(
    database_url: str, migrated_file: Path, tmp_path: Path
) -> None:
    folder, disturbed, undisturbed = tmp_path / "docs", database_url, sqlite_url(tmp_path / "undisturbed.db")
    make_pages(folder)
    shutil.copyfile(migrated_file, tmp_path / "undisturbed.db")
    rng = random.Random(152)

    killed = [not run_job(disturbed, folder, kill_at_line=line) for line in (1, *rng.sample(range(2, 60), 2))]
    finished = run_job(disturbed, folder)

    whole = Database(undisturbed)
    Library(whole).ingest(folder)
    whole.close()
    assert (killed, finished) == ([True] * 3, True)
    assert results(disturbed) == results(undisturbed)
    opened = Database(disturbed)
    library = Library(opened)
    report = library.ingest(folder)
    assert (report.unchanged, report.changed, report.added, len(report.failures)) == (PAGES, 0, 0, 4)
    opened.close()
