"""Puts replies into Slack: as blocks, as plain text where Slack refuses those, and never twice as far as Slack lets us look."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from adapters.recent import Recent
from adapters.slack.inbound import HANDLE_LIVES, is_timestamp
from adapters.slack.rendering import Content, Json, contents
from adapters.slack.streaming import Streams
from adapters.slack.web import PAGE, SlackRefused, SlackWeb
from adapters.slack.workspaces import Workspace
from bot.messages import Delivery

logger = logging.getLogger(__name__)

EVENT_TYPE = "timbre_reply"
REMARK = "remark"  # the key of what is no delivery
RESPONSE_USES = 5
LOOKED_THROUGH = 5  # pages of a channel or thread where an earlier try may stand
KEEP_CHANNEL_S = 3600.0

_BLOCKS_REFUSED = re.compile(r"blocks|markdown|msg_too_long|attachments|metadata_too_large|no_text|invalid_arguments")
_DRAFT_IS_GONE = frozenset(
    "message_not_found cant_update_message edit_window_closed update_failed msg_too_old is_inactive streaming_state_conflict "
    "channel_not_found message_not_owned_by_app".split()
)
_NO_EPHEMERAL = frozenset(
    "user_not_in_channel not_in_channel channel_not_found is_archived restricted_action messages_tab_disabled "
    "method_not_supported_for_channel_type thread_not_found message_not_found".split()
)


@dataclass(frozen=True)
class Target:
    """Where a message goes; `thread` is empty outside of threads."""

    workspace: Workspace
    channel: str
    thread: str


@dataclass(frozen=True)
class Sent:
    """What an earlier try has left there: ts by (part, piece), and a stream of ours that nobody has ended."""

    parts: Mapping[tuple[int, int], str]
    broken_off: str = ""


WHOLE = 0
"""The piece of a part that was sent as blocks; plain pieces count from 1."""


@contextmanager
def _elsewhere() -> Iterator[None]:
    """What cannot be shown there is shown elsewhere."""
    try:
        yield
    except SlackRefused as err:
        if err.code not in _NO_EPHEMERAL:
            raise
        logger.debug("Shown directly instead: %s", err)


class Deliverer:
    def __init__(self, web: SlackWeb, streams: Streams, support_group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._web = web
        self._streams = streams
        self._support_group = support_group
        self._direct: Recent[tuple[str, str], str] = Recent(KEEP_CHANNEL_S, clock)
        self._uses: Recent[str, list[int]] = Recent(HANDLE_LIVES.total_seconds(), clock)

    async def deliver(self, workspace: Workspace, delivery: Delivery, draft: str, is_retry: bool) -> Sequence[str]:
        """The ids of the messages that show it where it was asked for. Raises PlatformUnavailable and DeliveryRefused."""
        shown, place = contents(delivery.reply, self._support_group), delivery.place
        answered = delivery.answers if is_timestamp(delivery.answers) else ""
        if delivery.to is None:
            target = Target(workspace, place.channel, place.thread or answered)
            return await self._post(target, delivery, shown, draft, is_retry)
        user = delivery.to.rpartition(":")[2]
        response_url = delivery.handle.get("response_url", "") if _lives(delivery.handle) else ""
        rest = await self._respond(response_url, place.thread, shown) if response_url else shown
        if not rest:
            return []
        if place.channel.startswith("D"):
            with _elsewhere():
                return await self._post(Target(workspace, place.channel, place.thread), delivery, rest, draft, is_retry)
        elif place.channel:
            with _elsewhere():
                await self._ephemeral(workspace, user, place.channel, place.thread, rest)
                return []
        direct = Target(workspace, await self.direct_channel(workspace, user), "")
        await self._post(direct, delivery, rest, "", is_retry)
        return []

    async def show_privately(
        self, workspace: Workspace, user: str, channel: str, thread: str, response_url: str, shown: Sequence[Content]
    ) -> None:
        """Shows something to the person who acts: through the response address, in the place, or directly. Raises both."""
        rest = await self._respond(response_url, thread, shown) if response_url else shown
        if rest and channel:
            with _elsewhere():
                await self._ephemeral(workspace, user, channel, thread, rest)
                return
        if rest:
            await self.say(workspace, await self.direct_channel(workspace, user), rest)

    async def say(self, workspace: Workspace, channel: str, shown: Sequence[Content]) -> Sequence[str]:
        """Says something that nobody asked for and that need not arrive; its messages. Raises both."""
        target = Target(workspace, channel, "")
        return [ts for content in shown for ts in await self._post_part(target, content, REMARK, 0, None)]

    async def revise(self, workspace: Workspace, channel: str, ts: str, content: Content) -> None:
        """Puts the content in place of what a message of ours says. Raises both."""
        await self._web.call(workspace.token, lambda client: client.chat_update(channel=channel, ts=ts, **_said(content)))

    async def respond(self, response_url: str, content: Content, *, replaces: bool = False, thread: str = "") -> bool:
        """Shows it through the address, or in place of what was shown there before; False where that is not possible."""
        if not await self._may_use(response_url):
            return False
        try:
            await self._response(response_url, content, {"replace_original": replaces} | _thread(thread))
        except SlackRefused as err:
            logger.debug("A response address is used up: %s", err)
            return False
        return True

    async def direct_channel(self, workspace: Workspace, user: str) -> str:
        return await self._direct.get((workspace.id, user), partial(self._open_direct, workspace, user))

    async def _open_direct(self, workspace: Workspace, user: str) -> str:
        opened = await self._web.call(workspace.token, lambda client: client.conversations_open(users=user))
        return str(opened["channel"]["id"])

    async def _respond(self, response_url: str, thread: str, shown: Sequence[Content]) -> Sequence[Content]:
        """What could not be shown through the address."""
        for number, content in enumerate(shown):
            if not await self.respond(response_url, content, thread=thread):
                return shown[number:]
        return []

    async def _response(self, response_url: str, content: Content, how: Json) -> None:
        body = {"response_type": "ephemeral", **how}
        try:
            await self._web.post_to(response_url, {**_said(content), **body})
        except SlackRefused as err:
            if not _BLOCKS_REFUSED.search(err.code):
                raise
            await self._web.post_to(response_url, {"text": content.plain[0], **body})

    async def _may_use(self, response_url: str) -> bool:
        """Counts a use."""
        uses = await self._uses.get(response_url, _none_yet)
        uses[0] += 1
        return uses[0] <= RESPONSE_USES

    async def _ephemeral(self, workspace: Workspace, user: str, channel: str, thread: str, shown: Sequence[Content]) -> None:
        for content in shown:
            post = partial(self._post_ephemeral, workspace, {"channel": channel, "user": user} | _thread(thread))
            try:
                await post(_said(content))
            except SlackRefused as err:
                if not _BLOCKS_REFUSED.search(err.code):
                    raise
                for text in content.plain:
                    await post({"text": text})

    async def _post_ephemeral(self, workspace: Workspace, where: Json, what: Json) -> None:
        await self._web.call(workspace.token, lambda client: client.chat_postEphemeral(**where, **what), is_repeatable=False)

    async def _post(
        self, target: Target, delivery: Delivery, shown: Sequence[Content], draft: str, is_retry: bool
    ) -> Sequence[str]:
        sent = await self._look_up(target, delivery) if is_retry else Sent({})
        draft = draft or sent.broken_off
        ids: list[str] = []
        for part, content in enumerate(shown):
            before = [ts for (number, _), ts in sorted(sent.parts.items()) if number == part]
            if part == 0 and draft and not before and await self._end_draft(target, draft, content, delivery.key):
                ids.append(draft)
            elif (part, WHOLE) in sent.parts:
                ids += before
            else:
                missing = range(len(before), len(content.plain)) if before else None
                ids += [*before, *await self._post_part(target, content, delivery.key, part, missing)]
        return ids

    async def _post_part(
        self, target: Target, content: Content, key: str, part: int, missing: Sequence[int] | None
    ) -> Sequence[str]:
        """One part as blocks, or in plain pieces where Slack refuses those; `missing`: it has done so at an earlier try."""
        if missing is None:
            try:
                return [await self._post_message(target, _said(content), _metadata(key, part, WHOLE))]
            except SlackRefused as err:
                if not _BLOCKS_REFUSED.search(err.code):
                    raise
                logger.warning("Reply %s is sent as plain text: %s", key, err)
        pieces = range(len(content.plain)) if missing is None else missing
        return [
            await self._post_message(target, {"text": content.plain[piece]}, _metadata(key, part, piece + 1)) for piece in pieces
        ]

    async def _post_message(self, target: Target, what: Json, metadata: Json) -> str:
        where: Json = {"channel": target.channel, "unfurl_links": False, "unfurl_media": False} | _thread(target.thread)
        posted = await self._web.call(
            target.workspace.token,
            lambda client: client.chat_postMessage(**where, **what, metadata=metadata),
            is_repeatable=False,
        )
        return str(posted["ts"])

    async def _end_draft(self, target: Target, draft: str, content: Content, key: str) -> bool:
        """Puts the content in place of what was streamed; False where there is nothing left to end."""
        self._streams.ended(target.channel, draft)
        token = target.workspace.token
        try:
            await self._web.call(token, lambda client: client.chat_stopStream(channel=target.channel, ts=draft))
        except SlackRefused as err:
            logger.debug("Stream %s has ended by itself: %s", draft, err)
        where: Json = {"channel": target.channel, "ts": draft, "metadata": _metadata(key, 0, WHOLE)}
        try:
            await self._web.call(token, lambda client: client.chat_update(**where, **_said(content)))
        except SlackRefused as err:
            if _BLOCKS_REFUSED.search(err.code) and len(content.plain) == 1:
                await self._web.call(token, lambda client: client.chat_update(**where, text=content.plain[0], blocks=[]))
                return True
            if err.code not in _DRAFT_IS_GONE and not _BLOCKS_REFUSED.search(err.code):
                raise
            return False
        return True

    async def _look_up(self, target: Target, delivery: Delivery) -> Sent:
        """What an earlier try has left in the thread, or in the channel."""
        parts: dict[tuple[int, int], str] = {}
        broken_off = ""
        for message in await self._written(target):
            ts, noted = str(message.get("ts") or ""), _noted(message)
            if noted and noted.get("key") == delivery.key:
                parts[int(noted.get("part") or 0), int(noted.get("piece") or WHOLE)] = ts
            is_ours = message.get("user") == target.workspace.user
            is_stream = is_ours and not noted and not self._streams.is_open(target.channel, ts)
            if is_stream and delivery.answers and ts > delivery.answers and not broken_off:
                broken_off = ts
        return Sent(parts, "" if parts else broken_off)

    async def _written(self, target: Target) -> list[Mapping[str, Any]]:
        """Oldest first; nothing where the thread is gone."""
        token, channel, found = target.workspace.token, target.channel, []
        if target.thread:
            pages = self._web.pages(
                token,
                lambda client, cursor: client.conversations_replies(
                    channel=channel, ts=target.thread, include_all_metadata=True, limit=PAGE, cursor=cursor or None
                ),
            )
        else:
            pages = self._web.pages(
                token,
                lambda client, cursor: client.conversations_history(
                    channel=channel, include_all_metadata=True, limit=PAGE, cursor=cursor or None
                ),
            )
        try:
            async for page in pages:
                found.append(page.get("messages") or [])
                if not target.thread and len(found) >= LOOKED_THROUGH:
                    break
        except SlackRefused as err:
            if err.code not in ("thread_not_found", "message_not_found"):
                raise
        return sorted((message for page in found for message in page), key=lambda message: str(message.get("ts")))


def _said(content: Content) -> Json:
    return {"text": content.text, "blocks": list(content.blocks)}


def _thread(thread: str) -> Json:
    return {"thread_ts": thread} if thread else {}


def _metadata(key: str, part: int, piece: int) -> Json:
    """What names the message for ever, for an app that looks it up."""
    payload: Json = {"key": key, "part": part} | ({"piece": piece} if piece != WHOLE else {})
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def _noted(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload")
    return payload if metadata.get("event_type") == EVENT_TYPE and isinstance(payload, Mapping) else None


def _lives(handle: Mapping[str, str]) -> bool:
    """Whether the response address may still be used."""
    try:
        return datetime.now(UTC) < datetime.fromisoformat(handle.get("until", ""))
    except ValueError:
        return False


async def _none_yet() -> list[int]:
    return [0]
