"""What a platform's connection keeps between starts: hashes, counters, times."""

import asyncio
from typing import Any

from bot.storage.intake import IntakeStore


class PlatformMemory:
    """Values by platform and name. Both methods raise DatabaseUnavailable."""

    def __init__(self, intake: IntakeStore) -> None:
        self._intake = intake

    async def remember(self, platform: str, name: str, value: dict[str, Any]) -> None:
        await asyncio.to_thread(self._intake.remember, platform, name, value)

    async def recall(self, platform: str, name: str) -> dict[str, Any] | None:
        """None where nothing was remembered under the name."""
        return await asyncio.to_thread(self._intake.recall, platform, name)
