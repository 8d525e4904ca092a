"""The two LanguageModels: in this process (training.inference), and any OpenAI-compatible server.

In this process the release answers that the registry's pointer names at that moment, whoever moved it.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.conversation import ChatMessage, ReleaseId
from bot.errors import ModelUnavailable
from bot.ports import LanguageModel, ModelIdentity
from bot.settings import Settings
from bot.training_home import training_dir
from bot.weights import BUILT_IN_MODEL, Notify, language_model_folder
from knowledge.errors import KnowledgeError
from training import errors as training_errors
from training import releases
from training.registry import ReleaseRegistry, Serving
from training.weights import base_sha256

if TYPE_CHECKING:
    from openai import AsyncOpenAI

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
    """What the settings' model is called without a release, and without loading it. The built-in base may not word answers."""
    model = settings.model.id
    if settings.model.url:
        return ModelIdentity(ReleaseId(f"server:{model}"), f"{model} at {settings.model.url}")
    if model == BUILT_IN_MODEL:
        return ModelIdentity(ReleaseId(f"base:{model}"), model, may_word=False)
    return ModelIdentity(ReleaseId(f"model:{model}"), model)


def open_registry(settings: Settings, notify: Notify) -> ReleaseRegistry:
    """The releases in TIMBRE_HOME, for the base model that the settings name."""
    folder = training_dir(settings) / "releases"

    def identify_base() -> str:
        try:
            return base_sha256(language_model_folder(settings, notify), folder / "base.json")
        except (ModelUnavailable, KnowledgeError) as err:
            raise training_errors.ModelUnavailable(str(err)) from err

    return ReleaseRegistry(folder, identify_base)


class LocalLanguageModel:
    """transformers in a thread of this process; the event loop is never blocked."""

    def __init__(self, settings: Settings, notify: Notify) -> None:
        self._base = identity_of(settings)
        self._settings = settings
        self._notify = notify
        self._inference: Inference | None = None
        self._start_lock = threading.Lock()
        self._load_lock = asyncio.Lock()
        self._served = _Served(open_registry(settings, notify))
        self._loras: dict[str, Path] = {}

    async def serving(self) -> ModelIdentity:
        return self._identity((await asyncio.to_thread(self._served.now)).release)

    async def alert(self) -> str:
        return (await asyncio.to_thread(self._served.now)).alert

    def standing(self) -> Serving:
        """What serves now, by whatever this process knows of it; safe for threads."""
        return self._served.now()

    async def load(self) -> ModelIdentity:
        async with self._load_lock:  # askers that come together wait for one loading
            while (release := (await asyncio.to_thread(self._served.now)).release) and release.id not in self._loras:
                try:
                    await asyncio.to_thread(self.try_out, release)
                except training_errors.ReleaseUnusable as err:
                    await asyncio.to_thread(self._served.refuse, release.id, err.why)
        return self._identity(release)

    def try_out(self, release: releases.ModelRelease) -> None:
        """Loads the release, while answers go on, and lets it say something; safe for threads.

        Raises training.errors.ReleaseUnusable, or bot.errors.ModelUnavailable when there is no model to load it on.
        """
        try:
            self._started().prepare(release.lora_dir)
        except training_errors.ModelUnavailable as err:
            raise ModelUnavailable(str(err)) from err
        self._loras[release.id] = release.lora_dir

    def _identity(self, release: releases.ModelRelease | None) -> ModelIdentity:
        if release is None:
            return self._base
        return ModelIdentity(ReleaseId(release.id), self._base.model, release.may_word, release.phrases)

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int, release: ReleaseId) -> AsyncIterator[str]:
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def pass_on(piece: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        inference = await asyncio.to_thread(self._started)
        generation = inference.submit(_plain(messages), max_new_tokens, pass_on, self._loras.get(release))
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
        inference = await asyncio.to_thread(self._started)
        try:
            return await asyncio.to_thread(inference.count_tokens, _plain(messages))
        except training_errors.ModelUnavailable as err:
            raise ModelUnavailable(str(err)) from err

    async def close(self) -> None:
        if self._inference:
            await asyncio.to_thread(self._inference.close)

    def _started(self) -> "Inference":
        from training.inference import Inference

        with self._start_lock:
            if self._inference is None:
                self._inference = Inference(language_model_folder(self._settings, self._notify))
            return self._inference


class _Served:
    """What the registry says, checked once for each move of its pointers. Safe for threads."""

    def __init__(self, registry: ReleaseRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._stamp: Sequence[object] | None = None
        self._found = Serving(None, "")
        self._refused: dict[releases.ReleaseId, str] = {}

    def now(self) -> Serving:
        with self._lock:
            stamp = self._registry.stamp()
            if stamp != self._stamp:
                self._refused.clear()
                self._check(stamp)
            return self._found

    def refuse(self, release: releases.ReleaseId, why: str) -> None:
        """Lets another serve in its place until a pointer moves."""
        with self._lock:
            self._refused[release] = why
            self._check(self._stamp)

    def _check(self, stamp: Sequence[object] | None) -> None:
        self._found = self._registry.current(self._refused)
        self._stamp = stamp
        if self._found.alert:
            logger.error("%s", self._found.alert)


class ServerLanguageModel:
    """vLLM, `transformers serve` or any other server that speaks OpenAI's chat completions."""

    def __init__(self, url: str, model: str, api_key: str, timeout_s: float) -> None:
        self._identity = ModelIdentity(ReleaseId(f"server:{model}"), f"{model} at {url}")
        self._url = url
        self._model = model
        self._api_key = api_key
        self._timeout_s = timeout_s

    @cached_property
    def _client(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI

        return AsyncOpenAI(base_url=self._url, api_key=self._api_key or "none", timeout=self._timeout_s, max_retries=1)

    async def serving(self) -> ModelIdentity:
        return self._identity

    async def load(self) -> ModelIdentity:
        return self._identity

    async def alert(self) -> str:
        return ""

    async def stream(self, messages: Sequence[ChatMessage], max_new_tokens: int, release: ReleaseId) -> AsyncIterator[str]:
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
        if "_client" in self.__dict__:
            await self._client.close()


def _plain(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]
