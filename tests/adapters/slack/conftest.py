"""Fixtures: a Slack of the test's own, and a small company in it. A test fails whose app did something that Slack's rules
forbid, unless the test took those problems (`slack.take_problems()`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.adapters.slack.bolt import a_client
from tests.adapters.slack.deliveries import Patience
from tests.adapters.slack.office import Office, furnish
from tests.adapters.slack.reference import has_reference
from tests.adapters.slack.server import SlackServer

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
