"""How a fine-tune is set: every default with its source, and the choice that hardware and data lead to (pure).

Knows nothing of torch; `fine_tune` does what a recipe says.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Method = Literal["sft", "sft+dpo"]

MIN_ROWS = 20  # of all origins but replay; hosted services ask for 10 and see gains at 50 to 100 (OpenAI's guide)
AIMED_STEPS = 100  # tinker-cookbook, hyperparams.md; 90 took the voice from 0 to 1 here (research/training.md, section 5)
MAX_EPOCHS = 3  # more of them memorise (research/reliability.md, "Leaner Training"); on 36 unseen questions 3 sufficed
MAX_BATCH = 16  # LoRA falls behind in batches of 32 and more ("LoRA Without Regret")
MIN_PREFERENCES = 20  # below, DPO has nothing to generalise from; corrections serve as plain targets anyway
WARM_UP_STEPS = 5  # as in the sweep of research/training.md, section 2
SMALL_BASE_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class Recipe:
    """Base model, LoRA and optimiser of one run. The learning rate falls to 0 along a cosine after the warm-up.

    `base`: a folder or a Hugging Face id. `batch_rows`: rows per step, of all processes together. `max_tokens`: longer rows
    are left out and counted. `patience`: validations without a better loss after which training ends. `threads`: of each
    process, on a CPU. `dpo_learning_rate` counts where the method has a second stage.
    """

    base: str
    rank: int
    alpha: int
    learning_rate: float
    epochs: int
    batch_rows: int
    warm_up_steps: int
    max_tokens: int
    patience: int
    seed: int
    method: Method
    replay_share: float
    processes: int
    threads: int
    dropout: float = 0.0  # the replay rows regularise; vLLM and peft's hot swap want none (research/training.md, section 2)
    target: str = "all-linear"  # attention alone is worse even at equal size ("LoRA Without Regret"); measured here, too
    dpo_learning_rate: float = 1e-5  # tinker-cookbook, preferences.md
    dpo_beta: float = 0.1  # the same page

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Hardware:
    """What trains. `gpus` 0 means CPU; `threads` are those that may be used there."""

    gpus: int
    threads: int


@dataclass(frozen=True)
class BaseModel:
    """What of the base matters to the recipe. `name`: a folder or a Hugging Face id."""

    name: str
    model_type: str
    hidden_size: int
    parameters: int
    context_tokens: int


@dataclass(frozen=True)
class Rows:
    """The size of the data: rows to learn (without replay), pairs of answers of which people want the first."""

    train: int
    held_out: int
    preferences: int


def choose_recipe(hardware: Hardware, rows: Rows, base: BaseModel, seed: int = 0) -> tuple[Recipe, Sequence[str]]:
    """The recipe, and why it is so, a sentence a choice."""
    batch = _batch_rows(rows.train)
    epochs = _epochs(rows.train, batch)
    rank = _rank(base)
    method = _method(hardware, rows)
    recipe = Recipe(
        base=base.name,
        rank=rank,
        alpha=2 * rank,  # the usual ratio; the best learning rate then hardly depends on the rank ("LoRA Without Regret")
        learning_rate=learning_rate(base.model_type, base.hidden_size),
        epochs=epochs,
        batch_rows=batch,
        warm_up_steps=WARM_UP_STEPS,
        max_tokens=min(base.context_tokens, 1024),  # a prompt with three quotes and its answer takes 200 to 500
        patience=2,  # validations, one an epoch half: a rise that lasts an epoch is overfitting
        seed=seed,
        method=method,
        replay_share=0.18,  # 30 of 174 rows removed the leak; 14 of 185 were too few (research/training.md, answers.md)
        processes=max(1, hardware.gpus),
        threads=hardware.threads,
    )
    return recipe, _why(recipe, hardware, rows, base)


def learning_rate(model_type: str, hidden_size: int) -> float:
    """`5e-5 * 10 * (2000 / hidden) ** P` of tinker-cookbook's hyperparams.md: 1.3e-3 for SmolLM2, 2.9e-4 for an 8B Llama."""
    power = 0.0775 if model_type.startswith("qwen") else 0.781
    rate: float = 5e-5 * 10 * (2000 / hidden_size) ** power
    return round(rate, 6)


def replay_count(rows: int, share: float) -> int:
    """How many replay rows make up their share of a set with so many others: 22 for 100 and a share of .18."""
    return math.ceil(rows * share / (1 - share))


def steps_of(rows: int, recipe: Recipe) -> int:
    """Optimiser steps over so many rows, replay included."""
    return recipe.epochs * math.ceil(rows / recipe.batch_rows)


def _batch_rows(rows: int) -> int:
    """Small sets take small batches, to get AIMED_STEPS; never below 4, where gradients are noise, nor above MAX_BATCH."""
    wanted = MAX_EPOCHS * rows / AIMED_STEPS
    power: int = 2 ** round(math.log2(max(wanted, 1)))
    return min(MAX_BATCH, max(4, power))


def _epochs(rows: int, batch: int) -> int:
    """2 where these make AIMED_STEPS, else 3."""
    return 2 if 2 * rows / batch >= AIMED_STEPS else MAX_EPOCHS


def _rank(base: BaseModel) -> int:
    """8 for small bases, whose release then is a few MB; 16 else. Between 8 and 32 the rank makes no difference here."""
    return 8 if base.parameters < SMALL_BASE_PARAMETERS else 16


def _method(hardware: Hardware, rows: Rows) -> Method:
    """DPO after SFT only with enough pairs and a GPU: on a CPU it takes as long again, and won nothing on 120 pairs."""
    return "sft+dpo" if hardware.gpus and rows.preferences >= MIN_PREFERENCES else "sft"


def _why(recipe: Recipe, hardware: Hardware, rows: Rows, base: BaseModel) -> Sequence[str]:
    where = f"{hardware.gpus} GPU(s), one process each" if hardware.gpus else f"CPU, {hardware.threads} thread(s)"
    dpo = "then DPO on the pairs" if recipe.method == "sft+dpo" else "DPO left out (it takes a GPU and 20 pairs)"
    pairs = f"{rows.preferences} pairs: {dpo}" if rows.preferences else "no pairs, so no DPO"
    return (
        f"{where}.",
        f"{base.parameters / 1e6:,.0f}M parameters: LoRA of rank {recipe.rank} on all linear layers.",
        f"Hidden size {base.hidden_size}: learning rate {recipe.learning_rate:.2g}.",
        f"{rows.train} rows: {recipe.epochs} epochs in batches of {recipe.batch_rows}, "
        f"{steps_of(rows.train + replay_count(rows.train, recipe.replay_share), recipe)} steps with replay.",
        f"{rows.held_out} rows held out for validation." if rows.held_out else "No rows held out: no early stopping.",
        f"SFT; {pairs}.",
    )
