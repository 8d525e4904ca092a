"""Slack as a chat platform: slack-bolt over Socket Mode or HTTP, for one workspace by its token or for many by OAuth."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext

from adapters.slack.delivery import Deliverer
from adapters.slack.history import History
from adapters.slack.http_mode import HttpServer
from adapters.slack.inbound import (
    ASK_COMMAND,
    CAPTURE,
    COMMAND,
    FLAG,
    PLATFORM,
    Actor,
    MembersChanged,
    Opened,
    Picked,
    Post,
    Press,
    Reaction,
    Removed,
    Slash,
    Stopped,
    Submitted,
    is_timestamp,
    read_action,
    read_command,
    read_event,
    read_shortcut,
    read_submission,
    workspace_of,
)
from adapters.slack.interactions import Ack, Interactions
from adapters.slack.people import People
from adapters.slack.streaming import Streams
from adapters.slack.watchdog import Socket
from adapters.slack.web import NOT_LET_IN, SlackRefused, SlackWeb, library_logger
from adapters.slack.workspaces import NotInstalled, OneWorkspace, Workspace, Workspaces
from adapters.tasks import Tasks
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.front_desk import FrontDesk
from bot.messages import Delivery, DeliveryKey, IncomingMessage, Mark, MessageRef, PersonId, Place, Viewers
from bot.ports import ReplyStream
from bot.settings import SlackSettings
from bot.storage.database import Database

if TYPE_CHECKING:
    from adapters.slack.installations import Installer

logger = logging.getLogger(__name__)

A = TypeVar("A", Press, Picked, Slash, Submitted)
Work: TypeAlias = Callable[[Workspace, A, Ack], Coroutine[Any, Any, None]]

ANYTHING = re.compile(".*", re.DOTALL)
WORKING = "is reading the documents ..."
MARKS = {Mark.ESCALATED: "raising_hand", Mark.RESOLVED: "white_check_mark"}
NO_TOKENS = (
    "TIMBRE_SLACK__APP_TOKEN is missing: make an app-level token (xapp-...) with the scope connections:write; or set "
    "TIMBRE_SLACK__HTTP_PORT and TIMBRE_SLACK__SIGNING_SECRET"
)
NO_SECRET = "TIMBRE_SLACK__SIGNING_SECRET is missing, without which anybody could speak for Slack over HTTP"
REMOVED = "the app was removed from the workspace; install it again and set TIMBRE_SLACK__BOT_TOKEN"


class SlackPlatform:
    """A ChatPlatform. `database` keeps the installations where there may be many."""

    def __init__(self, settings: SlackSettings, database: Database, front_desk: FrontDesk) -> None:
        self._settings = settings
        self._desk = front_desk
        self._web = SlackWeb(settings.api_url)
        self._installer = _installer(settings, database)
        self._workspaces: Workspaces = (
            self._installer.workspaces if self._installer else OneWorkspace(self._web, settings.bot_token.get_secret_value())
        )
        self._people = People(self._web)
        self._streams = Streams(self._web)
        self._deliverer = Deliverer(self._web, self._streams, settings.support_group)
        self._history = History(self._web, self._people)
        self._interactions = Interactions(self._web, self._people, self._deliverer, front_desk)
        self._tasks = Tasks()
        self._socket: Socket | None = None
        self._http: HttpServer | None = None
        self._removed = asyncio.Event()
        self._is_behind = False
        self._catching_up: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return PLATFORM

    @property
    def is_connected(self) -> bool:
        return self._http is not None or (self._socket is not None and self._socket.is_up)

    @property
    def http_port(self) -> int:
        """Where HTTP mode listens, 0 where it does not."""
        return self._http.port if self._http else 0

    async def run(self) -> None:
        _check(self._settings)
        self._removed.clear()
        try:
            await self._open()
            await _until(self._removed, asyncio.create_task(self._serve() if self._settings.http_port else self._listen()))
            raise DeliveryRefused("Slack", REMOVED)
        finally:
            self._http, self._socket = None, None
            if self._catching_up:
                self._catching_up.cancel()
            await self._web.close()

    async def viewers(self, place: Place) -> Viewers:
        return await self._people.viewers(await self._workspaces.of(place.workspace), place)

    async def show_working(self, message: IncomingMessage) -> None:
        await self._show_status(message.answer_place, WORKING)

    async def open_stream(
        self, key: DeliveryKey, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> ReplyStream | None:
        try:
            workspace = await self._workspaces.of(message.place.workspace)
        except (PlatformUnavailable, DeliveryRefused):
            return None
        return await self._streams.open(workspace, message, on_posted)

    async def deliver(self, delivery: Delivery, *, draft: str = "", is_retry: bool = False) -> Sequence[str]:
        workspace = await self._workspaces.of(delivery.place.workspace)
        try:
            ids = await self._deliverer.deliver(workspace, delivery, draft, is_retry)
        except SlackRefused as err:
            if err.code in NOT_LET_IN:
                raise PlatformUnavailable("Slack", str(err)) from err
            raise
        if delivery.to and not ids:
            await self._show_status(delivery.place, "")  # Slack itself takes it away when it sees an answer, which only one may
        return ids

    async def places(self) -> Sequence[Place]:
        return [place for workspace in await self._workspaces.all() for place in await self._history.places(workspace)]

    async def missed(self, place: Place, since: datetime) -> Sequence[IncomingMessage]:
        try:
            return await self._history.missed(await self._workspaces.of(place.workspace), place, since)
        except (NotInstalled, SlackRefused) as err:
            logger.warning("What was missed in %s cannot be fetched: %s", place.channel, err)
            return []

    async def is_answered(self, message: IncomingMessage) -> bool:
        return await self._history.is_answered(await self._workspaces.of(message.place.workspace), message)

    async def mark(self, message: MessageRef, mark: Mark) -> None:
        for other, emoji in MARKS.items():
            with suppress(PlatformUnavailable, DeliveryRefused):
                workspace = await self._workspaces.of(message.place.workspace)
                await self._react(workspace, message, emoji, is_added=other is mark)

    async def name_of(self, person: PersonId) -> str:
        _, workspace, user = person.split(":")
        with suppress(PlatformUnavailable, DeliveryRefused):
            return (await self._people.person(await self._workspaces.of(workspace), Actor(workspace, user))).name
        return person

    async def close(self) -> None:
        if self._socket:
            await self._socket.close()
        if self._http:
            http, self._http = self._http, None
            await http.close()
        await self._tasks.drain()

    async def _show_status(self, place: Place, status: str) -> None:
        """Below the message that a thread hangs on; empty takes it away. Never raises: it is an ornament."""
        if not is_timestamp(place.thread):
            return
        with suppress(PlatformUnavailable, DeliveryRefused):
            workspace = await self._workspaces.of(place.workspace)
            await self._web.call(
                workspace.token,
                lambda client: client.assistant_threads_setStatus(
                    channel_id=place.channel, thread_ts=place.thread, status=status
                ),
                is_repeatable=False,
            )

    async def _open(self) -> None:
        if self._installer:
            await self._installer.open()
        await self._workspaces.all()  # a token that is no good is known before anything else

    async def _listen(self) -> None:
        app_token = self._settings.app_token.get_secret_value()
        self._socket = Socket(self._web, self._app(), app_token, self._on_connected)
        await self._socket.run()

    async def _serve(self) -> None:
        secret = self._settings.signing_secret.get_secret_value()
        async with HttpServer(self._app(), secret, self._settings.http_host, self._settings.http_port) as server:
            self._http = server
            logger.info("Slack is served at %s:%d", self._settings.http_host, server.port)
            self._on_connected()
            await asyncio.Event().wait()

    def _on_connected(self) -> None:
        self._is_behind = True
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Again when the connection was lost meanwhile."""
        while self._is_behind:
            self._is_behind = False
            try:
                await self._desk.catch_up(self)
            except DeliveryRefused as err:
                logger.warning("What was missed in Slack cannot be fetched: %s", err)
            except Exception:  # an outermost loop: what comes in from now on must be answered all the same
                logger.exception("What was missed in Slack cannot be fetched")

    def _app(self) -> AsyncApp:
        app = AsyncApp(
            client=self._web.client(),
            signing_secret=self._settings.signing_secret.get_secret_value(),
            authorize=_Authorize(self._workspaces),  # type: ignore[arg-type]
            oauth_settings=self._installer.settings if self._installer else None,
            logger=library_logger,
            attaching_conversation_kwargs_enabled=False,
        )
        app.error(_log_failure)
        app.middleware(self._take_in)
        app.event(ANYTHING)(_nothing_more)
        app.command(re.compile(f"^({ASK_COMMAND}|{COMMAND})$"))(self._on_command)
        app.action(ANYTHING)(self._on_action)
        app.shortcut(re.compile(f"^({FLAG}|{CAPTURE})$"))(self._on_shortcut)
        app.view(ANYTHING)(self._on_submission)
        return app

    async def _take_in(self, body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> None:
        """Before anything is told to Slack: what must not be lost is safe when this returns."""
        if self._socket:
            self._socket.heard()
        if isinstance(body.get("event"), Mapping):
            await self._take_event(body)
        await next_()

    async def _take_event(self, body: Mapping[str, Any]) -> None:
        try:
            workspace = await self._workspaces.of(workspace_of(body))
        except NotInstalled:
            return
        event = read_event(body, workspace.user)
        if isinstance(event, Post):
            await self._desk.receive(await self._people.message(workspace, event))
        elif isinstance(event, Reaction):
            person = await self._people.person(workspace, event.actor)
            await self._desk.react(person, event.message, event.emoji, event.is_added)
        elif isinstance(event, Stopped):
            self._streams.stopped(event.channel, event.thread)
        elif isinstance(event, MembersChanged):
            self._people.members_changed(workspace.id, event.channel)
        elif event:
            self._tasks.start(self._happened(workspace, event))

    async def _happened(self, workspace: Workspace, event: Opened | Removed) -> None:
        if isinstance(event, Opened):
            await self._interactions.opened(workspace, event)
            return
        logger.warning("The app was removed from the workspace %s", workspace.id)
        await self._workspaces.forget(workspace.id)
        if self._installer is None:
            self._removed.set()

    async def _on_command(self, body: dict[str, Any], ack: Ack) -> None:
        await self._handle(body, ack, read_command, self._interactions.command)

    async def _on_action(self, body: dict[str, Any], ack: Ack) -> None:
        await self._handle(body, ack, read_action, self._interactions.press)

    async def _on_shortcut(self, body: dict[str, Any], ack: Ack) -> None:
        await self._handle(body, ack, read_shortcut, self._interactions.pick)

    async def _on_submission(self, body: dict[str, Any], ack: Ack) -> None:
        await self._handle(body, ack, read_submission, self._interactions.submit)

    async def _handle(
        self, body: Mapping[str, Any], ack: Ack, read: Callable[[Mapping[str, Any]], A | None], work: Work[A]
    ) -> None:
        """Hands an action on; what is none of ours is told to have come in."""
        action = read(body)
        if action is None:
            await ack()
            return
        workspace = await self._workspaces.of(action.actor.workspace)
        await self._tasks.start(work(workspace, action, ack))

    async def _react(self, workspace: Workspace, message: MessageRef, emoji: str, is_added: bool) -> None:
        where = {"channel": message.place.channel, "timestamp": message.id, "name": emoji}
        await self._web.call(
            workspace.token,
            lambda client: client.reactions_add(**where) if is_added else client.reactions_remove(**where),
        )


class _Authorize(AsyncAuthorize):
    """Tells bolt which token to use. What cannot be told now is raised, so that Slack sends the event again."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        actor_enterprise_id: str | None = None,
        actor_team_id: str | None = None,
        actor_user_id: str | None = None,
    ) -> AuthorizeResult | None:
        try:
            workspace = await self._workspaces.of(team_id or "")
        except NotInstalled:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=workspace.id,
            bot_user_id=workspace.user,
            bot_id=workspace.bot,
            bot_token=workspace.token,
        )


async def _nothing_more() -> None:
    """Events are taken in before they are told to have come in."""


async def _log_failure(error: Exception) -> None:
    """Slack is not told that it has come in, and sends it again."""
    if isinstance(error, DatabaseUnavailable | PlatformUnavailable | DeliveryRefused):
        logger.warning("Something from Slack could not be taken in: %s", error)
    else:
        logger.error("Something from Slack could not be taken in", exc_info=error)


async def _until(removed: asyncio.Event, connection: asyncio.Task[None]) -> None:
    """Returns when the app was removed; raises what the connection raises."""
    waiting = asyncio.create_task(removed.wait())
    try:
        await asyncio.wait({connection, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if connection.done():
            await connection
    finally:
        waiting.cancel()
        connection.cancel()
        await asyncio.gather(connection, waiting, return_exceptions=True)


def _installer(settings: SlackSettings, database: Database) -> "Installer | None":
    if not settings.client_id:
        return None
    from adapters.slack.installations import Installer  # needs what nobody else does

    return Installer(database, settings)


def _check(settings: SlackSettings) -> None:
    """Raises DeliveryRefused where there is no way in."""
    if settings.http_port and not settings.signing_secret.get_secret_value():
        raise DeliveryRefused("Slack", NO_SECRET)
    if not settings.http_port and not settings.app_token.get_secret_value():
        raise DeliveryRefused("Slack", NO_TOKENS)
