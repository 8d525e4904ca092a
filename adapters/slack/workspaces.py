"""In which workspaces the app is, with which tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.recent import Recent
from adapters.slack.web import SlackWeb
from bot.errors import DeliveryRefused


@dataclass(frozen=True)
class Workspace:
    """The app in one workspace; `user` and `bot` are its ids there."""

    id: str
    token: str
    user: str
    bot: str


class NotInstalled(DeliveryRefused):
    def __init__(self, workspace: str) -> None:
        super().__init__("Slack", f"the app is not installed in the workspace {workspace}")


class Workspaces(Protocol):
    async def of(self, workspace: str) -> Workspace:
        """Raises NotInstalled, and what calls raise."""

    async def all(self) -> Sequence[Workspace]: ...

    async def forget(self, workspace: str) -> None:
        """The app was removed there."""


class OneWorkspace:
    """The workspace of the bot's token."""

    def __init__(self, web: SlackWeb, token: str) -> None:
        self._web = web
        self._token = token
        self._known: Recent[str, Workspace] = Recent(float("inf"))

    async def of(self, workspace: str) -> Workspace:
        known = await self._known.get("", self._ask)
        if known.id != workspace:
            raise NotInstalled(workspace)
        return known

    async def all(self) -> Sequence[Workspace]:
        return [await self._known.get("", self._ask)]

    async def forget(self, workspace: str) -> None:
        self._known.forget("")

    async def _ask(self) -> Workspace:
        found = await self._web.call(self._token, lambda client: client.auth_test())
        return Workspace(str(found["team_id"]), self._token, str(found["user_id"]), str(found.get("bot_id") or ""))
