"""What the platforms call: every message, click, form and command comes in here and is answered, whatever goes wrong.

The same for all of them. Decides nothing itself: each kind of thing has its service.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from bot.catching_up import CatchUp
from bot.channels import Answers
from bot.commands import Commands
from bot.conversation import ExchangeId, Verdict
from bot.engine import failure
from bot.errors import BotError, CommandRejected, DatabaseUnavailable, PlatformUnavailable, fault_id
from bot.escalations import Escalations
from bot.home import HomePages
from bot.long_work import Say
from bot.memory import PlatformMemory
from bot.messages import (
    Addressed,
    Click,
    Command,
    Control,
    Greeting,
    Home,
    IncomingMessage,
    Mark,
    MessageRef,
    Notice,
    Person,
    Response,
    Submission,
)
from bot.people import Role, RoleBook
from bot.ports import ChatPlatform, Put
from bot.questions import is_question
from bot.review import ANSWER_FIELD, ReviewQueue, decision_buttons, proposal_form
from bot.sharing import Sharing
from bot.storage.channels import ChannelStore
from bot.storage.escalations import Escalation
from bot.storage.exchanges import ExchangeStore
from bot.storage.intake import IntakeStore
from bot.verdicts import Verdicts
from knowledge.errors import KnowledgeError

logger = logging.getLogger(__name__)

FETCH_PAUSE_S = 5.0
ONE_CLICK_S = 10  # two clicks on a suggestion within that time are one
T = TypeVar("T")
TakeIn = Callable[[IncomingMessage, datetime | None], Awaitable[object]]
"""(message, when it may be answered; None: at once). On return it is safe. Raises DatabaseUnavailable."""


@dataclass(frozen=True)
class Services:
    """What the front desk hands things on to."""

    intake: IntakeStore
    exchanges: ExchangeStore
    roles: RoleBook
    channels: ChannelStore
    verdicts: Verdicts
    review: ReviewQueue
    escalations: Escalations
    sharing: Sharing
    commands: Commands
    homes: HomePages
    platforms: Mapping[str, ChatPlatform]
    put: Put


class FrontDesk:
    """One method for each kind of thing that people do. Only `receive` and `catch_up` raise. `take_in` gets the messages."""

    def __init__(self, services: Services, take_in: TakeIn, max_late: timedelta) -> None:
        self._services = services
        self._take_in = take_in
        self._memory = PlatformMemory(services.intake)
        self._catch_up = CatchUp(services.intake, services.roles, self.receive, self._concerns_us, services.put, max_late)
        self._caught_up: set[str] = set()

    async def receive(self, message: IncomingMessage) -> None:
        """Takes a message in: on return it is safe, and the platform may be told so. Raises DatabaseUnavailable."""
        if await self._concerns_us(message):
            await self._take_in(message, await self._available_at(message))

    async def click(self, click: Click, say: Say) -> Response:
        """What a button does. `say` shows progress in place of the last notice."""
        return await self._answered(self._click(click, say))

    async def submit(self, submission: Submission) -> Response:
        return await self._answered(self._submit(submission))

    async def command(self, command: Command, say: Say) -> Response:
        return await self._answered(self._services.commands.run(command, say))

    async def react(self, person: Person, message: MessageRef, emoji: str, is_added: bool) -> None:
        """A reaction to a message; only those to answers, with a configured emoji, count."""
        await self._answered(self._react(person, message, emoji, is_added))

    async def flag(self, person: Person, message: MessageRef) -> Response:
        """The menu entry "Flag this answer"."""
        return await self._answered(self._flag(person, message))

    async def capture(self, person: Person, message: MessageRef, text: str) -> Response:
        """The menu entry "Use as correction", on what a person wrote below a question."""
        return await self._answered(self._capture(person, message.place.conversation, text))

    async def home(self, person: Person) -> Home:
        """The person's start page; empty when it cannot be made, which the log tells."""
        home = await self._answered(self._home(person))
        return home if isinstance(home, Home) else Home([])

    async def greeting(self, person: Person) -> Greeting:
        greeting = await self._answered(self._services.homes.greeting(person))
        return greeting if isinstance(greeting, Greeting) else Greeting("", [])

    async def complete(self, person: Person, words: str) -> Sequence[str]:
        """Commands that begin with the words."""
        found = await self._answered(self._services.commands.complete(person, words))
        return found if isinstance(found, Sequence) else []

    async def catch_up(self, platform: ChatPlatform) -> None:
        """To be called when the platform has connected anew. Returns when all that was missed has come in, however long it takes.

        Nothing before this moment counts as received until then. Raises DeliveryRefused.
        """
        count = await self._fetched(platform)
        self._caught_up.add(platform.name)
        await self.note(platform.name, platform.is_connected)
        if count:
            logger.info("%s: %d messages came while nobody listened", platform.name, count)

    async def _fetched(self, platform: ChatPlatform) -> int:
        while True:
            try:
                return await self._catch_up.fetch(platform)
            except (PlatformUnavailable, DatabaseUnavailable) as err:
                logger.warning("What was missed in %s cannot be fetched yet: %s", platform.name, err)
                await asyncio.sleep(max(FETCH_PAUSE_S, err.retry_after_s if isinstance(err, PlatformUnavailable) else 0))

    async def remember(self, platform: str, name: str, value: dict[str, Any]) -> None:
        """Keeps something for a platform's connection between starts. Raises DatabaseUnavailable."""
        await self._memory.remember(platform, name, value)

    async def recall(self, platform: str, name: str) -> dict[str, Any] | None:
        """What was kept. Raises DatabaseUnavailable."""
        return await self._memory.recall(platform, name)

    async def resume(self) -> None:
        """Carries out what an earlier process had only decided. To be called before anything else."""
        await self._services.review.resume()

    async def note(self, platform: str, is_connected: bool) -> None:
        """Whether messages reach us, to be told again and again. Raises DatabaseUnavailable.

        What was written before this moment has come in or can be fetched, once the platform has caught up.
        """
        if not is_connected:
            self._caught_up.discard(platform)
        elif platform in self._caught_up:
            await self._catch_up.note_connected(platform)

    async def _concerns_us(self, message: IncomingMessage) -> bool:
        if message.addressed is Addressed.THREAD:
            return await asyncio.to_thread(self._services.intake.takes_part, message.conversation)
        if message.addressed is not Addressed.CHANNEL:
            return True
        settings = await asyncio.to_thread(self._services.channels.get, message.place)
        return settings.answers is not Answers.MENTIONS and is_question(message.text)

    async def _available_at(self, message: IncomingMessage) -> datetime | None:
        if message.addressed is not Addressed.CHANNEL:
            return None
        settings = await asyncio.to_thread(self._services.channels.get, message.place)
        waits = settings.answers is Answers.UNANSWERED
        return message.sent_at + timedelta(minutes=settings.wait_minutes) if waits else None

    async def _click(self, click: Click, say: Say) -> Response:
        services, person, subject = self._services, click.person, click.subject
        match click.control:
            case Control.HELPFUL | Control.NOT_HELPFUL:
                return await services.verdicts.rate(ExchangeId(subject), Verdict(click.control), person, click.message.place)
            case Control.ASK_PERSON:
                escalation = await services.escalations.ask_person(ExchangeId(subject), person, click.message.place)
                await self._mark(escalation, Mark.ESCALATED)
                return Notice("I have asked people to help you.")
            case Control.RESOLVED:
                await self._mark(await services.escalations.resolve(subject, person), Mark.RESOLVED)
                return Notice("Resolved; thank you.")
            case Control.SHARE:
                return await services.sharing.share(person, ExchangeId(subject), click.message.place)
            case Control.SHOW_REST:
                return await services.sharing.show_rest(person, ExchangeId(subject))
            case Control.ASK:
                await self._take_in(_asked(click), None)
                return None
            case Control.CAPTURE:
                return await self._capture_reply(person, subject)
            case Control.PROPOSE:
                return proposal_form(ExchangeId(subject))
            case Control.APPROVE | Control.EDIT | Control.REJECT:
                return await self._decide(click)
            case Control.CONFIRM | Control.CANCEL:
                return await services.commands.confirm(click, say)

    async def _home(self, person: Person) -> Home:
        return await self._services.homes.home(person, await asyncio.to_thread(self._services.roles.role_of, person))

    async def _mark(self, escalation: Escalation, mark: Mark) -> None:
        """On the answer that did not help, where people can see it."""
        for message in (await asyncio.to_thread(self._services.intake.posted, escalation.exchange_id))[:1]:
            await self._services.platforms[message.place.platform].mark(message, mark)

    async def _submit(self, submission: Submission) -> Response:
        review, person, text = self._services.review, submission.person, submission.values.get(ANSWER_FIELD, "")
        match submission.control:
            case Control.EDIT:
                await self._require(person, Role.SUPPORT, "approve correction", submission.subject)
                await review.approve(submission.subject, person, text)
                return Notice("Approved; from now on this is the answer.")
            case Control.PROPOSE:
                await review.propose(ExchangeId(submission.subject), text, person)
                return Notice("Thank you! Support will look at it.")
            case _:
                return await self._services.verdicts.submit(submission)

    async def _react(self, person: Person, message: MessageRef, emoji: str, is_added: bool) -> Response:
        exchange = await asyncio.to_thread(self._services.intake.exchange_at, message)
        if exchange is None:
            return None
        return await self._services.verdicts.react(exchange, emoji, is_added, person, message.place)

    async def _flag(self, person: Person, message: MessageRef) -> Response:
        exchange = await asyncio.to_thread(self._services.intake.exchange_at, message)
        if exchange is None:
            raise CommandRejected("That is no answer of mine; flag one that I gave.")
        return await self._services.verdicts.rate(exchange, Verdict.NOT_HELPFUL, person, message.place)

    async def _capture_reply(self, person: Person, key: str) -> Response:
        reply = await asyncio.to_thread(self._services.intake.message, key)
        if reply is None:
            raise CommandRejected("I no longer know that reply; use the menu of the message instead.")
        return await self._capture(person, reply.conversation, reply.text)

    async def _capture(self, person: Person, conversation: str, text: str) -> Response:
        await self._require(person, Role.SUPPORT, "capture", conversation)
        past = await asyncio.to_thread(self._services.exchanges.conversation, conversation, 1)
        if not past:
            raise CommandRejected("I answered nothing in this thread, so there is nothing to correct.")
        correction = await self._services.review.propose(past[-1].id, text, person)
        return Notice("It waits in the review queue.", decision_buttons(correction.id))

    async def _decide(self, click: Click) -> Response:
        await self._require(click.person, Role.SUPPORT, f"{click.control} correction", click.subject)
        review = self._services.review
        if click.control is Control.EDIT:
            return await review.edit_form(click.subject, click.person)
        if click.control is Control.REJECT:
            await review.reject(click.subject, click.person)
            return Notice("Rejected; the answer stays as it is.")
        await review.approve(click.subject, click.person)
        return Notice("Approved; from now on this is the answer.")

    async def _require(self, person: Person, role: Role, action: str, subject: str) -> None:
        await asyncio.to_thread(self._services.roles.require, person, role, action, subject)

    async def _answered(self, doing: Awaitable[T]) -> T | Notice:
        """What was done; what went wrong, as a sentence."""
        try:
            return await doing
        except CommandRejected as err:
            return Notice(str(err), is_problem=True)
        except (BotError, KnowledgeError) as err:
            logger.warning("%s", err)
            return Notice(failure(err), is_problem=True)
        except Exception:  # the outermost loop of one action: the person gets a sentence and an id
            fault = fault_id()
            logger.exception("An action failed, fault %s", fault)
            return Notice(
                f"Something went wrong on my side (fault {fault}); please try again, or tell an admin.", is_problem=True
            )


def _asked(click: Click) -> IncomingMessage:
    """The question of a button, as if the person had typed it there: whoever sees the answer decides what it is made of."""
    now = datetime.now(UTC)
    addressed = Addressed.MENTION if click.message.place.channel else Addressed.COMMAND
    id = f"{click.message.id}-{now.timestamp() // ONE_CLICK_S:.0f}"
    return IncomingMessage(click.message.place, id, click.person, click.subject, addressed, now, is_threaded=False)
