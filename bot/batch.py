"""Answers many questions in input order, some at a time, and never stops at a bad one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bot.conversation import Exchange, Question, turns
from bot.engine import AnswerEngine, failure
from bot.errors import BotError
from bot.question_files import check_row, read_lines, read_object
from bot.serialise import error_object, exchange_object
from knowledge.documents import Audience
from knowledge.errors import KnowledgeError

CONCURRENT_WORDINGS = 8  # questions that wait for the model together are answered in one batch


async def answer_lines(
    engine: AnswerEngine, path: Path, audience: Audience, asked_by: str, concurrency: int
) -> AsyncIterator[dict[str, Any]]:
    """One JSON object per non-empty line of the file, in its order; a line that cannot be read gives an error object."""
    lines = read_lines(path)
    limit = asyncio.Semaphore(concurrency)

    async def answer(number: int, line: str) -> dict[str, Any]:
        async with limit:
            return await _answer_line(engine, path, number, line, audience, asked_by)

    tasks = [asyncio.create_task(answer(number, line)) for number, line in lines]
    for task in tasks:
        yield await task


async def _answer_line(
    engine: AnswerEngine, path: Path, number: int, line: str, audience: Audience, asked_by: str
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    try:
        row = read_object(path, number, line)
        check_row(path, number, row)
        exchange = await answer_row(engine, row, audience, asked_by)
    except (BotError, KnowledgeError) as err:
        return {"id": row.get("id"), **error_object(failure(err))}
    return {"id": row.get("id"), **exchange_object(exchange)}


async def answer_row(engine: AnswerEngine, row: dict[str, Any], audience: Audience, asked_by: str) -> Exchange:
    """The exchange for a row `{"question", "history"?}`."""
    history = turns(row.get("history") or [])
    return await engine.answer(Question(row["question"], audience, history, asked_by))
