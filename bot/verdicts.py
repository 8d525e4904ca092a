"""What clicks and reactions on an answer do: record a verdict, ask why, take it back. The later verdict of a person wins."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import regex

from bot.conversation import ExchangeId, Feedback, Verdict
from bot.errors import CommandRejected
from bot.feedback import FeedbackService, cleaned_correction
from bot.messages import Button, Choice, Control, FieldErrors, Form, Notice, Person, Place, Response, Submission, TextInput
from bot.review import ReviewQueue
from bot.storage.exchanges import StoredExchange
from bot.visibility import MaySee

logger = logging.getLogger(__name__)

LEAK = "should_not_be_shown"
REASONS = (
    ("wrong", "It is wrong"),
    ("outdated", "It is outdated"),
    ("incomplete", "Something is missing"),
    ("tone", "The tone is wrong"),
    (LEAK, "It should not have been shown"),
)
_THANKS = Notice("Thank you!")
_VARIANT = regex.compile(r"::skin-tone-\d|[\U0001F3FB-\U0001F3FF\uFE0F]|^:|:$")
"""What tells variants of an emoji apart, as a platform names them (`:+1::skin-tone-3:`) or as characters."""


class Verdicts:
    """Verdicts of people on platforms. `is_staff` says whether a person is support or above in their workspace."""

    def __init__(
        self,
        feedback: FeedbackService,
        review: ReviewQueue,
        is_staff: Callable[[Person], bool],
        may_see: MaySee,
        emoji: Mapping[str, Verdict],
    ) -> None:
        self._feedback = feedback
        self._review = review
        self._is_staff = is_staff
        self._may_see = may_see
        self._emoji = emoji

    async def rate(self, exchange_id: ExchangeId, verdict: Verdict, person: Person, place: Place) -> Response:
        """Records the verdict at once; for "not helpful" the form that asks why, with what the person said before.

        `place` is where they clicked. Raises CommandRejected when they may not rate it.
        """
        await self._visible(exchange_id, person, place)
        if verdict is Verdict.HELPFUL:
            await self._feedback.record(Feedback(exchange_id, verdict, person.id))
            return _THANKS
        feedback = await self._not_helpful(exchange_id, person)
        return _form(feedback, await asyncio.to_thread(self._is_staff, person))

    async def submit(self, submission: Submission) -> Response:
        """Records why it was not helpful. What support staff say would have been right is approved at once, what others say
        waits for them. Raises CommandRejected.
        """
        person, values = submission.person, submission.values
        exchange = await self._visible(ExchangeId(submission.subject), person, submission.place)
        reason, comment, correction = (values.get(name, "").strip() for name in ("reason", "comment", "correction"))
        if errors := _errors(reason, correction):
            return FieldErrors(errors)
        await self._feedback.record(Feedback(exchange.id, Verdict.NOT_HELPFUL, person.id, reason, comment, correction))
        if reason == LEAK:
            logger.warning("exchange %s: a reader says that it should not have been shown", exchange.id)
        if not correction:
            return Notice("Thank you! Your words help to make the next answer better.")
        is_staff = await asyncio.to_thread(self._is_staff, person)
        await self._review.propose(exchange.id, correction, person, approve_at_once=is_staff)
        return Notice("Thank you! " + ("From now on your answer is given." if is_staff else "Support will look at your answer."))

    async def react(self, exchange_id: ExchangeId, emoji: str, is_added: bool, person: Person, place: Place) -> Response:
        """A reaction is a verdict, and taking it away takes the verdict back; other emoji, and those that may not, do nothing."""
        verdict = self._emoji.get(plain_emoji(emoji))
        if verdict is None:
            return None
        try:
            await self._visible(exchange_id, person, place)
        except CommandRejected:
            return None  # people react to everything; who presses no button asks for no explanation
        if not is_added:
            await self._feedback.take_back(exchange_id, verdict, person.id)
            return None
        if verdict is Verdict.HELPFUL:
            await self._feedback.record(Feedback(exchange_id, verdict, person.id))
            return None
        await self._not_helpful(exchange_id, person)
        return Notice("Thank you for telling me.", [Button(Control.NOT_HELPFUL, exchange_id, "Say why")])

    async def _not_helpful(self, exchange_id: ExchangeId, person: Person) -> Feedback:
        """The person's verdict, recorded unless it is theirs already: a second click does not wipe out their reason."""
        earlier = await self._feedback.given_by(person.id, exchange_id)
        if earlier and earlier.verdict is Verdict.NOT_HELPFUL:
            return earlier
        feedback = Feedback(exchange_id, Verdict.NOT_HELPFUL, person.id)
        await self._feedback.record(feedback)
        return feedback

    async def _visible(self, exchange_id: ExchangeId, person: Person, place: Place) -> StoredExchange:
        """The exchange. Raises CommandRejected when it cannot be rated, or not by this person."""
        exchange = await self._feedback.rateable(exchange_id)
        if not await asyncio.to_thread(self._may_see, exchange, person, place):
            raise CommandRejected("Only members who can see an answer may say what they think of it.")
        return exchange


def emoji_verdicts(helpful: str, not_helpful: str) -> Mapping[str, Verdict]:
    """The verdict that each emoji stands for, from the settings: names or characters with spaces between (pure)."""
    return {
        plain_emoji(emoji): verdict
        for verdict, listed in ((Verdict.HELPFUL, helpful), (Verdict.NOT_HELPFUL, not_helpful))
        for emoji in listed.split()
    }


def plain_emoji(emoji: str) -> str:
    """The emoji without its skin tone, and without the colons around a name (pure)."""
    return _VARIANT.sub("", emoji)


def _errors(reason: str, correction: str) -> dict[str, str]:
    if reason not in dict(REASONS):
        return {"reason": "Please choose what is wrong with it."}
    try:
        if correction:
            cleaned_correction(correction)
    except CommandRejected as err:
        return {"correction": str(err)}
    return {}


def _form(feedback: Feedback, is_staff: bool) -> Form:
    fields: list[Choice | TextInput] = [
        Choice("reason", "What is wrong?", REASONS, feedback.reason),
        TextInput("comment", "What else should we know?", feedback.comment),
    ]
    if is_staff:
        hint = "It is approved as soon as you send it, and the next person who asks gets it."
        fields.append(TextInput("correction", "The right answer", feedback.correction, hint=hint))
    return Form(Control.NOT_HELPFUL, feedback.exchange_id, "What is wrong?", fields)
