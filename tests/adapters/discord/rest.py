"""The REST API over HTTP: authorises a call, lets it meet its fault, checks it, does it, and writes Discord's reply."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web

from tests.adapters.discord import rest_interactions, rest_messages, rest_places, rules
from tests.adapters.discord.api_errors import ApiError, form_errors, refusal, unauthorized
from tests.adapters.discord.call import Answered, Call, Upload
from tests.adapters.discord.faults import Dropped, Fault, Faults, HttpFailure, RateLimited, Refused, Slow
from tests.adapters.discord.openapi import JSON_TYPE, openapi
from tests.adapters.discord.service import Service
from tests.adapters.discord.world import Json

BASE = "/api/v10"
BY_TOKEN_IN_PATH = ("/interactions/", "/webhooks/")
INVALID_STATUSES = (401, 403, 429)
Handler = Callable[[Call], Answered]
ROUTES = (*rest_places.ROUTES, *rest_messages.ROUTES, *rest_interactions.ROUTES)


@dataclass
class Rest:
    """`problems` collects what a correct bot would never send; `invalid_calls` what Discord counts towards a ban.

    `may_ping`: the ids of roles that it may ping all the same.
    """

    service: Service
    checks_replies: bool = False
    faults: Faults = field(default_factory=Faults)
    problems: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    invalid_calls: int = 0
    may_ping: set[str] = field(default_factory=set)

    def add_to(self, app: web.Application) -> None:
        for method, template, operation, handler in ROUTES:
            app.router.add_route(method, BASE + template, self._edge(method, template, operation, handler))
        app.router.add_route("*", BASE + "/{rest:.*}", self._unknown)

    def _edge(
        self, method: str, template: str, operation: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            if not template.startswith(BY_TOKEN_IN_PATH):
                if request.headers.get("Authorization") != self._authorization:
                    return self._reply(unauthorized().status, unauthorized().body)
                if not request.headers.get("User-Agent", "").startswith(rules.USER_AGENT):
                    self.problems.append(f"{operation}: the user agent is not of the form that Discord demands")
            body, has_body, files = await _read(request)
            call = Call(self.service, operation, dict(request.match_info), dict(request.query), body, files)
            self.calls[operation] += 1
            return await self._meet(
                self.faults.next_for(call), request, lambda: self._do(method, template, handler, call, has_body)
            )

        return serve

    @property
    def _authorization(self) -> str:
        return f"Bot {self.service.gateway.token}"

    async def _meet(self, fault: Fault | None, request: web.Request, do: Callable[[], web.Response]) -> web.StreamResponse:
        match fault:
            case None:
                return do()
            case Slow(seconds):
                await asyncio.sleep(seconds)
                return do()
            case RateLimited():
                return self._rate_limited(fault)
            case HttpFailure(status):
                return web.Response(status=status, body=b"<html>upstream</html>", headers={"Content-Type": "text/html"})
            case Refused(code):
                return self._reply(refusal(code).status, refusal(code).body)
            case Dropped(after_doing):
                if after_doing:
                    do()
                assert request.transport
                request.transport.abort()
                return web.Response()

    def _rate_limited(self, fault: RateLimited) -> web.Response:
        if not fault.via:
            self.invalid_calls += 1
            return web.Response(status=429, body=b"error code: 1015", headers={"Content-Type": "text/plain"})
        scope = "global" if fault.is_global else "user"
        headers = {"Via": "1.1 google", "Retry-After": str(max(round(fault.retry_after_s), 1)), "X-RateLimit-Scope": scope}
        if fault.is_global:
            headers["X-RateLimit-Global"] = "true"
        body = {"message": "You are being rate limited.", "retry_after": fault.retry_after_s, "global": fault.is_global}
        return self._reply(429, body, headers)

    def _do(self, method: str, template: str, handler: Handler, call: Call, has_body: bool) -> web.Response:
        try:
            self._check(method, template, call, has_body)
            answered = handler(call)
        except ApiError as error:
            return self._reply(error.status, error.body)
        except Exception as error:
            self.problems.append(f"this server failed in {call.operation}: {error!r}")
            raise
        document = openapi()
        if self.checks_replies and document:
            for path, text in document.reply_mistakes(method, template, answered.status, answered.body):
                self.problems.append(f"our reply to {call.operation} is wrong at {_where(path)}: {text}")
        return self._reply(answered.status, answered.body)

    def _check(self, method: str, template: str, call: Call, has_body: bool) -> None:
        """Books what is wrong with the call and raises 50035 where Discord refuses it."""
        document = openapi()
        body = call.body["commands"] if "commands" in call.body and call.operation.startswith("bulk_set") else call.body
        mistakes = document.call_mistakes(method, template, call.query, body, has_body=has_body) if document else []
        message = None if mistakes else rules.message_in(call.operation, call.body)
        if message is not None:
            mistakes = rules.refusals(message)
            self.problems += [f"{call.operation}: {text}" for text in rules.complaints(message, self.may_ping)]
        self.problems += [f"{call.operation} is wrong at {_where(path)}: {text}" for path, text in mistakes]
        if mistakes:
            raise refusal(50035, form_errors(mistakes))

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        document = openapi()
        path = request.path.removeprefix(BASE)
        known = document.template(path) if document else None
        reason = "this server does not offer it" if known else "Discord has no such route"
        self.problems.append(f"{request.method} {path}: {reason}")
        return self._reply(404, refusal(0).body)

    def _reply(self, status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
        if status in INVALID_STATUSES:
            self.invalid_calls += 1
        if body is None:
            return web.Response(status=status)
        # Exactly this content type: discord.py takes anything else for text
        return web.Response(status=status, body=json.dumps(body).encode(), headers={"Content-Type": JSON_TYPE} | (headers or {}))


async def _read(request: web.Request) -> tuple[Json, bool, list[Upload]]:
    """The JSON of the body, whether there is one, and the files beside it. A list comes as `{"commands": [...]}`."""
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    text = await request.text()
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {"commands": found}, bool(text), []


async def _read_multipart(request: web.Request) -> tuple[Json, bool, list[Upload]]:
    body: Json = {}
    files: list[Upload] = []
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        content = bytes(await part.read())
        if part.name == "payload_json":
            body = json.loads(content)
        else:
            files.append(Upload(part.filename or "", part.headers.get("Content-Type", ""), content))
    return body, True, files


def _where(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path)) or "the body"
