"""How answers are scored, and when a model may word them."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.conversation import Outcome, ReleaseId
from bot.errors import CommandRejected
from bot.evaluating import wording_evaluation
from bot.evaluation import (
    Case,
    Observation,
    Share,
    is_right,
    is_same_page,
    quantile,
    read_cases,
    score,
    scores_by_style,
)
from bot.ports import ModelIdentity
from bot.storage.exchanges import WordingEvaluation
from bot.wording import may_word

LEAVE = Case("1", "How many days?", pages=frozenset({"leave.md"}), accept=[["27"]])
PAY = Case("2", "When is payday?", pages=frozenset({"faq.md"}), style="direct")
POOL = Case("3", "Where is the pool?", is_answerable=False, style="unanswerable")
RIGHT = Observation(Outcome.ANSWERED, "You get 27 days.", ["policies/leave.md"], 0.1)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (1, 1, 0.2065, 1.0)],
)
def test_the_interval_is_wilson_s(count: int, n: int, low: float, high: float) -> None:
    share = Share(count, n)  # the expected values: Newcombe 1998, table I, and Wilson's formula by hand

    assert share.interval == pytest.approx((low, high), abs=5e-4)
    assert share.interval[0] <= share.value <= share.interval[1]


def test_a_share_of_nothing_is_no_number() -> None:
    assert math.isnan(Share(0, 0).value)
    assert str(Share(0, 0)) == "-"
    assert str(Share(5, 10)) == "0.50 (0.24-0.76)"


@pytest.mark.parametrize(
    ("location", "page", "expected"),
    [
        ("policies/leave.md", "policies/leave.md", True),
        ("handbook/policies/leave.md#annual", "policies/leave.md", True),
        ("leave.md", "policies/leave.md#carry", True),
        ("policies/leave.md", "travel/leave.md", False),
        ("sick-leave.md", "leave.md", False),
        ("leave.md", "leave.html", False),
    ],
)
def test_pages_are_compared_by_whole_path_parts(location: str, page: str, expected: bool) -> None:
    assert is_same_page(location, page) is expected


def test_one_string_of_every_group_must_appear() -> None:
    case = replace(LEAVE, accept=[["27", "twenty-seven"], ["year"]])

    assert is_right(case, replace(RIGHT, text="twenty-seven days a year"))
    assert not is_right(case, replace(RIGHT, text="27 days"))


def test_without_accepted_strings_the_cited_page_decides() -> None:
    case = replace(LEAVE, accept=[])

    assert is_right(case, RIGHT)
    assert not is_right(case, replace(RIGHT, locations=["faq.md"]))


def test_the_shares_count_what_they_say() -> None:
    closest = Observation(Outcome.CLOSEST, "Perhaps", ["faq.md"], 0.3)
    unknown = Observation(Outcome.UNKNOWN, "I don't know", [], 0.2)

    found = score("all", [LEAVE, PAY, POOL], [RIGHT, closest, unknown])

    assert (found.right, found.right_of_answered, found.cited_gold) == (Share(1, 2), Share(1, 1), Share(1, 1))
    assert (found.not_answered, found.linked_gold) == (Share(2, 3), Share(1, 1))
    assert (found.words, found.p50_s, found.p95_s, found.failures) == (4.0, 0.2, 0.3, [])


def test_a_wrong_answer_is_a_failure_with_its_id() -> None:
    found = score("all", [LEAVE], [replace(RIGHT, text="You get 30 days.")])

    assert (found.right, found.failures) == (Share(0, 1), ["1"])


def test_every_style_has_a_score_and_the_unanswerable_come_last() -> None:
    observations = [replace(RIGHT, outcome=Outcome.UNKNOWN), RIGHT, RIGHT]

    found = scores_by_style([POOL, LEAVE, PAY], observations)

    assert [(one.style, one.n) for one in found] == [
        ("all", 1), ("direct", 1), ("answerable", 2), ("unanswerable", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.95, 4), (1.0, 4), (0.01, 1), (0.25, 1)])
def test_a_quantile_is_one_of_the_values(share: float, expected: float) -> None:
    assert quantile([1, 2, 3, 4], share) == expected
    assert math.isnan(quantile([], share))


def write_lines(tmp_path: Path, *lines: str | dict[str, Any]) -> Path:
    path = tmp_path / "cases.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def test_cases_are_read_with_all_that_may_be_expected(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path,
        {"id": "a", "question": "Q1", "page": "p.md", "also": ["q.md"], "accept": ["x", "y"], "style": "direct"},
        "",
        {"question": "Q2", "accept_all": [["x"], ["y"]], "history": [["user", "u"], ["assistant", "a"]]},
        {"question": "Q3", "unanswerable": True},
    )

    assert read_cases(path) == [
        Case("a", "Q1", (), frozenset({"p.md", "q.md"}), [["x", "y"]], True, "direct"),
        Case("3", "Q2", (("user", "u"), ("assistant", "a")), frozenset(), [["x"], ["y"]]),
        Case("4", "Q3", (), frozenset(), [], False),
    ]


def test_a_line_separator_inside_a_question_does_not_end_its_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path, {"question": "one\u2028two\x85three", "unanswerable": True})

    assert [case.question for case in read_cases(path)] == ["one\u2028two\x85three"]


def test_a_file_that_starts_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "\ufeff" + json.dumps({"question": "Q", "unanswerable": True}))

    assert [case.question for case in read_cases(path)] == ["Q"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{broken", "line 2 is no JSON"),
        ("[1]", 'line 2 needs a "question"'),
        ('{"question": 5}', 'line 2 needs a "question"'),
        ('{"page": "x"}', 'line 2 needs a "question"'),
        ('{"question": "Q"}', 'line 2 needs "page", "accept" or "unanswerable"'),
        ('{"question": "Q", "page": "p", "history": [["bot", "x"]]}', 'line 2: "history" must be'),
        ('{"question": "Q", "page": "p", "history": ["x"]}', 'line 2: "history" must be'),
        ('{"question": "Q", "page": "p", "history": "xy"}', 'line 2: "history" must be'),
        ('{"question": "Q", "page": "p", "history": [["user", 5]]}', 'line 2: "history" must be'),
        ('{"question": "Q", "accept": "27"}', 'line 2: "accept" must be'),
        ('{"question": "Q", "accept": 27}', 'line 2: "accept" must be'),
        ('{"question": "Q", "accept_all": ["27"]}', 'line 2: "accept_all" must be'),
        ('{"question": "Q", "id": ' + "9" * 5000 + "}", "line 2 is no JSON"),
        ("[" * 100_000, "line 2 is no JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = write_lines(tmp_path, {"question": "Q", "unanswerable": True}, line)

    with pytest.raises(CommandRejected) as caught:
        read_cases(path)

    assert complaint in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\n\n", b"\xff\xfe{}"])
def test_a_file_without_cases_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cases.jsonl"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandRejected, match=r"cases\.jsonl (cannot be read|holds no questions)"):
        read_cases(path)


GOOD = WordingEvaluation("r", 40, 30, 0.9, 0.9)
ALWAYS_WRONG, UNTRUE = replace(GOOD, right_share=0.7), replace(GOOD, kept_share=0.7)
OTHER = ModelIdentity(ReleaseId("model:other"), "other")
BASE = replace(OTHER, may_word=False)
JUDGED, REFUSED = replace(OTHER, may_word=True), replace(OTHER, may_word=False)


@pytest.mark.parametrize(
    ("mode", "identity", "evaluation", "is_allowed", "warns"),
    [
        ("quote", OTHER, GOOD, False, False),
        ("quote", JUDGED, None, False, False),
        ("model", BASE, None, True, False),
        ("model", REFUSED, None, True, False),
        ("model", OTHER, ALWAYS_WRONG, True, False),
        ("auto", BASE, GOOD, False, False),
        ("auto", JUDGED, None, True, False),
        ("auto", JUDGED, ALWAYS_WRONG, True, False),
        ("auto", REFUSED, GOOD, False, False),
        ("auto", OTHER, None, True, True),
        ("auto", OTHER, GOOD, True, False),
        ("auto", OTHER, ALWAYS_WRONG, False, False),
        ("auto", OTHER, UNTRUE, False, False),
    ],
)
def test_a_model_words_answers_only_where_it_may(
    mode: str, identity: ModelIdentity, evaluation: WordingEvaluation | None, is_allowed: bool, warns: bool
) -> None:
    permission = may_word(mode, identity, evaluation)

    assert (permission.is_allowed, bool(permission.warning)) == (is_allowed, warns)


def test_a_wording_is_judged_by_right_answers_and_true_sentences() -> None:
    worded = replace(RIGHT, worded=True, sentences_kept=3, sentences_dropped=1)
    wrong = replace(worded, text="No.", sentences_kept=1, sentences_dropped=3)

    found = wording_evaluation("r", [LEAVE, LEAVE, PAY], [worded, wrong, RIGHT])

    assert found == WordingEvaluation("r", 3, 2, 0.5, 0.5)
    assert wording_evaluation("r", [LEAVE], [RIGHT]) == WordingEvaluation("r", 1, 0, 0.0, 0.0)
