"""The Web API over HTTP: reads a call, checks it, lets it fail where that was planned, runs it, and keeps a record."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.adapters.slack import (
    app_methods,
    chat_methods,
    conversation_methods,
    people_methods,
    stream_methods,
    view_methods,
)
from tests.adapters.slack.calling import Caller
from tests.adapters.slack.checks import Violation, check_call, decode
from tests.adapters.slack.faults import Fault
from tests.adapters.slack.manifest import scopes_for
from tests.adapters.slack.rate_limits import RateLimits
from tests.adapters.slack.reference import Method
from tests.adapters.slack.slack import Call, Slack
from tests.adapters.slack.state import Json, SlackError

BOT_METHODS: dict[str, Callable[[Caller, Json], Json]] = {
    **chat_methods.METHODS,
    **stream_methods.METHODS,
    **conversation_methods.METHODS,
    **people_methods.METHODS,
    **view_methods.METHODS,
}
"""Methods called with a bot token."""


class WebApi:
    def __init__(self, slack: Slack) -> None:
        self._slack = slack
        self._limits = RateLimits(slack.clock.now)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        method = self._described(name)
        try:
            raw, sent_as_json = await _read(request)
        except ValueError:
            self._slack.problems.append(f"{name} was sent what is neither JSON nor a form.")
            return web.json_response({"ok": False, "error": "invalid_json"})
        arguments, token = decode(method, raw), _token(request, raw)
        fault = self._slack.faults.next(name, arguments)
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        caller = self._caller(token)
        if fault.is_done:
            status, reply, headers = self._answer(name, method, arguments, sent_as_json, caller, token)
        else:
            status, reply, headers = _faulty(fault)
        if caller:
            headers |= {"X-OAuth-Scopes": ",".join(sorted(caller.installation.scopes))}
        team = caller.team if caller else None
        call = Call(method=name, arguments=arguments, team=team, at=self._slack.clock.now(), status=status, reply=reply)
        self._slack.calls.append(call)
        self._slack.changed()
        if (fault.loses_reply or fault.drops_call) and request.transport:
            request.transport.abort()
        return web.json_response(reply, status=status, headers=headers)

    def _answer(
        self, name: str, method: Method | None, arguments: Json, sent_as_json: bool, caller: Caller | None, token: str
    ) -> tuple[int, Json, dict[str, str]]:
        try:
            if wait_s := self._must_wait(method, arguments, caller):
                return _faulty(Fault(status=429, error="ratelimited", retry_after_s=wait_s))
            reply = self._run(name, method, arguments, sent_as_json, caller, token)
        except SlackError as refusal:
            return 200, {"ok": False, "error": refusal.code, **refusal.fields}, {}
        return 200, {"ok": True, **reply}, {}

    def _run(
        self, name: str, method: Method | None, arguments: Json, sent_as_json: bool, caller: Caller | None, token: str
    ) -> Json:
        if name not in BOT_METHODS and name not in app_methods.METHODS:
            self._slack.problems.append(f"{name} is no method that this Slack knows.")
            raise SlackError("unknown_method", req_method=name)
        self._check(method, arguments, sent_as_json)
        if name in app_methods.METHODS:
            return app_methods.METHODS[name](self._slack, token, arguments)
        if caller is None:
            raise SlackError("not_authed" if not token else "invalid_auth")
        if caller.installation.is_revoked:
            raise SlackError("token_revoked")
        self._check_scopes(method, arguments, caller)
        return BOT_METHODS[name](caller, arguments)

    def _check(self, method: Method | None, arguments: Json, sent_as_json: bool) -> None:
        """Notes what is wrong and refuses what Slack would refuse."""
        if method is None:
            return
        violations = check_call(method, arguments, sent_as_json=sent_as_json)
        self._slack.problems += [f"{method.name} {violation.sentence}." for violation in violations]
        refused = [violation for violation in violations if violation.error]
        if refused:
            raise _refusal(refused)

    def _check_scopes(self, method: Method | None, arguments: Json, caller: Caller) -> None:
        granted = caller.installation.scopes
        if method is None or not method.bot_scopes:
            return
        if method.name == "conversations.open":  # needs one of its scopes, depending on how many people
            return
        kinds = conversation_methods.kinds_concerned(caller, arguments)
        missing = scopes_for(method.name, method.bot_scopes, kinds) - granted
        if missing:
            needed = ",".join(sorted(missing))
            self._slack.problems.append(f"{method.name} lacks the scope {needed}.")
            raise SlackError("missing_scope", needed=needed, provided=",".join(sorted(granted)))

    def _must_wait(self, method: Method | None, arguments: Json, caller: Caller | None) -> int:
        if not self._slack.enforces_rate_limits or method is None:
            return 0
        return self._limits.wait_s(method, caller.team if caller else "", arguments)

    def _described(self, name: str) -> Method | None:
        reference = self._slack.reference
        return reference.method(name) if reference and reference.knows(name) else None

    def _caller(self, token: str) -> Caller | None:
        found = next((i for i in self._slack.installations if i.token == token), None)
        return Caller(self._slack, found) if found else None


async def _read(request: web.Request) -> tuple[Json, bool]:
    """The arguments as they came, and whether as JSON."""
    arguments: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        return arguments | (json.loads(body) if body else {}), True
    if request.method == "POST":
        arguments |= {name: str(value) for name, value in (await request.post()).items()}
    return arguments, False


def _token(request: web.Request, raw: Json) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ") or str(raw.get("token", ""))


def _faulty(fault: Fault) -> tuple[int, Json, dict[str, str]]:
    headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s is not None else {}
    return fault.status, {"ok": False, "error": fault.error or "internal_error"}, headers


def _refusal(violations: list[Violation]) -> SlackError:
    messages = [f"[ERROR] {violation.sentence}" for violation in violations]
    return SlackError(violations[0].error or "invalid_arguments", response_metadata={"messages": messages})
