"""Answers that grow while people read them, as many as Slack lets an app begin in a minute."""

import logging
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable

from adapters.slack.rendering import streamed
from adapters.slack.web import SlackWeb
from adapters.slack.workspaces import Workspace
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import IncomingMessage

logger = logging.getLogger(__name__)

STARTS = 18
"""In a minute and workspace: Slack grants 20 starts and 20 stops."""
MINUTE_S = 60.0
MAX_CHARS = 9_000
"""Of a stream; the rest is shown by the delivery that ends it."""
MIN_INTERVAL_S = 0.7
"""Between two pieces: Slack grants 100 in a minute."""


class SlackStream:
    """One message that grows. It shows what it can; nobody depends on it."""

    def __init__(self, web: SlackWeb, workspace: Workspace, channel: str, ts: str, clock: Callable[[], float]) -> None:
        self._web = web
        self._workspace = workspace
        self._channel = channel
        self._ts = ts
        self._clock = clock
        self._waiting = ""
        self._shown = 0
        self._last_at = float("-inf")
        self._is_over = False

    async def append(self, text: str) -> None:
        self._waiting += text
        is_soon = self._clock() - self._last_at < MIN_INTERVAL_S
        piece = streamed(self._waiting)
        if self._is_over or is_soon or not piece.strip() or self._shown + len(piece) > MAX_CHARS:
            return
        self._waiting, self._shown, self._last_at = "", self._shown + len(piece), self._clock()
        try:
            await self._web.call(
                self._workspace.token,
                lambda client: client.chat_appendStream(channel=self._channel, ts=self._ts, markdown_text=piece),
                is_repeatable=False,
            )
        except (PlatformUnavailable, DeliveryRefused) as err:
            self.stop()
            logger.debug("Stream %s ends early: %s", self._ts, err)

    def stop(self) -> None:
        """Shows nothing more."""
        self._is_over = True


class Streams:
    """The streams of this process that are not ended yet."""

    def __init__(self, web: SlackWeb, clock: Callable[[], float] = time.monotonic) -> None:
        self._web = web
        self._clock = clock
        self._begun: defaultdict[str, deque[float]] = defaultdict(deque)
        self._open: dict[tuple[str, str], tuple[str, SlackStream]] = {}

    async def open(
        self, workspace: Workspace, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> SlackStream | None:
        """None where Slack would refuse, or does."""
        place, user = message.answer_place, message.author.id.rpartition(":")[2]
        if not place.thread or not self._may_begin(workspace.id):
            return None
        try:
            begun = await self._web.call(
                workspace.token,
                lambda client: client.chat_startStream(
                    channel=place.channel, thread_ts=place.thread, recipient_team_id=workspace.id, recipient_user_id=user
                ),
                is_repeatable=False,
            )
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.debug("No stream in %s: %s", place.channel, err)
            return None
        ts = str(begun["ts"])
        await on_posted(ts)
        stream = SlackStream(self._web, workspace, place.channel, ts, self._clock)
        self._open[place.channel, ts] = (place.thread, stream)
        return stream

    def is_open(self, channel: str, ts: str) -> bool:
        return (channel, ts) in self._open

    def ended(self, channel: str, ts: str) -> None:
        """A delivery is about to end it."""
        _, stream = self._open.pop((channel, ts), (None, None))
        if stream:
            stream.stop()

    def stopped(self, channel: str, thread: str) -> None:
        """A person wants no more of what is being written in the thread."""
        for (at, _), (below, stream) in self._open.items():
            if at == channel and below == thread:
                stream.stop()

    def _may_begin(self, workspace: str) -> bool:
        begun, now = self._begun[workspace], self._clock()
        while begun and begun[0] <= now - MINUTE_S:
            begun.popleft()
        if len(begun) >= STARTS:
            return False
        begun.append(now)
        return True
