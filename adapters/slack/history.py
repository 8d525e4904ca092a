"""What stands in Slack already: where the bot listens, what it missed there, and whether somebody has answered."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from adapters.slack.inbound import PLATFORM, is_timestamp, read_post
from adapters.slack.people import People
from adapters.slack.web import PAGE, SlackRefused, SlackWeb
from adapters.slack.workspaces import Workspace
from bot.messages import IncomingMessage, Place

KINDS = "public_channel,private_channel,mpim,im"
THREAD_AGE = timedelta(days=3)
"""How long before what was missed a thread may have begun to be looked into: Slack lists threads by their beginning."""

Found = Mapping[str, Any]


class History:
    def __init__(self, web: SlackWeb, people: People) -> None:
        self._web = web
        self._people = people

    async def places(self, workspace: Workspace) -> Sequence[Place]:
        """Raises PlatformUnavailable and DeliveryRefused, as all of these."""
        pages = self._web.pages(
            workspace.token,
            lambda client, cursor: client.users_conversations(
                types=KINDS, exclude_archived=True, limit=PAGE, cursor=cursor or None
            ),
        )
        ids = [str(channel.get("id") or "") async for page in pages for channel in page.get("channels") or []]
        return [Place(PLATFORM, workspace.id, id) for id in ids if id]

    async def missed(self, workspace: Workspace, place: Place, since: datetime) -> Sequence[IncomingMessage]:
        """Everything that people wrote, oldest first."""
        written = await self._written(workspace, place.channel, since.timestamp())
        read = partial(read_post, workspace=workspace.id, bot_user=workspace.user, channel=place.channel)
        posts = {post.ts: post for message in written if (post := read(message))}
        ordered = sorted(posts.values(), key=lambda post: _seconds(post.ts))
        return await asyncio.gather(*(self._people.message(workspace, post) for post in ordered))

    async def is_answered(self, workspace: Workspace, message: IncomingMessage) -> bool:
        place, author = message.answer_place, message.author.id.rpartition(":")[2]
        replies = await self._thread(workspace, place.channel, place.thread, message.id)
        return any(reply.get("user") != author and _seconds(str(reply.get("ts"))) > _seconds(message.id) for reply in replies)

    async def _written(self, workspace: Workspace, channel: str, since: float) -> list[Found]:
        """Everything after that moment, in threads too."""
        begun = f"{max(since - THREAD_AGE.total_seconds(), 0):.6f}"
        pages = self._web.pages(
            workspace.token,
            lambda client, cursor: client.conversations_history(channel=channel, oldest=begun, limit=PAGE, cursor=cursor or None),
        )
        tops: list[Found] = [message async for page in pages for message in page.get("messages") or []]
        found = [message for message in tops if _seconds(str(message.get("ts"))) > since]
        for top in tops:
            if _seconds(str(top.get("latest_reply") or "")) > since:
                replies = await self._thread(workspace, channel, str(top["ts"]), f"{since:.6f}")
                found += [reply for reply in replies if _seconds(str(reply.get("ts"))) > since]
        return found

    async def _thread(self, workspace: Workspace, channel: str, ts: str, oldest: str) -> list[Found]:
        pages = self._web.pages(
            workspace.token,
            lambda client, cursor: client.conversations_replies(
                channel=channel, ts=ts, oldest=oldest, limit=PAGE, cursor=cursor or None
            ),
        )
        try:
            return [message async for page in pages for message in page.get("messages") or []]
        except SlackRefused as err:
            if err.code in ("thread_not_found", "message_not_found"):
                return []
            raise


def _seconds(ts: str) -> float:
    return float(ts) if is_timestamp(ts) else 0.0
