"""An OpenAI-compatible server that words the first quote of a prompt in the quote's own words, as slowly as it is told.

What it says passes the product's check, so that answers grow on a platform for as long as a test needs them to.
"""

import asyncio
import json
import re
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from aiohttp import web

NAME = "slow-words"
_FIRST_QUOTE = re.compile(r"\[1\] <<<(.*?)>>>", re.DOTALL)


class WordServer:
    """Listens on 127.0.0.1 for the length of a `with` block; `generations` counts what it was asked for."""

    def __init__(self, seconds_per_word: float) -> None:
        self._seconds_per_word = seconds_per_word
        self.generations = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", self._complete)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    def environment(self) -> dict[str, str]:
        """The settings of a product that lets this server word its answers."""
        address = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return {"TIMBRE_ANSWER__WORDING": "model", "TIMBRE_MODEL__URL": address, "TIMBRE_MODEL__ID": NAME}

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self.generations += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with suppress(ConnectionError):  # whoever asked was killed
            asked = await request.json()
            await response.prepare(request)
            for word in words_of(asked["messages"][-1]["content"]):
                await asyncio.sleep(self._seconds_per_word)
                await response.write(f"data: {json.dumps(_chunk(word))}\n\n".encode())
            await response.write(b"data: [DONE]\n\n")
        return response


def words_of(prompt: str) -> list[str]:
    """The words of the first quote, each with the space before it."""
    found = _FIRST_QUOTE.search(prompt)
    return re.findall(r"\s*\S+", found[1]) if found else []


def _chunk(text: str) -> dict[str, Any]:
    delta = {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": NAME, "choices": [choice]}
