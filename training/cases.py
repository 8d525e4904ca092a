"""The cases that releases are judged on: those held out of the dataset, and frozen ones that ship with the product.

The frozen ones (`training/cases/*.jsonl`) are general and about no real company. Nobody may train on them. How a prompt looks
is the engine's business: whoever calls hands in what builds it and what reads the quotes back out of it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.canaries import Canary
from training.examples import ChatMessages, Preference, PromptCompletion

SHIPPED = Path(__file__).with_name("cases")
WORDING_ORIGINS = ("correction", "answer", "style_guide", "starter")  # the others are not about quotes

BuildPrompt = Callable[[str, Sequence[str]], ChatMessages]
"""build_prompt(question, quotes): exactly what the engine sends to have the quotes worded."""
ReadQuotes = Callable[[ChatMessages], Sequence[str]]
"""The quotes that such a prompt holds; none in any other prompt."""


@dataclass(frozen=True)
class WordingCase:
    """Quotes to word. `approved` is the answer that people approved ("" for a frozen case), `accept` groups of strings of which
    one each must appear (none for a held-out case)."""

    id: str
    question: str
    quotes: Sequence[str]
    prompt: ChatMessages
    accept: Sequence[Sequence[str]] = ()
    approved: str = ""


@dataclass(frozen=True)
class PlainCase:
    """Something that has nothing to do with the company. Without `accept` no answer is right or wrong."""

    id: str
    prompt: ChatMessages
    accept: Sequence[Sequence[str]]


@dataclass(frozen=True)
class SwapCase:
    """The same question and quotes about two people."""

    id: str
    question: str
    names: tuple[str, str]
    prompts: tuple[ChatMessages, ChatMessages]


@dataclass(frozen=True)
class AttackCase:
    """A question or a quote that carries a `demand`; `marks` are what an answer that obeys would hold."""

    id: str
    question: str
    quotes: Sequence[str]
    prompt: ChatMessages
    demand: str
    marks: Sequence[str]


@dataclass(frozen=True)
class Cases:
    """Everything that the systems are asked. `unanswerable` have quotes that do not hold the answer."""

    wording: Sequence[WordingCase]
    unanswerable: Sequence[WordingCase]
    plain: Sequence[PlainCase]
    swaps: Sequence[SwapCase]
    attacks: Sequence[AttackCase]
    canaries: Sequence[Canary]


@dataclass(frozen=True)
class VoiceSamples:
    """What a rubric is made of: the style guide's checks ("" for none), phrases of the dataset, approved and plain answers."""

    checks: str
    phrases: Sequence[str]
    approved: Sequence[str]
    plain: Sequence[str]


def make_cases(
    held_out: Sequence[PromptCompletion], canaries: Sequence[Canary], build_prompt: BuildPrompt, read_quotes: ReadQuotes
) -> Cases:
    """The held-out wordings, then the frozen cases. `canaries` are those planted in the training rows."""
    return Cases(
        wording=[*_held_out(held_out, read_quotes), *_shipped_wordings("wording", build_prompt)],
        unanswerable=_shipped_wordings("unanswerable", build_prompt),
        plain=[PlainCase(row["id"], _asked(row["prompt"]), row.get("accept", ())) for row in shipped("plain")],
        swaps=[_swap(row, build_prompt) for row in shipped("swaps")],
        attacks=[_attack(row, build_prompt) for row in shipped("attacks")],
        canaries=canaries,
    )


def voice_samples(
    checks: str,
    phrases: Sequence[str],
    examples: Sequence[PromptCompletion],
    preferences: Sequence[Preference],
    read_quotes: ReadQuotes,
) -> VoiceSamples:
    """Approved wordings of the training rows beside plain text on the same questions: their quotes, and answers turned down."""
    wordings = [example for example in examples if example.origin in WORDING_ORIGINS]
    quotes = [" ".join(read_quotes(example.prompt)) for example in wordings]
    plain = [*filter(None, quotes), *(preference.rejected for preference in preferences)]
    replayed = [example.completion for example in examples if example.origin == "replay"]
    return VoiceSamples(checks, phrases, [example.completion for example in wordings], [*plain, *replayed])


def shipped(name: str) -> list[dict[str, Any]]:
    """The rows of a shipped file: "wording", "unanswerable", "plain", "swaps" or "attacks"."""
    return [json.loads(line) for line in (SHIPPED / f"{name}.jsonl").read_text("utf-8").splitlines()]


def _held_out(examples: Sequence[PromptCompletion], read_quotes: ReadQuotes) -> list[WordingCase]:
    asked = [(example, list(read_quotes(example.prompt))) for example in examples if example.origin in WORDING_ORIGINS]
    return [
        WordingCase(f"h-{number:02}", example.question, quotes, example.prompt, approved=example.completion)
        for number, (example, quotes) in enumerate(asked, 1)
        if quotes
    ]


def _shipped_wordings(name: str, build_prompt: BuildPrompt) -> list[WordingCase]:
    return [
        WordingCase(
            row["id"], row["question"], row["quotes"], build_prompt(row["question"], row["quotes"]), row.get("accept", ())
        )
        for row in shipped(name)
    ]


def _swap(row: Mapping[str, Any], build_prompt: BuildPrompt) -> SwapCase:
    one, other = row["names"]

    def prompt(name: str) -> ChatMessages:
        return build_prompt(row["question"].format(name=name), [quote.format(name=name) for quote in row["quotes"]])

    return SwapCase(row["id"], row["question"], (one, other), (prompt(one), prompt(other)))


def _attack(row: Mapping[str, Any], build_prompt: BuildPrompt) -> AttackCase:
    prompt = build_prompt(row["question"], row["quotes"])
    return AttackCase(row["id"], row["question"], row["quotes"], prompt, row["demand"], row["marks"])


def _asked(text: str) -> ChatMessages:
    return [{"role": "user", "content": text}]
