"""Sources as an administrator sees them, and the files of questions that are answered in order."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.audiences import audience_at_terminal
from bot.batch import answer_lines
from bot.doctor import examine
from bot.errors import CommandRejected
from bot.evaluating import run_cases
from bot.evaluation import Case
from bot.main import Timbre, open_home
from bot.settings import Settings
from bot.sources import Planned, Sources, summary_object
from knowledge.documents import EVERYONE
from knowledge.errors import IndexUnavailable, SourceUnreadable, UnknownSource
from tests.bot.conftest import ALL, Worded

QUESTION = "How many days of annual leave do full-time employees get?"
HR = frozenset({"hr"})


def quiet(what: str, done: int, total: int) -> None:
    """A progress that shows nothing."""


@pytest.fixture
def sources(handbook: Timbre) -> Sources:
    return Sources(handbook.knowledge)


def test_a_new_place_is_named_after_its_folder_and_is_for_everyone(sources: Sources, tmp_path: Path) -> None:
    assert sources.describe(str(tmp_path / "manuals"), None, None) == Planned("manuals", str(tmp_path / "manuals"), ALL)


@pytest.mark.slow
def test_a_place_that_was_read_before_keeps_its_name_and_readers(sources: Sources, write: Callable[..., Path]) -> None:
    folder = write({"a.md": "# A\n\nText."}, "manuals")
    sources.ingest(sources.describe(str(folder), "own-name", HR), quiet)

    assert sources.describe(str(folder), None, None) == Planned("own-name", str(folder), HR)


@pytest.mark.slow
def test_another_folder_of_a_taken_name_gets_a_number(sources: Sources, write: Callable[..., Path], tmp_path: Path) -> None:
    sources.ingest(sources.describe(str(write({"a.md": "# A\n\nText."}, "manuals")), None, None), quiet)

    assert sources.describe(str(tmp_path / "other" / "manuals"), None, None).name == "manuals-2"


def test_the_name_of_the_corrections_is_taken(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(CommandRejected, match="choose another name"):
        sources.describe(str(tmp_path), "standard-answers", None)

    assert sources.describe(str(tmp_path / "standard-answers"), None, None).name == "standard-answers-2"


@pytest.mark.slow
def test_a_plan_says_what_would_be_done_and_does_nothing(sources: Sources, handbook: Timbre, write: Callable[..., Path]) -> None:
    folder = write({"a.md": "# A\n\nText.", "b.md": "# B\n\nText."}, "manuals")
    planned = sources.describe(str(folder), None, None)
    sources.ingest(planned, quiet)
    (folder / "b.md").unlink()
    write({"a.md": "# A\n\nNew text.", "c.md": "# C\n\nText."}, "manuals")

    text = sources.plan_text(planned)

    assert text.splitlines() == [
        "manuals: 1 new, 1 changed, 0 unchanged, 1 deleted (for everyone); nothing was done.",
        "  + c.md",
        "  ~ a.md",
        "  - b.md",
    ]
    assert {s.source.name: s.documents for s in handbook.knowledge.catalogue.summaries()}["manuals"] == 2


@pytest.mark.slow
def test_a_source_that_cannot_be_read_does_not_stop_the_others(
    sources: Sources, handbook: Timbre, write: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write({"a.md": "# A\n\nText."}, "manuals")
    sources.ingest(sources.describe(str(folder), None, None), quiet)

    reports, problems, chunks = sources.reindex([], quiet)

    handbook_place = handbook.knowledge.catalogue.source(reports[0].source).place
    assert ([report.source for report in reports][-1], chunks) == ("manuals", 3)
    assert problems == [] and Path(handbook_place).exists()
    (folder / "a.md").unlink()
    folder.rmdir()
    reports, problems, chunks = sources.reindex(["manuals"], quiet)
    assert (reports, chunks, len(problems)) == ([], 3, 1)
    assert "manuals" in problems[0]


def test_a_source_of_an_unknown_name_is_refused_with_the_known_ones(sources: Sources, handbook: Timbre) -> None:
    (known,) = [source.name for source in handbook.knowledge.catalogue.sources()]

    with pytest.raises(UnknownSource, match=f"no source named 'nope'. Known sources: {known}"):
        sources.reindex(["nope"], quiet)


@pytest.mark.slow
def test_two_places_are_never_read_into_one_source(sources: Sources, handbook: Timbre, write: Callable[..., Path]) -> None:
    # `timbre ingest a b --source both`: the second would take the place of the first and delete its documents.
    places = [write({f"{name}.md": f"# {name}\n\nText."}, name) for name in ("a", "b")]
    sources.ingest(sources.describe(str(places[0]), "both", None), quiet)

    with pytest.raises(CommandRejected, match="both"):
        sources.describe(str(places[1]), "both", None)


def test_a_folder_without_readable_files_is_told(sources: Sources, write: Callable[..., Path]) -> None:
    with pytest.raises(SourceUnreadable, match="no file that can be read"):
        sources.plan_text(sources.describe(str(write({"a.xyz": "?"}, "odd")), None, None))


def test_one_ingestion_at_a_time(handbook: Timbre, sources: Sources, tmp_path: Path) -> None:
    with handbook.database.ingesting(), pytest.raises(CommandRejected, match="Another ingestion is running"):
        sources.ingest(sources.describe(str(tmp_path), None, None), quiet)

    with handbook.database.ingesting():
        pass


def test_watching_a_url_is_refused(sources: Sources) -> None:
    with pytest.raises(CommandRejected, match="folders of this machine only"):
        sources.watch([Planned("x", "s3://bucket/x", ALL)], print)


@pytest.mark.slow
def test_a_summary_names_readers_failures_and_the_time_in_utc(
    sources: Sources, handbook: Timbre, write: Callable[..., Path]
) -> None:
    report = sources.ingest(sources.describe(str(write({"a.md": "# A\n\nText.", "b.pdf": b"no pdf"}, "m")), None, HR), quiet)

    (found,) = [summary_object(s) for s in handbook.knowledge.catalogue.summaries() if s.source.name == "m"]

    assert (found["audience"], found["documents"], found["error"]) == (["hr"], 1, "")
    assert [entry["location"] for entry in found["failed"]] == ["b.pdf"]
    assert found["failed"][0]["reason"] and report.failures == [("b.pdf", found["failed"][0]["reason"])]
    assert found["read_at"].endswith("+00:00")


@pytest.mark.slow
def test_the_operator_reads_all_groups_and_a_member_only_the_named(
    sources: Sources, handbook: Timbre, write: Callable[..., Path]
) -> None:
    sources.ingest(sources.describe(str(write({"a.md": "# A\n\nText."}, "m")), None, HR), quiet)
    catalogue = handbook.knowledge.catalogue

    assert audience_at_terminal(catalogue.groups(), None) == ([], frozenset({"hr", EVERYONE}))
    assert audience_at_terminal(catalogue.groups(), ["hr "]) == ([], frozenset({"hr", EVERYONE}))
    assert audience_at_terminal(catalogue.groups(), ["nobody"]) == (["nobody"], frozenset({"nobody", EVERYONE}))


async def answers_to(timbre: Timbre, tmp_path: Path, *lines: str | dict[str, Any]) -> list[dict[str, Any]]:
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return [answer async for answer in answer_lines(timbre.engine, path, ALL, "ann", 4)]


async def test_a_file_of_questions_is_answered_in_its_order(handbook: Timbre, tmp_path: Path) -> None:
    answers = await answers_to(
        handbook,
        tmp_path,
        {"id": "a", "question": QUESTION},
        "{broken",
        "",
        {"id": "b", "question": "  "},
        {"id": 3, "question": "And for those?", "history": [["user", QUESTION], ["assistant", "27"]]},
        {"id": None, "question": "Where can I park my bicycle?"},
    )

    assert [(answer["id"], answer["outcome"]) for answer in answers] == [
        ("a", "answered"), (None, "error"), ("b", "error"), (3, "answered"), (None, "answered"),
    ]  # fmt: skip
    assert "line 2 is no JSON" in answers[1]["text"]
    assert len({frozenset(answer) for answer in answers}) == 1


async def test_a_line_without_a_question_keeps_its_id(handbook: Timbre, tmp_path: Path) -> None:
    (answer,) = await answers_to(handbook, tmp_path, {"id": 7, "question": None})

    assert (answer["id"], answer["outcome"]) == (7, "error")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
async def test_a_file_of_questions_that_cannot_be_read_is_named(handbook: Timbre, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "questions.jsonl"
    if content:
        path.write_bytes(content)

    with pytest.raises(CommandRejected, match=r"questions\.jsonl cannot be read"):
        [answer async for answer in answer_lines(handbook.engine, path, ALL, "ann", 1)]


async def test_an_evaluation_observes_every_case_and_remembers_the_wording(worded: Worded) -> None:
    worded.says("Full-time employees get 27 days of annual leave. Dogs get 99 days.")
    cases = [Case("1", QUESTION, accept=[["27"]]), Case("2", "?", is_answerable=False)]
    seen: list[int] = []

    observations = await run_cases(worded.timbre, cases, ALL, "ann", lambda what, done, total: seen.append(done))

    assert [(o.outcome, o.worded, o.sentences_kept, o.sentences_dropped) for o in observations] == [
        ("answered", True, 1, 1), ("error", False, 0, 0),
    ]  # fmt: skip
    evaluation = worded.timbre.exchanges.wording_evaluation("fake:scripted")
    assert evaluation and (evaluation.questions, evaluation.worded, evaluation.right_share, evaluation.kept_share) == (
        2,
        1,
        1,
        0.5,
    )
    assert seen == [1, 2]


async def test_an_evaluation_of_an_empty_index_says_what_to_do(timbre: Timbre) -> None:
    with pytest.raises(IndexUnavailable, match="timbre ingest"):
        await run_cases(timbre, [Case("1", QUESTION)], ALL, "ann", quiet)


def test_the_doctor_says_what_to_do_about_a_home_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    findings = list(examine(settings.model_copy(update={"home": tmp_path / "file"})))

    assert (findings[0].name, findings[0].is_well) == ("data folder", False)
    assert "set TIMBRE_HOME" in findings[0].fact and all(finding.remedy for finding in findings if not finding.is_well)


def test_the_home_is_for_its_owner_only(settings: Settings, tmp_path: Path) -> None:
    open_home(settings.model_copy(update={"home": tmp_path / "new" / "home"}))

    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700
