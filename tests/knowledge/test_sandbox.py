"""The parsing sandbox: no file takes the parent down, each failure is a sentence, and the next file is read."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from knowledge.documents import ParsedDocument
from knowledge.errors import ParseFailed
from knowledge.parsing import parse
from knowledge.parsing.sandbox import ParsingSandbox
from tests.conftest import SAMPLES
from tests.knowledge.files import pdf, pdf_bomb, word, zip_bomb
from tests.knowledge.outlines import texts

pytestmark = pytest.mark.slow

GOOD = b"# Leave\n\n30 days."


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ParsingSandbox]:
    with ParsingSandbox() as opened:
        yield opened


def assert_next_file_is_read(sandbox: ParsingSandbox) -> None:
    assert texts(sandbox.parse(GOOD, "leave.md")) == ["30 days."]


def children() -> list[Path]:
    """The /proc folders of this process's parser processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_child = int(folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]) == os.getpid()
            if is_child and b"knowledge.parsing.worker" in folder.joinpath("cmdline").read_bytes():
                found.append(folder)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("path", sorted((SAMPLES / "handbook").rglob("*.*")), ids=lambda path: path.name)
def test_a_file_is_parsed_as_it_is_without_the_sandbox(sandbox: ParsingSandbox, path: Path) -> None:
    parsed: ParsedDocument = sandbox.parse(path.read_bytes(), path.name)

    assert parsed == parse(path.read_bytes(), path.name)


@pytest.mark.parametrize(
    ("location", "data", "reason"),
    [
        ("a.md", b"", "holds no text"),
        ("a.pdf", b"garbage", "broken or is no PDF"),
        ("a.docx", b"garbage", "no Word document"),
        ("a.docx", b"\xd0\xcf\x11\xe0", "encrypted"),
        ("a.docx", zip_bomb(30), "zip bomb"),
    ],
)
def test_a_bad_file_is_refused_with_a_sentence(sandbox: ParsingSandbox, location: str, data: bytes, reason: str) -> None:
    with pytest.raises(ParseFailed, match=reason) as failure:
        sandbox.parse(data, location)

    assert failure.value.reason.endswith((".", "opened."))
    assert_next_file_is_read(sandbox)


@pytest.mark.parametrize("ending", ["md", "html", "txt", "pdf", "docx"])
def test_noise_is_read_or_refused(sandbox: ParsingSandbox, ending: str) -> None:
    import random

    rng = random.Random(ending)
    heads = {"pdf": b"%PDF-1.7\n", "docx": b"PK\x03\x04"}
    for _ in range(5):
        data = heads.get(ending, b"") + rng.randbytes(3000)
        try:
            sandbox.parse(data, f"noise.{ending}")
        except ParseFailed as err:
            assert err.reason.endswith(".")
    assert_next_file_is_read(sandbox)


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_a_damaged_file_is_read_or_refused(sandbox: ParsingSandbox, kind: str) -> None:
    import random

    rng = random.Random(kind)
    good = {
        "pdf": pdf(lambda page: page.paragraph("The rule.")),
        "docx": word(lambda document: document.add_paragraph("The rule.")),
    }[kind]
    for _ in range(3):
        data = bytearray(good)
        for position in rng.sample(range(len(data)), 40):
            data[position] = rng.randrange(256)
        try:
            sandbox.parse(bytes(data), f"damaged.{kind}")
        except ParseFailed as err:
            assert err.reason.endswith(".")
    assert_next_file_is_read(sandbox)


def test_a_pdf_that_inflates_beyond_the_memory_limit_is_refused() -> None:
    bomb = pdf_bomb(inflated_mb=400)

    with ParsingSandbox(memory_bytes=512 * 2**20, cpu_s=5) as sandbox:
        with pytest.raises(ParseFailed, match="memory"):
            sandbox.parse(bomb, "bomb.pdf")
        assert_next_file_is_read(sandbox)

    assert len(bomb) < 2**20


def test_a_file_that_takes_too_long_is_refused() -> None:
    with ParsingSandbox(cpu_s=1) as sandbox:
        with pytest.raises(ParseFailed, match="more than 1 s"):
            sandbox.parse(b"a\n\n" * 3_000_000, "long.txt")
        assert_next_file_is_read(sandbox)


def test_the_cpu_limit_counts_for_each_file() -> None:
    busy = b"a\n\n" * 20_000

    with ParsingSandbox(cpu_s=1) as sandbox:
        parsed = [len(texts(sandbox.parse(busy, "long.txt"))) for _ in range(12)]

    assert parsed == [20_000] * 12


def test_deep_nesting_is_refused_or_read(sandbox: ParsingSandbox) -> None:
    for data, location in [
        (b"<div>" * 20_000 + b"x", "deep.html"),
        (b"> " * 1_000 + b"x", "deep.md"),
        (b"[" * 2_000, "deep.md"),
    ]:
        try:
            sandbox.parse(data, location)
        except ParseFailed as err:
            assert err.reason.endswith(".")
        assert_next_file_is_read(sandbox)


def test_a_small_file_of_each_kind_fits_into_the_smallest_memory_that_may_be_set() -> None:
    files = {
        "a.md": GOOD,
        "a.html": b"<p>Hello.",
        "a.txt": b"Hello.",
        "a.pdf": pdf(lambda page: page.paragraph("Hello.")),
        "a.docx": word(lambda document: document.add_paragraph("Hello.")),
    }

    with ParsingSandbox(memory_bytes=256 * 2**20) as sandbox:
        parsed = {location: sandbox.parse(data, location) for location, data in files.items()}

    assert all(document.sections for document in parsed.values())


@pytest.mark.parametrize("limit", ["RLIMIT_CPU, (600, 600)", f"RLIMIT_AS, ({900 * 2**20}, {900 * 2**20})"])
def test_files_are_parsed_where_the_system_sets_limits_of_its_own(limit: str) -> None:
    script = f"""
import resource
from knowledge.parsing.sandbox import ParsingSandbox
resource.setrlimit(resource.{limit})
with ParsingSandbox() as sandbox:
    print(sandbox.parse({GOOD!r}, "leave.md").title)
"""

    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout

    assert printed == "Leave\n"


def test_a_child_killed_from_outside_is_started_again() -> None:
    with ParsingSandbox() as sandbox:
        assert_next_file_is_read(sandbox)
        os.kill(int(children()[-1].name), signal.SIGKILL)

        with pytest.raises(ParseFailed):
            sandbox.parse(GOOD, "leave.md")

        assert_next_file_is_read(sandbox)


def test_closing_ends_the_child() -> None:
    before = set(children())

    with ParsingSandbox() as sandbox:
        assert_next_file_is_read(sandbox)
        during = set(children())

    assert len(during - before) == 1
    assert set(children()) == before


def test_the_child_holds_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_DATABASE_KEY", "the-key-of-the-database")

    before = set(children())
    with ParsingSandbox() as sandbox:
        assert_next_file_is_read(sandbox)
        environments = [folder.joinpath("environ").read_bytes() for folder in set(children()) - before]

    assert len(environments) == 1
    assert b"the-key-of-the-database" not in environments[0]


def test_a_python_file_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # `python -m` puts the working folder first on the path: a json.py there would run in the child.
    (tmp_path / "json.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)

    with ParsingSandbox() as sandbox:
        assert_next_file_is_read(sandbox)


def test_what_killed_processes_left_behind_is_removed_and_what_others_work_on_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("timbre-parse-left", "timbre-parse-used", "other"):
        (tmp_path / name).write_text("secret")

    with (tmp_path / "timbre-parse-used").open() as used, ParsingSandbox() as sandbox:
        flock(used, LOCK_EX)
        assert_next_file_is_read(sandbox)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "timbre-parse-used"]
