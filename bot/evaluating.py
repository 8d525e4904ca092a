"""Asks the engine a question set and keeps what it said; remembers how well a model words."""

import asyncio
from collections.abc import Sequence

from bot.batch import CONCURRENT_WORDINGS
from bot.citations import MARK
from bot.conversation import Exchange, Outcome, Question, turns
from bot.engine import failure
from bot.errors import BotError
from bot.evaluation import Case, Observation, is_right
from bot.main import Timbre
from bot.storage.exchanges import WordingEvaluation
from knowledge.documents import Audience
from knowledge.errors import IndexUnavailable, KnowledgeError
from knowledge.ingestion import Progress


async def run_cases(
    timbre: Timbre, cases: Sequence[Case], audience: Audience, asked_by: str, progress: Progress
) -> list[Observation]:
    """One observation per case. Where a model words answers, its evaluation is stored for TIMBRE_ANSWER__WORDING=auto.

    Raises IndexUnavailable when nothing is indexed.
    """
    does_word = (await timbre.worder.permission()).is_allowed
    limit = asyncio.Semaphore(CONCURRENT_WORDINGS if does_word else 1)
    done = 0

    async def observe(case: Case) -> Observation:
        nonlocal done
        async with limit:
            observation = await _observe(timbre, case, audience, asked_by)
        done += 1
        progress("asking", done, len(cases))
        return observation

    observations = list(await asyncio.gather(*map(observe, cases)))
    if does_word:
        release = (await timbre.worder.serving()).release
        timbre.exchanges.put_wording_evaluation(wording_evaluation(release, cases, observations))
    return observations


async def _observe(timbre: Timbre, case: Case, audience: Audience, asked_by: str) -> Observation:
    question = Question(case.question, audience, turns(case.history), asked_by)
    try:
        return observation_of(await timbre.engine.answer(question))
    except IndexUnavailable:
        raise
    except (BotError, KnowledgeError) as err:
        return Observation(Outcome.ERROR, failure(err), (), 0.0)


def observation_of(exchange: Exchange) -> Observation:
    answer = exchange.answer
    kept = len(MARK.findall(answer.wording))
    locations = [citation.quote.passage.document.location for citation in answer.citations]
    return Observation(
        answer.outcome,
        answer.text,
        locations,
        exchange.timings_s["total"],
        bool(answer.wording),
        kept,
        exchange.dropped_sentences,
    )


def wording_evaluation(release: str, cases: Sequence[Case], observations: Sequence[Observation]) -> WordingEvaluation:
    """How often an answer with a wording was right, and the share of worded sentences that passed the check (pure)."""
    worded = [(case, seen) for case, seen in zip(cases, observations, strict=True) if seen.worded and case.is_answerable]
    kept = sum(seen.sentences_kept for seen in observations)
    all_sentences = kept + sum(seen.sentences_dropped for seen in observations)
    right = sum(is_right(case, seen) for case, seen in worded)
    return WordingEvaluation(
        release, len(cases), len(worded), right / len(worded) if worded else 0.0, kept / all_sentences if all_sentences else 0.0
    )
