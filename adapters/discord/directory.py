"""Who people are, where channels are, and who sees what is written there. Asks Discord, and remembers for five minutes.

Server, channels and roles are known from the gateway at every moment; members are asked for, since their events need an intent
that Discord gives only on request.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

import discord

from adapters.discord.inbound import NO_SERVER, PLATFORM, Whereabouts, person_id, read_member, user_of, whereabouts
from adapters.discord.rest import NAME, Refused, Rest, translated
from adapters.recent import Recent
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import Person, PersonId, Place, Viewers

logger = logging.getLogger(__name__)

REMEMBERED_S = 300.0
MEMBERS_AT_ONCE = 200  # permissions of that many are worked out before others get their turn
NO_MEMBERS = (
    "Discord does not tell who is in the server, so answers in closed channels can use no document. "
    'Switch on "Server Members Intent" on the page Bot of the Developer Portal.'
)


class Directory:
    """`gateway` is the client that is connected now, None while there is none."""

    def __init__(self, rest: Rest, gateway: Callable[[], discord.Client | None]) -> None:
        self._rest = rest
        self._gateway = gateway
        self._channels: Recent[int, Whereabouts] = Recent(REMEMBERED_S)
        self._servers: Recent[int, discord.Guild | None] = Recent(REMEMBERED_S)
        self._people: Recent[tuple[int, int], Person | None] = Recent(REMEMBERED_S)
        self._members: Recent[int, Sequence[discord.Member] | None] = Recent(REMEMBERED_S)

    async def whereabouts(self, channel_id: int, seen: object = None) -> Whereabouts:
        """`seen` is the channel as discord.py gave it, if it did. Raises PlatformUnavailable, Refused."""
        gateway = self._gateway()
        known = whereabouts(seen) or whereabouts(gateway.get_channel(channel_id) if gateway else None)
        is_enough = known is not None and (not known.is_direct or known.recipient is not None)
        return known if known and is_enough else await self._channels.get(channel_id, partial(self._fetch_channel, channel_id))

    def has_thread(self, thread_id: int) -> bool:
        """Whether the thread is known to be there; one that was put away is not."""
        gateway = self._gateway()
        return gateway is not None and isinstance(gateway.get_channel(thread_id), discord.Thread)

    async def person(self, user: discord.User | discord.Member) -> Person:
        """Who that is: where Discord names no server, a member of the oldest one that they share with the bot."""
        if isinstance(user, discord.Member):
            return read_member(user)
        return await self.person_in_private(user.id)

    async def person_in_private(self, user_id: int) -> Person:
        """Raises PlatformUnavailable."""
        found = [person for guild in self._guilds() if (person := await self._known_person(guild, user_id))]
        members = [person for person in found if person.is_member]
        stranger = Person(person_id(NO_SERVER, user_id), str(user_id), is_member=False)
        return next(iter(members or found), stranger)

    async def person_in(self, guild_id: int, user_id: int) -> Person:
        """Raises PlatformUnavailable."""
        found = await self._known_person(guild_id, user_id)
        return found or Person(person_id(guild_id, user_id), str(user_id), is_member=False)

    async def name_of(self, person: PersonId) -> str:
        workspace, _, user = person.removeprefix(f"{PLATFORM}:").partition(":")
        if not (workspace.isdecimal() and user.isdecimal()):
            return person
        try:
            found = await self._known_person(int(workspace), int(user))
        except (PlatformUnavailable, DeliveryRefused):
            found = None
        return found.name if found else person

    async def viewers(self, place: Place) -> Viewers:
        """Who sees a channel sees the threads in it. Raises PlatformUnavailable, Refused."""
        channel = self._connected().get_channel(int(place.channel))
        if isinstance(channel, discord.abc.GuildChannel):
            return await self._viewers_of(channel)
        here = await self.whereabouts(int(place.channel), channel)
        if here.recipient is None:
            return Viewers(is_open=False, has_outsiders=True)
        workspace = place.workspace if place.workspace.isdecimal() else NO_SERVER
        person = await self.person_in(int(workspace), here.recipient)
        return Viewers(is_open=False, has_outsiders=not person.is_member, people=frozenset({person.id}))

    async def _viewers_of(self, channel: discord.abc.GuildChannel) -> Viewers:
        """Whoever may join the server may read its open channels: there, its members are not counted one by one."""
        if channel.permissions_for(channel.guild.default_role).view_channel:
            return Viewers(is_open=True, has_outsiders=False)
        members = await self._members.get(channel.guild.id, partial(self._fetch_members, channel.guild.id))
        if members is None:
            return Viewers(is_open=False, has_outsiders=True)
        people: list[Person] = []
        for number, member in enumerate(members, 1):
            if not member.bot and channel.permissions_for(member).view_channel:
                people.append(read_member(member))
            if number % MEMBERS_AT_ONCE == 0:
                await asyncio.sleep(0)
        outsiders = [person for person in people if not person.is_member]
        return Viewers(is_open=False, has_outsiders=bool(outsiders), people=frozenset(person.id for person in people))

    async def _fetch_channel(self, channel_id: int) -> Whereabouts:
        client = await self._rest.client()
        found = whereabouts(await translated(client.fetch_channel(channel_id)))
        if found is None:
            raise Refused(404, 0, f"the channel {channel_id} is of a kind that cannot be used")
        return found

    async def _server(self, guild_id: int) -> discord.Guild | None:
        return await self._servers.get(guild_id, partial(self._fetch_server, guild_id))

    async def _fetch_server(self, guild_id: int) -> discord.Guild | None:
        """None where the bot is not in it."""
        client = await self._rest.client()
        try:
            found: discord.Guild = await translated(client.fetch_guild(guild_id, with_counts=False))
        except Refused:
            return None
        return found

    async def _known_person(self, guild_id: int, user_id: int) -> Person | None:
        """None for who is not in the server."""
        return await self._people.get((guild_id, user_id), partial(self._fetch_person, guild_id, user_id))

    async def _fetch_person(self, guild_id: int, user_id: int) -> Person | None:
        server = await self._server(guild_id) if guild_id else None
        if server is None:
            return None
        try:
            return read_member(await translated(server.fetch_member(user_id)))
        except Refused:
            return None

    async def _fetch_members(self, guild_id: int) -> Sequence[discord.Member] | None:
        """Everybody in the server; None where Discord does not say."""
        server = await self._server(guild_id)
        if server is None:
            return None
        try:
            found: list[discord.Member] = await translated(_all_members(server))
        except Refused as err:
            logger.warning("%s (%s)", NO_MEMBERS, err)
            return None
        return found

    def _guilds(self) -> list[int]:
        """Oldest first."""
        return sorted(guild.id for guild in self._connected().guilds)

    def _connected(self) -> discord.Client:
        gateway = self._gateway()
        if gateway is None:
            raise PlatformUnavailable(NAME, "there is no connection to its gateway")
        return gateway


async def _all_members(server: discord.Guild) -> list[discord.Member]:
    return [member async for member in server.fetch_members(limit=None)]


def user_id_of(person: PersonId) -> int:
    """Raises DeliveryRefused for an id that is none of Discord's."""
    try:
        return user_of(person)
    except ValueError as err:
        raise DeliveryRefused(NAME, f"{person} is no person there") from err
