"""Fetches what people wrote while nobody was listening: young questions are answered late, older ones are told to the admins."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.messages import IncomingMessage, Reply, ReplyKind, direct_delivery
from bot.people import RoleBook
from bot.ports import ChatPlatform, Put
from bot.storage.intake import IntakeStore

logger = logging.getLogger(__name__)

CONNECTED = "connected"
OVERLAP = timedelta(minutes=2)  # what is fetched twice is stored once
FURTHEST = timedelta(days=7)  # what is older is not even looked for
LISTED = 10
EXCERPT_CHARS = 120


class CatchUp:
    """`receive` takes what is young enough in, `put` sends what the admins are told of older ones that concern us."""

    def __init__(
        self,
        intake: IntakeStore,
        roles: RoleBook,
        receive: Callable[[IncomingMessage], Awaitable[None]],
        concerns_us: Callable[[IncomingMessage], Awaitable[bool]],
        put: Put,
        max_late: timedelta,
    ) -> None:
        self._intake = intake
        self._roles = roles
        self._receive = receive
        self._concerns_us = concerns_us
        self._put = put
        self._max_late = max_late

    async def note_connected(self, platform: str) -> None:
        """Messages reach us at this moment, and what was written before it has come in."""
        await self._note(platform, datetime.now(UTC))

    async def fetch(self, platform: ChatPlatform) -> int:
        """Takes in what was missed since the platform was last connected; how many messages. Raises what the platform raises."""
        now = datetime.now(UTC)
        last = await asyncio.to_thread(self._intake.recall, platform.name, CONNECTED)
        count = await self._fetch(platform, datetime.fromisoformat(last["at"]), now) if last else 0  # nobody has missed us yet
        await self._note(platform.name, now)
        return count

    async def _fetch(self, platform: ChatPlatform, last: datetime, now: datetime) -> int:
        since = max(last - OVERLAP, now - FURTHEST)
        known = await asyncio.to_thread(
            self._intake.places, platform.name
        )  # direct conversations too, which not all of them list
        count, too_old = 0, list[IncomingMessage]()
        for place in dict.fromkeys([*await platform.places(), *known]):
            for message in await platform.missed(place, since):
                if now - message.sent_at <= self._max_late:
                    await self._receive(replace(message, is_late=True))
                    count += 1
                elif await self._concerns_us(message):
                    too_old.append(message)
        await self._report(too_old)
        return count

    async def _note(self, platform: str, at: datetime) -> None:
        await asyncio.to_thread(self._intake.remember, platform, CONNECTED, {"at": at.isoformat()})

    async def _report(self, messages: Sequence[IncomingMessage]) -> None:
        """Tells the admins of each workspace, once."""
        for workspace in sorted({message.author.workspace for message in messages}):
            missed = [message for message in messages if message.author.workspace == workspace]
            reply = Reply(ReplyKind.NOTICE, report(missed))
            for admin in await asyncio.to_thread(self._roles.admins, workspace):
                await self._put(direct_delivery(f"missed:{missed[-1].key}:{admin}", admin, reply))


def report(messages: Sequence[IncomingMessage]) -> str:
    """What the admins read about messages that were too old to be answered (pure)."""
    count = f"{len(messages)} message{'s' if len(messages) > 1 else ''}"
    head = f"While I was away I missed {count} that are too old to be answered now. Please see to them:"
    lines = [f"- {message.author.name}, {message.sent_at:%Y-%m-%d %H:%M} UTC: {_excerpt(message.text)}" for message in messages]
    more = [f"- and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join([head, "", *lines[:LISTED], *more])


def _excerpt(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= EXCERPT_CHARS else f"{flat[:EXCERPT_CHARS]} ..."
