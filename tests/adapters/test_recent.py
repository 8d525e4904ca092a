"""What a platform said is remembered for a while, and asked for once."""

import asyncio

import pytest

from adapters.recent import Recent


async def test_many_who_want_to_know_at_once_ask_once() -> None:
    asked = 0
    told = asyncio.Event()

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await told.wait()
        return "Ana"

    recent: Recent[str, str] = Recent(60.0)
    waiting = [asyncio.create_task(recent.get("U1", ask)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    told.set()

    assert await asyncio.gather(*waiting[1:]) == ["Ana"] * 4
    assert asked == 1


async def test_a_value_is_kept_for_its_time() -> None:
    now = [0.0]
    recent: Recent[str, float] = Recent(60.0, lambda: now[0])

    async def ask() -> float:
        return now[0]

    values = []
    for now[0] in (0.0, 59.0, 60.0):
        values.append(await recent.get("U1", ask))
    recent.forget("U1")

    assert values == [0.0, 0.0, 60.0]
    assert not recent.has("U1")


async def test_a_failure_is_not_kept() -> None:
    is_away = True

    async def ask() -> str:
        if is_away:
            raise ValueError("away")
        return "Ana"

    recent: Recent[str, str] = Recent(60.0)
    with pytest.raises(ValueError, match="away"):
        await recent.get("U1", ask)
    is_away = False

    assert await recent.get("U1", ask) == "Ana"
