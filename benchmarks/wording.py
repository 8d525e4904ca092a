"""What wording costs over bare `generate` on the same prompt, what eight askers at once get, and what the event loop feels.

Bare means transformers' own `generate`, greedy, with the weights, the number type and the threads that the product uses, on
exactly the chat messages of the product's answer. The two take turns, so that a busy machine slows both. torch is imported by
`load_model`, which sets how its threads wait.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.corpora import handbook
from bot.audiences import audience_at_terminal
from bot.citations import without_marks
from bot.conversation import ChatMessage, Exchange, Question
from bot.evaluation import quantile
from bot.main import Timbre
from bot.weights import language_model_folder
from training.inference import load_model

ASKERS = 8  # at once, as the issue has it; also the number of prompts
REPEATS = 3
TICK_S = 0.005
IDLE_S = 5
FINDING = ("embed_query", "retrieve", "select")  # what stands before the wording in an exchange's timings


@dataclass(frozen=True)
class Overhead:
    """Medians over the questions of our seconds as shares of the bare ones: wording alone, and with the finding of the quotes.

    The first sentence counts from when it is shown, checked; on the bare side from when its last token was there.
    """

    questions: int
    repeats: int
    bare_tokens: float
    """Of one answer, as `bare_s`."""
    bare_s: float
    first_sentence_ratio: float
    last_token_ratio: float
    first_sentence_ratio_with_finding: float
    last_token_ratio_with_finding: float
    same_words_share: float


@dataclass(frozen=True)
class Throughput:
    """Tokens per second for the same prompts: medians of the repeats, `ratio` that of the ratios."""

    askers: int
    repeats: int
    bare_tokens_per_s: float
    one_at_a_time_tokens_per_s: float
    at_once_tokens_per_s: float
    ratio: float
    same_text_share: float


@dataclass(frozen=True)
class Lag:
    """How much later than asked for a sleeping task is woken, while so many questions are answered; and while nothing is done."""

    askers: int
    repeats: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    idle_p99_ms: float


@dataclass(frozen=True)
class Generated:
    """The tokens of a bare generation, and the seconds after which each was there."""

    tokenizer: Any
    tokens: Sequence[int]
    seconds: Sequence[float]

    @property
    def text(self) -> str:
        return self._text(len(self.tokens))

    def seconds_until(self, sentence: str) -> float:
        """When the sentence was whole; the end of all if it is not there."""
        counts = range(1, len(self.tokens) + 1)
        return next((self.seconds[n - 1] for n in counts if sentence in without_marks(self._text(n))), self.seconds[-1])

    def _text(self, tokens: int) -> str:
        return str(self.tokenizer.decode(self.tokens[:tokens], skip_special_tokens=True))


@dataclass(frozen=True)
class _Answered:
    """One answer of ours with the sentences shown and when the first was, in seconds since the question; and the bare one."""

    exchange: Exchange
    sentences: Sequence[str]
    first_s: float
    bare: Generated

    def ratios(self) -> list[float]:
        """First sentence and last token of the wording alone, then both with the finding."""
        finding_s = sum(self.exchange.timings_s[step] for step in FINDING)
        wording_s = self.exchange.timings_s["word"]
        bare_first_s, bare_last_s = self.bare.seconds_until(self.sentences[0]), self.bare.seconds[-1]
        alone = [(self.first_s - finding_s) / bare_first_s, wording_s / bare_last_s]
        return [*alone, self.first_s / bare_first_s, (finding_s + wording_s) / bare_last_s]

    @property
    def has_same_words(self) -> bool:
        return all(sentence in without_marks(self.bare.text) for sentence in self.sentences)


class _Clock:
    """When the prompt and each token were there. Implements transformers' streamer."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: object) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to do."""


class Bare:
    """`generate` and nothing around it."""

    def __init__(self, timbre: Timbre) -> None:
        self._tokenizer, self._model = load_model(language_model_folder(timbre.settings, print))
        self._max_new_tokens = timbre.settings.model.max_new_tokens

    def generate(self, messages: Sequence[ChatMessage]) -> Generated:
        import torch

        tokenizer, clock = self._tokenizer, _Clock()
        started = time.perf_counter()
        prompt = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            output = self._model.generate(**prompt, max_new_tokens=self._max_new_tokens, do_sample=False, streamer=clock)
        tokens = output[0, prompt["input_ids"].shape[1] :].tolist()
        return Generated(tokenizer, tokens, [at - started for at in clock.times[1:]])

    def count(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])


async def overhead(timbre: Timbre, bare: Bare, worded: Sequence[Question]) -> Overhead:
    """`timbre` has wording="model" and the handbook."""
    timed = [[await _answered(timbre, bare, question) for _ in range(REPEATS)] for question in worded]
    first, last, first_with, last_with = _medians([_medians([one.ratios() for one in repeats]) for repeats in timed])
    everything = [one for repeats in timed for one in repeats]
    return Overhead(
        questions=len(worded),
        repeats=REPEATS,
        bare_tokens=median(len(one.bare.tokens) for one in everything),
        bare_s=median(one.bare.seconds[-1] for one in everything),
        first_sentence_ratio=first,
        last_token_ratio=last,
        first_sentence_ratio_with_finding=first_with,
        last_token_ratio_with_finding=last_with,
        same_words_share=sum(one.has_same_words for one in everything) / len(everything),
    )


async def throughput(timbre: Timbre, bare: Bare, worded: Sequence[Question]) -> Throughput:
    """The prompts of ASKERS questions, bare, one after the other and all at once, in turns."""
    prompts = [(await timbre.engine.answer(question)).messages for question in worded[:ASKERS]]
    rates: list[tuple[float, float, float]] = []
    same = 0
    for _ in range(REPEATS):
        generated = [bare.generate(prompt) for prompt in prompts]
        alone, alone_s = await _said(timbre, prompts, at_once=1)
        together, together_s = await _said(timbre, prompts, at_once=ASKERS)
        bare_rate = sum(len(one.tokens) for one in generated) / sum(one.seconds[-1] for one in generated)
        rates.append((bare_rate, sum(map(bare.count, alone)) / alone_s, sum(map(bare.count, together)) / together_s))
        same += sum(one == other for one, other in zip(alone, together, strict=True))
    bare_rate, alone_rate, together_rate = _medians(rates)
    return Throughput(
        askers=len(prompts),
        repeats=REPEATS,
        bare_tokens_per_s=bare_rate,
        one_at_a_time_tokens_per_s=alone_rate,
        at_once_tokens_per_s=together_rate,
        ratio=median(together / alone for _, alone, together in rates),
        same_text_share=same / (len(prompts) * REPEATS),
    )


async def lag(timbre: Timbre, worded: Sequence[Question]) -> Lag:
    """Answers ASKERS questions at once while a task of the same event loop ticks."""
    idle = await _lateness_ms(asyncio.sleep(IDLE_S))
    found: list[float] = []
    for _ in range(REPEATS):
        found += await _lateness_ms(asyncio.gather(*map(timbre.engine.answer, worded[:ASKERS])))
    found.sort()
    return Lag(
        askers=ASKERS,
        repeats=REPEATS,
        p50_ms=quantile(found, 0.5),
        p99_ms=quantile(found, 0.99),
        max_ms=found[-1],
        idle_p99_ms=quantile(sorted(idle), 0.99),
    )


async def _lateness_ms(work: Awaitable[object]) -> list[float]:
    """Of each tick until the work is done."""
    found: list[float] = []

    async def tick() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            found.append((time.perf_counter() - before - TICK_S) * 1000)

    ticking = asyncio.create_task(tick())
    await work
    ticking.cancel()
    return found


def _medians(rows: Sequence[Sequence[float]]) -> list[float]:
    """The median of each column."""
    return [median(column) for column in zip(*rows, strict=True)]


async def worded_questions(timbre: Timbre, count: int) -> list[Question]:
    """The first questions of the handbook of which at least one sentence of the wording passes the check."""
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    found: list[Question] = []
    for case in handbook().cases:
        question = Question(case.question, audience)
        if (await timbre.engine.answer(question)).answer.wording:
            found.append(question)
        if len(found) == count:
            break
    return found


async def _answered(timbre: Timbre, bare: Bare, question: Question) -> _Answered:
    pieces: list[tuple[str, float]] = []
    started = time.perf_counter()
    exchange = await timbre.engine.answer(question, lambda piece: pieces.append((piece, time.perf_counter() - started)))
    sentences = [without_marks(piece).strip() for piece, _ in pieces[:-1]]  # the last piece is the quotes
    return _Answered(exchange, sentences, pieces[0][1], await asyncio.to_thread(bare.generate, exchange.messages))


async def _said(timbre: Timbre, prompts: Sequence[Sequence[ChatMessage]], at_once: int) -> tuple[list[str], float]:
    """(answers, seconds) with so many askers waiting at any time."""
    turn = asyncio.Semaphore(at_once)

    async def ask(prompt: Sequence[ChatMessage]) -> str:
        async with turn:
            pieces = timbre.language_model.stream(prompt, timbre.settings.model.max_new_tokens, release)
            return "".join([piece async for piece in pieces])

    release = (await timbre.language_model.load()).release
    started = time.perf_counter()
    return list(await asyncio.gather(*map(ask, prompts))), time.perf_counter() - started
