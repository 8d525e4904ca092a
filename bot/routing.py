"""Decides what becomes of a message that came in (pure): answered, to whom visibly, put off, offered to the queue, left alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.channels import ChannelSettings
from bot.conversation import PastExchange
from bot.messages import Addressed, IncomingMessage
from bot.people import Role
from bot.questions import is_question

LATE_AFTER = timedelta(seconds=90)  # an answer that takes longer begins with a word of apology


class Route(StrEnum):
    ANSWER = "answer"
    WAIT = "wait"  # for others to answer first
    OFFER_CAPTURE = "offer_capture"  # a reply by support staff: may be what would have been right
    REFUSE = "refuse"  # the author is no member
    CAP = "cap"  # too many answers in one thread
    REPORT = "report"  # too old to be answered
    IGNORE = "ignore"


@dataclass(frozen=True)
class Facts:
    """What the decision depends on besides the message. `past` are the exchanges of its conversation, oldest first.

    `role` is None for people who are no members; `is_escalated`: people have been asked to take over this conversation.
    `max_turns`: answers in one conversation, None for as many as people like.
    """

    role: Role | None
    settings: ChannelSettings
    past: Sequence[PastExchange]
    is_escalated: bool
    now: datetime
    max_late: timedelta
    max_turns: int | None


def route(message: IncomingMessage, facts: Facts) -> Route:
    """What becomes of the message."""
    is_asked = message.addressed in (Addressed.MENTION, Addressed.DIRECT, Addressed.COMMAND)
    if facts.role is None:
        return Route.REFUSE if is_asked else Route.IGNORE
    wanted = Route.ANSWER if is_asked else _in_passing(message, facts)
    if wanted not in (Route.ANSWER, Route.WAIT):
        return wanted
    if facts.now - message.sent_at > facts.max_late:
        return Route.REPORT
    is_over = facts.max_turns is not None and len(facts.past) >= facts.max_turns
    return Route.CAP if is_over else wanted


def is_late(message: IncomingMessage, settings: ChannelSettings, now: datetime) -> bool:
    """Whether the asker has waited longer than for an answer."""
    waited = timedelta(minutes=settings.wait_minutes if message.addressed is Addressed.CHANNEL else 0)
    return message.is_late or now - message.sent_at > LATE_AFTER + waited


def _in_passing(message: IncomingMessage, facts: Facts) -> Route:
    """Of a message that does not address the bot."""
    if message.addressed is Addressed.THREAD:
        return _in_thread(message, facts)
    settings = facts.settings
    if settings.answers == "mentions" or settings.is_quiet(facts.now) or not is_question(message.text):
        return Route.IGNORE
    return Route.WAIT if settings.answers == "unanswered" else Route.ANSWER


def _in_thread(message: IncomingMessage, facts: Facts) -> Route:
    """A reply where the bot takes part: the asker goes on asking, support staff may say what is right, others talk."""
    if not facts.past:
        return Route.IGNORE
    is_askers = message.author.id in {exchange.asked_by for exchange in facts.past}
    if not is_askers and facts.role in (Role.SUPPORT, Role.ADMIN) and not is_question(message.text):
        return Route.OFFER_CAPTURE
    if facts.is_escalated:
        return Route.IGNORE
    return Route.ANSWER if is_askers or is_question(message.text) else Route.IGNORE
