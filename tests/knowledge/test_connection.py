"""The connection to a Weaviate server that is closed while somebody uses it. No server is needed: nobody answers."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from weaviate import WeaviateAsyncClient

from knowledge.errors import IndexAway
from knowledge.settings import IndexSettings
from knowledge.stores.connection import Connection

LONG_S = 60.0
SOON_S = 10.0
LEAD_S = 0.05  # that a closing thread gets before the work is handed over


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


async def nothing(_: WeaviateAsyncClient) -> None: ...


def outcome(connection: Connection, meanwhile: Callable[[], object]) -> BaseException | None:
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(connection.run, nothing, LONG_S)
        meanwhile()
        return work.exception(SOON_S)


def test_a_close_ends_the_work_that_waits_for_the_server(silent: socket.socket) -> None:
    connection = Connection(IndexSettings(kind="weaviate", url=f"http://127.0.0.1:{silent.getsockname()[1]}"))

    def close_while_it_waits() -> None:
        with silent.accept()[0]:
            connection.close()

    assert isinstance(error := outcome(connection, close_while_it_waits), IndexAway)
    assert "the connection was closed" in str(error)


def test_a_close_that_comes_while_work_is_handed_over_ends_it_too() -> None:
    class Closing(Connection):
        """Is closed by another thread as soon as it has a loop; its server never answers."""

        def _running_loop(self) -> asyncio.AbstractEventLoop:
            loop = super()._running_loop()
            self.closer = threading.Thread(target=self.close)
            self.closer.start()
            self.closer.join(LEAD_S)
            return loop

        async def _connected(self) -> WeaviateAsyncClient:
            return await asyncio.Future()

    connection = Closing(IndexSettings(kind="weaviate"))

    assert isinstance(outcome(connection, lambda: None), IndexAway)
    connection.closer.join(SOON_S)
    assert not connection.closer.is_alive()
