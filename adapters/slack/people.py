"""Who people are and who sees a channel, as Slack knows it, at most five minutes old."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from adapters.recent import Recent
from adapters.slack.inbound import PLATFORM, Actor, Post, mentioned, message_of
from adapters.slack.web import PAGE, SlackRefused, SlackWeb
from adapters.slack.workspaces import Workspace
from bot.messages import IncomingMessage, Person, PersonId, Place, Viewers

logger = logging.getLogger(__name__)

KEEP_S = 240.0  # what is made of it is at most five minutes old
ASKED_ONE_BY_ONE = 30
"""People that are asked for by name; for more of them the list of all people takes fewer calls."""
SLACKBOT = "USLACKBOT"
OUTSIDERS = Viewers(is_open=False, has_outsiders=True)
"""What is taken for granted where Slack does not tell: the answer is for the asker's eyes only."""


@dataclass(frozen=True)
class User:
    name: str
    is_member: bool
    is_bot: bool = False


class People:
    def __init__(self, web: SlackWeb) -> None:
        self._web = web
        self._users: Recent[tuple[str, str], User] = Recent(KEEP_S)
        self._viewers: Recent[tuple[str, str], Viewers] = Recent(KEEP_S / 4)  # made of users that may be as old

    async def person(self, workspace: Workspace, actor: Actor) -> Person:
        """Raises PlatformUnavailable; whom Slack does not want to tell of is no member."""
        user = await self._user(workspace, actor.user)
        return Person(actor.id, user.name, user.is_member and not actor.is_stranger)

    async def names(self, workspace: Workspace, users: Iterable[str]) -> Mapping[str, str]:
        """What people call these users. Raises PlatformUnavailable."""
        wanted = sorted(set(users))[:ASKED_ONE_BY_ONE]
        found = await asyncio.gather(*(self._user(workspace, user) for user in wanted))
        return {user: known.name for user, known in zip(wanted, found, strict=True)}

    async def message(self, workspace: Workspace, post: Post) -> IncomingMessage:
        """The post with the names of those who wrote it and whom it names. Raises PlatformUnavailable."""
        author = await self.person(workspace, post.author)
        names = await self.names(workspace, mentioned(post.text) - {workspace.user})
        return message_of(post, author, names, workspace.user)

    async def viewers(self, workspace: Workspace, place: Place) -> Viewers:
        """Raises PlatformUnavailable."""
        return await self._viewers.get((workspace.id, place.channel), partial(self._ask_viewers, workspace, place.channel))

    def members_changed(self, workspace: str, channel: str) -> None:
        self._viewers.forget((workspace, channel))

    async def _user(self, workspace: Workspace, user: str) -> User:
        return await self._users.get((workspace.id, user), partial(self._ask_user, workspace, user))

    async def _ask_user(self, workspace: Workspace, user: str) -> User:
        try:
            answer = await self._web.call(workspace.token, lambda client: client.users_info(user=user))
        except SlackRefused as err:
            logger.warning("%s of %s counts as no member: %s", user, workspace.id, err)
            return User(user, is_member=False)
        return read_user(answer.get("user") or {}, user, workspace.id)

    async def _ask_viewers(self, workspace: Workspace, channel: str) -> Viewers:
        try:
            answer = await self._web.call(workspace.token, lambda client: client.conversations_info(channel=channel))
            facts = answer.get("channel") or {}
            if facts.get("is_im"):
                return await self._viewers_of(workspace, [str(facts.get("user") or "")], is_open=False)
            if facts.get("is_ext_shared") or (facts.get("is_shared") and not facts.get("is_org_shared")):
                return OUTSIDERS
            members = await self._members(workspace, channel)
        except SlackRefused as err:
            logger.warning("Who is in %s cannot be told, so that answers there are private: %s", channel, err)
            return OUTSIDERS
        is_open = not (facts.get("is_private") or facts.get("is_group") or facts.get("is_mpim"))
        return await self._viewers_of(workspace, members, is_open=is_open)

    async def _members(self, workspace: Workspace, channel: str) -> list[str]:
        pages = self._web.pages(
            workspace.token,
            lambda client, cursor: client.conversations_members(channel=channel, limit=PAGE, cursor=cursor or None),
        )
        return [str(member) async for page in pages for member in page.get("members") or []]

    async def _viewers_of(self, workspace: Workspace, members: Collection[str], is_open: bool) -> Viewers:
        await self._learn(workspace, members)
        others = [member for member in members if member not in (workspace.user, SLACKBOT)]
        users = dict(zip(others, await asyncio.gather(*(self._user(workspace, user) for user in others)), strict=True))
        people = {user: known for user, known in users.items() if not known.is_bot}
        has_outsiders = not all(known.is_member for known in people.values())
        ids = frozenset(PersonId(f"{PLATFORM}:{workspace.id}:{user}") for user in people)
        return Viewers(is_open, has_outsiders, frozenset() if is_open else ids)

    async def _learn(self, workspace: Workspace, members: Collection[str]) -> None:
        """Asks for all people of the workspace at once where that is the shorter way."""
        unknown = [member for member in members if not self._users.has((workspace.id, member))]
        if len(unknown) <= ASKED_ONE_BY_ONE:
            return
        pages = self._web.pages(workspace.token, lambda client, cursor: client.users_list(limit=PAGE, cursor=cursor or None))
        async for page in pages:
            for facts in page.get("members") or []:
                user = str(facts.get("id") or "")
                self._users.put((workspace.id, user), read_user(facts, user, workspace.id))


def read_user(facts: Mapping[str, Any], user: str, workspace: str) -> User:
    """A user object of Slack's (pure). What it does not say is taken for the best: only members have users."""
    profile = facts.get("profile") or {}
    name = profile.get("display_name") or profile.get("real_name") or facts.get("real_name") or facts.get("name") or user
    team = facts.get("team_id") or workspace
    is_at_home = team == workspace or workspace in ((facts.get("enterprise_user") or {}).get("teams") or [])
    is_bot = bool(facts.get("is_bot")) or user == SLACKBOT
    marks = ("is_restricted", "is_ultra_restricted", "is_stranger", "deleted")
    return User(str(name), is_at_home and not is_bot and not any(facts.get(mark) for mark in marks), is_bot)
