"""What Discord knows: users, guilds, channels, messages, interactions, commands. State and queries; knows no socket."""

import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from typing import Any

from tests.adapters.discord.permissions import (
    ALL,
    NONE,
    ORDINARY,
    Overwrite,
    Permission,
    channel_permissions,
    guild_permissions,
)

Json = dict[str, Any]
DISCORD_EPOCH_MS = 1_420_070_400_000


class ChannelType(IntEnum):
    TEXT = 0
    DM = 1
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    FORUM = 15


THREADS = (ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD)


class MessageFlag:
    """Bits of `Message.flags`."""

    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    COMPONENTS_V2 = 1 << 15


class MessageType(IntEnum):
    DEFAULT = 0
    REPLY = 19
    CHAT_INPUT_COMMAND = 20
    THREAD_STARTER = 21
    CONTEXT_MENU_COMMAND = 23


@dataclass
class User:
    id: str
    name: str
    is_bot: bool = False
    accepts_dms: bool = True


@dataclass
class Role:
    id: str
    name: str
    permissions: Permission
    position: int = 1
    bot_id: str | None = None  # whose own role it is


@dataclass
class Member:
    user_id: str
    role_ids: list[str]
    joined_at: float
    nick: str | None = None
    is_pending: bool = False


@dataclass
class Guild:
    id: str
    name: str
    owner_id: str
    roles: dict[str, Role]
    members: dict[str, Member] = field(default_factory=dict)
    joined_by_bot_at: float = 0.0
    system_channel_id: str | None = None  # where newcomers are welcomed


@dataclass
class Channel:
    """A text channel, forum, thread or DM; `recipient_ids` belong to DMs, from `owner_id` on to threads."""

    id: str
    type: ChannelType
    name: str
    created_at: float
    guild_id: str | None = None
    parent_id: str | None = None
    overwrites: list[Overwrite] = field(default_factory=list)
    recipient_ids: list[str] = field(default_factory=list)
    message_ids: list[int] = field(default_factory=list)  # ascending
    owner_id: str = ""
    is_archived: bool = False
    is_locked: bool = False
    thread_members: dict[str, float] = field(default_factory=dict)
    auto_archive_minutes: int = 1440

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS


@dataclass
class Message:
    id: str
    channel_id: str
    author_id: str
    content: str
    created_at: float
    type: MessageType = MessageType.DEFAULT
    flags: int = 0
    components: list[Json] = field(default_factory=list)
    embeds: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    replied_to: str | None = None
    replied_channel: str | None = None
    nonce: str | int | None = None
    allowed_mentions: Json | None = None
    interaction_id: str | None = None
    visible_to: str | None = None  # the only person who sees it; None: all who see the channel
    edited_at: float | None = None
    is_deleted: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)  # emoji -> user ids, in the order of arrival


@dataclass
class Interaction:
    """A person's use of a command, button or form, and what the bot has made of it so far."""

    id: str
    token: str
    type: int
    user_id: str
    channel_id: str
    created_at: float
    data: Json
    source_message_id: str | None = None  # the message that holds the button
    callback_type: int | None = None  # None: not answered yet
    response_id: str | None = None
    followup_ids: list[str] = field(default_factory=list)
    modal: Json | None = None
    choices: list[Json] | None = None
    has_failed: bool = False


class World:
    """All of it, by id; ids are Discord's snowflakes, as text."""

    def __init__(self) -> None:
        self._sequence = count()
        self._last_id = 0
        self.users: dict[str, User] = {}
        self.guilds: dict[str, Guild] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, Message] = {}
        self.messages_of_bot: list[Message] = []
        self._dms: dict[str, Channel] = {}  # by the person's id
        self.interactions: dict[str, Interaction] = {}
        self.interaction_by_token: dict[str, Interaction] = {}
        self.commands: list[Json] = []
        self.bot = self.add_user("Timbre", is_bot=True)
        self.application_id = self.bot.id
        self.owner = self.add_user("Owner")

    def new_id(self) -> str:
        """A snowflake of now, greater than all before."""
        now = (int(time.time() * 1000) - DISCORD_EPOCH_MS) << 22
        self._last_id = max(self._last_id + 1, now)
        return str(self._last_id)

    def add_user(self, name: str, *, is_bot: bool = False) -> User:
        user = User(self.new_id(), name, is_bot)
        self.users[user.id] = user
        return user

    def add_guild(self, name: str, bot_permissions: Permission) -> Guild:
        """A guild that the bot is in, with a role of its own that has `bot_permissions`."""
        guild_id = self.new_id()
        everyone = Role(guild_id, "@everyone", ORDINARY, 0)
        bots = Role(self.new_id(), self.bot.name, bot_permissions, 1, self.bot.id)
        guild = Guild(guild_id, name, self.owner.id, {everyone.id: everyone, bots.id: bots}, joined_by_bot_at=time.time())
        self.guilds[guild.id] = guild
        self.join(guild, self.bot, [bots.id])
        self.join(guild, self.owner, [])
        return guild

    def join(self, guild: Guild, user: User, role_ids: list[str], nick: str | None = None, is_pending: bool = False) -> Member:
        member = Member(user.id, list(role_ids), time.time(), nick, is_pending)
        guild.members[user.id] = member
        return member

    def add_channel(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        return channel

    def channels_of(self, guild: Guild) -> list[Channel]:
        return [channel for channel in self.channels.values() if channel.guild_id == guild.id and not channel.is_thread]

    def active_threads_of(self, guild: Guild) -> list[Channel]:
        found = [channel for channel in self.channels.values() if channel.guild_id == guild.id and channel.is_thread]
        return [thread for thread in found if not thread.is_archived]

    def dm_with(self, user_id: str) -> Channel:
        """The DM of the bot and that person, made on first use."""
        if user_id not in self._dms:
            name = f"DM with {self.users[user_id].name}"
            channel = Channel(self.new_id(), ChannelType.DM, name, time.time(), recipient_ids=[user_id])
            self._dms[user_id] = self.add_channel(channel)
        return self._dms[user_id]

    def guild_of(self, channel: Channel) -> Guild | None:
        return self.guilds.get(channel.guild_id) if channel.guild_id else None

    def permissions_in_guild(self, guild: Guild, user_id: str) -> Permission:
        if not (member := guild.members.get(user_id)):
            return NONE
        roles = [guild.roles[guild.id], *(guild.roles[role_id] for role_id in member.role_ids)]
        return guild_permissions((role.permissions for role in roles), guild.owner_id == user_id)

    def permissions(self, user_id: str, channel: Channel) -> Permission:
        """What that user may do there; nothing at all where the channel is not visible to it."""
        if channel.type is ChannelType.DM:
            return ALL if user_id in (*channel.recipient_ids, self.bot.id) else NONE
        guild = self.guilds.get(channel.guild_id or "")
        if not guild or user_id not in guild.members:
            return NONE
        holder = self.channels.get(channel.parent_id or "", channel) if channel.is_thread else channel
        base = self.permissions_in_guild(guild, user_id)
        result = channel_permissions(base, holder.overwrites, guild.id, guild.members[user_id].role_ids, user_id)
        hidden = channel.type is ChannelType.PRIVATE_THREAD and user_id not in channel.thread_members
        return NONE if hidden and Permission.MANAGE_THREADS not in result else result

    def sees(self, user_id: str, channel: Channel) -> bool:
        return Permission.VIEW_CHANNEL in self.permissions(user_id, channel)

    def add_message(self, message: Message) -> Message:
        self.messages[message.id] = message
        if message.author_id == self.bot.id:
            self.messages_of_bot.append(message)
        if message.visible_to is None:
            self.channels[message.channel_id].message_ids.append(int(message.id))
        return message

    def message_in(self, channel: Channel, message_id: str) -> Message | None:
        """That message of the channel as the channel's history knows it: neither deleted nor ephemeral."""
        found = self.messages.get(message_id)
        is_there = found and found.channel_id == channel.id and not found.is_deleted and found.visible_to is None
        return found if is_there else None

    def history(self, channel: Channel, *, limit: int, before: int | None = None, after: int | None = None) -> list[Message]:
        """At most `limit` messages, newest first; those that follow `after` directly, else the last ones."""
        ids = channel.message_ids
        low = 0 if after is None else bisect_right(ids, after)
        high = len(ids) if before is None else bisect_left(ids, before)
        chosen = ids[low : min(high, low + limit)] if after is not None else ids[max(low, high - limit) : high]
        return [self.messages[str(message_id)] for message_id in reversed(chosen)]

    def shown_to(self, user_id: str, interaction: Interaction) -> list[Message]:
        """The messages that answer that interaction and that this person sees, in order."""
        ids = [interaction.response_id, *interaction.followup_ids]
        found = [self.messages[message_id] for message_id in ids if message_id]
        return [message for message in found if not message.is_deleted and message.visible_to in (None, user_id)]
