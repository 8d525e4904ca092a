"""The two LanguageModels: in this process (training.inference), and any OpenAI-compatible server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from bot.conversation import ChatMessage, ReleaseId
from bot.errors import ModelUnavailable
from bot.ports import LanguageModel, ModelIdentity
from bot.settings import Settings
from bot.weights import BUILT_IN_MODEL, Notify, language_model_folder
from training import errors as training_errors

if TYPE_CHECKING:
    from training.inference import Inference

logger = logging.getLogger(__name__)

CHARS_PER_TOKEN = 3  # a safe estimate where the tokenizer is out of reach; English has 4 to 5


def open_language_model(settings: Settings, notify: Notify) -> LanguageModel:
    """The model that the settings name; the weights are loaded when it is first asked."""
    if settings.model.url:
        return ServerLanguageModel(
            settings.model.url, settings.model.id, settings.model.api_key.get_secret_value(), settings.model.timeout_s
        )
    return LocalLanguageModel(settings, notify)


def identity_of(settings: Settings) -> ModelIdentity:
    """What the settings' model is called, without loading it."""
    model = settings.model.id
    if settings.model.url:
        return ModelIdentity(ReleaseId(f"server:{model}"), f"{model} at {settings.model.url}")
    kind = "base" if model == BUILT_IN_MODEL else "model"
    return ModelIdentity(ReleaseId(f"{kind}:{model}"), model)


class LocalLanguageModel:
    """transformers in a thread of this process; the event loop is never blocked."""

    def __init__(self, settings: Settings, notify: Notify) -> None:
        self.identity = identity_of(settings)
        self._settings = settings
        self._notify = notify
        self._inference: Inference | None = None
        self._lock = asyncio.Lock()

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int) -> AsyncIterator[str]:
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def pass_on(piece: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        generation = (await self._started()).submit(_plain(messages), max_new_tokens, pass_on)
        generation.done.add_done_callback(lambda _: pass_on(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            generation.done.result()
        except training_errors.ModelUnavailable as err:
            raise ModelUnavailable(str(err)) from err
        finally:
            generation.cancel()

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        inference = await self._started()
        try:
            return await asyncio.to_thread(inference.count_tokens, _plain(messages))
        except training_errors.ModelUnavailable as err:
            raise ModelUnavailable(str(err)) from err

    async def close(self) -> None:
        if self._inference:
            await asyncio.to_thread(self._inference.close)

    async def _started(self) -> "Inference":
        async with self._lock:
            if self._inference is None:
                self._inference = await asyncio.to_thread(self._start)
            return self._inference

    def _start(self) -> "Inference":
        from training.inference import Inference

        return Inference(language_model_folder(self._settings, self._notify))


class ServerLanguageModel:
    """vLLM, `transformers serve` or any other server that speaks OpenAI's chat completions."""

    def __init__(self, url: str, model: str, api_key: str, timeout_s: float) -> None:
        from openai import AsyncOpenAI

        self.identity = ModelIdentity(ReleaseId(f"server:{model}"), f"{model} at {url}")
        self._url = url
        self._model = model
        self._client = AsyncOpenAI(base_url=url, api_key=api_key or "none", timeout=timeout_s, max_retries=1)

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int) -> AsyncIterator[str]:
        from openai import OpenAIError

        request: dict[str, Any] = {"model": self._model, "messages": list(messages), "max_tokens": max_new_tokens}
        try:
            async for event in await self._client.chat.completions.create(**request, temperature=0, stream=True):
                if event.choices and (piece := event.choices[0].delta.content):
                    yield piece
        except (OpenAIError, ValueError) as err:  # ValueError: the stream holds something that is no JSON
            raise ModelUnavailable(f"The model server {self._url} cannot be used: {err}") from err

    async def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return sum(len(message["content"]) // CHARS_PER_TOKEN + 8 for message in messages)

    async def close(self) -> None:
        await self._client.close()


def _plain(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]
