"""The forecast says what a run takes, and refuses one that is over the budget."""

from dataclasses import replace

import pytest

from tests.training.test_fine_tune import RECIPE
from training.forecast import Budget, Forecast, Trial, Work, estimate, in_words, over_budget

BUDGET = Budget(max_minutes=10, memory_mb=2500, cost_per_hour=3.0)


def test_minutes_are_tokens_by_speed_and_cost_is_time_by_price() -> None:
    trial, work = Trial(tokens_per_s=400, load_s=12, peak_mb=1600), Work(train=24_000, held_out=4_000, validations=4)

    found = estimate(trial, work, replace(RECIPE, epochs=2), BUDGET)

    # (2 * 24,000 + 4 * 4,000 * 0.3) / 400 + 12 seconds
    assert found == Forecast(minutes=2.4, memory_mb=1900, cost=2.4 / 60 * 3.0, tokens_per_s=400)
    assert in_words(found, BUDGET) == "about 2 minutes, 1,900 MB of memory, 0.12 at 3 an hour, at 400 tokens/s"
    assert in_words(found, replace(BUDGET, cost_per_hour=0)) == "about 2 minutes, 1,900 MB of memory, at 400 tokens/s"


@pytest.mark.parametrize(
    ("minutes", "memory_mb", "limit_mb", "free_mb", "reason"),
    [
        (9.9, 2400, 2500, 100, ""),
        (10.1, 2400, 2500, 9000, "about 10 minutes, more than TIMBRE_TRAINING__MAX_MINUTES (10)"),
        (5, 2600, 2500, 9000, "about 2,600 MB of memory, and has 2,500"),
        (5, 2600, 0, 2000, "about 2,600 MB of memory, and has 2,000"),
        (5, 2600, 0, 9000, ""),
    ],
)
def test_over_the_budget_a_run_does_not_start(minutes: float, memory_mb: int, limit_mb: int, free_mb: int, reason: str) -> None:
    found = over_budget(Forecast(minutes, memory_mb, 0, 400), replace(BUDGET, memory_mb=limit_mb), free_mb)

    assert reason in found and bool(reason) == bool(found)
