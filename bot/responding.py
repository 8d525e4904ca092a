"""Answers one message that came in: who will see the answer, what was said before, the answer, and what else goes out with it.

The one place where a chat message becomes a question to the engine. Knows nothing of any platform.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.channels import ChannelSettings
from bot.conversation import Exchange, Outcome, PastExchange, Question, Turn
from bot.engine import AnswerEngine, failure, silent
from bot.errors import BotError, DatabaseUnavailable, PlatformUnavailable, fault_id
from bot.inbox import Responded
from bot.messages import (
    Addressed,
    Button,
    Control,
    Delivery,
    DeliveryKey,
    IncomingMessage,
    PersonId,
    Reply,
    ReplyKind,
    direct_delivery,
)
from bot.people import RoleBook
from bot.ports import ChatPlatform
from bot.replies import error_reply, reply_of
from bot.routing import Facts, Route, is_late, route
from bot.settings import ChatSettings
from bot.storage.channels import ChannelStore
from bot.storage.exchanges import ExchangeStore
from bot.streaming import Drafts, Streamer
from bot.wording import QuoteWorder
from knowledge.documents import Audience
from knowledge.errors import KnowledgeError

logger = logging.getLogger(__name__)

HISTORY = 3  # exchanges that give a follow-up its meaning
MAX_ATTEMPTS_STREAMED = 1  # an answer that is tried again is sent whole
MAX_ATTEMPTS_WORDED = 4  # then it is quoted: a process that dies over and over may die of the model, or before it has finished

NOT_A_MEMBER = "Sorry, I can only help members of this workspace."
TOO_MANY = "We have been at this for {turns} answers; please start a new thread, or ask {ask_whom}."
CAPTURE_OFFER = "Was your reply what I should have answered? It can become the answer to this question."
MORE_FOR_YOU = "I found more about this in documents that you may read, but not everybody here."
REPORTED = "I found a message that waited for {hours:.0f} hours and did not answer it: {question}"


@dataclass(frozen=True)
class Sight:
    """Who sees the answer. `to` is the asker when nobody else does; `is_private`: not everybody of the workspace may see it."""

    audience: Audience
    to: PersonId | None
    is_private: bool


class Responder:
    """Turns messages into what goes out. `is_escalated` tells of a conversation whether people were asked to take over.

    `is_attended`: who asks runs this process, so they go on for as long as they like, and read of a fault in the answer, not in
    the log.
    """

    def __init__(
        self,
        engine: AnswerEngine,
        exchanges: ExchangeStore,
        drafts: Drafts,
        roles: RoleBook,
        channels: ChannelStore,
        platforms: Mapping[str, ChatPlatform],
        settings: ChatSettings,
        ask_whom: str,
        *,
        worder: QuoteWorder,
        is_escalated: Callable[[str], Awaitable[bool]],
        is_attended: bool = False,
    ) -> None:
        self._engine = engine
        self._exchanges = exchanges
        self._drafts = drafts
        self._roles = roles
        self._channels = channels
        self._platforms = platforms
        self._settings = settings
        self._ask_whom = ask_whom
        self._worder = worder
        self._is_escalated = is_escalated
        self._is_attended = is_attended
        self._max_turns = None if is_attended else settings.max_turns

    async def respond(self, message: IncomingMessage, attempt: int) -> Responded:
        """What goes out for the message. Raises what cannot be said to a person now, so that it is tried again."""
        if message.place.platform not in self._platforms:
            raise PlatformUnavailable(message.place.platform, "it is not switched on in this process")
        settings = await asyncio.to_thread(self._channels.get, message.place)
        past = await asyncio.to_thread(self._exchanges.conversation, message.conversation, self._max_turns or HISTORY)
        facts = Facts(
            role=await asyncio.to_thread(self._roles.role_of, message.author),
            settings=settings,
            past=past,
            is_escalated=await self._is_escalated(message.conversation),
            now=datetime.now(UTC),
            max_late=timedelta(hours=self._settings.max_late_h),
            max_turns=self._max_turns,
        )
        match route(message, facts):
            case Route.ANSWER:
                return await self._answer(message, attempt, facts)
            case Route.WAIT:
                return await self._wait(message, attempt, facts)
            case Route.OFFER_CAPTURE:
                offer = Button(Control.CAPTURE, message.key, "Use my reply as the answer")
                return Responded([private_notice(message, "capture", CAPTURE_OFFER, [offer])])
            case Route.REFUSE:
                return Responded([private_notice(message, "refused", NOT_A_MEMBER)])
            case Route.CAP:
                text = TOO_MANY.format(turns=facts.max_turns, ask_whom=self._ask_whom)
                return Responded([public_notice(message, f"cap:{message.conversation}", Reply(ReplyKind.NOTICE, text))])
            case Route.REPORT:
                return Responded(await self._report(message, facts.now))
            case Route.IGNORE:
                return Responded()

    async def give_up(self, message: IncomingMessage, fault: str) -> Sequence[Delivery]:
        """What the asker and the admins are told of a message that could not be answered."""
        sorry = error_reply(f"Sorry, I could not answer this; an admin has been told. Please ask {self._ask_whom}.", fault)
        told = f"I could not answer a question in {message.place.channel}; the log says why under {fault}."
        return [public_notice(message, answer_key(message), sorry), *await self._to_admins(message, "dead", told)]

    async def _wait(self, message: IncomingMessage, attempt: int, facts: Facts) -> Responded:
        due = message.sent_at + timedelta(minutes=facts.settings.wait_minutes)
        if facts.now < due:
            return Responded(wait_until=due)
        if await self._platforms[message.place.platform].is_answered(message):
            return Responded()
        return await self._answer(message, attempt, facts)

    async def _answer(self, message: IncomingMessage, attempt: int, facts: Facts) -> Responded:
        platform = self._platforms[message.place.platform]
        await platform.show_working(message)
        groups = await asyncio.to_thread(self._roles.groups_of, message.author.id)
        sight = await self._sight(message, facts.settings, groups)
        question = _question(message, facts, sight)
        key = answer_key(message)
        stream = Streamer(self._drafts, platform, key, message)
        may_stream = attempt <= MAX_ATTEMPTS_STREAMED and sight.to is None and (await self._worder.permission()).is_allowed
        try:
            exchange = await self._engine.compose(
                question, stream.show if may_stream else silent, may_word=attempt <= MAX_ATTEMPTS_WORDED
            )
        except DatabaseUnavailable:
            raise  # nothing could be committed now either
        except (BotError, KnowledgeError) as err:
            await stream.end()
            return Responded([self._delivery(message, key, self._regret(message, err), sight)])
        await stream.end()
        reply = reply_of(exchange, can_share=sight.to is not None, is_late=is_late(message, facts.settings, facts.now))
        answer = replace(self._delivery(message, key, reply, sight), exchange=exchange.id)
        return Responded([answer, *await self._rest(message, exchange, groups)], exchange)

    def _regret(self, message: IncomingMessage, err: Exception) -> Reply:
        if self._is_attended:
            return Reply(ReplyKind.ERROR, str(err))
        fault = fault_id()
        logger.warning("Message %s was answered with an error, fault %s: %s", message.key, fault, err)
        return error_reply(failure(err), fault)

    async def _sight(self, message: IncomingMessage, settings: ChannelSettings, groups: Audience) -> Sight:
        """Who sees the answer: for the asker alone where it was asked so, or where people of other companies look on."""
        author = message.author.id
        if message.addressed is Addressed.COMMAND or settings.is_private:
            return Sight(groups, author, True)
        if message.addressed is Addressed.DIRECT:
            return Sight(groups, None, True)
        viewers = await self._platforms[message.place.platform].viewers(message.place)
        audience = await asyncio.to_thread(self._roles.audience_of, viewers)
        return Sight(audience, None, not viewers.is_open) if audience else Sight(groups, author, True)

    async def _rest(self, message: IncomingMessage, exchange: Exchange, groups: Audience) -> list[Delivery]:
        """The offer to show the asker alone what not everybody here may read, where that answers better."""
        public = exchange.question.audience
        if exchange.is_small_talk or groups <= public:
            return []
        wider = await self._engine.outlook(replace(exchange.question, audience=groups))
        if wider.outcome is not Outcome.ANSWERED or wider.audience is None or wider.audience & public:
            return []
        button = Button(Control.SHOW_REST, exchange.id, "Show me")
        return [private_notice(message, "rest", MORE_FOR_YOU, [button])]

    async def _report(self, message: IncomingMessage, now: datetime) -> Sequence[Delivery]:
        waited = (now - message.sent_at).total_seconds() / 3600
        return await self._to_admins(message, "late", REPORTED.format(hours=waited, question=message.text[:200]))

    async def _to_admins(self, message: IncomingMessage, kind: str, text: str) -> list[Delivery]:
        admins = await asyncio.to_thread(self._roles.admins, message.author.workspace)
        reply = Reply(ReplyKind.NOTICE, text)
        return [direct_delivery(f"{kind}:{message.key}:{admin}", admin, reply) for admin in admins]

    def _delivery(self, message: IncomingMessage, key: DeliveryKey, reply: Reply, sight: Sight) -> Delivery:
        return Delivery(key, message.answer_place, reply, to=sight.to, answers=message.id, handle=message.handle)


def answer_key(message: IncomingMessage) -> DeliveryKey:
    """Of the answer and of the regret that there is none: either ends what was streamed."""
    return DeliveryKey(f"answer:{message.key}")


def private_notice(message: IncomingMessage, kind: str, text: str, buttons: Sequence[Button] = ()) -> Delivery:
    """Something that only the author of the message sees."""
    reply = Reply(ReplyKind.NOTICE, text, buttons=buttons)
    key = DeliveryKey(f"{kind}:{message.key}")
    return Delivery(key, message.answer_place, reply, to=message.author.id, answers=message.id, handle=message.handle)


def public_notice(message: IncomingMessage, key: str, reply: Reply) -> Delivery:
    """Something that everybody in the conversation sees; a command has its author alone as everybody."""
    to = message.author.id if message.addressed is Addressed.COMMAND else None
    return Delivery(DeliveryKey(key), message.answer_place, reply, to=to, answers=message.id, handle=message.handle)


def _question(message: IncomingMessage, facts: Facts, sight: Sight) -> Question:
    return Question(
        message.text,
        sight.audience,
        _turns(facts.past, sight.audience),
        message.author.id,
        message.place.channel_key,
        facts.settings.sources,
        message.conversation,
        sight.is_private,
    )


def _turns(past: Sequence[PastExchange], audience: Audience) -> list[Turn]:
    """What was said before, without what was made of documents that those who see the answer may not read."""
    told = [exchange for exchange in past[-HISTORY:] if exchange.audience <= audience]
    return [turn for exchange in told for turn in (Turn("user", exchange.question), Turn("assistant", exchange.answer))]
