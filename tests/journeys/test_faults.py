"""What breaks around Timbre, through the real executable: each fault gets a sentence, nothing is lost, the process goes on."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlcipher3.dbapi2 as sqlcipher

from tests.journeys.commands import EMBEDDING, TIMBRE, Run, environment, refusal

LEAVE = "# Annual leave\n\nFull-time employees get 27 days of annual leave.\n"
QUESTION = "How many days of annual leave do I get?"
BULK = 40  # pages: enough for an ingestion to be in the middle of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.skipif(not EMBEDDING.exists(), reason="run `timbre setup` first"),
]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `docs` and the TIMBRE_HOME `home` that they are indexed in; not to be changed."""
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "docs").mkdir()
    (folder / "docs" / "leave.md").write_text(LEAVE)
    assert Run(folder / "home", "ingest", folder / "docs").status == 0
    return folder


@pytest.fixture
def home(indexed: Path, tmp_path: Path) -> Path:
    """A TIMBRE_HOME of one's own with an index."""
    return Path(shutil.copytree(indexed / "home", tmp_path / "own"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def many_pages(folder: Path) -> Path:
    """A folder whose index needs more than four MiB."""
    folder.mkdir()
    for number in range(BULK):
        sections = [f"## Part {part}\n\n" + f"Page {number} says in part {part} what holds there. " * 12 for part in range(4)]
        (folder / f"{number}.md").write_text("\n\n".join([f"# Page {number}", *sections]))
    return folder


def listen_to_ctrl_c() -> None:
    """A shell that runs the tests in the background has told them, and all that they start, to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_conversation_goes_on_after_any_line(home: Path) -> None:
    lines = {
        b"x" * 1_000_000: "1,000,000 characters",
        "😀🎉".encode(): "only answer questions in words",
        b"?!... --": "only answer questions in words",
        b"annual \xff\xfe leave days": "27 days",
        "how many days of annual le\u200bave\u202e do I get\u202c?".encode(): "27 days",
        b"how many \x00days\x07 of annual leave?": "27 days",
        b"``` annual leave ```": "27 days",
        b"/fix " + b"\xed\xa0\x80": "what would have been right",
    }

    run = subprocess.run(
        [str(TIMBRE), "chat"],
        input=b"\n".join(lines) + b"\n",
        capture_output=True,
        timeout=120,
        env=environment(home),
        check=False,
    )

    shown = run.stdout.decode()
    assert (run.returncode, run.stderr) == (0, b"")
    assert {sentence: shown.count(sentence) for sentence in lines.values()} == {
        sentence: list(lines.values()).count(sentence) for sentence in lines.values()
    }
    assert shown.endswith("Bye!\n")


def test_half_surrogates_in_a_file_of_questions_come_back_as_they_were(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": "\\ud800", "question": "days \\ud800 of annual \\u0000 leave?"}\n{"id": 2, "question": "😀"}\n')

    run = Run(home, "ask", "--batch", file)

    first, second = (json.loads(line) for line in run.out.splitlines())
    assert (run.status, first["id"], first["outcome"], second["outcome"]) == (0, "\ud800", "answered", "error")


def test_a_broken_line_does_not_end_a_search_and_is_told_with_its_number(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": 1, "question": "leave"}\n{broken\n{"id": 3, "question": ""}\n{"id": 4, "question": "days"}\n')

    run = Run(home, "search", "--batch", file)

    assert (run.status, [json.loads(line)["id"] for line in run.out.splitlines()]) == (1, [1, 4])
    assert "line 2 is no JSON" in run.err and "line 3: Your question is empty" in run.err and "Traceback" not in run.err


@pytest.mark.parametrize(("command", "status"), [(["chat"], 0), (["forget", "docs"], 1)])
def test_closed_input_is_the_end_of_input(home: Path, command: list[str], status: int) -> None:
    line = f'exec "{TIMBRE}" {" ".join(command)} <&-'

    run = subprocess.run(["sh", "-c", line], env=environment(home), capture_output=True, text=True, timeout=120, check=False)

    assert (run.returncode, "rash" in run.stderr, "Traceback" in run.stderr) == (status, False, False)
    assert [source["name"] for source in Run(home, "sources", "--json").json] == ["docs"]


@pytest.mark.parametrize("command", ["search leave --json", "settings"])
@pytest.mark.parametrize(("target", "sentence"), [("/dev/full", "The disk is full"), ("&-", "")])
def test_output_that_cannot_be_written_is_no_crash(home: Path, command: str, target: str, sentence: str) -> None:
    line = f'exec "{TIMBRE}" {command} >{target}'

    run = subprocess.run(["sh", "-c", line], env=environment(home), capture_output=True, text=True, timeout=120, check=False)

    assert (run.returncode, "crash" in run.stderr) == (1 if sentence else 0, False)
    assert run.stderr.startswith(sentence) and bool(run.stderr) == bool(sentence)


def test_output_that_nobody_reads_any_more_ends_the_command_silently(home: Path) -> None:
    command = [str(TIMBRE), "search", "leave", "--json"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(home)) as run:
        assert run.stdout and run.stderr
        run.stdout.close()
        complaint = run.stderr.read()

    assert (complaint, run.returncode) == (b"", 1)


def test_ctrl_c_leaves_a_chat_that_waits_for_a_line(home: Path) -> None:
    command, pipe = [str(TIMBRE), "chat"], subprocess.PIPE

    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment(home), preexec_fn=listen_to_ctrl_c
    ) as chat:
        assert chat.stdin and chat.stdout and chat.stderr
        assert chat.stdout.readline().startswith("Ask anything")
        chat.stdin.write(f"{QUESTION}\n")
        chat.stdin.flush()
        while "leave.md" not in chat.stdout.readline():
            pass
        chat.send_signal(signal.SIGINT)
        status, complaint = chat.wait(timeout=30), chat.stderr.read()

    assert (status, complaint) == (130, "")


@pytest.mark.parametrize("task", ["ingest", "reindex"])
def test_ctrl_c_ends_a_long_command_and_the_next_run_completes_it(home: Path, tmp_path: Path, task: str) -> None:
    pages = many_pages(tmp_path / "pages")
    if task == "reindex":
        assert Run(home, "ingest", pages).status == 0
        for page in pages.iterdir():
            page.write_text(page.read_text().replace("says", "tells"))
    command = [task, str(pages)] if task == "ingest" else [task]

    with subprocess.Popen(
        [str(TIMBRE), *command], env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=listen_to_ctrl_c,
    ) as run:  # fmt: skip
        assert run.stderr
        run.stderr.read(1)  # the first line of progress
        run.send_signal(signal.SIGINT)
        _, complaint = run.communicate(timeout=60)

    assert (run.returncode, "Traceback" in complaint) == (130, False)
    assert Run(home, *command).status == 0
    again = Run(home, "ingest", pages)
    assert f"0 new, 0 changed, {BULK} unchanged" in again.out and " 0 embedded" in again.out


def test_a_full_disk_is_told_and_what_was_done_stays(small_disk: Path, tmp_path: Path) -> None:
    home, pages = small_disk / "home", many_pages(tmp_path / "pages")

    full = Run(home, "ingest", pages)
    found = Run(home, "search", "what holds in part 3", "--json")
    (tmp_path / "larger").mkdir()
    moved = Path(shutil.copytree(home, tmp_path / "larger" / "home"))
    completed = Run(moved, "ingest", pages)

    assert (full.status, "disk is full" in full.err, "Traceback" in full.err) == (1, True, False), full.err
    assert "Traceback" not in found.err
    assert completed.status == 0
    assert [source["chunks"] for source in Run(moved, "sources", "--json").json] == [4 * BULK]


def test_a_disk_that_may_only_be_read_is_told(home: Path, small_disk: Path) -> None:
    own = Path(shutil.copytree(home, small_disk / "home"))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    sentences = [refusal(Run(own, *command)) for command in (["sources"], ["ask", QUESTION])]

    assert all("may not be written to; set TIMBRE_HOME" in sentence for sentence in sentences)


@pytest.mark.parametrize(("start", "sentence"), [(0, "it is no Timbre database"), (3 * 4096, "it is damaged; restore it")])
def test_a_damaged_database_is_told(home: Path, start: int, sentence: str) -> None:
    path = home / "timbre.db"
    data = path.read_bytes()
    path.write_bytes(data[:start] + b"\xaa" * (len(data) - start))

    assert sentence in refusal(Run(home, "sources"))
    doctor = Run(home, "doctor")
    assert (doctor.status, sentence in doctor.out) == (1, True)


def test_readers_do_not_wait_for_a_process_that_writes(home: Path) -> None:
    def read() -> tuple[Run, Run, float]:
        began = time.monotonic()
        found, listed = Run(home, "search", "leave", "--json"), Run(home, "sources", "--json")
        return found, listed, time.monotonic() - began

    *_, undisturbed_s = read()
    writer = sqlcipher.connect(str(home / "timbre.db"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    found, listed, took_s = read()

    writer.close()
    assert (len(found.json), [source["name"] for source in listed.json]) == (1, ["docs"])
    assert took_s - undisturbed_s < 25  # a writer would have waited for 30 s


def test_a_missing_embedding_model_is_named_with_its_setting(home: Path) -> None:
    sentence = refusal(Run(home, "search", "leave", TIMBRE_EMBEDDING__MODEL="/no/such", TIMBRE_EMBEDDING__RUNTIME="torch"))

    assert "Cannot load the embedding model '/no/such'" in sentence and "set TIMBRE_EMBEDDING__MODEL" in sentence


def test_without_the_language_model_the_quotes_are_the_answer(home: Path) -> None:
    run = Run(home, "ask", QUESTION, TIMBRE_MODEL__ID="/no/such", TIMBRE_ANSWER__WORDING="model")

    assert (run.status, "27 days" in run.out, "Traceback" in run.err) == (0, True, False)
    assert run.err.count("Cannot load the language model '/no/such'") == 1 and "set TIMBRE_MODEL__ID" in run.err
