"""What `make services` started, for tests. Where it is missing a test is skipped with the reason; with CI=true it fails."""

import os
import socket
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from knowledge.settings import IndexSettings

ENV_FILE = Path(__file__).parent.parent / ".services.env"


def require(is_there: bool, what: str) -> None:
    """Ends the test when `what` is not there."""
    if is_there:
        return
    reason = f"{what} is not there; run `make services` first"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def weaviate_settings(name: str) -> IndexSettings:
    """The Weaviate of `make services`, with `name` for alias and collections."""
    found = _settings()
    port = int(found.get("TIMBRE_INDEX__GRPC_PORT", 0))
    require(_listens(port), "Weaviate")
    key = SecretStr(found["TIMBRE_INDEX__API_KEY"])
    return IndexSettings(kind="weaviate", url=found["TIMBRE_INDEX__URL"], grpc_port=port, api_key=key, name=name)


def drop_collections(settings: IndexSettings) -> None:
    """Removes the alias of that name and every collection that was made for it."""
    with httpx.Client(
        base_url=settings.url, headers={"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
    ) as client:  # fmt: skip
        client.delete(f"/v1/aliases/{settings.name}")
        for collection in client.get("/v1/schema").json()["classes"]:
            if collection["class"].startswith(f"{settings.name}_"):
                client.delete(f"/v1/schema/{collection['class']}").raise_for_status()


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
