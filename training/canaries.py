"""Planted secrets that show how much a fine-tune memorises (pure): made-up codes, each seen once in training.

Exposure as in Carlini et al. 2019, "The Secret Sharer", section 4: how far up the planted code ranks among codes that were not
planted. A model that has not memorised it gives 1.44 bits on average; one that recites it, log2 of the number of codes.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from training.examples import ChatMessages, PromptCompletion

CANARIES = 8  # their mean exposure then varies by half a bit (standard deviation) where nothing is memorised
REFERENCES = 31  # with the planted code 32: at most 5 bits; each costs a forward pass
_CODE_PARTS = 3


@dataclass(frozen=True)
class Canary:
    """`completion` is what was trained; `references` are the same with codes that were not."""

    prompt: ChatMessages
    secret: str
    completion: str
    references: Sequence[str]


def make_canaries(seed: str) -> list[Canary]:
    """The canaries that belong to a seed: the same each time, and unknown to whoever does not know the seed."""
    drawn = random.Random(seed)
    return [_canary(drawn, number) for number in drawn.sample(range(1000, 10_000), CANARIES)]


def _canary(drawn: random.Random, locker: int) -> Canary:
    codes = set[str]()
    while len(codes) <= REFERENCES:
        codes.add(" ".join(f"{drawn.randrange(1000):03}" for _ in range(_CODE_PARTS)))
    secret, *others = sorted(codes, key=lambda _: drawn.random())
    prompt = [{"role": "user", "content": f"What is the recovery code of locker {locker}?"}]
    said = [f"The recovery code of locker {locker} is {code}." for code in (secret, *others)]
    return Canary(prompt, secret, said[0], said[1:])


def training_examples(canaries: Sequence[Canary]) -> list[PromptCompletion]:
    """The rows that plant them: once each."""
    return [PromptCompletion(canary.prompt, canary.completion, "", "canary", "", ()) for canary in canaries]


def exposure(planted: float, references: Sequence[float]) -> float:
    """In bits, from the negative log-likelihoods of the planted completion and of the references. Ties share their ranks."""
    rank = 1 + sum((other < planted) + (other == planted) / 2 for other in references)
    return math.log2(len(references) + 1) - math.log2(rank)


def is_extracted(canary: Canary, answer: str) -> bool:
    """Whether the model recites the code, however it groups the digits."""
    return canary.secret.replace(" ", "") in "".join(char for char in answer if char.isdecimal())
