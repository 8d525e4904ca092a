"""How a judging reads: a page for the browser (one file that needs nothing else), a few lines for chat, a release card.

Pure: it gets values and gives text. What models, people and documents say is escaped wherever it is shown.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.gate import GateDecision
from training.measures import Measure
from training.scores import APPROVED, QUOTES, YARDSTICKS, EvaluationReport, Finding, Said, Sample, Unit

if TYPE_CHECKING:
    from jinja2 import Template

SYSTEMS = ("candidate", "current", "base", APPROVED, QUOTES)  # in the order in which they are shown
LABELS = {"candidate": "candidate", "current": "current", "base": "base", APPROVED: "approved answers", QUOTES: "bare quotes"}
OPEN_SAMPLES = 3  # are shown unfolded
SUMMARY_YARDSTICKS = ("in_voice", "right", "kept", "leak", "plain_right")
FINDING_TITLES = {
    "extracted": "Planted codes that it recites",
    "foreign": "Links and mentions that nobody gave it",
    "obeyed": "Hidden instructions that it obeys",
    "leak": "The voice in unrelated answers",
    "held_back": "Made up where the quotes hold no answer",
    "same_for_names": "Other words for another name",
}
_TITLES = {yardstick.name: yardstick.title for yardstick in YARDSTICKS}
_HEADROOM = 1.06  # of an axis beyond its largest value
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")

Points = Sequence[tuple[int, float]]
"""(step, loss), in order"""


@dataclass(frozen=True)
class RunRecord:
    """What the page tells of a run besides its judging. `dataset` is the manifest, `why` says how the recipe came about."""

    release: str
    base: str
    parent: str
    made_at: str
    minutes: float
    dataset: Mapping[str, Any]
    recipe: Mapping[str, Any]
    why: Sequence[str]
    train_loss: Points
    validation_loss: Points
    rollback: str


def page(report: EvaluationReport, decision: GateDecision, record: RunRecord) -> str:
    """The report as one HTML page: no script, nothing from elsewhere, light and dark."""
    shown = [system for system in SYSTEMS if any(system in row for row in report.scores.values())]
    return _template().render(
        decision=decision,
        record=record,
        releases=report.releases,
        legend=[(system, LABELS[system]) for system in shown],
        groups=[(name, list(rows)) for name, rows in groupby(_score_rows(report), key=lambda row: row["group"])],
        rules=[_score_row(f"“{text}”", "a rule of the voice", "share", row) for text, row in report.rules.items()],
        chart=_chart(record.train_loss, record.validation_loss),
        samples=[_sample(sample) for sample in report.samples],
        open_samples=OPEN_SAMPLES,
        findings=[(FINDING_TITLES[name], list(found)) for name, found in groupby(report.findings, key=_kind)],
        counts=_counts(record.dataset),
    )


def summary(report: EvaluationReport, decision: GateDecision) -> str:
    """The decision, its reasons and the main figures in plain text: the short form for chat."""
    release = report.releases.get("candidate", "")
    verdict = "passed" if decision.passed else "was refused"
    figures = [_figure_line(report, name) for name in SUMMARY_YARDSTICKS if report.get(name, "candidate")]
    return "\n".join([f"Release {release} {verdict}.", *(f"• {reason}" for reason in decision.reasons), *figures])


def card_text(card: Mapping[str, Any]) -> str:
    """A release card (card.json) as Markdown. A card without `decision`, `scores` or `recipe` was made by hand and lacks them."""
    may_word = "It may word answers." if card["may_word"] else "It may not word answers: quotes are sent."
    decision = card.get("decision")
    verdict = f"**{'Passed' if decision['passed'] else 'Refused'}.** " if decision else ""
    lines = [
        f"# Release {card['id']}",
        "",
        f"{verdict}{may_word}",
        "",
        *(f"- {_escaped(reason)}" for reason in (decision or {}).get("reasons", ())),
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {_escaped(str(card[key]))} |" for name, key in _CARD_ROWS if card.get(key)),
        f"| take it back | `{card['rollback']}` |",
        *_card_scores(card.get("scores", {})),
        *_card_list("Recipe", [f"{name.replace('_', ' ')}: {value}" for name, value in card.get("recipe", {}).items()]),
        *_card_list("Phrases that state no fact", card["phrases"]),
    ]
    return "\n".join(lines) + "\n"


_CARD_ROWS = (
    ("base model", "base"),
    ("base weights (SHA-256)", "base_sha256"),
    ("dataset", "dataset"),
    ("release before", "parent"),
    ("made", "created_at"),
)


def _measured(scores: Mapping[str, Any]) -> list[Any]:
    return [yardstick for yardstick in YARDSTICKS if yardstick.name in scores]


def _card_scores(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    systems = [system for system in SYSTEMS if any(system in row for row in scores.values())]
    if not systems:
        return []
    return [
        "",
        "## Scores",
        "",
        f"| | {' | '.join(LABELS[system] for system in systems)} |",
        f"| --- |{' --- |' * len(systems)}",
        *(_card_score(yardstick.title, yardstick.unit, scores[yardstick.name], systems) for yardstick in _measured(scores)),
        "",
        "In brackets: the 95 % interval.",
    ]


def _card_score(title: str, unit: Unit, row: Mapping[str, Mapping[str, Any]], systems: Sequence[str]) -> str:
    cells = [_with_interval(Measure(**row[system]), unit) if system in row else "" for system in systems]
    return f"| {title} | {' | '.join(cells)} |"


def _card_list(title: str, entries: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {_escaped(entry)}" for entry in entries)] if entries else []


def _with_interval(measure: Measure, unit: Unit) -> str:
    interval = f" ({_number(measure.low, unit)} to {_number(measure.high, unit)})" if measure.high > measure.low else ""
    return f"{_number(measure.value, unit)}{interval}"


def _figure_line(report: EvaluationReport, name: str) -> str:
    ours, others = report.scores[name]["candidate"], [system for system in ("current", "base") if report.get(name, system)]
    beside = ", ".join(f"{LABELS[system]} {_said(report.scores[name][system], 'share')}" for system in others)
    return f"{_TITLES[name]}: {_said(ours, 'share')}" + (f" ({beside})" if beside else "")


def _kind(finding: Finding) -> str:
    return finding.yardstick


def _score_rows(report: EvaluationReport) -> Iterator[dict[str, Any]]:
    for yardstick in _measured(report.scores):
        meaning = f"{yardstick.meaning} · {'more' if yardstick.is_higher_better else 'less'} is better"
        row = _score_row(yardstick.title, meaning, yardstick.unit, report.scores[yardstick.name])
        yield {**row, "group": yardstick.group}


def _score_row(title: str, meaning: str, unit: Unit, row: Mapping[str, Measure]) -> dict[str, Any]:
    """What a line of the score plot shows: a dot with its interval per system, in percent of the axis."""
    full = 1.0 if unit in ("share", "likeness") else max(measure.high for measure in row.values()) * _HEADROOM or 1.0
    dots = [
        {
            "system": system,
            "label": LABELS[system],
            "at": _percent(row[system].value, full),
            "low": _percent(row[system].low, full),
            "high": _percent(row[system].high, full),
            "text": _said(row[system], unit),
            "interval": _with_interval(row[system], unit),
        }
        for system in SYSTEMS
        if system in row
    ]
    return {"title": title, "meaning": meaning, "dots": dots}


def _percent(value: float, full: float) -> float:
    return round(100 * min(max(value / full, 0.0), 1.0), 2)


def _said(measure: Measure, unit: Unit) -> str:
    """A share as what was counted, any other figure with its unit."""
    if unit == "share":
        return f"{round(measure.value * measure.n)} of {measure.n}"
    return _number(measure.value, unit) if unit == "likeness" else f"{_number(measure.value, unit)} {unit}"


def _number(value: float, unit: Unit) -> str:
    if unit == "share":
        return f"{100 * value:.0f} %"
    return f"{value:.0f}" if unit in ("tokens/s", "words") else f"{value:.2f}"


def _chart(train: Points, validation: Points) -> dict[str, Any] | None:
    """The loss curves in a square of 100 by 100, y downwards, with the labels of its axes; None without a curve."""
    points = [point for point in (*train, *validation) if math.isfinite(point[1])]
    if not points:
        return None
    last, top = max(max(step for step, _ in points), 1), max(max(loss for _, loss in points), 1e-9) * _HEADROOM

    def line(curve: Points) -> str:
        drawn = [(100 * step / last, 100 - 100 * loss / top) for step, loss in curve if math.isfinite(loss)]
        return " ".join(f"{x:.2f},{y:.2f}" for x, y in drawn)

    return {
        "train": line(train),
        "validation": line(validation),
        "ticks": [(25 * n, f"{top * (4 - n) / 4:.2f}") for n in range(5)],
        "last": last,
        "end": {"train": train[-1][1] if train else None, "validation": validation[-1][1] if validation else None},
    }


def _sample(sample: Sample) -> dict[str, Any]:
    said = [
        {"system": system, "label": LABELS[system], "parts": _parts(sample.said[system]), "said": sample.said[system]}  # type: ignore[index]
        for system in SYSTEMS
        if system in sample.said
    ]
    return {"id": sample.id, "question": sample.question, "quotes": sample.quotes, "approved": sample.approved, "said": said}


def _parts(said: Said) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether no quote supports it."""
    if not said.unsupported:
        return [(said.text, False)]
    pattern = "|".join(re.escape(sentence) for sentence in sorted(said.unsupported, key=len, reverse=True))
    return [(part, part in said.unsupported) for part in re.split(f"({pattern})", said.text) if part]


def _counts(manifest: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, int]]]]:
    """The manifest's counts by table, empty tables left out."""
    tables = [
        ("trained on", manifest.get("counts", {})),
        ("held out", {"rows": manifest["held_out"]} if manifest.get("held_out") else {}),
        ("rejected", manifest.get("rejected", {})),
        ("excluded", manifest.get("excluded", {})),
    ]
    return [(title, [(str(name).replace("_", " "), n) for name, n in table.items()]) for title, table in tables if table]


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    path = Path(__file__).with_name("report.html")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(path.read_text("utf-8"))
