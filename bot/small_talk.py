"""Greetings, thanks and questions about the assistant itself (pure): answered from the style guide, never trained on."""

from collections.abc import Sequence

import regex

from bot.voice import Voice

MAX_CHARS = 120  # small talk is short, and the patterns are slow on long runs of spaces
_GREETING = r"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening|day)|greetings|moin|hallo|howdy)"
_FILLER = r"(?:\s*[,!.:;)]*\s*(?:there|all|team|everyone|everybody|folks|timbre|bot|again|a lot|so much|very much|man|mate|:?[\w+]*:)?)*[\s!.?)]*"
_PATTERNS: tuple[tuple[str, regex.Pattern[str]], ...] = (
    ("greeting", regex.compile(rf"^\s*{_GREETING}{_FILLER}(?:how are you(?: doing)?|how's it going|what'?s up)?[\s!.?]*$", regex.I)),
    ("thanks", regex.compile(rf"^\s*(?:ok(?:ay)?|great|perfect|cool|awesome|got it)?[\s,!.]*(?:many )?(?:thanks|thank you|thx|ty|cheers|much appreciated|great|perfect|awesome|got it){_FILLER}$", regex.I)),
    ("who", regex.compile(rf"^\s*(?:{_GREETING}[\s,!.]*)?(?:who|what) (?:are|r) (?:you|u)(?: exactly)?[\s?!.]*$|^\s*are you (?:a |an )?(?:bot|robot|human|ai|real|person|program).{{0,20}}$|^\s*what(?:'s| is) your name[\s?!.]*$", regex.I)),
    ("what", regex.compile(rf"^\s*(?:{_GREETING}[\s,!.]*)?(?:what (?:can|do) (?:you|u) do(?: for me)?|how (?:can|could) you help(?: me)?|what (?:can|could|should) i ask(?: you)?|how do(?:es)? (?:you|this|it) work|help)[\s?!.]*$", regex.I)),
)  # fmt: skip


def kind_of(text: str) -> str | None:
    """greeting, thanks, who or what; None for anything that may be a question to the documents."""
    if len(text) > MAX_CHARS:
        return None
    return next((kind for kind, pattern in _PATTERNS if pattern.match(text)), None)


def reply(kind: str, voice: Voice, suggestions: Sequence[str]) -> str:
    """The frame for this kind, with the questions to suggest as a list."""
    frame: str = getattr(voice, kind)
    return frame.replace("{questions}", "\n".join(f"- {question}" for question in suggestions)).strip()


def candidate_questions(headings: Sequence[tuple[str, str]]) -> list[str]:
    """Questions that the documents may answer, made of (title, heading): headings that ask come first, one per page."""
    asking = [heading for _, heading in headings if heading.endswith("?")]
    first = {title: heading for title, heading in reversed(headings) if heading and not heading.endswith("?")}
    made = [f"What should I know about {_lower(heading)} ({title})?" for title, heading in first.items()]
    return list(dict.fromkeys([*asking, *made]))


def _lower(heading: str) -> str:
    return heading if heading[:2].isupper() else heading[:1].lower() + heading[1:]
