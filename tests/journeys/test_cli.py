"""The command line as people run it: the real executable, the real embedding model, a TIMBRE_HOME of its own."""

import json
import os
import pty
import select
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from tests.conftest import SAMPLES
from tests.journeys.commands import EMBEDDING, TIMBRE, Run, environment, refusal

LEAVE = "# Annual leave\n\nFull-time employees get 27 days of annual leave.\n\nPart-time employees get a share of it.\n"
PAY = "# Pay\n\n## When is payday?\n\nPayday is the 26th of each month.\n"
RAISES = "# Raises\n\nThe raise budget for next year is 4 percent.\n"
QUESTION = "How many days of annual leave do I get?"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.skipif(not EMBEDDING.exists(), reason="run `timbre setup` first"),
]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with TIMBRE_HOME `home`, in which `docs` (for everyone, one file broken) and `hr` (for hr) are indexed."""
    folder = tmp_path_factory.mktemp("company")
    for name, content in {
        "docs/leave.md": LEAVE,
        "docs/pay.md": PAY,
        "docs/scan.pdf": "%PDF-1.7 broken",
        "hr/raises.md": RAISES,
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    first = Run(folder / "home", "ingest", folder / "docs")
    assert first.status == 0 and "3 new" in first.out and "scan.pdf:" in first.out, first.err
    assert Run(folder / "home", "ingest", folder / "hr", "--audience", "hr").status == 0
    return folder


@pytest.fixture
def timbre(company: Path) -> Callable[..., Run]:
    """timbre(*arguments, **environment) runs a command that leaves the company as it is."""

    def run(*arguments: str | Path, **environment: str) -> Run:
        return Run(company / "home", *arguments, **environment)

    return run


def test_the_second_ingestion_embeds_nothing(timbre: Callable[..., Run], company: Path) -> None:
    again = timbre("ingest", company / "docs")

    assert again.status == 0
    assert "docs: 0 new, 0 changed, 3 unchanged, 0 deleted; 0 chunks written, 0 embedded" in again.out


def test_an_answer_as_json_has_its_values(timbre: Callable[..., Run], company: Path) -> None:
    answer = timbre("ask", QUESTION, "--json").json

    assert set(answer) == {
        "outcome", "text", "citations", "exchange_id", "release", "model", "signal", "wording", "timings",
        "reduced_search",
    }  # fmt: skip
    assert (answer["outcome"], answer["wording"]) == ("answered", "")
    assert answer["text"].startswith("> Full-time employees get 27 days of annual leave. [1]")
    first = answer["citations"][0]
    assert (first["number"], first["document"], first["source"]) == (1, "Annual leave", "docs")
    assert first["location"].startswith("leave.md") and first["address"] == str(company / "docs" / "leave.md")
    assert 0 < answer["signal"] <= 1 and answer["timings"]["total"] < 30


def test_an_answer_for_people_shows_quote_and_page(timbre: Callable[..., Run]) -> None:
    answer = timbre("ask", QUESTION)

    assert answer.status == 0
    assert "● Answer" in answer.out and "27 days" in answer.out and "[1] Annual leave" in answer.out


def test_in_a_terminal_each_line_has_a_prompt_and_ctrl_d_leaves(company: Path) -> None:
    ours, theirs = pty.openpty()
    command, settings = [str(TIMBRE), "chat"], environment(company / "home", TERM="dumb")

    with (
        open(ours, "r+b", buffering=0) as terminal,
        subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=settings) as chat,
    ):
        os.close(theirs)
        greeting = read_to(terminal, "› ")
        terminal.write(f"{QUESTION}\n".encode())
        answer = read_to(terminal, "› ")
        terminal.write(b"/timbre who-am-i\n")
        who = read_to(terminal, "› ")
        terminal.write(b"\x04")
        end = read_to(terminal, "Bye!")

    assert greeting.startswith("Ask anything about your documents.")
    assert "27 days of annual leave. [1]" in answer and "leave.md" in answer
    assert "Role: admin. Groups: everyone, hr." in who
    assert (end.strip(), chat.returncode) == ("Bye!", 0)


def read_to(terminal: IO[bytes], end: str) -> str:
    """What the terminal shows up to and with these words; TimeoutError when they do not come."""
    shown = b""
    while not shown.decode(errors="ignore").endswith(end):
        if not select.select([terminal], [], [], 60)[0]:
            raise TimeoutError(shown)
        shown += terminal.read(1)
    return shown.decode()


def test_a_file_of_questions_is_answered_line_by_line(timbre: Callable[..., Run], tmp_path: Path) -> None:
    follow_up = {"id": 4, "question": "And for part-time?", "history": [["user", QUESTION], ["assistant", "27 days."]]}
    lines = [
        json.dumps({"id": "a", "question": "When is payday?"}),
        "{broken",
        '{"id": "c", "question": ""}',
        json.dumps(follow_up),
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))

    run = timbre("ask", "--batch", tmp_path / "questions.jsonl")

    answers = [json.loads(line) for line in run.out.splitlines()]
    assert run.status == 0
    assert [(a["id"], a["outcome"]) for a in answers] == [("a", "answered"), (None, "error"), ("c", "error"), (4, "answered")]
    assert "26th" in answers[0]["text"] and "line 2" in answers[1]["text"] and "empty" in answers[2]["text"]
    assert answers[3]["citations"][0]["location"].startswith("leave.md")


def test_a_search_lists_passages_with_scores(timbre: Callable[..., Run]) -> None:
    passages = timbre("search", "payday", "-k", "2", "--json").json

    assert [passage["rank"] for passage in passages] == [1, 2]
    assert passages[0]["document"] == "Pay" and "26th" in passages[0]["text"]
    assert 0 <= passages[1]["score"] <= passages[0]["score"] <= 1


def test_sources_name_readers_and_the_reason_of_a_broken_file(timbre: Callable[..., Run]) -> None:
    docs, hr = timbre("sources", "--json").json

    assert (docs["name"], docs["audience"], docs["documents"]) == ("docs", ["everyone"], 2)
    assert [failed["location"] for failed in docs["failed"]] == ["scan.pdf"] and docs["failed"][0]["reason"]
    assert (hr["name"], hr["audience"], hr["failed"]) == ("hr", ["hr"], [])


def test_what_is_for_hr_is_not_read_by_sales(timbre: Callable[..., Run]) -> None:
    question = "What is the raise budget for next year?"

    for_hr, for_sales = (timbre("ask", question, "--json", "--audience", group) for group in ("hr", "sales"))

    assert for_hr.json["outcome"] == "answered" and "4 percent" in for_hr.json["text"]
    assert for_sales.json["outcome"] != "answered" and "percent" not in for_sales.out
    assert "No document names the group 'sales'." in for_sales.err


def test_a_dry_run_changes_nothing_and_shows_every_name(timbre: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "[draft] plan.md").write_text("# Plan\n\nText.")

    run = timbre("ingest", tmp_path / "new", "--dry-run")

    assert "new: 1 new" in run.out and "nothing was done" in run.out and "+ [draft] plan.md" in run.out
    assert [source["name"] for source in timbre("sources", "--json").json] == ["docs", "hr"]


def test_the_doctor_is_content_and_so_is_its_exit_status(timbre: Callable[..., Run]) -> None:
    run = timbre("doctor")

    assert (run.status, "✗" in run.out) == (0, False), run.out
    assert "1 files failed" in run.out and "not encrypted" in run.out


def test_settings_hide_secrets(timbre: Callable[..., Run]) -> None:
    run = timbre("settings", TIMBRE_MODEL__API_KEY="hunter2")

    assert (run.status, "hunter2" in run.out, "(set, hidden)" in run.out) == (0, False, True)


def test_a_source_is_rebuilt_and_forgotten(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "manuals"
    folder.mkdir()
    (folder / "pay.md").write_text(PAY)
    assert Run(home, "ingest", folder).status == 0

    rebuilt = Run(home, "reindex")
    not_confirmed = Run(home, "forget", "manuals")
    forgotten = Run(home, "forget", "manuals", "--yes")

    assert "0 embedded" in rebuilt.out and "The new index holds 1 chunks and is in use." in rebuilt.out
    assert not_confirmed.status == 1 and "Forgot manuals: 1 documents." in forgotten.out
    assert Run(home, "sources", "--json").json == [] and (folder / "pay.md").exists()


def test_the_sample_questions_are_answered_from_the_sample_handbook(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert Run(home, "ingest", SAMPLES / "handbook").status == 0

    scores = {score["style"]: score for score in Run(home, "eval", SAMPLES / "questions.jsonl", "--json").json}

    right, unanswerable = scores["answerable"]["right"], scores["unanswerable"]
    assert right["count"] / right["n"] >= 0.7
    assert unanswerable["not_answered"]["count"] / unanswerable["n"] >= 0.7


def test_before_anything_is_indexed_the_doctor_says_what_to_do(tmp_path: Path) -> None:
    doctor = Run(tmp_path / "home", "doctor")

    assert doctor.status == 1 and "nothing is indexed" in doctor.out and "timbre ingest FOLDER" in doctor.out


def test_a_home_that_is_a_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")

    assert "set TIMBRE_HOME" in refusal(Run(tmp_path / "home", "sources"))


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["sources"], {"TIMBRE_LOG_LEVLE": "INFO"}, "Did you mean TIMBRE_LOG_LEVEL?"),
        (["ingest", "no/such/folder"], {}, "there is no such file or folder"),
        (["ask", "--batch", "no-such.jsonl"], {}, "no-such.jsonl cannot be read"),
        (["forget", "nope", "--yes"], {}, "There is no source named 'nope'. Known sources: docs, hr."),
        (["ask", ""], {}, "Your question is empty"),
        (["sources"], {"TIMBRE_DATABASE_URL": "nonsense"}, "TIMBRE_DATABASE_URL"),
        (["sources"], {"TIMBRE_DATABASE_KEY": "wrong"}, "TIMBRE_DATABASE_KEY is not the key"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(
    timbre: Callable[..., Run], arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    assert sentence in refusal(timbre(*arguments, **environment))
