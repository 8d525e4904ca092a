"""People who use the pretended Slack: what they write, change and press, one method each.

A person can do what Slack's clients would let them do; anything else raises `Impossible`."""

import asyncio
import html
import re
from typing import Any
from uuid import uuid4

from tests.adapters.slack import interactions, transcript
from tests.adapters.slack.deliveries import Delivery
from tests.adapters.slack.shapes import view_object
from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import Channel, Impossible, Installation, Json, Message, User, View

TYPED_TOKEN = re.compile(r"<(?:[@#!][^<>\n]+|https?://[^<>\n]+)>")
TYPED_LINK = re.compile(r"(?<![<|\w])https?://[^\s<>]+[^\s<>.,;:!?)]")


class Person:
    def __init__(self, slack: Slack, user: User) -> None:
        self.slack = slack
        self.user = user

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def direct_channel(self) -> str:
        """The id of the DM with the app."""
        return self.slack.world.direct_channel(self.id, self._installation.bot_user).id

    @property
    def modal(self) -> View:
        """The modal that they see. Impossible where none is open."""
        stack = self.slack.world.modals[self.id]
        if not stack:
            raise Impossible(f"{self.user.shown_name} sees no modal.")
        return stack[-1]

    async def see_modal(self) -> View:
        """Waits until they see a modal."""
        return (await self.slack.until(lambda: self.slack.world.modals[self.id]))[-1]

    @property
    def home(self) -> View | None:
        """The Home tab that the app published for them."""
        return self.slack.world.homes.get((self._installation.team, self.id))

    def ephemerals(self, channel: str | None = None) -> list[Message]:
        """What only they see, oldest first."""
        return [m for m in self.slack.world.ephemerals if m.visible_to == self.id and channel in (None, m.channel)]

    # -- writing

    async def say(self, channel: str, text: str, thread_ts: str | None = None, **fields: Any) -> str:
        """Writes a message and returns its timestamp. `&`, `<` and `>` are escaped and links marked, as Slack does;
        `<@U1>`, `<#C1>` and `<!here>` are mentions."""
        ts = self._post(channel, as_typed(text), thread_ts, **fields).ts
        await asyncio.sleep(0)  # lets the sockets breathe when somebody writes thousands
        return ts

    async def dm(self, text: str, thread_ts: str | None = None) -> str:
        """Writes to the app in private."""
        return await self.say(self.direct_channel, text, thread_ts)

    async def broadcast(self, channel: str, text: str, thread_ts: str) -> str:
        """Answers in a thread and shows it in the channel as well."""
        return await self.say(channel, text, thread_ts, subtype="thread_broadcast")

    async def share_file(self, channel: str, name: str, text: str = "", thread_ts: str | None = None) -> str:
        file = {"id": self.slack.world.new_id("F"), "name": name, "title": name, "user": self.id, "mode": "hosted", "size": 1}
        return await self.say(channel, text, thread_ts, subtype="file_share", files=[file])

    async def edit(self, channel: str, ts: str, text: str) -> None:
        message = self._own(channel, ts)
        typed = as_typed(text)
        edited = {"user": self.id, "ts": self.slack.world.new_ts()}
        self.slack.edit(message, text=typed, blocks=self._typed_blocks(typed), edited=edited)

    async def delete(self, channel: str, ts: str) -> None:
        self.slack.delete(self._own(channel, ts))

    async def react(self, channel: str, ts: str, name: str) -> None:
        self.slack.react(self._visible(channel, ts), self.id, name)

    async def unreact(self, channel: str, ts: str, name: str) -> None:
        self.slack.unreact(self._visible(channel, ts), self.id, name)

    async def join(self, channel: str) -> None:
        self.slack.join(self.slack.world.channels[channel], self.user)

    async def invite(self, channel: str, user: str) -> None:
        """Takes somebody, or the app, into a channel."""
        self.slack.join(self._channel(channel), self.slack.world.users[user], inviter=self.id)

    async def leave(self, channel: str) -> None:
        self.slack.leave(self._channel(channel), self.user)

    # -- looking at the app

    async def open_home(self, tab: str = "home") -> Delivery | None:
        """Opens the app's `home` or `messages` tab."""
        event: Json = {"type": "app_home_opened", "user": self.id, "channel": self.direct_channel, "tab": tab}
        event["event_ts"] = self.slack.world.new_ts()
        if tab == "home" and self.home:
            event["view"] = view_object(self.home, self._installation, self.slack.app.id)
        return self.slack.emit("app_home_opened", event, self._installation)

    async def look_at(self, channel: str) -> Delivery | None:
        """Opens a channel beside the app's DM."""
        entity = {"type": "slack#/types/channel_id", "value": channel, "team_id": self.user.team}
        event: Json = {"type": "app_context_changed", "user": self.id, "channel": self.direct_channel}
        event |= {"context": {"entities": [entity]}, "event_ts": self.slack.world.new_ts()}
        return self.slack.emit("app_context_changed", event, self._installation)

    async def stop(self, channel: str, thread_ts: str) -> Delivery | None:
        """Presses the stop button of an answer that is under way; streams in the thread end there."""
        stopped = []
        for message in self.slack.world.messages(channel):
            if message.stream and message.stream.state == "open" and message.root_ts == thread_ts:
                message.stream.state = "stopped_by_user"
                stopped.append(message.ts)
        event: Json = {"type": "agent_session_stopped", "channel": channel, "user": self.id, "thread_ts": thread_ts}
        event |= {"streaming_message_ts": stopped, "event_ts": self.slack.world.new_ts()}
        return self.slack.emit("agent_session_stopped", event, self._installation)

    # -- interactions; each waits for the app's acknowledgement and returns its body (NotAcknowledged where there is none)

    async def click(self, where: Message | View, action_id: str, value: Any = None) -> Json:
        """Presses or chooses what has that action id in a message, modal or Home tab; `value` says which of several."""
        return await interactions.click(self.slack, self.user, self._installation, where, action_id, value)

    async def submit(self, values: Json | None = None) -> Json:
        """Fills in the modal they see ({block id or action id: value}) and submits it."""
        return await interactions.submit(self.slack, self.user, self._installation, self.modal, values or {})

    async def close(self) -> None:
        """Closes the modal they see."""
        await interactions.close(self.slack, self.user, self._installation, self.modal)

    async def slash(self, command: str, text: str = "", channel: str | None = None) -> Json:
        """Types a command, by default in the DM with the app. Its reply, if any, is shown where it was typed."""
        where = self._channel(channel or self.direct_channel)
        return await interactions.slash(self.slack, self.user, self._installation, command, text, where)

    async def message_shortcut(self, message: Message, callback_id: str) -> Json:
        """Chooses one of the app's entries from a message's menu."""
        self._channel(message.channel)
        return await interactions.message_shortcut(self.slack, self.user, self._installation, message, callback_id)

    async def global_shortcut(self, callback_id: str) -> Json:
        return await interactions.global_shortcut(self.slack, self.user, self._installation, callback_id)

    def transcript(self, channel: str) -> str:
        """The channel as they see it."""
        return transcript.transcript(self.slack, channel, seen_by=self.id)

    # --

    @property
    def _installation(self) -> Installation:
        """The app in their workspace, or where a guest from elsewhere meets it."""
        own = [i for i in self.slack.installations if i.team == self.user.team and not i.is_revoked]
        return own[0] if own else self.slack.installation(self.slack.installations[0].team)

    def _channel(self, id: str) -> Channel:
        channel = self.slack.world.channels[id]
        if self.id not in channel.members:
            raise Impossible(f"{self.user.shown_name} is not in {channel.name or id}.")
        return channel

    def _visible(self, channel: str, ts: str) -> Message:
        self._channel(channel)
        return self.slack.message(channel, ts)

    def _own(self, channel: str, ts: str) -> Message:
        message = self._visible(channel, ts)
        if message.user != self.id:
            raise Impossible(f"{self.user.shown_name} did not write {ts}.")
        return message

    def _post(self, channel_id: str, text: str, thread_ts: str | None, **fields: Any) -> Message:
        channel = self._channel(channel_id)
        if channel.is_archived:
            raise Impossible(f"{channel.name} is archived.")
        root = self.slack.message(channel_id, thread_ts).root_ts if thread_ts else None
        message = Message(channel=channel_id, ts=self.slack.world.new_ts(), user=self.id, team=self.user.team, text=text)
        message.thread_ts, message.blocks = root, self._typed_blocks(text)
        if self.user.bot_id:
            message.bot_id, message.app_id = self.user.bot_id, self.user.app_id
        else:
            message.client_msg_id = str(uuid4())
        for name, value in fields.items():
            setattr(message, name, value)
        self.slack.post(message)
        return message

    def _typed_blocks(self, text: str) -> list[Json]:
        """The rich text that Slack's clients send along with what is typed."""
        elements = [element for part in re.split(r"(<[^<>]+>)", text) if part for element in [_rich(part)]]
        section = {"type": "rich_text_section", "elements": elements}
        return [{"type": "rich_text", "block_id": self.slack.world.new_id("b"), "elements": [section]}] if text else []


def as_typed(text: str) -> str:
    """What somebody types, as Slack stores it: special characters escaped, links marked, mentions kept."""
    parts = re.split(f"({TYPED_TOKEN.pattern})", text)
    return "".join(p if TYPED_TOKEN.fullmatch(p) else TYPED_LINK.sub(r"<\g<0>>", html.escape(p, quote=False)) for p in parts)


def _rich(part: str) -> Json:
    if part.startswith("<@"):
        return {"type": "user", "user_id": part[2:-1].partition("|")[0]}
    if part.startswith("<#"):
        return {"type": "channel", "channel_id": part[2:-1].partition("|")[0]}
    if part.startswith("<!subteam^"):
        return {"type": "usergroup", "usergroup_id": part[10:-1].partition("|")[0]}
    if part.startswith("<!"):
        return {"type": "broadcast", "range": part[2:-1]}
    if part.startswith("<"):
        return {"type": "link", "url": html.unescape(part[1:-1])}
    return {"type": "text", "text": html.unescape(part)}
