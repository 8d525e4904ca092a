"""Pauses between tries grow, have a limit, and can be spread."""

from adapters.discord import supervisor
from bot import outbox, serving
from bot.pauses import growing_pause_s


def test_pauses_double_up_to_a_limit() -> None:
    limits = (outbox.FIRST_PAUSE_S, outbox.LONGEST_PAUSE_S)

    assert [growing_pause_s(failures, *limits) for failures in (0, 1, 2, 3, 4, 5, 999)] == [1, 2, 4, 8, 15, 15, 15]


def test_pauses_before_a_new_start_grow_to_a_minute_and_are_spread() -> None:
    limits = (serving.FIRST_PAUSE_S, serving.LONGEST_PAUSE_S)

    assert [growing_pause_s(failures, *limits, chance=1.0) for failures in (0, 1, 2, 6, 100)] == [1, 2, 4, 60, 60]
    assert growing_pause_s(0, *limits, chance=0.0) == 0.5


def test_pauses_before_a_new_connection_grow_to_a_minute_and_are_spread() -> None:
    limits = (1.0, supervisor.LONGEST_PAUSE_S)

    assert [growing_pause_s(failures, *limits) for failures in (0, 1, 2, 20)] == [1.0, 2.0, 4.0, supervisor.LONGEST_PAUSE_S]
    assert growing_pause_s(2, *limits, chance=0.0) == 2.0
