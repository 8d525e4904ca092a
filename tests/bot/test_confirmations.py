"""A click counts once, of the person who asked, for ten minutes."""

import pytest

from bot.confirmations import VALID_S, Confirmations
from bot.errors import CommandRejected
from bot.messages import PersonId
from tests.bot.test_long_work import Clock

ANN, BOB = PersonId("slack:T1:ANN"), PersonId("slack:T1:BOB")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock) -> Confirmations[str]:
    return Confirmations(clock)


def test_a_token_is_good_for_one_click(waiting: Confirmations[str]) -> None:
    token = waiting.put(ANN, "forget handbook")

    assert waiting.take(ANN, token) == "forget handbook"
    with pytest.raises(CommandRejected, match="used already or is older than ten minutes"):
        waiting.take(ANN, token)


def test_a_token_is_good_for_its_person_only_and_stays_theirs(waiting: Confirmations[str]) -> None:
    token = waiting.put(ANN, "forget handbook")

    with pytest.raises(CommandRejected, match="Only the person who gave the command"):
        waiting.take(BOB, token)
    assert waiting.take(ANN, token) == "forget handbook"


@pytest.mark.parametrize(("seconds", "is_good"), [(VALID_S - 1, True), (VALID_S, False)])
def test_a_token_is_good_for_ten_minutes(waiting: Confirmations[str], clock: Clock, seconds: float, is_good: bool) -> None:
    token = waiting.put(ANN, "forget handbook")
    clock.now_s += seconds

    if is_good:
        assert waiting.take(ANN, token)
    else:
        with pytest.raises(CommandRejected):
            waiting.take(ANN, token)


def test_tokens_fit_into_a_button_and_are_all_different(waiting: Confirmations[str]) -> None:
    tokens = {waiting.put(ANN, "forget handbook") for _ in range(100)}

    assert len(tokens) == 100 and max(map(len, tokens)) <= 60
