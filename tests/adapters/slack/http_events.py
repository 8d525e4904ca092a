"""Events over HTTP instead of sockets: signed requests to the app's address, right ones and wrong ones."""

import asyncio
import hashlib
import hmac
import json
from typing import Literal
from urllib.parse import urlencode

import aiohttp

from tests.adapters.slack.deliveries import Attempt, Deliveries, Delivery
from tests.adapters.slack.state import App, Clock, Json

SIGNATURE_VERSION = "v0"
Forgery = Literal["wrong_signature", "no_signature", "old", "no_number", "no_timestamp"]
REPLAY_WINDOW_S = 5 * 60


def sign(secret: str, timestamp: str, body: str) -> str:
    """`X-Slack-Signature` of a request (Slack's documentation: Verifying requests from Slack)."""
    basis = f"{SIGNATURE_VERSION}:{timestamp}:{body}".encode()
    return f"{SIGNATURE_VERSION}=" + hmac.new(secret.encode(), basis, hashlib.sha256).hexdigest()


class HttpCarrier:
    """Takes deliveries to one address. 200 within the time is an acknowledgement; `X-Slack-No-Retry: 1` ends repetitions."""

    timeout_reason = "http_timeout"

    def __init__(self, url: str, app: App, clock: Clock, deliveries: Deliveries) -> None:
        self.url = url
        self._app = app
        self._clock = clock
        self._deliveries = deliveries
        self._session = aiohttp.ClientSession()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return not self._session.closed

    def carry(self, delivery: Delivery, attempt: Attempt) -> str | None:
        task = asyncio.ensure_future(self._carry(delivery, attempt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self.url

    async def post(
        self, body: str, content_type: str, *, forgery: Forgery | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Sends one request as Slack would, or forged, and returns status and body."""
        signed = self.signed_headers(body, forgery) | {"Content-Type": content_type} | (headers or {})
        async with self._session.post(self.url, data=body.encode(), headers=signed) as response:
            return response.status, await response.text()

    def signed_headers(self, body: str, forgery: Forgery | None = None) -> dict[str, str]:
        age_s = REPLAY_WINDOW_S + 60 if forgery == "old" else 0
        timestamp = "yesterday" if forgery == "no_number" else str(int(self._clock.now()) - age_s)
        secret = "another-secret" if forgery == "wrong_signature" else self._app.signing_secret
        headers = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": sign(secret, timestamp, body)}
        missing = {"no_signature": "X-Slack-Signature", "no_timestamp": "X-Slack-Request-Timestamp"}.get(forgery or "")
        return {name: value for name, value in headers.items() if name != missing}

    async def verify_url(self) -> bool:
        """Slack's handshake when an address is entered: whether the app answers with the challenge."""
        challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
        body = {"token": self._app.verification_token, "challenge": challenge, "type": "url_verification"}
        status, answer = await self.post(json.dumps(body), "application/json")
        return status == 200 and challenge in answer

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await self._session.close()

    async def _carry(self, delivery: Delivery, attempt: Attempt) -> None:
        body, content_type = _encoded(delivery)
        headers = {}
        retries = len(delivery.attempts) - 1
        if retries:
            headers = {"X-Slack-Retry-Num": str(retries), "X-Slack-Retry-Reason": attempt.retry_reason}
        try:
            signed = self.signed_headers(body) | {"Content-Type": content_type} | headers
            async with self._session.post(self.url, data=body.encode(), headers=signed) as response:
                answer = await response.text()
        except aiohttp.ClientError:
            self._deliveries.failed(attempt.envelope_id, "connection_failed")
            return
        if response.status == 200:
            self._deliveries.acknowledge(attempt.envelope_id, _ack(answer))
        elif response.headers.get("X-Slack-No-Retry") == "1":
            self._deliveries.give_up(attempt.envelope_id)
        else:
            self._deliveries.failed(attempt.envelope_id, "http_error")


def _encoded(delivery: Delivery) -> tuple[str, str]:
    """(body, content type): events as JSON, interactions as a form with a payload, commands as a form."""
    if delivery.kind == "events_api":
        return json.dumps(delivery.payload), "application/json"
    form: Json = {"payload": json.dumps(delivery.payload)} if delivery.kind == "interactive" else delivery.payload
    return urlencode(form), "application/x-www-form-urlencoded"


def _ack(body: str) -> Json:
    if not body.strip():
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        return {"text": body}
    return found if isinstance(found, dict) else {"text": body}
