"""Ingestion does what changed, and only that; what fails is recorded and the rest goes on."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.storage.database import Database
from knowledge.documents import EVERYONE
from knowledge.errors import SourceUnreadable
from knowledge.parsing.sandbox import ParsingSandbox
from tests.knowledge.library import Library, ParsingHere

pytestmark = pytest.mark.both_databases

Write = Callable[..., Path]

LEAVE = "# Annual leave\n\nYou have thirty days of holiday.\n\n## Carry over\n\nUnused days expire in March."
PAY = "# Pay\n\nSalaries arrive on the twentieth."


def test_a_folder_becomes_passages(library: Library, write: Write) -> None:
    report = library.ingest(write({"leave.md": LEAVE, "pay.md": PAY, "photo.png": b"x"}))

    assert library.locations("unused days expire")[0] == "leave.md#carry-over"
    assert (report.added, report.changed, report.unchanged, report.deleted, report.ignored) == (2, 0, 0, 0, 1)
    assert (report.chunks, report.embedded, report.failures) == (3, 3, [])


def test_an_unchanged_folder_costs_nothing(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)
    embedded, before = library.embedder.embedded, library.passages("days")

    report = library.ingest(folder)

    assert (report.added, report.changed, report.unchanged, report.chunks, report.embedded) == (0, 0, 2, 0, 0)
    assert library.embedder.embedded == embedded + 1  # the question
    assert [p.chunk_id for p in library.passages("days")] == [p.chunk_id for p in before]


def test_of_a_changed_page_only_the_changed_chunks_are_embedded(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)

    report = library.ingest(write({"leave.md": LEAVE.replace("March", "June")}))

    assert (report.changed, report.unchanged, report.chunks, report.embedded) == (1, 1, 2, 1)
    assert library.texts("unused days expire")[0] == "Unused days expire in June."
    assert not [text for text in library.texts("unused days expire") if "March" in text]


def test_a_deleted_page_disappears(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)
    (folder / "leave.md").unlink()

    report = library.ingest(folder)

    assert report.deleted == 1
    assert library.locations("holiday") == ["pay.md#pay"]
    assert list(library.catalogue.documents(library.catalogue.source("docs").id)) == ["pay.md"]


def test_a_page_that_comes_back_is_found_again(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)
    (folder / "leave.md").unlink()
    library.ingest(folder)

    report = library.ingest(write({"leave.md": LEAVE}))

    assert (report.added, report.embedded) == (1, 0)
    assert library.locations("unused days expire")[0] == "leave.md#carry-over"


def test_a_moved_file_is_found_at_its_new_place_without_embedding(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)
    (folder / "hr").mkdir()
    (folder / "leave.md").rename(folder / "hr" / "leave.md")

    report = library.ingest(folder)

    assert (report.added, report.deleted, report.embedded) == (1, 1, 0)
    assert library.locations("unused days expire") == ["hr/leave.md#carry-over", "hr/leave.md#annual-leave", "pay.md#pay"]


def test_two_identical_pages_are_both_found_and_embedded_once(library: Library, write: Write) -> None:
    report = library.ingest(write({"a.md": PAY, "b.md": PAY}))

    assert (report.added, report.chunks, report.embedded) == (2, 2, 1)
    assert library.locations("salaries") == ["a.md#pay", "b.md#pay"]


def test_one_of_two_identical_pages_can_go(library: Library, write: Write) -> None:
    folder = write({"a.md": PAY, "b.md": PAY})
    library.ingest(folder)
    (folder / "a.md").unlink()

    library.ingest(folder)
    library.rebuild()

    assert library.locations("salaries") == ["b.md#pay"]


def test_another_audience_reaches_the_index_without_embedding(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE})
    library.ingest(folder)
    chunk_ids = [passage.chunk_id for passage in library.passages("holiday")]

    report = library.ingest(folder, ["people team"])

    assert (report.unchanged, report.embedded) == (1, 0)
    assert library.locations("holiday") == []
    assert [passage.chunk_id for passage in library.passages("holiday", ["people team"])] == chunk_ids


def test_a_page_deleted_while_the_audience_changes_disappears(library: Library, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "pay.md": PAY})
    library.ingest(folder)
    (folder / "leave.md").unlink()

    library.ingest(folder, ["people team"])

    assert library.locations("holiday", [EVERYONE, "people team"]) == ["pay.md#pay"]


def test_a_changed_page_gets_the_new_audience(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    library.ingest(write({"leave.md": LEAVE.replace("thirty", "forty")}), ["people team"])

    assert library.locations("holiday") == []
    assert "forty" in library.texts("thirty forty days of holiday", ["people team"])[0]


def test_a_file_that_fails_is_recorded_and_the_rest_goes_on(library: Library, write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    folder = write({"a.pdf": b"garbage", "b.md": PAY, "c.md": "", "e.md": "# Long\n\n" + "word " * 300_000})
    (folder / "d.md").symlink_to(tmp_path / "secret.md")

    report = library.ingest(folder)

    summary = library.catalogue.summaries()[0]
    assert library.locations("salaries") == ["b.md#pay"]
    assert [location for location, _ in report.failures] == ["a.pdf", "c.md", "d.md", "e.md"]
    assert "MAX_FILE_MB" in dict(report.failures)["e.md"]
    assert (summary.documents, summary.chunks, len(summary.failed)) == (1, 1, 4)
    assert all(document.error.endswith(".") or document.error.endswith(").") for document in summary.failed)


def test_a_failed_file_is_not_tried_again_until_it_changes(library: Library, write: Write) -> None:
    folder = write({"a.md": "", "b.md": PAY})
    library.ingest(folder)

    again = library.ingest(folder)
    fixed = library.ingest(write({"a.md": LEAVE}))

    assert (again.changed, again.unchanged, len(again.failures)) == (0, 2, 1)
    assert (fixed.changed, fixed.failures) == (1, [])
    assert "a.md#carry-over" in library.locations("unused days expire")


def test_a_page_that_breaks_leaves_the_index_until_it_is_fixed(library: Library, write: Write) -> None:
    library.ingest(write({"a.md": LEAVE, "b.md": PAY}))

    library.ingest(write({"a.md": ""}))
    broken = library.locations("holiday")
    library.ingest(write({"a.md": LEAVE}))

    assert broken == ["b.md#pay"]
    assert library.locations("unused days expire")[0] == "a.md#carry-over"


def test_a_limit_that_is_raised_lets_a_file_in(database: Database, write: Write) -> None:
    folder = write({"a.md": "# Long\n\n" + "Many words here. " * 100, "b.md": PAY})
    refused = Library(database, max_file_bytes=1000).ingest(folder)

    report = Library(database, max_file_bytes=10_000).ingest(folder)

    assert (len(refused.failures), report.changed, report.failures) == (1, 1, [])


def test_another_parser_version_reads_everything_again(library: Library, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write({"leave.md": LEAVE, "broken.md": ""})
    library.ingest(folder)
    monkeypatch.setattr("knowledge.ingestion.PARSER_VERSION", "next")

    first, second = library.ingest(folder), library.ingest(folder)

    assert (first.changed, first.embedded, second.changed, second.unchanged) == (2, 0, 0, 2)
    assert len(library.locations("holiday")) == 2


@pytest.mark.parametrize("files", [{}, {"photo.png": "x"}])
def test_a_folder_that_has_nothing_to_read_is_an_error_that_deletes_nothing(
    library: Library, write: Write, tmp_path: Path, files: dict[str, str]
) -> None:
    folder = write({"leave.md": LEAVE})
    library.ingest(folder)
    (folder / "leave.md").unlink()
    write(files)

    with pytest.raises(SourceUnreadable, match="no file that can be read"):
        library.ingest(folder)

    assert len(library.locations("holiday")) == 2
    assert "no file that can be read" in library.catalogue.source("docs").error


def test_a_place_that_is_not_there_leaves_no_source_behind(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable):
        library.ingest(tmp_path / "nowhere")

    assert library.catalogue.sources() == []


def test_a_source_that_can_be_read_again_has_no_error(library: Library, write: Write, tmp_path: Path) -> None:
    folder = write({"leave.md": LEAVE})
    library.ingest(folder)
    with pytest.raises(SourceUnreadable):
        library.ingest(tmp_path / "nowhere")

    library.ingest(folder)

    source = library.catalogue.source("docs")
    assert (source.error, source.place, source.read_at is not None) == ("", str(folder), True)


def test_sources_keep_to_themselves(library: Library, write: Write) -> None:
    library.ingest(write({"a.md": LEAVE}, "one"), name="one")
    library.ingest(write({"a.md": PAY}, "two"), ["people team"], name="two")

    library.ingest(write({"b.md": PAY}, "one"), name="one")

    assert library.locations("salaries") == ["b.md#pay", "a.md#annual-leave", "a.md#carry-over"]
    assert library.locations("salaries", ["people team"]) == ["a.md#pay"]


@pytest.mark.slow
def test_many_files_are_read_in_groups(library: Library, write: Write) -> None:
    files = {f"page-{n:03}.md": f"# Page {n}\n\nThe code of page {n} is code{n}." for n in range(130)}

    report = library.ingest(write(files))

    assert (report.added, report.chunks, report.embedded) == (130, 130, 130)
    assert [library.locations(f"code{n}")[0] for n in (0, 63, 64, 129)] == [f"page-{n:03}.md#page-{n}" for n in (0, 63, 64, 129)]


@pytest.mark.slow
def test_progress_counts_every_file_once(library: Library, write: Write) -> None:
    seen: list[tuple[str, int, int]] = []
    files = {f"page-{n:03}.md": f"Page {n}." if n % 10 else "" for n in range(70)}

    library.ingestion.ingest("docs", str(write(files)), frozenset([EVERYONE]), lambda *step: seen.append(step))

    steps = [(done, total) for what, done, total in seen if what.startswith("reading ")]
    assert steps[-1] == (70, 70)
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_a_file_name_that_is_no_unicode_does_not_end_the_run(library: Library, write: Write) -> None:
    import os

    folder = write({"pay.md": PAY})
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.md"), "wb") as file:
        file.write(b"# Coffee")

    report = library.ingest(folder)

    assert library.locations("salaries") == ["pay.md#pay"]
    assert len(report.failures) == 1


def test_a_title_that_no_database_stores_does_not_end_the_run(library: Library, write: Write) -> None:
    library.ingest(write({"a.md": '---\ntitle: "A\\ud800"\n---\nSalaries arrive.', "pay.md": PAY}))

    assert sorted(library.locations("salaries")) == ["a.md", "pay.md#pay"]


def test_a_failed_file_is_tried_again_only_when_the_limits_have_changed(database: Database, write: Write) -> None:
    folder = write({"leave.md": LEAVE, "empty.md": ""})
    Library(database).ingest(folder)

    same = Library(database).ingest(folder)
    raised = Library(database, sandbox=lambda: ParsingHere(cpu_s=60)).ingest(folder)

    assert (same.changed, same.unchanged) == (0, 2)
    assert (raised.changed, raised.unchanged, len(raised.failures)) == (1, 1, 1)


@pytest.mark.slow
def test_a_fault_of_this_machine_is_no_fault_of_the_file(
    database: Database, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A full or missing temporary folder made every changed file "unreadable", and its indexed version went.
    Library(database).ingest(write({"leave.md": LEAVE}))
    changed = write({"leave.md": LEAVE.replace("thirty", "forty")})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))

    library = Library(database, sandbox=ParsingSandbox)
    with pytest.raises(FileNotFoundError):
        library.ingest(changed)

    assert "You have thirty days of holiday." in library.texts("holiday")
    assert [summary.failed for summary in library.catalogue.summaries()] == [[]]
