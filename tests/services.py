"""What `make services` started, for tests. Where it is missing a test is skipped with the reason; with CI=true it fails."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

ENV_FILE = Path(__file__).parent.parent / ".services.env"


@dataclass(frozen=True)
class WeaviateAddress:
    """Where the Weaviate of `make services` is and what opens it."""

    url: str
    grpc_port: int
    api_key: str


def require(is_there: bool, what: str) -> None:
    """Ends the test when `what` is not there."""
    if is_there:
        return
    reason = f"{what} is not there; run `make services` first"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def weaviate_address() -> WeaviateAddress:
    settings = _settings()
    address = WeaviateAddress(
        settings.get("TIMBRE_INDEX__URL", ""),
        int(settings.get("TIMBRE_INDEX__GRPC_PORT", 0)),
        settings.get("TIMBRE_INDEX__API_KEY", ""),
    )
    require(_listens(address.grpc_port), "Weaviate")
    return address


def postgres_address() -> str:
    """The URL of a database on the Postgres of `make services`, whose user may make others."""
    url = _settings().get("TIMBRE_DATABASE_URL", "")
    require(bool(url) and _listens(make_url(url).port or 0), "Postgres")
    return url


def _settings() -> dict[str, str]:
    lines = ENV_FILE.read_text().splitlines() if ENV_FILE.exists() else []
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return bool(port) and probe.connect_ex(("127.0.0.1", port)) == 0
