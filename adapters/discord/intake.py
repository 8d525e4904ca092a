"""Hands what people write and react to on to the front desk, and fetches what they wrote while nobody was listening.

The messages of a channel and of its threads are committed one after the other: what follows a question is not answered before it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import discord

from adapters.discord.delivery import Post
from adapters.discord.directory import Directory
from adapters.discord.inbound import (
    PLATFORM,
    Myself,
    Whereabouts,
    is_of_a_person,
    person_id,
    read_member,
    read_message,
    whereabouts,
)
from adapters.discord.rendering import render_greeting
from adapters.discord.rest import Refused, Rest, translated
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.messages import Addressed, IncomingMessage, MessageRef, Person, Place

if TYPE_CHECKING:
    from bot.front_desk import FrontDesk

logger = logging.getLogger(__name__)

RETRY_PAUSE_S = 1.0
MOST_MISSED = 10_000  # messages of a channel that are looked through after an outage; a hundred calls
SHORTEST_ARCHIVING = timedelta(hours=1)  # a thread is put away that long after its last message, or later
ARCHIVED = "/channels/{channel_id}/threads/archived/public"
ARCHIVED_THREADS = 50
GREETED = "greeted"


@dataclass(frozen=True)
class Room:
    """A channel or thread, and its newest message."""

    here: Whereabouts
    newest: int


class Lanes:
    """One at a time for each name, in the order of coming."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = lock, users - 1


class Intake:
    """What arrives by events, and what is fetched. No method for events raises."""

    def __init__(
        self, rest: Rest, directory: Directory, post: Post, front_desk: "FrontDesk", retry_pause_s: float = RETRY_PAUSE_S
    ) -> None:
        self._rest = rest
        self._directory = directory
        self._post = post
        self._front_desk = front_desk
        self._retry_pause_s = retry_pause_s
        self._lanes = Lanes()

    # events ------------------------------------------------------------------------------------------------------------------

    async def message(self, message: discord.Message, me: Myself) -> None:
        """Tries until it is stored: Discord does not deliver twice."""
        if not is_of_a_person(message):
            return
        known = whereabouts(message.channel)
        async with self._lanes.of(known.place().channel if known else str(message.channel.id)):
            while True:
                try:
                    await self._take(message, me)
                    return
                except (DatabaseUnavailable, PlatformUnavailable) as err:
                    logger.error("Message %s is not stored yet: %s", message.id, err)
                    await asyncio.sleep(self._retry_pause_s)
                except DeliveryRefused as err:
                    logger.error("Message %s cannot be looked at: %s", message.id, err)
                    return

    async def _take(self, message: discord.Message, me: Myself) -> None:
        here = await self._directory.whereabouts(message.channel.id, message.channel)
        author = await self._directory.person(message.author)
        incoming = read_message(message, here, author, me, _names(message))
        if is_blank(incoming):
            return
        self._post.note_topic(incoming)
        await self._front_desk.receive(incoming)
        if here.is_direct:
            await self._greet_once(author, message.author.id)

    async def reaction(self, payload: discord.RawReactionActionEvent, is_added: bool, own_id: int) -> None:
        """Of a message that is known to be somebody else's nothing needs to be known."""
        if payload.user_id == own_id or payload.message_author_id not in (None, own_id):
            return
        here = await self._directory.whereabouts(payload.channel_id)
        person = await self._who(payload, here)
        ref = MessageRef(here.place(person.workspace.rpartition(":")[2]), str(payload.message_id))
        await self._front_desk.react(person, ref, payload.emoji.name, is_added)

    async def joined(self, guild: discord.Guild) -> None:
        """Says hello where the server wants such messages."""
        channel = guild.system_channel
        if channel is None or not channel.permissions_for(guild.me).send_messages:
            return
        ordinary = Person(person_id(guild.id, guild.me.id), guild.me.display_name, is_member=True)
        try:
            await self._post.send(channel.id, render_greeting(await self._front_desk.greeting(ordinary)))
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.info("A greeting is not sent: %s", err)

    async def _who(self, payload: discord.RawReactionActionEvent, here: Whereabouts) -> Person:
        if payload.member:
            return read_member(payload.member)
        if here.guild is None:
            return await self._directory.person_in_private(payload.user_id)
        return await self._directory.person_in(here.guild, payload.user_id)

    async def _greet_once(self, person: Person, user: int) -> None:
        name = f"{GREETED}:{user}"
        if not person.is_member or await self._front_desk.recall(PLATFORM, name):
            return
        await self._front_desk.remember(PLATFORM, name, {"at": datetime.now(UTC).isoformat()})
        try:
            await self._post.dm(user, render_greeting(await self._front_desk.greeting(person)))
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.info("A greeting is not sent: %s", err)

    # what was missed ---------------------------------------------------------------------------------------------------------

    async def missed(self, place: Place, since: datetime, gateway: discord.Client, own_id: int) -> Sequence[IncomingMessage]:
        """What people said, in threads too. Raises PlatformUnavailable, Refused."""
        first = discord.utils.time_snowflake(since)
        channel = gateway.get_channel(int(place.channel))
        if not isinstance(channel, discord.abc.GuildChannel):
            here = await self._directory.whereabouts(int(place.channel), channel)
            messages = [message async for message in self._history(here.id, first) if is_of_a_person(message)]
            return [await self._read(message, here, Myself(own_id)) for message in messages]
        me = myself(own_id, channel.guild)
        rooms = [room for room in await self._rooms(channel, first) if room.newest > first]
        found = [message for room in rooms for message in await self._missed_in(room, first, me)]
        return sorted(found, key=lambda message: int(message.id))

    async def _missed_in(self, room: Room, first: int, me: Myself) -> list[IncomingMessage]:
        found = [
            await self._read(message, room.here, me)
            async for message in self._history(room.here.id, first)
            if is_of_a_person(message)
        ]
        return [message for message in found if not is_blank(message)]

    async def _rooms(self, channel: discord.abc.GuildChannel, first: int) -> list[Room]:
        """The channel with its threads: those that are open, and those that may have been put away meanwhile."""
        guild = channel.guild.id
        rooms = [Room(Whereabouts(channel.id, guild), getattr(channel, "last_message_id", None) or 0)]
        if isinstance(channel, discord.ForumChannel):
            rooms = []
        for thread in channel.guild.threads:
            if thread.parent_id == channel.id:
                rooms.append(Room(Whereabouts(thread.id, guild, channel.id), thread.last_message_id or 0))
        is_long_ago = discord.utils.utcnow() - discord.utils.snowflake_time(first) > SHORTEST_ARCHIVING
        if is_long_ago and isinstance(channel, discord.TextChannel | discord.ForumChannel):
            rooms += await self._archived(channel)
        return rooms

    async def _archived(self, channel: discord.abc.GuildChannel) -> list[Room]:
        try:
            found = await self._rest.call("GET", ARCHIVED, {"channel_id": channel.id}, query={"limit": ARCHIVED_THREADS})
        except Refused as err:
            logger.info("Archived threads of channel %s are not looked at: %s", channel.id, err)
            return []
        return [
            Room(Whereabouts(int(each["id"]), channel.guild.id, channel.id), int(each["last_message_id"] or 0))
            for each in found["threads"]
        ]

    async def _history(self, channel: int, first: int) -> AsyncIterator[discord.Message]:
        client = await self._rest.client()
        messages = client.get_partial_messageable(channel).history(
            limit=MOST_MISSED, after=discord.Object(first), oldest_first=True
        )
        while True:
            try:
                yield await translated(anext(messages))
            except StopAsyncIteration:
                return

    async def _read(self, message: discord.Message, here: Whereabouts, me: Myself) -> IncomingMessage:
        if here.guild is None:
            author = await self._directory.person_in_private(message.author.id)
        else:
            author = await self._directory.person_in(here.guild, message.author.id)
        return replace(read_message(message, here, author, me, {}), is_late=True)

    async def is_answered(self, message: IncomingMessage) -> bool:
        """By a reply, by a message that names the author, or by one in the thread below. Raises PlatformUnavailable, Refused."""
        author = int(message.author.id.rpartition(":")[2])
        if message.place.thread:
            return bool([each async for each in self._others(int(message.place.thread), message, author)])
        try:
            if [each async for each in self._others(int(message.id), message, author)]:
                return True
        except Refused:
            logger.debug("Message %s has no thread", message.key)
        others = [each async for each in self._others(int(message.place.channel), message, author)]
        return any(_answers(each, message.id, author) for each in others)

    async def _others(self, channel: int, message: IncomingMessage, author: int) -> AsyncIterator[discord.Message]:
        async for each in self._history(channel, int(message.id)):
            if is_of_a_person(each) and each.author.id != author:
                yield each


def myself(user: int, guild: discord.Guild | None) -> Myself:
    role = guild.self_role if guild else None
    return Myself(user, role.id if role else None)


def places(gateway: discord.Client) -> list[Place]:
    """The channels whose messages reach the bot."""
    return [here.place() for guild in gateway.guilds for here in _readable(guild)]


def is_blank(message: IncomingMessage) -> bool:
    """Discord leaves out the text of what does not name the bot, where it may not read that."""
    return not message.text and message.addressed in (Addressed.CHANNEL, Addressed.THREAD)


def _readable(guild: discord.Guild) -> Iterable[Whereabouts]:
    for channel in guild.channels:
        if not isinstance(channel, discord.CategoryChannel) and channel.permissions_for(guild.me).view_channel:
            yield Whereabouts(channel.id, guild.id)


def _names(message: discord.Message) -> dict[int, str]:
    roles = {role.id: role.name for role in message.role_mentions}
    return roles | {channel.id: channel.name for channel in message.channel_mentions}


def _answers(message: discord.Message, question: str, asker: int) -> bool:
    if message.reference is not None:
        return str(message.reference.message_id) == question
    return any(user.id == asker for user in message.mentions)
