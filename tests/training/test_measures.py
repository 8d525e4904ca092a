"""Figures and how sure they are."""

import pytest

from training.measures import mean, median, share, wilson


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (1, 1, 0.2065, 1.0)],
)
def test_the_interval_of_a_share_is_wilson_s(count: int, n: int, low: float, high: float) -> None:
    # The expected values: Newcombe 1998, table I, and Wilson's formula by hand.
    assert wilson(count, n) == pytest.approx((low, high), abs=5e-4)
    assert share([True] * count + [False] * (n - count)).value == count / n


def test_the_interval_of_a_mean_is_near_that_of_the_normal_distribution() -> None:
    values = [float(n) for n in range(100)]

    found = mean(values)

    assert found.value == 49.5
    assert (found.low, found.high) == pytest.approx((49.5 - 5.66, 49.5 + 5.66), abs=0.5)  # 1.96 * 28.87 / sqrt(100)
    assert mean(values) == found


def test_an_outlier_does_not_move_the_median() -> None:
    assert median([3, 4, 5, 4, 1000]).value == 4


@pytest.mark.parametrize("figure", [share, mean, median])
def test_there_is_no_figure_of_no_cases(figure: type) -> None:
    with pytest.raises(ValueError, match="at least one case"):
        figure([])
