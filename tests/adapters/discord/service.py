"""What Discord does when something happens: it changes the world, tells the gateway's sessions and keeps the ledger.

Both sides act through it, the bot's REST calls and the people; neither is known here.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

from tests.adapters.discord import message_payloads, payloads
from tests.adapters.discord.gateway import Gateway, Intent, Limits
from tests.adapters.discord.ledger import Ledger
from tests.adapters.discord.mentions import allowed
from tests.adapters.discord.permissions import NONE, Overwrite, Permission
from tests.adapters.discord.world import (
    Channel,
    ChannelType,
    Guild,
    Interaction,
    Json,
    Message,
    MessageFlag,
    MessageType,
    Role,
    User,
    World,
)

LOST_TEXT: Json = {"content": "", "embeds": [], "components": [], "attachments": []}


class Service:
    def __init__(self, limits: Limits, token: str, allowed_intents: int) -> None:
        self.limits = limits
        self.world = World()
        self.ledger = Ledger()
        self.gateway = Gateway(self.world, limits, token, allowed_intents, self._sent)
        self._nonces: dict[tuple[str, str, str | int], Message] = {}
        self._changed = asyncio.Event()
        self.typing: list[str] = []  # channel ids, one for each call
        self.holds_back = False
        """New messages are there, but nobody is told of them until they are sent by `redeliver`."""

    async def wait_until(self, is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Returns as soon as it is so; TimeoutError names `what` otherwise."""
        try:
            async with asyncio.timeout(timeout_s):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {timeout_s} s: {what}") from None

    def notice(self) -> None:
        """Wakes those who wait for a change."""
        self._changed.set()

    def _sent(self, message_id: str | None) -> None:
        if message_id:
            self.ledger.delivered(message_id)
        self.notice()

    # guilds and channels -----------------------------------------------------------------------------------------------------

    def add_guild(self, name: str, bot_permissions: Permission, system_channel: str) -> Guild:
        guild = self.world.add_guild(name, bot_permissions)
        if system_channel:
            made = Channel(self.world.new_id(), ChannelType.TEXT, system_channel, time.time(), guild.id)
            guild.system_channel_id = self.world.add_channel(made).id
        self.gateway.emit_guild(guild)
        return guild

    def remove_bot(self, guild: Guild) -> None:
        del self.world.guilds[guild.id]
        self.gateway.emit("GUILD_DELETE", {"id": guild.id}, Intent.GUILDS)

    def add_channel(self, guild: Guild, name: str, type_: ChannelType, overwrites: list[Overwrite]) -> Channel:
        channel = Channel(self.world.new_id(), type_, name, time.time(), guild.id, overwrites=overwrites)
        self.world.add_channel(channel)
        self.gateway.emit("CHANNEL_CREATE", payloads.channel(self.world, channel), Intent.GUILDS)
        return channel

    def set_overwrite(self, channel: Channel, overwrite: Overwrite) -> None:
        channel.overwrites = [each for each in channel.overwrites if each.target_id != overwrite.target_id] + [overwrite]
        self.gateway.emit("CHANNEL_UPDATE", payloads.channel(self.world, channel), Intent.GUILDS)

    def delete_channel(self, channel: Channel) -> None:
        shown = payloads.channel(self.world, channel)
        del self.world.channels[channel.id]
        self.gateway.emit("THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE", shown, Intent.GUILDS)

    def add_role(self, guild: Guild, name: str, permissions: Permission) -> Role:
        role = Role(self.world.new_id(), name, permissions)
        guild.roles[role.id] = role
        self.gateway.emit("GUILD_ROLE_CREATE", {"guild_id": guild.id, "role": payloads.role(role)}, Intent.GUILDS)
        return role

    def join_guild(self, guild: Guild, user: User, role_ids: list[str]) -> None:
        member = self.world.join(guild, user, role_ids)
        self.gateway.emit("GUILD_MEMBER_ADD", {**payloads.member(self.world, member), "guild_id": guild.id}, Intent.MEMBERS)

    def set_roles(self, guild: Guild, user: User, role_ids: list[str]) -> None:
        member = guild.members[user.id]
        member.role_ids = list(role_ids)
        self.gateway.emit("GUILD_MEMBER_UPDATE", {**payloads.member(self.world, member), "guild_id": guild.id}, Intent.MEMBERS)

    def start_thread(
        self, parent: Channel, owner_id: str, name: str, *, thread_id: str | None = None, is_private: bool = False
    ) -> Channel:  # fmt: skip
        """A thread; with the id of a message, one from that message, whose history begins with it."""
        kind = ChannelType.PRIVATE_THREAD if is_private else ChannelType.PUBLIC_THREAD
        thread = Channel(thread_id or self.world.new_id(), kind, name, time.time(), parent.guild_id, parent.id, owner_id=owner_id)
        thread.thread_members[owner_id] = time.time()
        self.world.add_channel(thread)
        starter = self.world.messages.get(thread.id)
        if starter and parent.type is ChannelType.TEXT:
            starter.flags |= MessageFlag.HAS_THREAD
            opening = Message(self.world.new_id(), thread.id, starter.author_id, "", time.time(), MessageType.THREAD_STARTER)
            opening.replied_to, opening.replied_channel = starter.id, parent.id
            self.world.add_message(opening)
            self.ledger.thread_started(thread.id)
        if self.world.sees(self.world.bot.id, thread):
            self.gateway.emit("THREAD_CREATE", payloads.thread(thread) | {"newly_created": True}, Intent.GUILDS)
            if starter and parent.type is ChannelType.TEXT:
                self._emit_message("MESSAGE_UPDATE", starter)
        self.notice()
        return thread

    def update_thread(self, thread: Channel, *, is_archived: bool, is_locked: bool) -> None:
        thread.is_archived, thread.is_locked = is_archived, is_locked
        self.gateway.emit("THREAD_UPDATE", payloads.thread(thread), Intent.GUILDS)

    def join_thread(self, thread: Channel, user_id: str) -> None:
        if user_id not in thread.thread_members:
            thread.thread_members[user_id] = time.time()
            if user_id == self.world.bot.id:
                self.gateway.emit("THREAD_CREATE", payloads.thread(thread), Intent.GUILDS)

    # messages ----------------------------------------------------------------------------------------------------------------

    def post(self, message: Message) -> Message:
        """Puts the message there and tells about it; an ephemeral one only the interaction's person sees, and no session."""
        channel = self.world.channels[message.channel_id]
        if channel.is_archived:
            self.update_thread(channel, is_archived=False, is_locked=channel.is_locked)
        self.world.add_message(message)
        if message.author_id != self.world.bot.id:
            self.ledger.said(message, self.world.users[message.author_id].is_bot)
        elif message.interaction_id is None:
            self.ledger.answered(message, channel)
        if not self.holds_back:
            self._emit_message("MESSAGE_CREATE", message)
        self.notice()
        return message

    def earlier_with_nonce(self, channel: Channel, author_id: str, nonce: str | int) -> Message | None:
        """The message that this author sent there with this nonce within the last minutes."""
        found = self._nonces.get((channel.id, author_id, nonce))
        return found if found and time.time() - found.created_at < self.limits.nonce_window_s else None

    def remember_nonce(self, message: Message) -> None:
        if message.nonce is not None:
            self._nonces[message.channel_id, message.author_id, message.nonce] = message

    def forget_nonces(self) -> None:
        self._nonces.clear()

    def edited(self, message: Message) -> None:
        """Tells that the message was changed just now."""
        message.edited_at = time.time()
        self.ledger.edited(message)
        self._emit_message("MESSAGE_UPDATE", message)
        self.notice()

    def delete(self, message: Message) -> None:
        message.is_deleted = True
        channel = self.world.channels[message.channel_id]
        self.ledger.deleted(message)
        if message.visible_to is None:
            channel.message_ids.remove(int(message.id))
            data = {"id": message.id, "channel_id": channel.id, **_guild_id(channel)}
            self._emit_in(channel, "MESSAGE_DELETE", data, Intent.MESSAGES, Intent.DIRECT_MESSAGES)
        self.notice()

    def react(self, message: Message, user_id: str, emoji: str, *, add: bool) -> None:
        """Adds or takes back a reaction; nothing happens where it is so already."""
        users = message.reactions.get(emoji, [])
        if add == (user_id in users):
            return
        users = [*users, user_id] if add else [each for each in users if each != user_id]
        message.reactions |= {emoji: users}
        if not users:
            del message.reactions[emoji]
        channel = self.world.channels[message.channel_id]
        data: Json = {
            "user_id": user_id,
            "channel_id": channel.id,
            "message_id": message.id,
            "emoji": message_payloads.emoji(emoji),
        }
        data |= {"burst": False, "type": 0, **_guild_id(channel)}
        if add:
            data["message_author_id"] = message.author_id
            if (guild := self.world.guild_of(channel)) and user_id in guild.members:
                data["member"] = payloads.member(self.world, guild.members[user_id])
        event = "MESSAGE_REACTION_ADD" if add else "MESSAGE_REACTION_REMOVE"
        self._emit_in(channel, event, data, Intent.REACTIONS, Intent.DIRECT_REACTIONS)
        self.notice()

    def redeliver(self, message: Message) -> None:
        """The same MESSAGE_CREATE once more, which Discord does now and then."""
        self._emit_message("MESSAGE_CREATE", message)

    def _emit_message(self, event: str, message: Message) -> None:
        if message.visible_to is not None:
            return
        channel = self.world.channels[message.channel_id]
        data = message_payloads.message(self.world, message) | {"channel_type": int(channel.type), **_guild_id(channel)}
        guild = self.world.guild_of(channel)
        if guild and message.author_id in guild.members:
            data["member"] = payloads.partial_member(guild.members[message.author_id])
        open_to_all = channel.type is ChannelType.DM or message.author_id == self.world.bot.id
        reads = open_to_all or self.world.bot.id in allowed(message, self.world).user_ids
        booked = message.id if event == "MESSAGE_CREATE" else None
        hidden = None if reads else data | LOST_TEXT
        self._emit_in(channel, event, data, Intent.MESSAGES, Intent.DIRECT_MESSAGES, hidden, booked)

    def _emit_in(
        self,
        channel: Channel,
        event: str,
        data: Json,
        in_guild: int,
        in_dm: int,
        hidden: Json | None = None,
        message_id: str | None = None,
    ) -> None:
        if self.world.sees(self.world.bot.id, channel):
            intent = in_guild if channel.guild_id else in_dm
            self.gateway.emit(event, data, intent, hidden=hidden, message_id=message_id)

    # interactions ------------------------------------------------------------------------------------------------------------

    def start_interaction(self, type_: int, user_id: str, channel: Channel, data: Json, source_id: str | None) -> Interaction:
        """Tells the bot of it, and after the time for a first response that it failed, where there was none."""
        new_id, token = self.world.new_id(), secrets.token_urlsafe(24)
        interaction = Interaction(new_id, token, type_, user_id, channel.id, time.time(), data, source_id)
        self.world.interactions[interaction.id] = interaction
        self.world.interaction_by_token[interaction.token] = interaction
        self.gateway.emit("INTERACTION_CREATE", message_payloads.interaction(self.world, interaction))
        asyncio.get_running_loop().call_later(self.limits.first_response_s, self._expire, interaction)
        return interaction

    def _expire(self, interaction: Interaction) -> None:
        if interaction.callback_type is None:
            interaction.has_failed = True
            self.notice()

    def may(self, user_id: str, channel: Channel, permission: Permission) -> bool:
        return (self.world.permissions(user_id, channel) & permission) != NONE


def _guild_id(channel: Channel) -> Json:
    return {"guild_id": channel.guild_id} if channel.guild_id else {}
