"""A pretended Slack at rest: who is there, which channels and messages exist, which views are open. It changes when told and
answers questions; it sends nothing and knows nothing of HTTP, sockets, tokens or scopes."""

from bisect import bisect_left, insort
from collections import defaultdict
from itertools import count
from typing import Any

from tests.adapters.slack.state import (
    Channel,
    ChannelKind,
    Clock,
    Json,
    Message,
    SlackError,
    SuggestedPrompts,
    ThreadStatus,
    User,
    UserGroup,
    View,
    Workspace,
)

CHANNEL_PREFIX: dict[ChannelKind, str] = {"public": "C", "private": "C", "im": "D", "mpim": "G"}


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.workspaces: dict[str, Workspace] = {}
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.user_groups: dict[str, UserGroup] = {}
        self.ephemerals: list[Message] = []
        self.homes: dict[tuple[str, str], View] = {}
        """(team, user) -> the Home tab that the app published for them."""
        self.modals: dict[str, list[View]] = defaultdict(list)
        """user -> the modals that are open, the visible one last."""
        self.prompts: dict[tuple[str, str | None], SuggestedPrompts] = {}
        self.statuses: dict[tuple[str, str], ThreadStatus] = {}
        self.sessions: dict[tuple[str, str], Json] = {}
        """(channel, thread) -> {"status", "title"} of an agent session."""
        self._messages: dict[str, dict[str, Message]] = defaultdict(dict)
        self._timelines: dict[str, list[str]] = defaultdict(list)
        self._threads: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._ids = count(1)
        self._last_ts = 0

    # -- ids and time

    def new_id(self, prefix: str) -> str:
        return f"{prefix}0{next(self._ids):09d}"

    def new_ts(self) -> str:
        """A timestamp that no other message of this world has; later calls give greater ones."""
        self._last_ts = max(self._last_ts + 1, int(self.clock.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    # -- who and where

    def add_workspace(self, id: str, name: str) -> Workspace:
        self.workspaces[id] = Workspace(id=id, name=name, domain=name.lower().replace(" ", "-"))
        return self.workspaces[id]

    def add_user(self, real_name: str, *, team: str, id: str | None = None, **fields: Any) -> User:
        id = id or self.new_id("U")
        name = fields.pop("name", real_name.lower().replace(" ", "."))
        email = fields.pop("email", f"{name}@example.com")
        self.users[id] = User(id=id, team=team, name=name, real_name=real_name, email=email, **fields)
        return self.users[id]

    def add_channel(
        self, name: str, *, team: str, members: list[str], kind: ChannelKind = "public", id: str | None = None, **fields: Any
    ) -> Channel:
        id = id or self.new_id(CHANNEL_PREFIX[kind])
        creator = members[0] if members else "USLACKBOT"
        created = int(self.clock.now())
        self.channels[id] = Channel(
            id=id, team=team, name=name, kind=kind, members=list(members), creator=creator, created=created, **fields
        )
        return self.channels[id]

    def add_user_group(self, handle: str, *, team: str, users: list[str], id: str | None = None) -> UserGroup:
        id = id or self.new_id("S")
        self.user_groups[id] = UserGroup(id=id, team=team, handle=handle, name=handle.title(), users=list(users))
        return self.user_groups[id]

    def direct_channel(self, user: str, bot_user: str) -> Channel:
        """The DM between the two; made on first use."""
        wanted = sorted((user, bot_user))
        for channel in self.channels.values():
            if channel.kind == "im" and sorted(channel.members) == wanted:
                return channel
        return self.add_channel("", team=self.users[bot_user].team, members=[user, bot_user], kind="im")

    def group_channel(self, users: list[str]) -> Channel:
        """The group DM of exactly these people; made on first use."""
        for channel in self.channels.values():
            if channel.kind == "mpim" and sorted(channel.members) == sorted(users):
                return channel
        name = "mpdm-" + "--".join(self.users[user].name for user in users) + "-1"
        return self.add_channel(name, team=self.users[users[0]].team, members=users, kind="mpim")

    # -- messages

    def add(self, message: Message) -> None:
        self._messages[message.channel][message.ts] = message
        if message.is_reply:
            insort(self._threads[message.channel, message.root_ts], message.ts)
        if not message.is_reply or message.subtype == "thread_broadcast":
            insort(self._timelines[message.channel], message.ts)

    def remove(self, message: Message) -> None:
        del self._messages[message.channel][message.ts]
        for listed in (self._timelines[message.channel], self._threads[message.channel, message.root_ts]):
            place = bisect_left(listed, message.ts)
            if place < len(listed) and listed[place] == message.ts:
                listed.pop(place)

    def message(self, channel: str, ts: str) -> Message | None:
        return self._messages[channel].get(ts)

    def messages(self, channel: str) -> list[Message]:
        """All messages of the channel, threads included, oldest first; ephemeral ones are not among them."""
        return sorted(self._messages[channel].values(), key=lambda message: message.ts)

    def timeline(self, channel: str) -> list[str]:
        """The timestamps of what stands in the channel itself, oldest first."""
        return self._timelines[channel]

    def replies(self, channel: str, thread_ts: str) -> list[str]:
        """The timestamps of a thread's replies, oldest first; its first message is not among them."""
        return self._threads[channel, thread_ts]

    # -- views

    def find_view(self, view_id: str | None, external_id: str | None = None) -> View:
        homes = list(self.homes.values())
        for view in [view for stack in self.modals.values() for view in stack] + homes:
            if view.id == view_id or (external_id and view.body.get("external_id") == external_id):
                return view
        raise SlackError("not_found")

    def status(self, channel: str, thread_ts: str) -> ThreadStatus | None:
        """The status that people see in the thread now."""
        status = self.statuses.get((channel, thread_ts))
        return status if status and status.text and status.ends_at > self.clock.now() else None
