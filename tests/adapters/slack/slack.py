"""The pretended Slack at work: what happens in the world becomes events for the app, and entries of the ledger.

Knows nothing of HTTP: `server.py` hosts it, `web_api.py` lets the app act, `persons.py` lets people act."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from tests.adapters.slack import payloads, reading
from tests.adapters.slack.deliveries import Deliveries, Delivery, Patience
from tests.adapters.slack.faults import Faults
from tests.adapters.slack.handles import Handles
from tests.adapters.slack.ledger import Ledger
from tests.adapters.slack.manifest import EVENT_SCOPES, FAMILY, read_manifest
from tests.adapters.slack.reference import has_reference, the_reference
from tests.adapters.slack.shapes import message_object
from tests.adapters.slack.sockets import SocketHub
from tests.adapters.slack.state import App, Channel, Clock, Installation, Json, Message, SlackError, User
from tests.adapters.slack.world import World

T = TypeVar("T")
PAUSE_AFTER_LOOK = 10  # times as long as looking took: waiting costs a tenth of the time, whatever is looked at


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the Web API, as it was understood."""

    method: str
    arguments: Json
    team: str | None
    at: float
    status: int
    reply: Json

    @property
    def error(self) -> str | None:
        return self.reply.get("error")


class Slack:
    def __init__(
        self, *, manifest: Json | None = None, patience: Patience | None = None, enforces_rate_limits: bool = False
    ) -> None:
        declared = read_manifest(manifest)
        self.declared = declared
        self.app = App(name=declared.name, scopes=declared.scopes, events=declared.events)
        self.clock = Clock()
        self.world = World(self.clock)
        self.reference = the_reference() if has_reference() else None
        self.faults = Faults(self.reference)
        self.handles = Handles(self.clock)
        self.deliveries = Deliveries(self.clock, patience or Patience(), self.changed)
        self.sockets = SocketHub(self.app, self.deliveries, self.changed)
        self.deliveries.carrier = self.sockets
        self.enforces_rate_limits = enforces_rate_limits
        self.mention_comes_first = True
        """A mention becomes two events; whether `app_mention` is sent before `message`."""
        self.installations: list[Installation] = []
        self.problems: list[str] = []
        """What the app did wrong whatever the circumstances, one sentence each."""
        self.calls: list[Call] = []
        self.url = ""
        self._ledger = Ledger()
        self._codes: dict[str, tuple[str, str]] = {}
        self._changed = asyncio.Event()
        self.install("T1", "Acme")

    # -- setting the scene

    def install(self, team: str, name: str, *, scopes: frozenset[str] | None = None) -> Installation:
        """Makes the workspace where there is none and installs the app there."""
        if team not in self.world.workspaces:
            self.world.add_workspace(team, name)
        number = len(self.installations) + 1
        bot_id, bot_user = f"B0TIMBRE{number}", f"U0TIMBRE{number}"
        self.world.add_user(self.app.name, team=team, id=bot_user, name="timbre", bot_id=bot_id, app_id=self.app.id)
        installation = Installation(
            team=team, bot_user=bot_user, bot_id=bot_id, token=f"xoxb-{team}-{number}", scopes=scopes or self.app.scopes
        )
        self.installations.append(installation)
        return installation

    def uninstall(self, team: str = "T1") -> None:
        """Removes the app from a workspace: it hears of it, then its token is worth nothing."""
        installation = self.installation(team)
        self.emit("app_uninstalled", {"type": "app_uninstalled"}, installation)
        revoked = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [installation.bot_user]}}
        self.emit("tokens_revoked", revoked, installation)
        installation.is_revoked = True

    def approve(self, team: str, name: str, user: str) -> str:
        """A person installs the app in their workspace: the code that `oauth.v2.access` takes once."""
        if not any(i.team == team and not i.is_revoked for i in self.installations):
            self.install(team, name)
        code = f"code-{len(self._codes) + 1}-{team}"
        self._codes[code] = (team, user)
        return code

    def redeem(self, code: str) -> tuple[str, str]:
        """(team, installing user) of a code, which is thereby used up."""
        if code not in self._codes:
            raise SlackError("invalid_code")
        return self._codes.pop(code)

    def installation(self, team: str = "T1") -> Installation:
        return next(i for i in self.installations if i.team == team and not i.is_revoked)

    @property
    def mention(self) -> str:
        """How people write the bot's name in the first workspace."""
        return f"<@{self.installations[0].bot_user}>"

    # -- what happens

    def post(self, message: Message) -> list[Delivery]:
        """Puts a message where it belongs and tells the app as far as it may know."""
        self.world.add(message)
        if message.app_id == self.app.id:
            self.world.statuses.pop((message.channel, message.root_ts), None)
            self._ledger.note_answer(message)
        deliveries = self._announce(message)
        if not message.bot_id:
            channel = self.world.channels[message.channel]
            bots = [i.bot_user for i in self.installations if i.bot_user in channel.members]
            is_direct = channel.kind == "im" and bool(bots)
            is_addressed = is_direct or any(f"<@{bot}" in message.text for bot in bots)
            self._ledger.note_question(message, is_addressed=is_addressed, is_direct=is_direct, deliveries=deliveries)
        self.changed()
        return deliveries

    def show(self, message: Message) -> None:
        """Shows an ephemeral message to the one whom it is for."""
        self.world.ephemerals.append(message)
        self.changed()

    def edit(self, message: Message, *, announces: bool = True, **fields: Any) -> None:
        """Changes fields of a message."""
        previous = message_object(message, self.world)
        for name, value in fields.items():
            setattr(message, name, value)
        self.changed()
        if not announces or message.visible_to:
            return
        channel = self.world.channels[message.channel]
        event = payloads.changed_event(message, previous, channel, self.world, self.world.new_ts())
        for installation in self._listeners(channel):
            self.emit(f"message.{FAMILY[channel.kind]}", event, installation, channel)
            called = f"<@{installation.bot_user}"
            if called in message.text and called not in previous["text"] and channel.kind != "im":
                self.emit("app_mention", payloads.mention_event(message, self.world), installation, channel)

    def delete(self, message: Message) -> None:
        if message.visible_to:
            self.world.ephemerals.remove(message)
            self.changed()
            return
        previous = message_object(message, self.world)
        self.world.remove(message)
        self._ledger.note_deleted(message)
        channel = self.world.channels[message.channel]
        event = payloads.deleted_event(previous, channel, self.world.new_ts())
        for installation in self._listeners(channel):
            self.emit(f"message.{FAMILY[channel.kind]}", event, installation, channel)
        self.changed()

    def react(self, message: Message, user: str, name: str) -> None:
        """SlackError `already_reacted` where that person did so before."""
        people = message.reactions.setdefault(name, [])
        if user in people:
            raise SlackError("already_reacted")
        people.append(user)
        self._announce_reaction("reaction_added", message, user, name)

    def unreact(self, message: Message, user: str, name: str) -> None:
        people = message.reactions.get(name, [])
        if user not in people:
            raise SlackError("no_reaction")
        people.remove(user)
        if not people:
            del message.reactions[name]
        self._announce_reaction("reaction_removed", message, user, name)

    def join(self, channel: Channel, user: User, inviter: str | None = None) -> None:
        channel.members.append(user.id)
        event = payloads.membership_event("member_joined_channel", user, channel, self.world.new_ts(), inviter)
        for installation in self._listeners(channel):
            self.emit("member_joined_channel", event, installation, channel)
        self.changed()

    def leave(self, channel: Channel, user: User) -> None:
        event = payloads.membership_event("member_left_channel", user, channel, self.world.new_ts())
        for installation in self._listeners(channel):
            self.emit("member_left_channel", event, installation, channel)
        channel.members.remove(user.id)
        self.changed()

    def emit(self, subscription: str, event: Json, to: Installation, channel: Channel | None = None) -> Delivery | None:
        """Sends an event where the app subscribed to it and was granted its scope; None otherwise."""
        needed = EVENT_SCOPES.get(subscription)
        if to.is_revoked or subscription not in self.app.events or (needed and needed not in to.scopes):
            return None
        payload = payloads.event_payload(
            event,
            self.app,
            to,
            event_id=self.world.new_id("Ev"),
            time=self.clock.now(),
            is_ext_shared=bool(channel and channel.is_ext_shared),
        )
        return self.deliveries.send("events_api", payload)

    # -- looking on

    def ledger(self) -> Ledger:
        return self._ledger

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def take_problems(self) -> list[str]:
        """The problems so far, which are thereby forgiven."""
        taken, self.problems[:] = list(self.problems), []
        return taken

    def name_of(self, id: str) -> str:
        """What people call a user, channel or user group."""
        if id in self.world.users:
            return self.world.users[id].shown_name
        if id in self.world.channels:
            return self.world.channels[id].name
        return self.world.user_groups[id].handle if id in self.world.user_groups else id

    def visible_text(self, message: Message) -> str:
        return reading.visible_text(message, self.name_of)

    def message(self, channel: str, ts: str) -> Message:
        """KeyError where there is none (any more)."""
        found = self.world.message(channel, ts)
        if found is None:
            raise KeyError((channel, ts))
        return found

    def answers(self, channel: str, ts: str) -> list[Message]:
        """The bot's answers to a person's message, as they stand now."""
        return [self.message(channel, answer) for answer in self._ledger[channel, ts].answers]

    async def answer_to(self, channel: str, ts: str, *, count: int = 1, within_s: float = 10.0) -> Message:
        """Waits for that many answers, the last no longer streaming, and returns the last."""

        def whole() -> Message | None:
            found = self.answers(channel, ts)
            is_whole = len(found) >= count and all(not m.stream or m.stream.state != "open" for m in found)
            return found[-1] if is_whole else None

        found = await self.until(whole, within_s=within_s)
        assert found
        return found

    async def until(self, holds: Callable[[], T], *, within_s: float = 10.0) -> T:
        """Waits until `holds` returns something true, and returns it. TimeoutError otherwise, with what went on."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    started = perf_counter()
                    if found := holds():
                        return found
                    looked_for_s = perf_counter() - started
                    await self._changed.wait()
                    await asyncio.sleep(looked_for_s * PAUSE_AFTER_LOOK)
        except TimeoutError:
            last = [f"{call.method}: {call.error or 'ok'}" for call in self.calls[-5:]]
            raise TimeoutError(f"Not within {within_s} s. Last calls: {last}. Problems: {self.problems}") from None

    def changed(self) -> None:
        """Wakes up whoever waits for something."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _listeners(self, channel: Channel) -> list[Installation]:
        return [i for i in self.installations if i.bot_user in channel.members and not i.is_revoked]

    def _announce(self, message: Message) -> list[Delivery]:
        channel = self.world.channels[message.channel]
        found: list[Delivery | None] = []
        for installation in self._listeners(channel):
            events = [(f"message.{FAMILY[channel.kind]}", payloads.message_event(message, channel, self.world))]
            if self._is_mention(message, channel, installation):
                mention = ("app_mention", payloads.mention_event(message, self.world))
                events = [mention, *events] if self.mention_comes_first else [*events, mention]
            found.extend(self.emit(subscription, event, installation, channel) for subscription, event in events)
        return [delivery for delivery in found if delivery]

    def _is_mention(self, message: Message, channel: Channel, installation: Installation) -> bool:
        is_called = re.search(rf"<@{installation.bot_user}[|>]", message.text) is not None
        return is_called and channel.kind != "im" and message.user != installation.bot_user

    def _announce_reaction(self, kind: str, message: Message, user: str, name: str) -> None:
        channel = self.world.channels[message.channel]
        event = payloads.reaction_event(kind, user, name, message, self.world.new_ts())
        for installation in self._listeners(channel):
            self.emit(kind, event, installation, channel)
        self.changed()
