"""Makes a question self-contained and takes it apart (pure): follow-ups, two-part questions, chat shorthand."""

from collections.abc import Sequence
from typing import TypeAlias

import regex

from bot.conversation import Question
from knowledge.terms import STOP_WORDS, words

Span: TypeAlias = tuple[int, int]
"""(start, end) characters of a text."""

MAX_QUESTION_CHARS = 4000
MAX_HISTORY_CHARS = 600

_QUESTION_WORD = r"(?:how|what|when|where|which|who|whom|whose|why|is|are|do|does|did|can|could|may|must|should|will|would)"
_SECOND_PART = regex.compile(
    rf"(?:,|;|\?)?\s+(?:and|also|plus)\s+(?:if so,?\s+)?(?:(?:for|in|on|at|to|from|by|with|under)\s+)?(?={_QUESTION_WORD}\b)",
    regex.I,
)
_SPACES = regex.compile(r"[ \t]{2,}")
_SHORTHAND = {
    "n": "and", "r": "are", "u": "you", "ur": "your", "w": "with", "b4": "before", "rn": "right now", "pls": "please",
    "plz": "please", "thx": "thanks", "wk": "week", "wks": "weeks", "yr": "year", "yrs": "years", "hrs": "hours",
    "mins": "minutes", "ppl": "people", "wat": "what", "wats": "what is", "hw": "how", "shld": "should", "cld": "could",
    "wld": "would", "cuz": "because", "bc": "because", "abt": "about", "thru": "through", "tho": "though", "rite": "right",
    "every1": "everyone", "some1": "someone", "any1": "anyone", "2day": "today", "2moro": "tomorrow", "tmrw": "tomorrow",
    "gonna": "going to", "wanna": "want to", "gotta": "have to", "lemme": "let me", "dunno": "do not know", "info": "information",
    "lol": "", "lmk": "", "afaik": "", "btw": "", "idk": "", "tbh": "", "nah": "", "hey": "", "hi": "", "hello": "",
}  # fmt: skip
_SHORT_WORD = regex.compile(r"(?<![\w'’/@.#&-])(?:" + "|".join(_SHORTHAND) + r")(?![\w'’/@&-]|\.\w)")
_UNIT = r"(?:day|week|wk|month|year|yr|hour|hr|min|night|people|person|time|euro|dollar|percent|page|copy|copies|item)s?"
_TO_OR_FOR = regex.compile(rf"(?<=\w )([24])(?= (?!(?:\p{{Ll}}+ ){{0,2}}{_UNIT}\b)(?!(?:of|or|and|business|working)\b)\p{{Ll}})")
_NUMBER_SIGN = regex.compile(r"\bthe #(?=\s)")


_ASKS = regex.compile(
    rf"^\W*(?:(?:hi|hello|hey|ok|so|and|but|please|quick question)\b[\s,:!.-]*)*(?:{_QUESTION_WORD}|any(?:one|body)|some(?:one|body)"
    r"|does any|i (?:need|want|would like) to know|i(?:'m| am) (?:looking for|wondering))\b",
    regex.I,
)


def is_question(text: str) -> bool:
    """Whether something said to nobody in particular asks for an answer."""
    return "?" in text or "？" in text or "؟" in text or bool(_ASKS.match(text))


def spelled_out(text: str) -> str:
    """Chat shorthand in full ("n" and, "2 call" to call), since rare letters and digits would outweigh the real words.

    Only whole lower-case words of a fixed list; names, codes and addresses stay as they are.
    """
    text = _TO_OR_FOR.sub(lambda match: {"2": "to", "4": "for"}[match[1]], _NUMBER_SIGN.sub("the number", text))
    return _SPACES.sub(" ", _SHORT_WORD.sub(lambda match: _SHORTHAND[match[0]], text)).strip()


def alone(question: Question) -> str:
    """The query that the question is by itself."""
    return spelled_out(question.text.strip()) or question.text.strip()


def with_previous_turn(question: Question) -> tuple[str, int] | None:
    """The query with the previous user turn in front ("What about part-time?"), and where the question starts in it.

    None without an earlier user turn. The cheapest gain of all: page R@1 of follow-ups .58 -> 1.00 (research/answers.md).
    """
    earlier = [text for turn in question.history if turn.speaker == "user" and (text := spelled_out(turn.text.strip()))]
    if not earlier:
        return None
    context = earlier[-1][:MAX_HISTORY_CHARS]
    return f"{context} {alone(question)}", len(context) + 1


def parts(text: str) -> list[Span]:
    """The questions that a message asks one after the other ("How long ..., and who ...?"); one span for most."""
    cuts = [(match.start(), match.end()) for match in _SECOND_PART.finditer(text)]
    spans = _between(text, cuts)
    whole = all(content_word_count(text[start:end]) >= 2 for start, end in spans)
    return spans if len(spans) > 1 and whole else [(0, len(text))]


def content_word_count(text: str) -> int:
    return sum(word not in STOP_WORDS for word in words(text))


def _between(text: str, cuts: Sequence[Span]) -> list[Span]:
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if text[start:end].strip()]
