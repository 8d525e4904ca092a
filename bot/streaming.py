"""Shows an answer while the model words it: what is said at once goes into one message that grows."""

import asyncio
from datetime import UTC, datetime
from typing import Protocol

from bot.links import without_links
from bot.messages import DeliveryKey, IncomingMessage
from bot.ports import ChatPlatform, ReplyStream


class Drafts(Protocol):
    """Remembers the messages that grow, until the delivery with their key ends them. Called from threads."""

    def begin_stream(self, key: DeliveryKey, now: datetime) -> bool:
        """Notes, before anything is shown, that an answer will grow under this key; False when one has begun before."""

    def set_draft(self, key: DeliveryKey, message_id: str) -> None: ...


class Streamer:
    """`show` takes the pieces of one answer, from the event loop; the message is opened with the first of them.

    Before anything is shown it is noted that there will be something, so that a process that dies leaves no answer behind that
    nobody ends.
    """

    def __init__(self, drafts: Drafts, platform: ChatPlatform, key: DeliveryKey, message: IncomingMessage) -> None:
        self._drafts = drafts
        self._platform = platform
        self._key = key
        self._message = message
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._writing: asyncio.Task[None] | None = None

    def show(self, piece: str) -> None:
        self._pieces.put_nowait(without_links(piece))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def end(self) -> None:
        """Returns when all that was said is shown, as far as the platform would."""
        if self._writing:
            self._pieces.put_nowait(None)
            await self._writing

    async def _write(self) -> None:
        stream = await self._open()
        while (piece := await self._pieces.get()) is not None:
            if stream:
                await stream.append(self._with_waiting(piece))

    async def _open(self) -> ReplyStream | None:
        is_first = await asyncio.to_thread(self._drafts.begin_stream, self._key, datetime.now(UTC))
        return await self._platform.open_stream(self._key, self._message, self._posted) if is_first else None

    async def _posted(self, message_id: str) -> None:
        await asyncio.to_thread(self._drafts.set_draft, self._key, message_id)

    def _with_waiting(self, piece: str) -> str:
        """The piece with those that came while the platform was busy."""
        while not self._pieces.empty():
            following = self._pieces.get_nowait()
            if following is None:
                self._pieces.put_nowait(None)
                break
            piece += following
        return piece
