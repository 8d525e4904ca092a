"""Private servers for tests that kill them: each in a folder of its own, on ports of its own, gone at the end of the block."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.servers import PostgresServer, WeaviatePorts, WeaviateServer, any_free_ports, find_postgres
from scripts.services import WEAVIATE_BINARY
from tests.services import require

__all__ = ["PostgresServer", "WeaviateServer", "private_postgres", "private_weaviate"]


@contextmanager
def private_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A Postgres that is ready: `url()`, `kill_9()`, `stop()`, `start()`."""
    binaries = find_postgres()
    require(binaries is not None, "Postgres' program")
    assert binaries
    server = PostgresServer(binaries, folder, any_free_ports(1)[0], "password")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def private_weaviate(folder: Path) -> Iterator[WeaviateServer]:
    """A Weaviate that is ready: `url`, `grpc_port`, `api_key`, `kill_9()`, `stop()`, `start()`."""
    require(WEAVIATE_BINARY.exists(), "Weaviate's program")
    server = WeaviateServer(WEAVIATE_BINARY, folder, WeaviatePorts(*any_free_ports(6)), "key")
    try:
        server.start()
        yield server
    finally:
        server.stop()
