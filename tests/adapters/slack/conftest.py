"""Fixtures: a Slack of the test's own, and a small company in it. A test fails whose app did something that Slack's rules
forbid, unless the test took those problems (`slack.take_problems()`)."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.main import Timbre, build
from bot.settings import ChatSettings, Settings
from tests.adapters.slack.bolt import a_client
from tests.adapters.slack.deliveries import Patience
from tests.adapters.slack.office import Office, furnish
from tests.adapters.slack.reference import has_reference
from tests.adapters.slack.server import SlackServer
from tests.bot.conftest import handbook_file as handbook_file
from tests.conftest import silent
from tests.fakes import HashingEmbedder

CARLA = "U3"

QUICK = Patience(ack_within_s=1.0, retries_s=(0.01, 0.02, 0.03))


@asynccontextmanager
async def strict_slack(**options: Any) -> AsyncIterator[SlackServer]:
    """A quick Slack; AssertionError at the end where the app broke a rule."""
    async with SlackServer(**{"patience": QUICK, **options}) as server:
        yield server
    assert server.problems == []


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    if not has_reference():
        pytest.skip("Slack's reference is not beside this checkout (../shared/authorities/slack).")
    async with strict_slack() as server:
        yield server


@pytest.fixture
def office(slack: SlackServer) -> Office:
    return furnish(slack)


@pytest.fixture
def client(office: Office) -> AsyncWebClient:
    """The app's client, which repeats nothing by itself."""
    return a_client(office.slack)


@pytest.fixture
def handbook_home(tmp_path: Path, handbook_file: Path) -> Path:
    """A TIMBRE_HOME in which two documents are indexed for everyone."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(handbook_file, home / "timbre.db")
    return home


@pytest.fixture
def timbre(handbook_home: Path) -> Iterator[Timbre]:
    """The bot with that handbook and no model; Carla is its admin."""
    chat = ChatSettings(first_admin=f"slack:T1:{CARLA}")
    built = build(Settings(home=handbook_home, chat=chat), silent, embedder=HashingEmbedder())
    yield built
    built.knowledge.index.close()
    built.database.close()


@pytest.fixture
def channel(office: Office) -> str:
    """#handbook, public, with employees only and the app."""
    return office.slack.add_channel("handbook", office.ana, office.ben, office.carla)
