"""Socket Mode: tickets, sockets, envelopes, acknowledgements, and the ways in which a socket can go wrong."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from uuid import uuid4

from aiohttp import WSMsgType, web

from tests.adapters.slack.deliveries import Attempt, Deliveries, Delivery
from tests.adapters.slack.state import App, Json

MAX_SOCKETS = 10  # per app (node-slack-sdk#1654)
CLOSES_AFTER_S = 10.0  # how long Slack keeps a socket open after asking for a new one


class Socket:
    """One open WebSocket of the app. Frames go out in order."""

    def __init__(self, name: str, ws: web.WebSocketResponse, request: web.Request) -> None:
        self.name = name
        self.ws = ws
        self.is_deaf = False
        """A dead link that nobody noticed: what is sent is lost and pings stay unanswered."""
        self.is_leaving = False
        self._request = request
        self._out: asyncio.Queue[str] = asyncio.Queue()
        self._writer = asyncio.ensure_future(self._write())

    def send(self, frame: Json) -> None:
        if not self.is_deaf:
            self._out.put_nowait(json.dumps(frame))

    def cut(self) -> None:
        """Breaks the TCP connection without a closing handshake."""
        if self._request.transport:
            self._request.transport.abort()

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self.ws.send_str(await self._out.get())

    def stop(self) -> None:
        self._writer.cancel()


class SocketHub:
    """The sockets of one app; each delivery goes to one of them in turn."""

    timeout_reason = "timeout"

    def __init__(self, app: App, deliveries: Deliveries, on_change: Callable[[], None]) -> None:
        self.sockets: list[Socket] = []
        self.opened = 0
        """How many sockets were ever opened."""
        self.refused = 0
        """How many handshakes were refused."""
        self.refuse_next = 0
        """How many of the next handshakes are to be refused."""
        self._app = app
        self._deliveries = deliveries
        self._tickets: set[str] = set()
        self._turn = count()
        self._on_change = on_change

    @property
    def is_open(self) -> bool:
        return bool(self.ready)

    def issue_ticket(self) -> str:
        ticket = uuid4().hex
        self._tickets.add(ticket)
        return ticket

    def expire_tickets(self) -> None:
        """Tickets that were issued so far and not used are refused."""
        self._tickets.clear()

    def carry(self, delivery: Delivery, attempt: Attempt) -> str | None:
        ready = self.ready
        socket = ready[next(self._turn) % len(ready)]
        frame: Json = {
            "type": delivery.kind,
            "envelope_id": attempt.envelope_id,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }
        if delivery.kind == "events_api":
            frame |= {"retry_attempt": len(delivery.attempts) - 1, "retry_reason": attempt.retry_reason}
        socket.send(frame)
        return socket.name

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The route that `apps.connections.open` points at. A ticket opens one socket, once."""
        ticket = request.query.get("ticket", "")
        if self.refuse_next or ticket not in self._tickets:
            self.refuse_next = max(0, self.refuse_next - 1)
            self.refused += 1
            self._on_change()
            return web.Response(status=403, text="This ticket opens nothing.")
        self._tickets.discard(ticket)
        ws = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await ws.prepare(request)
        self.opened += 1
        socket = Socket(f"socket-{self.opened}", ws, request)
        socket.send(self._hello())
        if len(self.sockets) >= MAX_SOCKETS:
            self._ask_to_leave(socket, "too_many_websockets")
        self.sockets.append(socket)
        self._on_change()
        self._deliveries.carrier_opened()
        try:
            await self._listen(socket)
        finally:
            socket.stop()
            self.sockets.remove(socket)
            self._on_change()
        return ws

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Asks the app to leave every socket (`refresh_requested`, `link_disabled`), or warns it (`warning`)."""
        for socket in list(self.sockets):
            if reason == "warning":
                socket.send(_disconnect_frame(reason))
            else:
                self._ask_to_leave(socket, reason)

    def cut(self) -> None:
        for socket in list(self.sockets):
            socket.cut()

    def deafen(self) -> None:
        """The sockets that are open now go silent and stay so; new ones are fine."""
        for socket in self.sockets:
            socket.is_deaf = True

    @property
    def ready(self) -> list[Socket]:
        """Those that are open and were not asked to leave."""
        return [socket for socket in self.sockets if not socket.is_leaving]

    async def close(self) -> None:
        for socket in list(self.sockets):
            await socket.ws.close()

    async def _listen(self, socket: Socket) -> None:
        with suppress(ConnectionError):
            async for frame in socket.ws:
                if socket.is_deaf:
                    continue
                if frame.type == WSMsgType.PING:
                    await socket.ws.pong(frame.data)
                elif frame.type == WSMsgType.TEXT:
                    answer = json.loads(frame.data)
                    self._deliveries.acknowledge(answer.get("envelope_id", ""), answer.get("payload"))

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.sockets) + 1,
            "connection_info": {"app_id": self._app.id},
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
        }

    def _ask_to_leave(self, socket: Socket, reason: str) -> None:
        socket.send(_disconnect_frame(reason))
        socket.is_leaving = True
        asyncio.get_running_loop().call_later(CLOSES_AFTER_S, socket.cut)
        self._on_change()


def _disconnect_frame(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}
