"""Channels as plain text, as a person sees them. Reads the world, changes nothing."""

import re
from collections import defaultdict
from dataclasses import dataclass

from tests.adapters.discord.mentions import visible_text, walk
from tests.adapters.discord.world import Channel, ChannelType, Json, Message, MessageFlag, MessageType, World

MENTION = re.compile(r"<(@!?|@&|#)(\d+)>")
INDENT = "    "
BUTTON = 2
SELECTS = (3, 5, 6, 7, 8)


def transcript(world: World, viewer_id: str | None = None) -> list[str]:
    """The lines of all channels with messages; threads stand under the message that they belong to."""
    page = _Page(world, viewer_id, defaultdict(list), defaultdict(list), names_of(world))
    for channel in world.channels.values():
        page.threads[channel.parent_id or ""].append(channel)
    for message in world.messages.values():
        if message.visible_to is not None and not message.is_deleted:
            page.hidden[message.channel_id].append(message)
    lines: list[str] = []
    for channel in world.channels.values():
        if not channel.is_thread and page.shows(channel) and (inside := page.channel_lines(channel, "")):
            lines += [*([""] if lines else []), _heading(world, channel), *inside]
    return lines


def names_of(world: World) -> dict[str, str]:
    """The names that stand for ids in messages."""
    names = {user.id: f"@{user.name}" for user in world.users.values()}
    names |= {role.id: f"@{role.name}" for guild in world.guilds.values() for role in guild.roles.values()}
    return names | {f"#{channel.id}": f"#{channel.name}" for channel in world.channels.values()}


def with_names(text: str, names: dict[str, str]) -> str:
    """The text with names in the place of ids, as the client shows mentions."""
    return MENTION.sub(lambda found: names.get(("#" if found[1] == "#" else "") + found[2], found[0]), text)


@dataclass(frozen=True)
class _Page:
    world: World
    viewer_id: str | None
    threads: dict[str, list[Channel]]  # by parent
    hidden: dict[str, list[Message]]  # ephemeral messages by channel, which its history does not know
    names: dict[str, str]

    def shows(self, channel: Channel) -> bool:
        return self.viewer_id is None or self.world.sees(self.viewer_id, channel)

    def channel_lines(self, channel: Channel, indent: str) -> list[str]:
        shown = self._messages(channel)
        shown_ids = {message.id for message in shown}
        lines: list[str] = []
        for message in shown:
            lines += [indent + line for line in self._message_lines(message)]
            if (thread := self.world.channels.get(message.id)) and thread.id != channel.id:
                lines += self._thread_lines(thread, indent)
        for thread in self.threads.get(channel.id, []):
            lines += [] if thread.id in shown_ids else self._thread_lines(thread, indent)
        return lines

    def _thread_lines(self, thread: Channel, indent: str) -> list[str]:
        if not self.shows(thread):
            return []
        lock = " (private)" if thread.type is ChannelType.PRIVATE_THREAD else ""
        return [f"{indent}{INDENT}-- {thread.name}{lock}", *self.channel_lines(thread, indent + INDENT)]

    def _messages(self, channel: Channel) -> list[Message]:
        found = [self.world.messages[str(message_id)] for message_id in channel.message_ids]
        found = [message for message in found if message.type is not MessageType.THREAD_STARTER]
        found += [each for each in self.hidden.get(channel.id, []) if self.viewer_id in (None, each.visible_to)]
        return sorted(found, key=lambda message: int(message.id))

    def _message_lines(self, message: Message) -> list[str]:
        thinking = "…is thinking" if message.flags & MessageFlag.LOADING else ""
        lines = (with_names(visible_text(message), self.names) or thinking).split("\n")
        lines += [f"<{embed.get('title', '')}> {embed.get('description', '')}" for embed in message.embeds]
        lines += [f"(file {attachment['filename']})" for attachment in message.attachments]
        lines += [" ".join(row) for row in _rows(message) if row]
        lines += [" ".join(f"{emoji} {len(users)}" for emoji, users in message.reactions.items())] if message.reactions else []
        return [f"{self._head(message)}: {lines[0]}", *(INDENT + line for line in lines[1:])]

    def _head(self, message: Message) -> str:
        users, author = self.world.users, self.world.users[message.author_id]
        notes = [f"only {users[message.visible_to].name} sees this"] if message.visible_to else []
        notes += ["edited"] if message.edited_at and not message.interaction_id else []
        if message.type is MessageType.REPLY and message.replied_to:
            notes.append(f"to {users[self.world.messages[message.replied_to].author_id].name}")
        return author.name + (" [bot]" if author.is_bot else "") + (f" ({', '.join(notes)})" if notes else "")


def _heading(world: World, channel: Channel) -> str:
    if channel.type is ChannelType.DM:
        return f"@{channel.name}"
    guild = world.guild_of(channel)
    return f"#{channel.name}" + (f" ({guild.name})" if guild and len(world.guilds) > 1 else "")


def _rows(message: Message) -> list[list[str]]:
    """The buttons and menus of each row, as `[label]`."""
    rows = []
    for component in message.components:
        parts = list(walk([component]))
        row = [f"[{_label(part)}]" for part in parts if part["type"] == BUTTON]
        rows.append(row + [f"[{part.get('placeholder', 'choose')} v]" for part in parts if part["type"] in SELECTS])
    return rows


def _label(button: Json) -> str:
    sign = (button.get("emoji") or {}).get("name")
    return " ".join(part for part in (sign, button.get("label")) if part)
