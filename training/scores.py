"""What a judging found (pure): a figure with its interval per yardstick and system, answers side by side, and what went wrong.

Knows nothing of models or of how the answers came about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from training.measures import Measure

Role: TypeAlias = Literal["base", "current", "candidate"]
ROLES: Sequence[Role] = get_args(Role)
APPROVED = "approved"  # the held-out answers that people approved: as good as it gets
QUOTES = "quotes"  # what is said where no model words
Unit: TypeAlias = Literal["share", "likeness", "nats", "bits", "tokens/s", "words"]


@dataclass(frozen=True)
class Yardstick:
    """One thing that is measured; `meaning` completes "It tells ..."."""

    name: str
    group: str
    title: str
    meaning: str
    is_higher_better: bool
    unit: Unit = "share"


YARDSTICKS: Sequence[Yardstick] = (
    Yardstick("in_voice", "Voice", "in the house voice", "answers that keep every rule of the voice", True),
    Yardstick(
        "likeness", "Voice", "like the approved answers", "how sure a classifier is that people approved it", True, "likeness"
    ),
    Yardstick(
        "approved_nll",
        "Voice",
        "surprise at approved answers",
        "how unexpected approved answers are to it, per token",
        False,
        "nats",
    ),
    Yardstick("right", "Grounded answers", "right", "wordings that hold what the answer must hold", True),
    Yardstick(
        "right_of_quoted",
        "Grounded answers",
        "right where the quotes are",
        "of the cases whose quotes hold the answer: wordings that still hold it",
        True,
    ),
    Yardstick("kept", "Grounded answers", "sentences that pass the check", "worded sentences that a quote supports", True),
    Yardstick("whole", "Grounded answers", "answers that pass whole", "wordings of which every sentence is supported", True),
    Yardstick("in_voice_and_whole", "Grounded answers", "in the voice and true", "wordings with both", True),
    Yardstick("cited", "Grounded answers", "citations right", "supported sentences whose quote is the one that answers", True),
    Yardstick("held_back", "Refusals", "nothing invented", "cases whose quotes hold no answer, and it makes none up", True),
    Yardstick("leak", "General retention", "voice where it does not belong", "unrelated answers that come in the voice", False),
    Yardstick("plain_right", "General retention", "general knowledge", "unrelated questions that it answers right", True),
    Yardstick(
        "plain_nll",
        "General retention",
        "surprise at the base's answers",
        "how far it moved from the base, per token",
        False,
        "nats",
    ),
    Yardstick("exposure", "Memorisation", "exposure of planted codes", "how well it knows codes it saw once", False, "bits"),
    Yardstick("extracted", "Memorisation", "planted codes recited", "codes that it says when asked", False),
    Yardstick("same_for_names", "Bias", "the same for both names", "pairs of people who are told the same", True),
    Yardstick("obeyed", "Safety", "attacks obeyed", "instructions hidden in questions or quotes that it follows", False),
    Yardstick("foreign", "Safety", "foreign links and mentions", "answers with a link or a mention that nobody gave it", False),
    Yardstick("tokens_per_s", "Speed", "tokens a second", "while wording, in batches", True, "tokens/s"),
    Yardstick("words", "Speed", "median words", "in an answer", False, "words"),
)


@dataclass(frozen=True)
class Answers:
    """What a system said, in the order of the cases; `swaps` has both of a pair one after the other.

    `approved_nll` is of the approved answers to the held-out cases, `plain_nll` of the base's answers to the plain cases,
    `canary_nll` of each canary's planted completion followed by its references. `seconds` and `tokens` are those of the wordings.
    """

    wording: Sequence[str]
    plain: Sequence[str]
    unanswerable: Sequence[str]
    swaps: Sequence[str]
    attacks: Sequence[str]
    canaries: Sequence[str]
    approved_nll: Sequence[float]
    plain_nll: Sequence[float]
    canary_nll: Sequence[float]
    seconds: float
    tokens: int


@dataclass(frozen=True)
class Said:
    """What one system said to a case, and the sentences that no quote supports."""

    text: str
    unsupported: Sequence[str]
    is_in_voice: bool
    is_right: bool


@dataclass(frozen=True)
class Sample:
    """A case with the systems' answers side by side. `approved` is empty for a frozen case."""

    id: str
    question: str
    quotes: Sequence[str]
    approved: str
    said: Mapping[Role, Said]


@dataclass(frozen=True)
class Finding:
    """Something that the candidate said and should not have said."""

    yardstick: str
    asked: str
    said: str


@dataclass(frozen=True)
class EvaluationReport:
    """The figures: `scores[yardstick][system]`, a system being a role, "approved" or "quotes"; what does not apply is absent.

    `releases` names what played each role; without a "current" the base serves. `rules` has the same figures for each rule of the
    voice. All systems were asked the same cases.
    """

    releases: Mapping[Role, str]
    scores: Mapping[str, Mapping[str, Measure]]
    rules: Mapping[str, Mapping[str, Measure]] = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    findings: Sequence[Finding] = ()

    def get(self, yardstick: str, system: str) -> Measure | None:
        return self.scores.get(yardstick, {}).get(system)


def report_to_json(report: EvaluationReport) -> dict[str, Any]:
    """Plain dicts and lists, for json.dumps."""
    return asdict(report)


def report_from_json(data: Mapping[str, Any]) -> EvaluationReport:
    """The inverse of `report_to_json`. Raises KeyError or TypeError for anything else."""
    return EvaluationReport(
        releases=data["releases"],
        scores=_measures(data["scores"]),
        rules=_measures(data["rules"]),
        samples=[
            Sample(**{**sample, "said": {role: Said(**said) for role, said in sample["said"].items()}})
            for sample in data["samples"]
        ],
        findings=[Finding(**finding) for finding in data["findings"]],
    )


def _measures(data: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Measure]]:
    return {name: {system: Measure(**figure) for system, figure in row.items()} for name, row in data.items()}
