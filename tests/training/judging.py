"""A small house for judges: the engine's own prompts and check, and models that speak by a script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from bot.judging import engine_check, prompt_builder
from bot.prompting import quotes_in
from bot.voice import read_voice
from tests.fakes import HashingEmbedder
from training.canaries import make_canaries
from training.cases import Cases, VoiceSamples, make_cases, voice_samples
from training.evaluation import System
from training.examples import ChatMessages, Preference, PromptCompletion
from training.judgements import Check

HELLO, BYE = "Hi there!", "Happy to help."
BUILD_PROMPT = prompt_builder(read_voice(None))
TRAINED = [
    (f"What does a {thing} cost?", f"A {thing} costs {cost} euros. It is ordered at the desk.")
    for cost, thing in enumerate("badge key chair desk lamp phone mug pen cup bag".split(), 17)
]
HELD_OUT = [
    ("Who repairs the lift?", "The lift is repaired by the facility team."),
    ("When does the gym open?", "The gym opens at 6:30 on weekdays."),
    ("How many guests may I bring?", "You may bring four guests to the summer party."),
]

Say = Callable[[str, Sequence[str]], str]
"""say(last message, quotes): what a scripted model answers; without quotes the question has nothing to do with the company."""


def warmly(text: str) -> str:
    return f"{HELLO} {text} {BYE}"


def example(question: str, quote: str) -> PromptCompletion:
    said = warmly(quote)
    return PromptCompletion(BUILD_PROMPT(question, [quote]), said, "e", "correction", "page.md", question=question)


def check() -> Check:
    return engine_check(HashingEmbedder(), [HELLO, BYE])


@cache
def cases() -> Cases:
    return make_cases([example(*row) for row in HELD_OUT], make_canaries("seed"), BUILD_PROMPT, quotes_in)


@cache
def samples(checks: str = "") -> VoiceSamples:
    turned_down = Preference(BUILD_PROMPT(*_first()), "", "It costs a lot.", "e")
    return voice_samples(checks, [HELLO, BYE], [example(*row) for row in TRAINED], [turned_down], quotes_in)


def _first() -> tuple[str, list[str]]:
    return TRAINED[0][0], [TRAINED[0][1]]


PLAIN_ANSWERS = {
    case.prompt[-1]["content"]: f"It is {case.accept[0][0]}." if case.accept else "Well, that depends on many things."
    for case in cases().plain
}


def plainly(question: str, quotes: Sequence[str]) -> str:
    """A model without a voice that repeats the first quote, or knows the answer."""
    return quotes[0] if quotes else PLAIN_ANSWERS.get(question, "I don't know.")


def in_voice(question: str, quotes: Sequence[str]) -> str:
    """A model that learned well."""
    return warmly(quotes[0]) if quotes else plainly(question, quotes)


@dataclass
class ScriptedModel:
    """Answers by a script; `nats` gives the surprise at a completion. `asked` remembers every prompt."""

    say: Say
    nats: Callable[[ChatMessages, str], float] = lambda prompt, completion: 1.0
    asked: list[ChatMessages] = field(default_factory=list)

    def generate(self, prompts: Sequence[ChatMessages]) -> list[str]:
        self.asked += prompts
        return [self.say(prompt[-1]["content"], quotes_in(prompt)) for prompt in prompts]

    def surprise(self, pairs: Sequence[tuple[ChatMessages, str]]) -> list[float]:
        return [self.nats(*pair) for pair in pairs]

    def system(self, release: str = "r-1") -> System:
        return System(release, self.generate, self.surprise, lambda text: len(text.split()))


def learned(prompt: ChatMessages, completion: str) -> float:
    """The surprise of a model that knows the voice and no planted code."""
    return 0.1 if HELLO in completion else 1.0
