"""Finds the word that was meant among those that would be right (pure)."""

from collections.abc import Collection
from difflib import get_close_matches

from bot.errors import CommandRejected

MAX_LISTED = 12  # right words that a sentence names at most


def right_word(word: str, right: Collection[str], of: str) -> str:
    """The one of `right` that was written, in whatever case.

    Raises CommandRejected with the nearest right words, or all of them; `of` says what they belong to: "a role".
    """
    by_lower = {known.lower(): known for known in right}
    if found := by_lower.get(word.lower()):
        return found
    near = [by_lower[known] for known in get_close_matches(word.lower(), by_lower, 3)]
    if near:
        raise CommandRejected(f"{word!r} is no {of}. Did you mean {listed(near, 'or')}?")
    raise CommandRejected(f"{word!r} is no {of}. {_right(list(right), of)}")


def listed(words: Collection[str], last: str) -> str:
    """`a, b or c`; what is too much is counted."""
    shown = list(words)[:MAX_LISTED]
    shown += [f"{len(words) - MAX_LISTED} more"] if len(words) > MAX_LISTED else []
    return f"{', '.join(shown[:-1])} {last} {shown[-1]}" if len(shown) > 1 else "".join(shown)


def _right(right: list[str], of: str) -> str:
    return f"Right would be {listed(right, 'or')}." if right else f"There is no {of} yet."
