"""Finds the word that was meant among those that would be right (pure)."""

from collections.abc import Collection
from difflib import get_close_matches

from bot.errors import CommandRejected

MAX_LISTED = 12  # right words that a sentence names at most
MAX_NEAR = 3


def nearest(word: str, right: Collection[str], limit: int = MAX_NEAR) -> list[str]:
    """Those of `right` that look like the word, whatever their case, the most likely first; often none."""
    by_lower = {known.lower(): known for known in right}
    return [by_lower[known] for known in get_close_matches(word.lower(), by_lower, limit)]


def right_word(word: str, right: Collection[str], of: str) -> str:
    """The one of `right` that was written, in whatever case.

    Raises CommandRejected with the nearest right words, or all of them; `of` says what they are: "source".
    """
    found = next((known for known in right if known.lower() == word.lower()), None)
    if found is not None:
        return found
    if near := nearest(word, right):
        raise CommandRejected(f"{word!r} is no {of}. Did you mean {listed(near, 'or')}?")
    known = f"Right would be {listed(right, 'or')}." if right else "There is none yet."
    raise CommandRejected(f"{word!r} is no {of}. {known}")


def listed(words: Collection[str], last: str) -> str:
    """`a, b or c`; what is too much is counted."""
    shown = list(words)[:MAX_LISTED]
    shown += [f"{len(words) - MAX_LISTED} more"] if len(words) > MAX_LISTED else []
    return f"{', '.join(shown[:-1])} {last} {shown[-1]}" if len(shown) > 1 else "".join(shown)
