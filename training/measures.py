"""Figures with their uncertainty (pure): a share with Wilson's interval, a mean or a median with a bootstrap interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Z_95 = 1.96
RESAMPLES = 2000  # the ends of a 95 % interval then vary by about 2 % of its width (Efron & Tibshirani 1993, chapter 14)
SEED = 1


@dataclass(frozen=True)
class Measure:
    """A figure over `n` cases, at least one, with its 95 % interval. Of a single case the interval is the figure itself."""

    value: float
    n: int
    low: float
    high: float


def share(are_so: Sequence[bool]) -> Measure:
    """The share of the cases that are so, 0..1. Raises ValueError for none."""
    n = _count(are_so)
    low, high = wilson(sum(are_so), n)
    return Measure(sum(are_so) / n, n, low, high)


def mean(values: Sequence[float]) -> Measure:
    """The mean. Raises ValueError for no values."""
    return _bootstrapped(values, np.mean)


def median(values: Sequence[float]) -> Measure:
    """The median. Raises ValueError for no values."""
    return _bootstrapped(values, np.median)


def wilson(count: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `n` cases, n > 0 (Wilson 1927): honest for few cases, and for none or all of them."""
    value, total = count / n, 1 + Z_95**2 / n
    centre = (value + Z_95**2 / (2 * n)) / total
    half = Z_95 / total * math.sqrt(value * (1 - value) / n + Z_95**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _bootstrapped(values: Sequence[float], statistic: Callable[..., Any]) -> Measure:
    n = _count(values)
    drawn = np.random.default_rng(SEED).choice(np.asarray(values, float), (RESAMPLES, n))  # (resamples, cases)
    low, high = np.quantile(statistic(drawn, axis=1), [0.025, 0.975])
    return Measure(float(statistic(values)), n, float(low), float(high))


def _count(values: Sequence[object]) -> int:
    if not values:
        raise ValueError("a figure needs at least one case")
    return len(values)
