"""Buttons, forms, menu entries and commands: told to Slack within its three seconds, handed to the front desk, and answered."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from adapters.slack.delivery import Deliverer
from adapters.slack.inbound import (
    ASK_COMMAND,
    CAPTURE,
    FLAG,
    PLATFORM,
    Actor,
    Asking,
    Opened,
    Picked,
    Press,
    Slash,
    Submitted,
    command_of,
    mentioned,
    question_of,
    readable,
)
from adapters.slack.people import People
from adapters.slack.rendering import contents, form_errors, home_view, modal, notice_contents, prompts
from adapters.slack.web import SlackRefused, SlackWeb
from adapters.slack.workspaces import Workspace
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.front_desk import FrontDesk
from bot.messages import (
    Button,
    Click,
    Control,
    FieldErrors,
    Form,
    Notice,
    Person,
    Place,
    Reply,
    ReplyKind,
    Response,
    Submission,
)

logger = logging.getLogger(__name__)

ACK_S = 2.0
"""Slack waits 3 s: what is done by then is safe when it is told, what takes longer goes on."""
PROGRESS_S = (4.0, 20.0, 120.0)
"""Pauses after the reports of progress in place of a question: a response address may be used five times, and the result needs
one of them."""
IN_PLACE = (Control.CONFIRM, Control.CANCEL)
"""What is answered in place of the question."""
NO_QUESTION = f"Write your question behind {ASK_COMMAND}; only you will see the answer."
TRY_AGAIN = "I cannot take your question in at the moment; please try again in a minute."
FOLLOW = "{progress}\n\nThis takes a while: our direct conversation shows how far it is."
PRESS_AGAIN = "That took me too long; please press the button."

Ack = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Followed:
    """A message of the direct conversation that changes."""

    channel: str
    ts: str


class Interactions:
    """`ack` tells Slack that the person's action has come in."""

    def __init__(self, web: SlackWeb, people: People, deliverer: Deliverer, desk: FrontDesk) -> None:
        self._web = web
        self._people = people
        self._deliverer = deliverer
        self._desk = desk

    async def press(self, workspace: Workspace, press: Press, ack: Ack) -> None:
        person = await self._people.person(workspace, press.actor)
        message = replace(press.message, place=await self._somewhere(workspace, press.actor, press.message.place))
        shown = _Shown(self, workspace, press.actor, message.place, press.asking, replaces=press.control in IN_PLACE)
        doing = asyncio.ensure_future(self._desk.click(Click(person, message, press.control, press.subject), shown.say))
        await asyncio.wait({doing}, timeout=ACK_S)
        await ack()
        await shown.answer(await doing)
        if not press.message.id:
            await self.publish_home(workspace, person)

    async def submit(self, workspace: Workspace, form: Submitted, ack: Ack) -> None:
        person = await self._people.person(workspace, form.actor)
        place = await self._somewhere(workspace, form.actor, form.place)
        submission = Submission(person, place, form.control, form.subject, form.values)
        doing = asyncio.ensure_future(self._desk.submit(submission))
        await asyncio.wait({doing}, timeout=ACK_S)
        shown = _Shown(self, workspace, form.actor, place, Asking("", ""))
        if doing.done() and isinstance(errors := doing.result(), FieldErrors) and form.fields:
            await ack(response_action="errors", errors=form_errors(errors, form.fields))
            return
        await ack()
        await shown.answer(await doing)
        if place.channel.startswith("D"):
            await self.publish_home(workspace, person)

    async def pick(self, workspace: Workspace, picked: Picked, ack: Ack) -> None:
        person = await self._people.person(workspace, picked.actor)
        shown = _Shown(self, workspace, picked.actor, picked.message.place, picked.asking)
        doing = asyncio.ensure_future(self._picked(workspace, picked, person))
        await asyncio.wait({doing}, timeout=ACK_S)
        await ack()
        await shown.answer(await doing)

    async def command(self, workspace: Workspace, slash: Slash, ack: Ack) -> None:
        """`/ask` is told to Slack when the question is safe."""
        if slash.command == ASK_COMMAND:
            await self._ask(workspace, slash, ack)
            return
        await ack()
        person = await self._people.person(workspace, slash.actor)
        shown = _Shown(self, workspace, slash.actor, slash.place, slash.asking, follows=True)
        await shown.answer(await self._desk.command(command_of(slash, person), shown.say))

    async def opened(self, workspace: Workspace, opened: Opened) -> None:
        """The app's own page, or the direct conversation with its first words."""
        person = await self._people.person(workspace, opened.actor)
        if opened.tab == "home":
            await self.publish_home(workspace, person)
        elif opened.tab == "messages" and opened.channel:
            await self._greet(workspace, opened, person)

    async def publish_home(self, workspace: Workspace, person: Person) -> None:
        view, user = home_view(await self._desk.home(person)), person.id.rpartition(":")[2]
        await self._web.call(workspace.token, lambda client: client.views_publish(user_id=user, view=view))

    async def report(self, response_url: str, notice: Notice, *, replaces: bool) -> bool:
        """Whether it could be shown."""
        return bool(response_url) and await self._deliverer.respond(response_url, notice_contents(notice)[0], replaces=replaces)

    async def follow(self, workspace: Workspace, actor: Actor, before: Followed | None, notice: Notice) -> Followed:
        """Shows it in the direct conversation, in place of what it showed before."""
        first, *rest = notice_contents(notice)
        if before:
            await self._deliverer.revise(workspace, before.channel, before.ts, first)
            await self._deliverer.say(workspace, before.channel, rest)
            return before
        channel = await self._deliverer.direct_channel(workspace, actor.user)
        return Followed(channel, (await self._deliverer.say(workspace, channel, [first, *rest]))[0])

    async def show(
        self, workspace: Workspace, actor: Actor, place: Place, asking: Asking, response: Response, *, replaces: bool
    ) -> None:
        """Gives the person who acted what came of it."""
        match response:
            case None:
                return
            case Form():
                await self._open(workspace, actor, place, asking, response)
                return
            case FieldErrors(errors):
                shown = notice_contents(Notice("\n".join(errors.values()), is_problem=True))
            case Notice():
                shown = notice_contents(response)
            case Reply():
                shown = contents(response)
        url = asking.response_url
        if replaces and url and len(shown) == 1 and await self._deliverer.respond(url, shown[0], replaces=True):
            return
        await self._deliverer.show_privately(workspace, actor.user, place.channel, place.thread, url, shown)

    async def _open(self, workspace: Workspace, actor: Actor, place: Place, asking: Asking, form: Form) -> None:
        """A form opens with what the person has just done, which Slack remembers for three seconds."""
        view = modal(form, place)
        try:
            if asking.trigger:
                await self._web.call(
                    workspace.token, lambda client: client.views_open(trigger_id=asking.trigger, view=view), is_repeatable=False
                )
                return
        except (SlackRefused, PlatformUnavailable) as err:
            logger.warning("A form could not be opened: %s", err)
        again = Notice(PRESS_AGAIN, [Button(form.control, form.subject, form.title)])
        await self.show(workspace, actor, place, Asking("", asking.response_url), again, replaces=False)

    async def _picked(self, workspace: Workspace, picked: Picked, person: Person) -> Response:
        if picked.entry == FLAG:
            return await self._desk.flag(person, picked.message)
        assert picked.entry == CAPTURE
        names = await self._people.names(workspace, mentioned(picked.text))
        return await self._desk.capture(person, picked.message, readable(picked.text, names, workspace.user))

    async def _ask(self, workspace: Workspace, slash: Slash, ack: Ack) -> None:
        if not slash.text.strip():
            await ack(text=NO_QUESTION)
            return
        try:
            person = await self._people.person(workspace, slash.actor)
            names = await self._people.names(workspace, mentioned(slash.text))
            await self._desk.receive(question_of(slash, person, names, datetime.now(UTC)))
        except (DatabaseUnavailable, PlatformUnavailable) as err:
            logger.warning("A question could not be taken in: %s", err)
            await ack(text=TRY_AGAIN)
            return
        await ack()

    async def _greet(self, workspace: Workspace, opened: Opened, person: Person) -> None:
        """The words once in a lifetime, the suggestions each time."""
        greeting = await self._desk.greeting(person)
        note = f"greeted:{person.id}"
        if greeting.text and await self._desk.recall(PLATFORM, note) is None:
            await self._desk.remember(PLATFORM, note, {"at": datetime.now(UTC).isoformat()})
            await self._deliverer.say(workspace, opened.channel, contents(Reply(ReplyKind.SMALL_TALK, greeting.text)))
        suggested = prompts(greeting)
        if suggested:
            await self._web.call(
                workspace.token,
                lambda client: client.assistant_threads_setSuggestedPrompts(channel_id=opened.channel, prompts=suggested),
            )

    async def _somewhere(self, workspace: Workspace, actor: Actor, place: Place) -> Place:
        """The app's own page belongs to the direct conversation."""
        return place if place.channel else replace(place, channel=await self._deliverer.direct_channel(workspace, actor.user))


class _Shown:
    """What one action shows: its progress, then its result.

    `replaces`: in place of the message that was acted on. `follows`: there is no such message, for Slack replaces nothing that a
    command has shown before (slackapi/bolt-js#2287); its progress is one message of the direct conversation that changes.
    """

    def __init__(
        self,
        interactions: Interactions,
        workspace: Workspace,
        actor: Actor,
        place: Place,
        asking: Asking,
        *,
        replaces: bool = False,
        follows: bool = False,
    ) -> None:
        self._interactions = interactions
        self._workspace = workspace
        self._actor = actor
        self._place = place
        self._asking = asking
        self._replaces = replaces
        self._follows = follows
        self._followed: Followed | None = None
        self._pauses_s = list(PROGRESS_S) if replaces else []
        self._next_at = float("-inf")

    async def say(self, notice: Notice) -> None:
        """Shows progress in place of the last, as often as Slack lets us. Raises both."""
        if self._follows:
            await self._follow(notice)
            return
        now = time.monotonic()
        if not self._pauses_s or now < self._next_at:
            return
        self._next_at = now + self._pauses_s.pop(0)
        await self._interactions.report(self._asking.response_url, notice, replaces=True)

    async def answer(self, response: Response) -> None:
        """Where the action was; what was followed elsewhere ends there with it."""
        if self._followed and isinstance(response, Notice):
            with suppress(PlatformUnavailable, DeliveryRefused):
                await self._interactions.follow(self._workspace, self._actor, self._followed, response)
                if self._followed.channel == self._place.channel:
                    return
        await self._interactions.show(self._workspace, self._actor, self._place, self._asking, response, replaces=self._replaces)

    async def _follow(self, notice: Notice) -> None:
        is_first = self._followed is None
        self._followed = await self._interactions.follow(self._workspace, self._actor, self._followed, notice)
        if is_first and self._followed.channel != self._place.channel:
            told = Notice(FOLLOW.format(progress=notice.text))
            await self._interactions.report(self._asking.response_url, told, replaces=False)
