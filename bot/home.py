"""The start page of a person, made for their role, and what opens their direct conversation with the bot."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime

import regex

from bot.conversation import Outcome, PastExchange
from bot.escalations import Escalations, in_words, resolved_button, waited
from bot.links import without_links
from bot.messages import Button, Control, Greeting, Home, Item, Person, PersonId, Section
from bot.people import Role
from bot.ports import NameOf
from bot.responding import NOT_A_MEMBER
from bot.review import ReviewQueue, decision_buttons
from bot.storage.escalations import Escalation
from bot.storage.exchanges import ExchangeStore
from bot.storage.review import Correction
from bot.voice import Voice
from knowledge.documents import Audience

PROMPTS = 4
LAST_QUESTIONS = 5
LISTED = 10  # corrections, and questions for people
MAX_QUESTION_CHARS = 200
MAX_ANSWER_CHARS = 1000  # of a correction; its form shows it whole
MAX_SUBJECT_CHARS = 80  # of a button

HOW_TO_ASK = (
    "Mention me in a channel, or write to me directly. In a thread I remember what was said before.",
    "`/ask` answers for your eyes only.",
    "Tell me whether an answer helped; if it did not, say why, and the next one is better.",
)
_OUTCOMES = {
    Outcome.ANSWERED: "answered",
    Outcome.CLOSEST: "pages that may help",
    Outcome.UNKNOWN: "no answer found",
    Outcome.ERROR: "failed",
}
_QUESTIONS = "{questions}"
_INTRODUCTION = regex.compile(r"[^.!?\n]*:\s*$")
"""The words at the end of a greeting that introduce its questions."""

Suggest = Callable[[Audience, int], Awaitable[Sequence[str]]]


class HomePages:
    """Makes start pages and greetings.

    `suggest` gives so many questions at most that an audience may ask, `groups_of` what a person may read, `state` lines for
    admins on how Timbre is.
    """

    def __init__(
        self,
        suggest: Suggest,
        exchanges: ExchangeStore,
        review: ReviewQueue,
        escalations: Escalations,
        voice: Voice,
        groups_of: Callable[[PersonId], Audience],
        state: Callable[[], Awaitable[Sequence[str]]],
        name_of: NameOf,
    ) -> None:
        self._suggest = suggest
        self._exchanges = exchanges
        self._review = review
        self._escalations = escalations
        self._voice = voice
        self._groups_of = groups_of
        self._state = state
        self._name_of = name_of

    async def home(self, person: Person, role: Role | None) -> Home:
        """What the person may see and do; sections without an entry are left out, but not those that wait for staff."""
        if role is None:
            return Home([Section("Welcome", [Item(NOT_A_MEMBER)])])
        now = datetime.now(UTC)
        sections = [
            Section("How to ask", [Item(line) for line in HOW_TO_ASK]),
            Section("You could ask", [_suggestion(question) for question in await self._suggestions(person)]),
            await self.mine(person),
        ]
        sections = [section for section in sections if section.items]
        if role.includes(Role.SUPPORT):
            sections += [await self._corrections(person.workspace, now), await self._open_questions(person.workspace, now)]
        if role.includes(Role.ADMIN):
            sections.append(Section("State", [Item(line) for line in await self._state()]))
        return Home(sections)

    async def mine(self, person: Person) -> Section:
        """The person's last questions, with what became of them."""
        past = await asyncio.to_thread(self._exchanges.asked_by, person.id, LAST_QUESTIONS)
        return Section("Your last questions", [_past(exchange, datetime.now(UTC)) for exchange in past])

    async def queue(self, person: Person) -> Section:
        """What waits for support staff of the person's workspace: corrections first, then questions."""
        now, workspace = datetime.now(UTC), person.workspace
        sections = [await self._corrections(workspace, now), await self._open_questions(workspace, now)]
        items = [item for section in sections for item in section.items if item.buttons]
        return Section("What waits for support", items or [Item("Nothing waits.")])

    async def greeting(self, person: Person) -> Greeting:
        """The greeting of the style guide, with questions to begin with."""
        if not person.is_member:
            return Greeting(NOT_A_MEMBER, [])
        prompts = await self._suggestions(person)
        return Greeting(greeting_text(self._voice, bool(prompts)), prompts)

    async def _suggestions(self, person: Person) -> Sequence[str]:
        return await self._suggest(await asyncio.to_thread(self._groups_of, person.id), PROMPTS)

    async def _corrections(self, workspace: str, now: datetime) -> Section:
        waiting = await self._review.waiting(workspace)
        items = [_correction(c, await self._name_of(c.proposed_by), now) for c in waiting[:LISTED]]
        return Section("Corrections to review", _listed(items, len(waiting), "No correction waits."))

    async def _open_questions(self, workspace: str, now: datetime) -> Section:
        waiting = await self._escalations.open(workspace)
        items = [_escalation(e, await self._name_of(e.asked_by), now) for e in waiting[:LISTED]]
        return Section("Questions for people", _listed(items, len(waiting), "Nobody waits for a person."))


def greeting_text(voice: Voice, has_prompts: bool) -> str:
    """The greeting without its list of questions, which are shown as prompts (pure)."""
    before, _, after = voice.greeting.partition(_QUESTIONS)
    before = before if has_prompts else _INTRODUCTION.sub("", before)
    return f"{before.rstrip()}\n{after.strip()}".strip()


def clipped(text: str, max_chars: int) -> str:
    """The text in one line, without addresses, cut where it is too long (pure)."""
    line = " ".join(without_links(text).split())
    return line if len(line) <= max_chars else f"{line[: max_chars - 1].rstrip()}…"


def _suggestion(question: str) -> Item:
    is_short = len(question) <= MAX_SUBJECT_CHARS
    return Item(without_links(question), [Button(Control.ASK, question, "Ask")] if is_short else [])


def _past(exchange: PastExchange, now: datetime) -> Item:
    question, age = clipped(exchange.question, MAX_QUESTION_CHARS), in_words(now - exchange.asked_at)
    return Item(f"{question}\n*{_OUTCOMES[exchange.outcome]}, {age} ago*")


def _correction(correction: Correction, name: str, now: datetime) -> Item:
    question, answer = clipped(correction.question, MAX_QUESTION_CHARS), clipped(correction.text, MAX_ANSWER_CHARS)
    age = in_words(now - correction.proposed_at)
    buttons = decision_buttons(correction.id)
    return Item(f"**{question}**\n> {answer}\n*{clipped(name, MAX_QUESTION_CHARS)}, {age} ago*", buttons)


def _escalation(escalation: Escalation, name: str, now: datetime) -> Item:
    question, age = clipped(escalation.question, MAX_QUESTION_CHARS), waited(escalation, now)
    return Item(f"**{question}**\n*{clipped(name, MAX_QUESTION_CHARS)} has waited for {age}*", [resolved_button(escalation)])


def _listed(items: Iterable[Item], count: int, empty: str) -> Sequence[Item]:
    more = [Item(f"And {count - LISTED} more.")] if count > LISTED else []
    return [*items, *more] or [Item(empty)]
