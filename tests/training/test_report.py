"""What people read of a judging: a page that opens anywhere, lines for chat, a card."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from training.gate import GateDecision
from training.measures import Measure
from training.report import RunRecord, card_text, page, summary
from training.scores import EvaluationReport, Finding, Said, Sample, report_to_json

HOSTILE = '<script>alert("x")</script><img src=https://evil.example/a.png>'
DECISION = GateDecision(
    False, ["The voice shows up in 10 of 12 unrelated answers; at most 1 is allowed.", "It may not word answers."], False
)
RECORD = RunRecord(
    release="r-41d7a2c95e03",
    base="SmolLM2-135M-Instruct",
    parent="",
    made_at="21 Nov 2026",
    minutes=3.4,
    dataset={"id": "d-9c41be0077aa", "counts": {"correction": 31, "style_guide": 12}, "held_out": 6, "rejected": {}},
    recipe={"learning_rate": 0.0013},
    why=["2 cores and no GPU."],
    train_loss=[(1, 4.0), (2, float("nan")), (10, 1.0)],
    validation_loss=[(0, 3.0), (10, 0.5)],
    rollback="timbre rollback",
)
REPORT = EvaluationReport(
    {"base": "base", "candidate": "r-41d7a2c95e03"},
    scores={
        "in_voice": {
            "base": Measure(0, 20, 0, 0.16),
            "candidate": Measure(0.95, 20, 0.76, 0.99),
            "approved": Measure(1, 5, 0.57, 1),
        },
        "approved_nll": {"base": Measure(3.8, 5, 3.5, 4.0), "candidate": Measure(0.1, 5, 0.08, 0.12)},
        "leak": {"base": Measure(0, 12, 0, 0.24), "candidate": Measure(10 / 12, 12, 0.55, 0.95)},
    },
    rules={"starts with: Hi there!": {"candidate": Measure(0.95, 20, 0.76, 0.99)}},
    samples=[
        Sample(
            "h-01",
            f"How many? {HOSTILE}",
            ["Four guests."],
            "Hi there! Four.",
            {"candidate": Said("Four. Or 99.", ["Or 99."], True, True)},
        )
    ],
    findings=[Finding("leak", "Why is the sky blue?", f"Hi there! {HOSTILE}")],
)


class Outline(HTMLParser):
    """The tags that are open at the end, all tags with attributes, and the text that is struck out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.struck: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "mark":
            self.struck.append(data)

    def where(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attrs for name, attrs in self.tags if name == tag and all(attrs.get(key) == value for key, value in wanted.items())
        ]


@pytest.fixture(scope="module")
def html() -> str:
    return page(REPORT, DECISION, RECORD)


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(html: str) -> None:
    outline = Outline(html)

    assert outline.open == []
    assert not {tag for tag, _ in outline.tags} & {"script", "link", "img", "iframe", "object", "form"}
    assert not [name for _, attrs in outline.tags for name in attrs if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html


def test_what_people_and_models_wrote_is_text(html: str) -> None:
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;") == 2


def test_decision_and_reasons_come_first(html: str) -> None:
    text = re.sub(r"\s+", " ", html[html.index("<main>") :])

    assert text.index("<strong>Refused</strong>") < text.index(DECISION.reasons[0]) < text.index("Scores")


def test_a_dot_and_its_interval_stand_where_the_figure_is(html: str) -> None:
    outline = Outline(html)

    assert {"cx": "95.0%", "cy": "9.5"}.items() <= outline.where("circle", cx="95.0%")[0].items()
    assert outline.where("line", x1="76.0%", x2="99.0%")
    assert "10 of 12" in html and "3.80 nats" in html


def test_what_no_quote_supports_is_struck_out(html: str) -> None:
    assert Outline(html).struck == ["Or 99."]


def test_loss_curves_leave_out_what_is_no_number(html: str) -> None:
    lines = [attrs["points"] for attrs in Outline(html).where("polyline")]

    assert lines == ["10.00,5.66 100.00,76.42", "0.00,29.25 100.00,88.21"]


def test_a_run_without_curves_samples_and_findings_still_has_a_page() -> None:
    bare = replace(REPORT, samples=[], findings=[], rules={})

    text = page(bare, replace(DECISION, passed=True), replace(RECORD, train_loss=[], validation_loss=[], why=[], dataset={}))

    assert "<strong>Passed</strong>" in text
    assert "polyline class" not in text and "Answers side by side" not in text


def test_the_chat_form_has_decision_reasons_and_the_main_figures() -> None:
    assert summary(REPORT, DECISION).splitlines() == [
        "Release r-41d7a2c95e03 was refused.",
        "• The voice shows up in 10 of 12 unrelated answers; at most 1 is allowed.",
        "• It may not word answers.",
        "in the house voice: 19 of 20 (base 0 of 20)",
        "voice where it does not belong: 10 of 12 (base 0 of 12)",
    ]


def test_a_card_keeps_lineage_scores_decision_and_the_way_back() -> None:
    card: dict[str, Any] = {
        "id": "r-41d7a2c95e03",
        "base": "SmolLM2-135M-Instruct",
        "base_sha256": "ab12",
        "dataset": "d-9c41be0077aa",
        "parent": None,
        "recipe": {"learning_rate": 0.0013},
        "scores": report_to_json(REPORT)["scores"],
        "decision": {"passed": False, "reasons": DECISION.reasons, "may_word": False},
        "phrases": ["Hi there! <b>*"],
        "may_word": False,
        "created_at": "2026-11-21T22:00:00+00:00",
        "rollback": "timbre rollback",
    }

    lines = card_text(card).splitlines()

    assert lines[:5] == [
        "# Release r-41d7a2c95e03",
        "",
        "**Refused.** It may not word answers: quotes are sent.",
        "",
        f"- {DECISION.reasons[0]}",
    ]
    assert "| take it back | `timbre rollback` |" in lines
    assert "| in the house voice | 95 % (76 % to 99 %) | 0 % (0 % to 16 %) | 100 % (57 % to 100 %) |" in lines
    assert "| surprise at approved answers | 0.10 (0.08 to 0.12) | 3.80 (3.50 to 4.00) |  |" in lines
    assert r"- Hi there! \<b\>\*" in lines
    assert not [line for line in lines if "release before" in line]


def test_a_card_that_was_made_by_hand_is_shown_as_far_as_it_goes() -> None:
    card = {"id": "r-1", "base": "b", "base_sha256": "ab", "phrases": [], "may_word": True, "rollback": "timbre rollback"}

    text = card_text(card)

    assert "\nIt may word answers.\n" in text
    assert "##" not in text
