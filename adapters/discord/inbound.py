"""What arrives from Discord, as our values: places, people, messages, buttons, forms (pure, but for reading objects).

A thread is named by the channel that it belongs to and its own id, which is the id of the message that it hangs on.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import discord

from bot.messages import Addressed, IncomingMessage, MessageRef, Person, PersonId, Place

PLATFORM = "discord"
NO_SERVER = "0"
"""The workspace of people who share no server with the bot; they are members of nothing."""
MESSAGE_TYPES = (discord.MessageType.default, discord.MessageType.reply)
_TOKEN = re.compile(
    r"<(?:@!?(?P<user>\d+)|@&(?P<role>\d+)|#(?P<channel>\d+)|/(?P<command>[^<>:\n]+):\d+|a?:(?P<emoji>\w+):\d+"
    r"|(?P<url>https?://[^\s<>]+))>"
)
_PERSON_TOKEN = re.compile(r"<@!?(\d+)>")

Payload: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Whereabouts:
    """A channel, thread or direct conversation. `guild` is None in the latter, `parent` only of a thread the channel it is in."""

    id: int
    guild: int | None
    parent: int | None = None
    recipient: int | None = None

    @property
    def is_direct(self) -> bool:
        return self.guild is None

    def place(self, workspace: str = "") -> Place:
        """`workspace` is the server's id; a channel of a server knows it."""
        workspace = str(self.guild) if self.guild is not None else workspace
        if self.parent is not None:
            return Place(PLATFORM, workspace, str(self.parent), str(self.id))
        return Place(PLATFORM, workspace, str(self.id))


def whereabouts(channel: object) -> Whereabouts | None:
    """None for what does not say enough about itself: discord.py makes a partial channel of one that it has not seen."""
    if isinstance(channel, discord.Thread):
        return Whereabouts(channel.id, channel.guild.id, channel.parent_id)
    if isinstance(channel, discord.abc.GuildChannel):
        return Whereabouts(channel.id, channel.guild.id)
    if isinstance(channel, discord.DMChannel):
        return Whereabouts(channel.id, None, None, channel.recipient.id if channel.recipient else None)
    return None


def person_id(guild: int | str, user: int | str) -> PersonId:
    return PersonId(f"{PLATFORM}:{guild}:{user}")


def user_of(person: PersonId) -> int:
    """Raises ValueError for an id that is none of Discord's."""
    return int(person.rpartition(":")[2])


def read_member(member: discord.Member) -> Person:
    """Bots, those who have not accepted the server's rules yet and guests of a voice channel are no members."""
    is_member = not (member.bot or member.pending or member.flags.guest)
    return Person(person_id(member.guild.id, member.id), member.display_name, is_member)


def is_of_a_person(message: discord.Message) -> bool:
    """Whether a person wrote it: no bot, no webhook, no notice of Discord's own."""
    return not message.author.bot and message.webhook_id is None and message.type in MESSAGE_TYPES


@dataclass(frozen=True)
class Myself:
    """The bot as others name it: by its id, or by its role in a server."""

    id: int
    role: int | None = None


def addressed(message: discord.Message, here: Whereabouts, me: Myself) -> Addressed:
    """A reply to the bot that pings it names it too. The opening message of a forum is to nobody in particular."""
    if here.is_direct:
        return Addressed.DIRECT
    if any(user.id == me.id for user in message.mentions) or me.id in message.raw_mentions:
        return Addressed.MENTION
    if me.role is not None and me.role in message.raw_role_mentions:
        return Addressed.MENTION
    return Addressed.THREAD if here.parent is not None and message.id != here.id else Addressed.CHANNEL


def read_message(
    message: discord.Message, here: Whereabouts, author: Person, me: Myself, names: Mapping[int, str]
) -> IncomingMessage:
    """`names` are those of roles and channels by id; people's stand in the message."""
    known = {**names, **{user.id: user.display_name for user in message.mentions}}
    return IncomingMessage(
        place=here.place(author.workspace.rpartition(":")[2]),
        id=str(message.id),
        author=author,
        text=readable(message.content, known, me),
        addressed=addressed(message, here, me),
        sent_at=message.created_at,
        is_threaded=not here.is_direct,
    )


def readable(content: str, names: Mapping[int, str], me: Myself | None = None) -> str:
    """The text without Discord's syntax: people, roles and channels by name, links bare, mentions of the bot taken out."""

    def replaced(token: re.Match[str]) -> str:
        kind = token.lastgroup or ""
        value = token[kind]
        if kind in ("user", "role"):
            is_me = me is not None and int(value) == (me.id if kind == "user" else me.role)
            return "" if is_me else "@" + names.get(int(value), "somebody" if kind == "user" else "a role")
        if kind == "channel":
            return "#" + names.get(int(value), "a channel")
        return {"command": f"/{value}", "emoji": f":{value}:", "url": value}[kind]

    lines = _TOKEN.sub(replaced, content).split("\n")
    return "\n".join(re.sub(r"(?<=\S) {2,}", " ", line).rstrip() for line in lines).strip()


def with_person_ids(words: str, guild: str) -> str:
    """Mentions of people as ids that commands understand."""
    return _PERSON_TOKEN.sub(lambda token: person_id(guild, token[1]), words)


def read_form(data: Payload) -> dict[str, str]:
    """The values of a submitted form by field."""
    return {**typed_texts(data), **{str(part["custom_id"]): str((part["values"] or [""])[0]) for part in _parts(data, "values")}}


def typed_texts(data: Payload) -> dict[str, str]:
    """Those of the values that were typed, not picked."""
    return {str(part["custom_id"]): str(part["value"] or "") for part in _parts(data, "value")}


def _parts(part: Payload, with_key: str) -> Iterator[Payload]:
    """The fields of a form that have that key, however deep."""
    if with_key in part and "custom_id" in part:
        yield part
    for inner in (*part.get("components", ()), *([part["component"]] if "component" in part else ())):
        yield from _parts(inner, with_key)


@dataclass(frozen=True)
class Chosen:
    """A message on which an entry of the message menu was used, as Discord sends it along."""

    entry: str
    ref: MessageRef
    text: str


def read_menu(data: Payload, place: Place) -> Chosen:
    message = data["resolved"]["messages"][data["target_id"]]
    names = {int(user["id"]): user.get("global_name") or user["username"] for user in message.get("mentions", ())}
    return Chosen(
        entry=data["name"],
        ref=MessageRef(place, message["id"]),
        text=readable(message["content"], names),
    )
