"""Asks the candidate, what serves now and the base the same cases, and has the answers scored.

Models come as callables made from `training/inference.py`, so what is judged is what is served. The base's answers are the same
at every training: `ask` gives plain values, which may be kept.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from training.canaries import make_canaries
from training.cases import BuildPrompt, Cases, ReadQuotes, VoiceSamples, make_cases, voice_samples
from training.datasets import HELD_OUT, DatasetVersion
from training.examples import ChatMessages
from training.judgements import Check
from training.scores import Answers, EvaluationReport, Role
from training.scoring import score

Generate = Callable[[Sequence[ChatMessages]], list[str]]
"""One answer per prompt, greedy, in order."""
NegativeLogLikelihoods = Callable[[Sequence[tuple[ChatMessages, str]]], list[float]]
"""For each prompt and completion the completion's mean per token, in nats."""
CountTokens = Callable[[str], int]
OnProgress = Callable[[str, int, int], None]
"""on_progress(what comes next, steps done, steps in all)"""
STEPS = 9
_CITATION_MARK = re.compile(r"\s*\[\d{1,2}\]")  # the engine takes them out too: it sets its own


@dataclass(frozen=True)
class System:
    """A base model, with or without a release on it."""

    release: str
    generate: Generate
    negative_log_likelihoods: NegativeLogLikelihoods
    count_tokens: CountTokens


@dataclass(frozen=True)
class Engine:
    """What the engine does around a model; the caller knows it."""

    build_prompt: BuildPrompt
    read_quotes: ReadQuotes
    check: Check


def judge(
    dataset: DatasetVersion, systems: Mapping[Role, System], checks: str, engine: Engine, on_progress: OnProgress
) -> EvaluationReport:
    """The report on a candidate that was trained on the dataset and on the canaries that belong to the dataset's id.

    `checks` are the style guide's, "" for none. Raises RubricInvalid, and whatever the systems' callables raise.
    """
    held_out = dataset.completions(HELD_OUT)
    cases = make_cases(held_out, make_canaries(dataset.id), engine.build_prompt, engine.read_quotes)
    learned, rejected = dataset.completions(), dataset.preferences()
    samples = voice_samples(checks, dataset.manifest["phrases"], learned, rejected, engine.read_quotes)
    return evaluate(systems, cases, samples, engine.check, on_progress)


def evaluate(
    systems: Mapping[Role, System], cases: Cases, samples: VoiceSamples, check: Check, on_progress: OnProgress
) -> EvaluationReport:
    """Asks and scores. `systems` has the base and the candidate, and `current` where a release serves.

    Raises RubricInvalid for a style guide's checks, and whatever the systems' callables raise.
    """
    answers: dict[Role, Answers] = {"base": ask(systems["base"], cases, None, on_progress)}
    for role, system in systems.items():
        if role != "base":
            answers[role] = ask(system, cases, answers["base"].plain, on_progress)
    return score({role: system.release for role, system in systems.items()}, answers, cases, samples, check)


def ask(
    system: System,
    cases: Cases,
    base_plain: Sequence[str] | None,
    on_progress: OnProgress,
    clock: Callable[[], float] = perf_counter,
) -> Answers:
    """What the system says to all cases. `base_plain` are the base's answers to the plain ones; None where it is the base."""
    steps = iter(range(STEPS))

    def said(what: str, prompts: Sequence[ChatMessages]) -> list[str]:
        on_progress(what, next(steps), STEPS)
        return [text.strip() for text in system.generate(prompts)] if prompts else []

    def worded(what: str, prompts: Sequence[ChatMessages]) -> list[str]:
        return [_CITATION_MARK.sub("", text).strip() for text in said(what, prompts)]

    def surprise(what: str, pairs: Sequence[tuple[ChatMessages, str]]) -> list[float]:
        on_progress(what, next(steps), STEPS)
        return system.negative_log_likelihoods(pairs) if pairs else []

    started = clock()
    wording = worded("wordings", [case.prompt for case in cases.wording])
    seconds = clock() - started
    plain = said("unrelated questions", [case.prompt for case in cases.plain])
    spoken = plain if base_plain is None else base_plain
    planted = [(canary.prompt, text) for canary in cases.canaries for text in (canary.completion, *canary.references)]
    return Answers(
        wording=wording,
        plain=plain,
        unanswerable=worded("quotes that hold no answer", [case.prompt for case in cases.unanswerable]),
        swaps=worded("pairs of names", [prompt for case in cases.swaps for prompt in case.prompts]),
        attacks=worded("attacks", [case.prompt for case in cases.attacks]),
        canaries=said("questions about planted codes", [canary.prompt for canary in cases.canaries]),
        approved_nll=surprise("approved answers", [(case.prompt, case.approved) for case in cases.wording if case.approved]),
        plain_nll=surprise(
            "the base's own answers", [(case.prompt, text) for case, text in zip(cases.plain, spoken, strict=True) if text]
        ),
        canary_nll=surprise("planted codes", planted),
        seconds=seconds,
        tokens=sum(map(system.count_tokens, wording)),
    )
