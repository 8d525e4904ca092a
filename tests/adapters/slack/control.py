"""The pretended Slack in a process of its own: prints the settings for a bot and is driven over HTTP, so that it outlives bots
that are killed.

    POST /control/say {"user": "U1", "channel": "C1", "text": "Hello"}  -> {"result": "1700000000.000001"}

`/control/ACTION` is a method of `Person` for `user`; its other arguments are the body's fields. A message or view to press is
given as `{"channel": .., "ts": ..}`, `"modal"` or `"home"`. GET /control/ledger, /control/transcript?channel=C1, /control/calls,
/control/problems and /control/settings look on; POST /control/sockets {"do": "cut"}, /control/fault {"kind": "rate_limited",
"method": ..}, /control/wait {"answered": 10} and /control/channel, /control/person change the scene."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.adapters.slack import faults
from tests.adapters.slack.deliveries import Delivery, Patience
from tests.adapters.slack.interactions import NotAcknowledged
from tests.adapters.slack.office import furnish
from tests.adapters.slack.persons import Person
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Impossible, Json, Message, SlackError, View

ACTIONS = frozenset(
    "say dm broadcast share_file edit delete react unreact join invite leave open_home look_at stop click submit close slash "
    "message_shortcut global_shortcut".split()
)
SOCKET_ACTIONS = frozenset("cut deafen disconnect expire_tickets refuse".split())
FAULTS: dict[str, Callable[..., faults.Fault]] = {
    "rate_limited": faults.rate_limited,
    "rate_limited_with_200": faults.rate_limited_with_200,
    "unavailable": faults.unavailable,
    "refuses": faults.refuses,
    "loses_reply": faults.loses_reply,
    "drops_call": faults.drops_call,
    "slow": faults.slow,
}


class Control:
    def __init__(self, slack: SlackServer) -> None:
        self._slack = slack
        slack.routes.add_routes(
            [
                web.get("/control/{what}", self._look),
                web.post("/control/sockets", self._sockets),
                web.post("/control/fault", self._fault),
                web.post("/control/person", self._person),
                web.post("/control/channel", self._channel),
                web.post("/control/wait", self._wait),
                web.post("/control/{action}", self._act),
            ]
        )

    async def _look(self, request: web.Request) -> web.Response:
        match request.match_info["what"]:
            case "settings":
                return web.json_response(self._slack.environment())
            case "ledger":
                return web.json_response(self._ledger())
            case "transcript":
                return web.Response(text=self._slack.transcript(request.query["channel"]))
            case "calls":
                calls = [{"method": c.method, "arguments": c.arguments, "error": c.error, "at": c.at} for c in self._slack.calls]
                return web.json_response(calls)
            case "problems":
                return web.json_response(self._slack.problems)
            case "sockets":
                sockets = self._slack.sockets
                return web.json_response({"open": len(sockets.sockets), "opened": sockets.opened, "refused": sockets.refused})
        raise web.HTTPNotFound

    def _ledger(self) -> list[Json]:
        wanted = ("channel", "ts", "user", "thread_ts", "is_addressed", "acked_at", "attempts", "answers")
        return [{name: getattr(entry, name) for name in wanted} for entry in self._slack.ledger().entries.values()]

    async def _act(self, request: web.Request) -> web.Response:
        action, body = request.match_info["action"], await request.json()
        if action not in ACTIONS:
            raise web.HTTPNotFound
        try:
            person = self._slack.person(body.pop("user"))
            arguments = {name: self._thing(person, value) for name, value in body.items()}
            result = await getattr(person, action)(**arguments)
        except (Impossible, NotAcknowledged, SlackError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=409)
        return web.json_response({"result": None if isinstance(result, Delivery) else result})

    def _thing(self, person: Person, value: Any) -> Any:
        """A message or view, where the value names one."""
        if value == "modal":
            return person.modal
        if value == "home":
            return person.home
        if isinstance(value, dict) and value.keys() == {"channel", "ts"}:
            shown: list[Message | View] = [m for m in person.ephemerals(value["channel"]) if m.ts == value["ts"]]
            return shown[0] if shown else self._slack.message(value["channel"], value["ts"])
        return value

    async def _wait(self, request: web.Request) -> web.Response:
        """Returns once that many messages to the bot are answered, or that many sockets open; 408 where it takes too long."""
        body = await request.json()
        ledger, sockets = self._slack.ledger(), self._slack.sockets

        def is_reached() -> bool:
            answered = sum(bool(entry.answers) for entry in ledger.addressed)
            return bool(answered >= body.get("answered", 0) and len(sockets.ready) >= body.get("sockets", 0))

        try:
            await self._slack.until(is_reached, within_s=body.get("within_s", 30.0))
        except TimeoutError as error:
            return web.json_response({"error": str(error)}, status=408)
        return web.json_response({"result": None})

    async def _sockets(self, request: web.Request) -> web.Response:
        body = await request.json()
        action = body.pop("do")
        if action not in SOCKET_ACTIONS:
            raise web.HTTPNotFound
        if action == "refuse":
            self._slack.sockets.refuse_next = body["times"]
        else:
            getattr(self._slack.sockets, action)(**body)
        return web.json_response({"result": None})

    async def _fault(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("kind") == "none":
            self._slack.faults.clear()
            return web.json_response({"result": None})
        fault = FAULTS[body["kind"]](**body.get("with", {}))
        self._slack.faults.add(fault, body.get("method"), times=body.get("times", 1), after=body.get("after", 0))
        return web.json_response({"result": None})

    async def _person(self, request: web.Request) -> web.Response:
        return web.json_response({"result": self._slack.add_person(**await request.json()).id})

    async def _channel(self, request: web.Request) -> web.Response:
        body = await request.json()
        members = [self._slack.person(id) for id in body.pop("members", [])]
        return web.json_response({"result": self._slack.add_channel(body.pop("name"), *members, **body)})


async def main() -> None:
    """Runs until ended; the first lines on stdout are the settings."""
    parser = argparse.ArgumentParser(description="A local server that speaks Slack.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ack-within", type=float, default=Patience().ack_within_s, metavar="SECONDS")
    parser.add_argument("--retries", type=float, nargs="*", default=Patience().retries_s, metavar="SECONDS")
    options = parser.parse_args()
    patience = Patience(ack_within_s=options.ack_within, retries_s=tuple(options.retries))
    server = SlackServer(port=options.port, patience=patience)
    furnish(server)
    Control(server)
    async with server:
        lines = [f"{name}={value}" for name, value in server.environment().items()]
        sys.stdout.write("\n".join([*lines, f"CONTROL={server.url}/control/", ""]))
        sys.stdout.flush()
        await asyncio.Event().wait()
