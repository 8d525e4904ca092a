"""The pretended Slack on a port: Web API, Socket Mode, response URLs. `python -m tests.adapters.slack.server` runs it alone.

async with SlackServer() as slack:
    ana, general = slack.add_person("Ana"), slack.add_channel("general")
    ...  # the app connects to slack.api_url with slack.bot_token and slack.app_token
    ts = await ana.say(general, f"{slack.mention} How many days?")
    answer = await slack.answer_to(general, ts)
"""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.adapters.slack import transcript
from tests.adapters.slack.http_events import HttpCarrier
from tests.adapters.slack.persons import Person
from tests.adapters.slack.response_urls import respond
from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import ChannelKind, SlackError
from tests.adapters.slack.web_api import WebApi

HOST = "127.0.0.1"


class SlackServer(Slack):
    """A Slack of one's own for the length of a `with` block. Many fit into one process."""

    def __init__(self, *, port: int = 0, **options: Any) -> None:
        """`options` are those of `Slack`; port 0 takes a free one."""
        super().__init__(**options)
        self._port = port
        self._carriers: list[HttpCarrier] = []
        self.routes = web.Application(client_max_size=2**24)
        self.routes.add_routes(
            [
                web.route("*", "/api/{method}", WebApi(self).handle),
                web.get("/link", self.sockets.handle),
                web.post("/response/{id}", self._respond),
            ]
        )

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.routes, shutdown_timeout=1.0)
        await self._runner.setup()
        await self.start_listening()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.deliveries.stop()
        for carrier in self._carriers:
            await carrier.close()
        await self.sockets.close()
        await self._runner.cleanup()

    async def start_listening(self) -> None:
        """Listens, after `stop_listening` on the same port again."""
        site = web.TCPSite(self._runner, HOST, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{HOST}:{self._port}"

    async def stop_listening(self) -> None:
        """An outage: open sockets break off, new ones are refused, and so is the Web API."""
        for site in list(self._runner.sites):
            await site.stop()
        self.sockets.cut()

    # -- what the app needs

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        """The token of the first workspace."""
        return self.installations[0].token

    @property
    def app_token(self) -> str:
        return self.app.app_token

    @property
    def signing_secret(self) -> str:
        return self.app.signing_secret

    def environment(self) -> dict[str, str]:
        """The settings for a bot in a process of its own."""
        return {
            "TIMBRE_SLACK__BOT_TOKEN": self.bot_token,
            "TIMBRE_SLACK__APP_TOKEN": self.app_token,
            "TIMBRE_SLACK__SIGNING_SECRET": self.signing_secret,
            "TIMBRE_SLACK__API_URL": self.api_url,
        }

    # -- people and places

    def add_person(self, real_name: str, *, id: str | None = None, team: str = "T1", **fields: Any) -> Person:
        """Somebody new; `fields` are those of `User` (`is_restricted`, `tz`, `bot_id` for another bot ...)."""
        return Person(self, self.world.add_user(real_name, team=team, id=id, **fields))

    def add_channel(
        self,
        name: str,
        *members: Person,
        kind: ChannelKind = "public",
        with_app: bool = True,
        id: str | None = None,
        team: str = "T1",
        **fields: Any,
    ) -> str:
        """A new channel with these people, by default with the app in it; returns its id."""
        users = [person.id for person in members] + ([self.installation(team).bot_user] if with_app else [])
        return self.world.add_channel(name, team=team, members=users, kind=kind, id=id, **fields).id

    def person(self, id: str) -> Person:
        return Person(self, self.world.users[id])

    def transcript(self, channel: str) -> str:
        """The channel as plain text; everybody's private remarks are in it, marked."""
        return transcript.transcript(self, channel)

    # -- events over HTTP

    def deliver_over_http(self, url: str) -> HttpCarrier:
        """From now on events and interactions go to this address instead of sockets."""
        carrier = HttpCarrier(url, self.app, self.clock, self.deliveries)
        self._carriers.append(carrier)
        self.deliveries.carrier = carrier
        self.deliveries.carrier_opened()
        return carrier

    async def _respond(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
            respond(self, request.match_info["id"], body)
        except json.JSONDecodeError:
            self.problems.append("A post to a response URL was no JSON.")
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        except SlackError as refusal:
            status = 404 if refusal.code in ("used_url", "expired_url") else 400
            return web.json_response({"ok": False, "error": refusal.code}, status=status)
        return web.Response(text="ok")


if __name__ == "__main__":
    from tests.adapters.slack.control import main

    asyncio.run(main())
