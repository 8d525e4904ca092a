"""Slack's Web API: every call goes through here, waits out short troubles, and fails with the errors of the port."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from adapters.proxies import proxy_for
from bot.errors import DeliveryRefused, PlatformUnavailable

Json: TypeAlias = dict[str, Any]
Request: TypeAlias = Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]]

logger = logging.getLogger(__name__)
library_logger = logging.getLogger(f"{__name__}.library")
library_logger.setLevel(logging.CRITICAL)  # it reports every try; we say once that Slack is away, and once that it is back

TIMEOUT_S = 15.0
PAUSES_S = (0.3, 1.0)
LONGEST_WAIT_S = 5.0  # what takes longer is the business of whoever asked
PAGE = 999  # Slack takes no more
MAX_PAGES = 50

TEMPORARY = frozenset(
    "internal_error fatal_error service_unavailable request_timeout ratelimited rate_limited team_added_to_org".split()
)
NOT_LET_IN = frozenset(
    "invalid_auth not_authed token_revoked token_expired account_inactive missing_scope access_denied org_login_required".split()
)
"""What lasts until an administrator does something about it, and is no fault of what was asked for."""
REMEDIES = {
    "missing_scope": "Install the app again from the manifest that `timbre slack manifest` prints.",
    "invalid_auth": "Check TIMBRE_SLACK__BOT_TOKEN.",
    "not_authed": "Set TIMBRE_SLACK__BOT_TOKEN.",
    "token_revoked": "Install the app again and set TIMBRE_SLACK__BOT_TOKEN.",
    "token_expired": "Install the app again and set TIMBRE_SLACK__BOT_TOKEN.",
    "account_inactive": "Install the app again and set TIMBRE_SLACK__BOT_TOKEN.",
    "not_in_channel": "Invite the app into the channel.",
}


class SlackRefused(DeliveryRefused):
    """Slack says no, and will say so again. `code` is the word that it uses."""

    def __init__(self, method: str, code: str, needed: str = "") -> None:
        fact = f"{method} answers {code}{f' ({needed})' if needed else ''}"
        super().__init__("Slack", f"{fact}. {REMEDIES[code].rstrip('.')}" if code in REMEDIES else fact)
        self.code = code


class SlackWeb:
    """Calls with any token, over one session that is opened with the first of them."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url if api_url.endswith("/") else f"{api_url}/"
        self._session: aiohttp.ClientSession | None = None
        self._clients: dict[str, AsyncWebClient] = {}

    def client(self, token: str = "") -> AsyncWebClient:
        """A client that repeats nothing by itself."""
        session = self._open_session()
        if token not in self._clients:
            client = AsyncWebClient(
                token=token or None, base_url=self.api_url, session=session, retry_handlers=[], logger=library_logger
            )
            client.proxy = proxy_for(self.api_url)  # the library takes that of the environment for every host
            self._clients[token] = client
        return self._clients[token]

    async def call(self, token: str, request: Request, *, is_repeatable: bool = True) -> Json:
        """What Slack answers. Without `is_repeatable` it is asked once: what may have been done must not be done twice.

        Raises PlatformUnavailable, and SlackRefused with Slack's word for it.
        """
        return dict((await self.respond(token, request, is_repeatable=is_repeatable)).data)  # type: ignore[arg-type]

    async def respond(self, token: str, request: Request, *, is_repeatable: bool = True) -> AsyncSlackResponse:
        """The same with the headers of the answer."""
        for pause_s in PAUSES_S if is_repeatable else ():
            try:
                return await self._once(token, request)
            except PlatformUnavailable as err:
                if err.retry_after_s > LONGEST_WAIT_S:
                    raise
                await asyncio.sleep(err.retry_after_s or pause_s)
        return await self._once(token, request)

    async def pages(
        self, token: str, request: Callable[[AsyncWebClient, str], Awaitable[AsyncSlackResponse]]
    ) -> AsyncIterator[Json]:
        """The answers to a request for a list, given (client, cursor). Raises as `call`, and SlackRefused where it has no end."""
        cursor = ""
        for _ in range(MAX_PAGES):
            at = cursor
            page = await self.call(token, lambda client: request(client, at))  # noqa: B023 - called at once
            yield page
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return
        raise SlackRefused("A list", "more_pages_than_are_read")

    async def post_to(self, response_url: str, body: Mapping[str, object]) -> None:
        """Shows something through a response address. Raises as `call`; SlackRefused when it may not be used any more."""
        try:
            async with self._open_session().post(response_url, json=body, proxy=proxy_for(response_url)) as response:
                answer = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise PlatformUnavailable("Slack", _reason(err)) from err
        if response.status == 429 or response.status >= 500:
            raise PlatformUnavailable("Slack", f"the response address answers {response.status}", _seconds(response.headers))
        if response.status != 200:
            raise SlackRefused("The response address", _error_in(answer) or str(response.status))

    async def close(self) -> None:
        """Calls after this one open a new session."""
        session, self._session, self._clients = self._session, None, {}
        if session:
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._clients = {}
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False)
        return self._session

    async def _once(self, token: str, request: Request) -> AsyncSlackResponse:
        try:
            return await request(self.client(token))
        except SlackApiError as err:
            raise _translated(err) from err
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise PlatformUnavailable("Slack", _reason(err)) from err


def _translated(err: SlackApiError) -> PlatformUnavailable | SlackRefused:
    response = err.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    answer = data if isinstance(data, dict) else {}
    code = str(answer.get("error") or "")
    method = urlsplit(str(getattr(response, "api_url", ""))).path.rpartition("/")[2] or "The Web API"
    if status == 429 or status >= 500 or not code or code in TEMPORARY:
        wait_s = _seconds(getattr(response, "headers", {})) if status == 429 or "limited" in code else 0.0
        return PlatformUnavailable("Slack", f"{method} answers {code or status}", wait_s)
    return SlackRefused(method, code, str(answer.get("needed") or ""))


def _seconds(headers: Mapping[str, str]) -> float:
    """How long Slack asks us to wait; a second where it does not say."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(value) if str(value).isascii() and str(value).isdigit() else 1.0


def _error_in(answer: str) -> str:
    try:
        found = json.loads(answer)
    except ValueError:
        return ""
    return str(found.get("error") or "") if isinstance(found, dict) else ""


def _reason(err: BaseException) -> str:
    return str(err) or type(err).__name__
