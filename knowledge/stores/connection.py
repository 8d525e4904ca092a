"""The connection to a Weaviate server: its asynchronous client on a thread of its own, with a deadline for every call."""

import asyncio
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from typing import TypeVar
from urllib.parse import urlsplit

import grpc
import httpx

with warnings.catch_warnings():  # importing weaviate resets the warning filters of the whole process
    import weaviate
    from weaviate import WeaviateAsyncClient
    from weaviate.classes.init import AdditionalConfig, Auth, Timeout
    from weaviate.config import GrpcConfig
    from weaviate.exceptions import (
        UnexpectedStatusCodeError,
        WeaviateBaseError,
        WeaviateConnectionError,
        WeaviateGRPCUnavailableError,
        WeaviateStartUpError,
    )

from knowledge.errors import IndexAway, IndexUnavailable
from knowledge.settings import IndexSettings

MIN_VERSION = (1, 36)
QUESTION_TIMEOUT_S = 2.5  # an asker should not wait longer before the copy in the database is searched
BULK_TIMEOUT_S = 60.0
CLOSING_S = 1.0
CHANNEL_OPTIONS = [  # with gRPC's defaults a client stays deaf for up to 28 s after the server is back
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Result = TypeVar("Result")


class Connection:
    """Runs work on the client, which connects with the first work and again by itself after the server was away."""

    def __init__(self, settings: IndexSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: WeaviateAsyncClient | None = None
        self._connecting = asyncio.Lock()

    def run(self, work: Callable[[WeaviateAsyncClient], Awaitable[Result]], timeout_s: float = QUESTION_TIMEOUT_S) -> Result:
        """The result of `work`. Raises IndexAway when the server does not answer in time or the connection is closed meanwhile,
        IndexUnavailable when the server refuses.
        """
        with self._lock:  # work handed over after the loop's last round would never be done, and never end
            doing = asyncio.run_coroutine_threadsafe(self._within(work, timeout_s), self._running_loop())
        try:
            return doing.result()
        except CancelledError as err:
            raise IndexAway(self._settings.url, "the connection was closed") from err

    def close(self) -> None:
        with self._lock:
            if self._loop is None:
                return
            if self._client is not None:
                asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
                self._client = None
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = None

    async def _within(self, work: Callable[[WeaviateAsyncClient], Awaitable[Result]], timeout_s: float) -> Result:
        try:
            async with asyncio.timeout(timeout_s):
                return await work(await self._connected())
        except TimeoutError as err:
            raise IndexAway(self._settings.url, f"nothing came within {timeout_s:g} s") from err
        except UnexpectedStatusCodeError as err:
            raise self._refused(err) from err
        except (WeaviateBaseError, httpx.HTTPError, grpc.RpcError) as err:  # a connection that breaks comes unwrapped
            raise IndexAway(self._settings.url, _first_line(err)) from err

    async def _connected(self) -> WeaviateAsyncClient:
        async with self._connecting:
            if self._client is None:
                client = _client(self._settings)
                try:
                    await client.connect()
                    self._check_version((await client.get_meta())["version"])
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    def _check_version(self, version: str) -> None:
        if tuple(int(part) for part in version.split(".")[:2]) < MIN_VERSION:
            wanted = ".".join(map(str, MIN_VERSION))
            raise IndexUnavailable(f"The Weaviate at {self._settings.url} has version {version}; it must be {wanted} or newer.")

    def _refused(self, err: UnexpectedStatusCodeError) -> IndexUnavailable:
        url = self._settings.url
        if err.status_code in (401, 403):
            return IndexUnavailable(f"The index at {url} refuses the key; correct TIMBRE_INDEX__API_KEY.")
        if err.status_code >= 500:
            return IndexAway(url, _first_line(err))
        return IndexUnavailable(f"The index at {url} refused: {_first_line(err)}")

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Starts it where there is none; the lock is held."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(self._loop,), name="weaviate", daemon=True)
            self._thread.start()
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        until = loop.time() + CLOSING_S
        while (left := asyncio.all_tasks(loop)) and loop.time() < until:  # unfinished work, and what its end begins
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=CLOSING_S))
    finally:
        loop.close()


def _client(settings: IndexSettings) -> WeaviateAsyncClient:
    parts = urlsplit(settings.url)
    key = settings.api_key.get_secret_value()
    is_secure = parts.scheme == "https"
    host = parts.hostname or "localhost"
    return weaviate.use_async_with_custom(
        http_host=host,
        http_port=parts.port or (443 if is_secure else 80),
        http_secure=is_secure,
        grpc_host=host,
        grpc_port=settings.grpc_port,
        grpc_secure=is_secure,
        auth_credentials=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(
            trust_env=is_secure,  # SSL_CERT_FILE may name who vouches for its certificate
            timeout=Timeout(init=QUESTION_TIMEOUT_S, query=QUESTION_TIMEOUT_S, insert=BULK_TIMEOUT_S),
            grpc_config=GrpcConfig(channel_options=CHANNEL_OPTIONS),
        ),
    )


_BROKEN = (WeaviateConnectionError, WeaviateStartUpError, WeaviateGRPCUnavailableError, httpx.HTTPError, grpc.RpcError)


def _first_line(err: Exception) -> str:
    if any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in _causes(err)):
        return "nobody known vouches for its certificate; set SSL_CERT_FILE and GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
    if isinstance(err, _BROKEN):
        return "no connection"
    return str(err).strip().splitlines()[0].rstrip(".") if str(err).strip() else type(err).__name__


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__
