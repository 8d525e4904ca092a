"""The gateway: sessions, their sockets, and Discord's events on them, with RESUME and the faults of a real one.

An event reaches each session that is connected or may still resume; when there is none it is dropped, as Discord does.
"""

import asyncio
import json
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from tests.adapters.discord import payloads
from tests.adapters.discord.world import Guild, Json, World


class Intent:
    """Bits of IDENTIFY's `intents`."""

    GUILDS = 1 << 0
    MEMBERS = 1 << 1
    PRESENCES = 1 << 8
    MESSAGES = 1 << 9
    REACTIONS = 1 << 10
    DIRECT_MESSAGES = 1 << 12
    DIRECT_REACTIONS = 1 << 13
    MESSAGE_CONTENT = 1 << 15
    PRIVILEGED = MEMBERS | PRESENCES | MESSAGE_CONTENT


class Op:
    DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE = 0, 1, 2, 3
    RESUME, RECONNECT, REQUEST_MEMBERS, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 6, 7, 8, 9, 10, 11


class Close:
    AUTHENTICATION_FAILED, NOT_AUTHENTICATED, INVALID_INTENTS, DISALLOWED_INTENTS = 4004, 4003, 4013, 4014


@dataclass(frozen=True)
class Limits:
    """Discord's limits in time and number; tests make them small."""

    first_response_s: float = 3.0
    token_life_s: float = 15 * 60.0
    nonce_window_s: float = 5 * 60.0
    identifies: int = 1000
    heartbeat_interval_s: float = 41.25
    session_life_s: float = 120.0  # how long a session without a socket can be resumed
    replayable_events: int = 20_000


@dataclass
class Socket:
    ws: web.WebSocketResponse
    request: web.Request
    deflate: "zlib._Compress | None"
    outbox: "asyncio.Queue[tuple[str, str | None]]" = field(default_factory=asyncio.Queue)  # frame, id of the message in it
    is_frozen: bool = False  # a zombie: takes everything, says nothing

    def send(self, payload: Json, message_id: str | None = None) -> None:
        self.outbox.put_nowait((json.dumps(payload, ensure_ascii=False), message_id))


@dataclass
class Session:
    id: str
    intents: int
    socket: Socket | None
    sequence: int = 0
    sent: "deque[tuple[int, Json, str | None]]" = field(default_factory=deque)
    lost_at: float = 0.0


class Gateway:
    def __init__(
        self, world: World, limits: Limits, token: str, allowed_intents: int, on_sent: Callable[[str | None], None]
    ) -> None:
        self._world = world
        self._limits = limits
        self._on_sent = on_sent
        self.token = token
        self.allowed_intents = allowed_intents
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.sockets: list[Socket] = []
        self.identifies: list[float] = []
        self.resumes = 0
        self.dropped_events = 0
        self.refused_handshakes = 0
        self.is_refusing = False
        self.presence: Json | None = None

    @property
    def connected(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.socket]

    @property
    def identifies_left(self) -> int:
        return max(self._limits.identifies - len(self.identifies), 0)

    # events ------------------------------------------------------------------------------------------------------------------

    def emit(self, event: str, data: Json, intent: int = 0, *, hidden: Json | None = None, message_id: str | None = None) -> None:
        """To every session with that intent; `hidden` is for those without the intent for message content."""
        self._forget_old_sessions()
        if not self.sessions:
            self.dropped_events += 1
        for session in self.sessions.values():
            if intent and not session.intents & intent:
                continue
            reads = hidden is None or session.intents & Intent.MESSAGE_CONTENT
            self._dispatch(session, event, data if reads else hidden or {}, message_id)

    def emit_guild(self, guild: Guild, session: Session | None = None) -> None:
        """GUILD_CREATE, to one session that begins or, when the bot is added to the guild, to all."""
        for each in [session] if session else list(self.sessions.values()):
            with_members = bool(each.intents & Intent.MEMBERS)
            shown = payloads.guild_create(self._world, guild, with_members=with_members)
            # READY has called the guilds of a session that begins unavailable; only of those does the event say that they are not
            self._dispatch(each, "GUILD_CREATE", shown | ({"unavailable": False} if session else {}))

    def _dispatch(self, session: Session, event: str, data: Json, message_id: str | None = None) -> None:
        session.sequence += 1
        payload = {"op": Op.DISPATCH, "t": event, "s": session.sequence, "d": data}
        session.sent.append((session.sequence, payload, message_id))
        if len(session.sent) > self._limits.replayable_events:
            session.sent.popleft()
        if session.socket:
            session.socket.send(payload, message_id)

    def _forget_old_sessions(self) -> None:
        dead_since = time.monotonic() - self._limits.session_life_s
        for session in [each for each in self.sessions.values() if not each.socket and each.lost_at < dead_since]:
            del self.sessions[session.id]

    # faults ------------------------------------------------------------------------------------------------------------------

    def ask_to_reconnect(self) -> None:
        """Op 7."""
        self._tell_all({"op": Op.RECONNECT, "d": None})

    def invalidate(self, *, resumable: bool) -> None:
        """Op 9; what is not resumable is forgotten."""
        self._tell_all({"op": Op.INVALID_SESSION, "d": resumable})
        if not resumable:
            self.sessions.clear()

    def cut(self) -> None:
        """Ends every TCP connection of the gateway without a word."""
        for socket in self.sockets:
            if socket.request.transport:
                socket.request.transport.abort()

    def freeze(self) -> None:
        """Makes zombies of the sockets of now: open, but silent for ever, even to heartbeats."""
        for socket in self.sockets:
            socket.is_frozen = True

    def send_malformed_event(self) -> None:
        """A MESSAGE_CREATE without nearly everything that belongs into one."""
        for session in self.connected:
            self._dispatch(session, "MESSAGE_CREATE", {"id": "not a number"})

    def _tell_all(self, payload: Json) -> None:
        for session in self.connected:
            assert session.socket
            session.socket.send(payload)

    # sockets -----------------------------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One WebSocket, from HELLO to its end."""
        if self.is_refusing:
            self.refused_handshakes += 1
            raise web.HTTPServiceUnavailable
        ws = web.WebSocketResponse(max_msg_size=1 << 20, compress=False)
        await ws.prepare(request)
        deflate = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        socket = Socket(ws, request, deflate)
        self.sockets.append(socket)
        writer = asyncio.create_task(self._write(socket))
        socket.send({"op": Op.HELLO, "d": {"heartbeat_interval": int(self._limits.heartbeat_interval_s * 1000)}})
        try:
            async for received in ws:
                if not socket.is_frozen:
                    await self._take(socket, received)
        finally:
            writer.cancel()
            self.sockets.remove(socket)
            self._lose(socket)
        return ws

    async def _write(self, socket: Socket) -> None:
        with suppress(ConnectionError):
            while True:
                frame, message_id = await socket.outbox.get()
                if socket.is_frozen:
                    continue
                if socket.deflate:
                    data = socket.deflate.compress(frame.encode()) + socket.deflate.flush(zlib.Z_SYNC_FLUSH)
                    await socket.ws.send_bytes(data)
                else:
                    await socket.ws.send_str(frame)
                self._on_sent(message_id)

    def _lose(self, socket: Socket) -> None:
        """The session stays for a RESUME, unless the client closed it with 1000 or 1001, which ends it."""
        for session in self.connected:
            if session.socket is socket:
                session.socket, session.lost_at = None, time.monotonic()
                if socket.ws.close_code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY):
                    del self.sessions[session.id]
        self._on_sent(None)

    async def _take(self, socket: Socket, received: WSMessage) -> None:
        if received.type is not WSMsgType.TEXT:
            return
        payload = json.loads(received.data)
        match payload["op"]:
            case Op.HEARTBEAT:
                socket.send({"op": Op.HEARTBEAT_ACK})
            case Op.IDENTIFY:
                await self._identify(socket, payload["d"])
            case Op.RESUME:
                await self._resume(socket, payload["d"])
            case Op.REQUEST_MEMBERS:
                self._send_members(socket, payload["d"])
            case Op.PRESENCE:
                self.presence = payload["d"]
            case _:
                await socket.ws.close(code=4001, message=b"Unknown opcode.")

    async def _identify(self, socket: Socket, data: Json) -> None:
        self.identifies.append(time.time())
        if len(self.identifies) > self._limits.identifies:
            self.token = secrets.token_hex(8)  # Discord resets the token of whoever identifies too often
        if data.get("token") != self.token:
            await socket.ws.close(code=Close.AUTHENTICATION_FAILED, message=b"Authentication failed.")
            return
        intents = data.get("intents")
        if not isinstance(intents, int) or intents < 0:
            await socket.ws.close(code=Close.INVALID_INTENTS, message=b"Invalid intent(s).")
            return
        if intents & Intent.PRIVILEGED & ~self.allowed_intents:
            await socket.ws.close(code=Close.DISALLOWED_INTENTS, message=b"Disallowed intent(s).")
            return
        session = Session(secrets.token_hex(16), intents, socket)
        self.sessions[session.id] = session
        self.presence = data.get("presence", self.presence)
        self._dispatch(session, "READY", self._ready(session, data))
        for guild in list(self._world.guilds.values()) if intents & Intent.GUILDS else []:
            self.emit_guild(guild, session)

    def _ready(self, session: Session, data: Json) -> Json:
        return {
            "v": 10,
            "user": payloads.own_user(self._world.bot),
            "guilds": [{"id": guild_id, "unavailable": True} for guild_id in self._world.guilds],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": data.get("shard", [0, 1]),
            "application": {"id": self._world.application_id, "flags": application_flags(self.allowed_intents)},
            "private_channels": [],
        }

    async def _resume(self, socket: Socket, data: Json) -> None:
        self._forget_old_sessions()
        if data.get("token") != self.token:
            await socket.ws.close(code=Close.AUTHENTICATION_FAILED, message=b"Authentication failed.")
            return
        session = self.sessions.get(data["session_id"])
        seen = data["seq"] or 0
        if not session or seen > session.sequence or (session.sent and session.sent[0][0] > seen + 1):
            socket.send({"op": Op.INVALID_SESSION, "d": False})
            return
        self.resumes += 1
        session.socket = socket
        while session.sent and session.sent[0][0] <= seen:
            session.sent.popleft()
        for _, payload, message_id in session.sent:
            socket.send(payload, message_id)
        self._dispatch(session, "RESUMED", {})

    def _send_members(self, socket: Socket, data: Json) -> None:
        guild = self._world.guilds.get(str(data["guild_id"]))
        session = next((each for each in self.connected if each.socket is socket), None)
        if not guild or not session:
            return
        wanted = {str(user_id) for user_id in data.get("user_ids") or []}
        prefix = (data.get("query") or "").lower()
        found = [
            member
            for member in guild.members.values()
            if (member.user_id in wanted if wanted else self._world.users[member.user_id].name.lower().startswith(prefix))
        ]
        limit = data.get("limit") or len(found)
        chunk = {
            "guild_id": guild.id,
            "members": [payloads.member(self._world, member) for member in found[:limit]],
            "chunk_index": 0,
            "chunk_count": 1,
            "nonce": data.get("nonce"),
        }
        self._dispatch(session, "GUILD_MEMBERS_CHUNK", chunk)


def application_flags(allowed_intents: int) -> int:
    """The flags of the application that tell which privileged intents its owner has switched on."""
    pairs = ((Intent.PRESENCES, 1 << 13), (Intent.MEMBERS, 1 << 15), (Intent.MESSAGE_CONTENT, 1 << 19))
    return sum(flag for intent, flag in pairs if allowed_intents & intent)
