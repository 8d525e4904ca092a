"""The workspaces that installed the app by OAuth, remembered in our database with their tokens."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.oauth.installation_store.models.installation import Installation
from slack_sdk.oauth.installation_store.sqlalchemy import SQLAlchemyInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.oauth.state_store.sqlalchemy import SQLAlchemyOAuthStateStore
from sqlalchemy import desc, select

from adapters.recent import Recent
from adapters.slack.manifest import SCOPES
from adapters.slack.web import library_logger
from adapters.slack.workspaces import NotInstalled, Workspace
from bot.settings import SlackSettings
from bot.storage.database import Database

logger = logging.getLogger(__name__)

STATE_LIVES_S = 600
KEEP_S = 300.0


class InstalledWorkspaces:
    """The workspaces that installed the app."""

    def __init__(self, installations: "Installations") -> None:
        self._installations = installations
        self._known: Recent[str, Workspace | None] = Recent(KEEP_S)

    async def of(self, workspace: str) -> Workspace:
        known = await self._known.get(workspace, partial(self._installations.workspace, workspace))
        if known is None:
            self._known.forget(workspace)  # it may be installed at any moment
            raise NotInstalled(workspace)
        return known

    async def all(self) -> Sequence[Workspace]:
        return await self._installations.workspaces()

    async def forget(self, workspace: str) -> None:
        self._known.forget(workspace)
        await self._installations.remove(workspace)


class Installations(AsyncInstallationStore):
    """Slack's own store of installations on our database; its tables are made when it is first opened.

    The driver of an encrypted SQLite is not asynchronous, so that the store for threads runs in threads.
    """

    def __init__(self, database: Database, client_id: str) -> None:
        self._store = SQLAlchemyInstallationStore(client_id, database.writers, logger=logger)

    @property
    def logger(self) -> logging.Logger:
        return logger

    async def open(self) -> None:
        await asyncio.to_thread(self._store.create_tables)

    async def workspace(self, workspace: str) -> Workspace | None:
        return next((found for found in await self.workspaces() if found.id == workspace), None)

    async def workspaces(self) -> Sequence[Workspace]:
        """Each once, as it was last installed."""
        return await asyncio.to_thread(self._workspaces)

    async def remove(self, workspace: str) -> None:
        for bot in await asyncio.to_thread(self._bots):
            if bot.team_id == workspace:
                await self.async_delete_all(enterprise_id=bot.enterprise_id, team_id=bot.team_id)

    async def async_save(self, installation: Installation) -> None:
        await asyncio.to_thread(self._store.save, installation)

    async def async_save_bot(self, bot: Bot) -> None:
        await asyncio.to_thread(self._store.save_bot, bot)

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        find = partial(self._store.find_bot, enterprise_id=enterprise_id, team_id=team_id)
        return await asyncio.to_thread(find, is_enterprise_install=is_enterprise_install)

    async def async_find_installation(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None = None,
        is_enterprise_install: bool | None = False,
    ) -> Installation | None:
        find = partial(self._store.find_installation, enterprise_id=enterprise_id, team_id=team_id, user_id=user_id)
        return await asyncio.to_thread(find, is_enterprise_install=is_enterprise_install)

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        await asyncio.to_thread(partial(self._store.delete_bot, enterprise_id=enterprise_id, team_id=team_id))

    async def async_delete_installation(
        self, *, enterprise_id: str | None, team_id: str | None, user_id: str | None = None
    ) -> None:
        delete = partial(self._store.delete_installation, enterprise_id=enterprise_id, team_id=team_id, user_id=user_id)
        await asyncio.to_thread(delete)

    def _workspaces(self) -> list[Workspace]:
        newest = {bot.team_id: bot for bot in self._bots() if bot.team_id and bot.bot_token}
        return [Workspace(str(bot.team_id), bot.bot_token, bot.bot_user_id or "", bot.bot_id or "") for bot in newest.values()]

    def _bots(self) -> list[Bot]:
        """Oldest first."""
        bots = self._store.bots
        chosen = select(bots).where(bots.c.client_id == self._store.client_id).order_by(desc(bots.c.installed_at))
        with self._store.engine.connect() as connection:
            return [self._store.build_bot_entity(row) for row in reversed(list(connection.execute(chosen).mappings()))]


class States(AsyncOAuthStateStore):
    """What an installation that was begun comes back with, once."""

    def __init__(self, database: Database) -> None:
        self._store = SQLAlchemyOAuthStateStore(STATE_LIVES_S, database.writers, logger=logger)

    @property
    def logger(self) -> logging.Logger:
        return logger

    async def open(self) -> None:
        await asyncio.to_thread(self._store.create_tables)

    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        return await asyncio.to_thread(self._store.issue)

    async def async_consume(self, state: str) -> bool:
        return await asyncio.to_thread(self._store.consume, state)


class Installer:
    """What it takes to be installed in many workspaces: Slack's own flow, and what it leaves in our database."""

    def __init__(self, database: Database, settings: SlackSettings) -> None:
        installations, self._states = Installations(database, settings.client_id), States(database)
        self._installations = installations
        self.workspaces = InstalledWorkspaces(installations)
        self.settings = AsyncOAuthSettings(
            client_id=settings.client_id,
            client_secret=settings.client_secret.get_secret_value(),
            scopes=list(SCOPES),
            installation_store=installations,
            installation_store_bot_only=True,
            state_store=self._states,
            logger=library_logger,
        )

    async def open(self) -> None:
        await self._installations.open()
        await self._states.open()
