"""Channels as plain text, as a person sees them. Reads the world, changes nothing."""

import re

from tests.adapters.discord.mentions import visible_text, walk
from tests.adapters.discord.world import Channel, ChannelType, Message, MessageFlag, MessageType, World

USER, CHANNEL, ROLE = re.compile(r"<@!?(\d+)>"), re.compile(r"<#(\d+)>"), re.compile(r"<@&(\d+)>")
INDENT = "    "
BUTTON = 2
FIELDS_OF_SELECTS = (3, 5, 6, 7, 8)


def transcript(world: World, viewer_id: str | None = None) -> list[str]:
    """The lines of all channels with messages; threads stand under the message that they belong to."""
    lines: list[str] = []
    for channel in world.channels.values():
        if channel.is_thread or (viewer_id and not world.sees(viewer_id, channel)):
            continue
        inside = _channel_lines(world, channel, viewer_id, "")
        lines += ([""] if lines and inside else []) + ([_heading(world, channel), *inside] if inside else [])
    return lines


def _heading(world: World, channel: Channel) -> str:
    if channel.type is ChannelType.DM:
        return f"@{channel.name}"
    guild = world.guild_of(channel)
    return f"#{channel.name}" + (f" ({guild.name})" if guild and len(world.guilds) > 1 else "")


def _channel_lines(world: World, channel: Channel, viewer_id: str | None, indent: str) -> list[str]:
    shown = [message for message in _messages(world, channel) if viewer_id is None or message.visible_to in (None, viewer_id)]
    lines: list[str] = []
    for message in shown:
        lines += [indent + line for line in _message_lines(world, message)]
        thread = world.channels.get(message.id)
        if thread and channel.id != thread.id:
            lines += _thread_lines(world, thread, viewer_id, indent)
    own_threads = [each for each in world.channels.values() if each.parent_id == channel.id and each.id not in _ids(shown)]
    for thread in own_threads:
        lines += _thread_lines(world, thread, viewer_id, indent)
    return lines


def _ids(messages: list[Message]) -> set[str]:
    return {message.id for message in messages}


def _thread_lines(world: World, thread: Channel, viewer_id: str | None, indent: str) -> list[str]:
    if viewer_id and not world.sees(viewer_id, thread):
        return []
    lock = " (private)" if thread.type is ChannelType.PRIVATE_THREAD else ""
    return [f"{indent}{INDENT}-- {thread.name}{lock}", *_channel_lines(world, thread, viewer_id, indent + INDENT)]


def _messages(world: World, channel: Channel) -> list[Message]:
    """In order, with the ephemeral ones, which the channel's history does not know."""
    public = [world.messages[str(message_id)] for message_id in channel.message_ids]
    hidden = [
        each for each in world.messages.values() if each.visible_to and each.channel_id == channel.id and not each.is_deleted
    ]
    in_order = sorted([*public, *hidden], key=lambda message: int(message.id))
    return [message for message in in_order if message.type is not MessageType.THREAD_STARTER]


def _message_lines(world: World, message: Message) -> list[str]:
    author = world.users[message.author_id]
    name = f"{author.name} [bot]" if author.is_bot else author.name
    notes = [f"only {world.users[message.visible_to].name} sees this"] if message.visible_to else []
    notes += ["edited"] if message.edited_at and not message.interaction_id else []
    if message.type is MessageType.REPLY and message.replied_to in world.messages:
        notes.append(f"to {world.users[world.messages[message.replied_to].author_id].name}")
    head = name + (f" ({', '.join(notes)})" if notes else "")
    thinking = "…is thinking" if message.flags & MessageFlag.LOADING else ""
    lines = (with_names(world, visible_text(message)) or thinking).split("\n")
    lines += [f"<{embed.get('title', '')}> {embed.get('description', '')}" for embed in message.embeds]
    lines += [f"(file {attachment['filename']})" for attachment in message.attachments]
    lines += [" ".join(row) for row in _rows(message) if row]
    lines += [" ".join(f"{emoji} {len(users)}" for emoji, users in message.reactions.items())] if message.reactions else []
    return [f"{head}: {lines[0]}", *(INDENT + line for line in lines[1:])]


def _rows(message: Message) -> list[list[str]]:
    """The buttons and menus of each row, as `[label]`."""
    rows = []
    for component in message.components:
        parts = list(walk([component]))
        row = [f"[{_label(part)}]" for part in parts if part["type"] == BUTTON]
        rows.append(row + [f"[{part.get('placeholder', 'choose')} v]" for part in parts if part["type"] in FIELDS_OF_SELECTS])
    return rows


def _label(button: dict[str, object]) -> str:
    emoji = button.get("emoji")
    sign = str(emoji.get("name", "")) if isinstance(emoji, dict) else ""
    return " ".join(part for part in (sign, str(button.get("label") or "")) if part)


def with_names(world: World, text: str) -> str:
    """The text with the names in the place of ids, as the client shows mentions."""
    text = USER.sub(lambda found: f"@{world.users[found[1]].name}" if found[1] in world.users else found[0], text)
    text = CHANNEL.sub(lambda found: f"#{world.channels[found[1]].name}" if found[1] in world.channels else found[0], text)
    roles = {role.id: role.name for guild in world.guilds.values() for role in guild.roles.values()}
    return ROLE.sub(lambda found: f"@{roles.get(found[1], found[1])}", text)
