"""What a method of the Web API is given, and what several of them need: who calls, which channel, which page."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import Channel, Installation, Json, Message, SlackError
from tests.adapters.slack.world import World

T = TypeVar("T")
MAX_PAGE = 1000  # items; Slack's upper limit of `limit`


@dataclass(frozen=True)
class Caller:
    """The app in one workspace, calling."""

    slack: Slack
    installation: Installation

    @property
    def world(self) -> World:
        return self.slack.world

    @property
    def user(self) -> str:
        return self.installation.bot_user

    @property
    def team(self) -> str:
        return self.installation.team

    def problem(self, sentence: str) -> None:
        self.slack.problems.append(sentence)

    def channel(self, id: Any) -> Channel:
        """A channel that the app can see: SlackError `channel_not_found` for private ones it is not in."""
        channel = self.world.channels.get(str(id))
        if channel is None or (channel.kind != "public" and self.user not in channel.members):
            raise SlackError("channel_not_found")
        if channel.team != self.team and self.user not in channel.members:
            raise SlackError("channel_not_found")
        return channel

    def channel_to_read(self, id: Any) -> Channel:
        channel = self.channel(id)
        if self.user not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def channel_to_write(self, id: Any) -> Channel:
        """Where the app may post. A user id means the DM with them."""
        user = self.world.users.get(str(id))
        if user is not None and user.id != self.user:
            return self.world.direct_channel(user.id, self.user)
        channel = self.channel(id)
        if channel.is_archived:
            raise SlackError("is_archived")
        if self.user not in channel.members and "chat:write.public" not in self.installation.scopes:
            raise SlackError("not_in_channel")
        return channel

    def message(self, channel: Channel, ts: Any, error: str = "message_not_found") -> Message:
        found = self.world.message(channel.id, str(ts))
        if found is None:
            raise SlackError(error)
        return found


def page(items: Sequence[T], arguments: Json, *, default: int = 100, most: int = MAX_PAGE) -> tuple[list[T], str]:
    """The items from the cursor on, at most `limit`, and the cursor of the next page ("" on the last)."""
    limit = arguments.get("limit") or default
    if not isinstance(limit, int) or not 1 <= limit <= most:
        raise SlackError("invalid_limit")
    start = _position(arguments.get("cursor") or "")
    rest = items[start : start + limit]
    return list(rest), _cursor(start + limit) if start + limit < len(items) else ""


def paged(name: str, items: list[Json], cursor: str) -> Json:
    return {name: items, "response_metadata": {"next_cursor": cursor}}


def _cursor(position: int) -> str:
    return base64.b64encode(f"next:{position}".encode()).decode()


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, number = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SlackError("invalid_cursor") from None
    if word != "next" or not number.isdigit():
        raise SlackError("invalid_cursor")
    return int(number)
