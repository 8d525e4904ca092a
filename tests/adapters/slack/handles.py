"""The short-lived handles that Slack gives an app with an interaction: trigger ids (3 s, once) and response URLs (30 minutes,
5 times)."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.adapters.slack.checks import check_message_blocks
from tests.adapters.slack.state import Clock, Json, SlackError

TRIGGER_LIVES_S = 3.0
RESPONSE_URL_LIVES_S = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass
class Trigger:
    id: str
    team: str
    user: str
    made_at: float
    is_used: bool = False


@dataclass
class ResponseUrl:
    id: str
    team: str
    user: str
    channel: str
    message_ts: str | None
    """The message that was acted on, which can be replaced or deleted; None for a slash command."""
    thread_ts: str | None
    made_at: float
    uses: int = 0


class Handles:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._triggers: dict[str, Trigger] = {}
        self._response_urls: dict[str, ResponseUrl] = {}

    def new_trigger(self, team: str, user: str) -> str:
        trigger = Trigger(f"{uuid4().int % 10**12}.{uuid4().int % 10**12}.{uuid4().hex}", team, user, self._clock.now())
        self._triggers[trigger.id] = trigger
        return trigger.id

    def exchange(self, trigger_id: Any) -> Trigger:
        """Uses the trigger up. SlackError where it is unknown, used or older than 3 s."""
        trigger = self._triggers.get(str(trigger_id))
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.is_used:
            raise SlackError("exchanged_trigger_id")
        if self._clock.now() - trigger.made_at > TRIGGER_LIVES_S:
            raise SlackError("expired_trigger_id")
        trigger.is_used = True
        return trigger

    def new_response_url(
        self, team: str, user: str, channel: str, *, message_ts: str | None = None, thread_ts: str | None = None
    ) -> str:
        """The id of a new response URL."""
        url = ResponseUrl(uuid4().hex, team, user, channel, message_ts, thread_ts, self._clock.now())
        self._response_urls[url.id] = url
        return url.id

    def use_response_url(self, id: str) -> ResponseUrl:
        """Counts one use. SlackError `used_url` or `expired_url` where it may not be used any more."""
        url = self._response_urls.get(id)
        if url is None or self._clock.now() - url.made_at > RESPONSE_URL_LIVES_S:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        url.uses += 1
        return url


RESPONSE_ARGUMENTS = frozenset(
    "text blocks attachments response_type replace_original delete_original thread_ts metadata mrkdwn unfurl_links "
    "unfurl_media".split()
)


def check_response(body: Json) -> list[tuple[str, str | None]]:
    """What is wrong with a body sent to a response URL: (sentence, error or None)."""
    wrong: list[tuple[str, str | None]] = [(f"has no field {name}", None) for name in body if name not in RESPONSE_ARGUMENTS]
    if body.get("response_type") not in (None, "ephemeral", "in_channel"):
        wrong.append((f"response_type is {body['response_type']!r}", "invalid_arguments"))
    if not body.get("delete_original") and not (body.get("text") or body.get("blocks") or body.get("attachments")):
        wrong.append(("has no text", "no_text"))
    if body.get("blocks") and not body.get("text"):
        wrong.append(("has blocks without text: notifications and screen readers have nothing to say", None))
    return wrong + [(violation.sentence, violation.error) for violation in check_message_blocks(body.get("blocks") or [])]
