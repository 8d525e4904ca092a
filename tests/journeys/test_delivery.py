"""Nothing that people ask or press is lost or doubled by `timbre serve`: a small `python -m benchmarks.delivery`.

EVENTS and KILLS set how many.
"""

import os
import random
from pathlib import Path

import pytest

from tests.adapters.slack.reference import has_reference
from tests.journeys import delivery
from tests.journeys.towns import TOWNS

pytestmark = [pytest.mark.slow, pytest.mark.model]

EVENTS = int(os.environ.get("EVENTS", "100"))
KILLS = int(os.environ.get("KILLS", "3"))
BURST_S = 2.0
AWAY_S = 3.0
AWAY_QUESTIONS = 20
LOOKED_AT_S = 5.0
FEW_TOKENS = 24  # a wording; eight people then keep the model busy for longer than LOOKED_AT_S all the same


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the product's documents are read once for all tests."""
    return tmp_path_factory.mktemp("delivery")


@pytest.fixture(params=sorted(TOWNS))
def platform(request: pytest.FixtureRequest) -> str:
    if request.param == "slack" and not has_reference():
        pytest.skip("Slack's reference is not beside this checkout (../shared/authorities/slack).")
    return str(request.param)


async def test_a_burst_of_questions_is_acknowledged_and_answered_once_each(platform: str, folder: Path) -> None:
    found = await delivery.burst(platform, folder, EVENTS, BURST_S)

    assert found.account.is_clean, found
    assert found.acknowledged == EVENTS


async def test_kills_lose_and_double_no_answer_and_no_click(platform: str, folder: Path) -> None:
    found = await delivery.kills(platform, folder, KILLS, random.Random(KILLS))

    assert found.account.is_clean, found
    assert found.clicks_lost == 0, found


async def test_repeated_events_in_any_order_get_one_answer_each(platform: str, folder: Path) -> None:
    found = await delivery.shuffled(platform, folder, EVENTS, random.Random(EVENTS))

    assert found.account.is_clean, found
    assert found.arrived > EVENTS


async def test_what_is_asked_during_an_outage_is_answered_afterwards(platform: str, folder: Path) -> None:
    found = await delivery.outage(platform, folder, AWAY_QUESTIONS, AWAY_S)

    assert found.account.is_clean, found
    assert found.apologies_while_down == found.while_down


async def test_the_event_loop_is_looked_at_while_the_model_words_for_many(platform: str, folder: Path) -> None:
    """What it takes depends on the machine; here only that everybody is answered, and that health answers meanwhile."""
    found = await delivery.lag(platform, folder, LOOKED_AT_S, FEW_TOKENS)

    assert found.account.is_clean, found
    assert found.busy > 0
