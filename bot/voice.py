"""The style guide: the fixed frames that answers and notices are put in (pure, but for reading the file)."""

import re
from dataclasses import dataclass
from pathlib import Path

from bot.errors import SettingsInvalid

BUILT_IN = Path(__file__).with_name("voice.md")
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_HEADING = re.compile(r"^##\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Voice:
    """One frame per field, empty ones are left out; `style` is the introduction, which goes to the language model."""

    style: str
    opening: str
    lead_in: str
    closing: str
    not_sure: str
    pages: str
    ask: str
    unknown: str
    off_limits: str
    greeting: str
    thanks: str
    who: str
    what: str


def read_voice(path: Path | None) -> Voice:
    """The style guide at `path`, frames that it lacks taken from the built-in one. Raises SettingsInvalid."""
    built_in = _frames(BUILT_IN.read_text())
    if path is None:
        return Voice(**built_in)
    try:
        own = _frames(path.expanduser().read_text())
    except (OSError, UnicodeDecodeError) as err:
        raise SettingsInvalid(f"The style guide {path} (TIMBRE_ANSWER__VOICE) cannot be read: {err}.") from err
    unknown = sorted(set(own) - set(built_in))
    if unknown:
        names = ", ".join(name.replace("_", " ") for name in built_in)
        raise SettingsInvalid(f"The style guide {path} has the unknown heading {unknown[0]!r}; known are: {names}.")
    return Voice(**{**built_in, **own})


def _frames(text: str) -> dict[str, str]:
    pieces = _HEADING.split(_COMMENT.sub("", text))
    names = [re.sub(r"[\s-]+", "_", name.lower()) for name in pieces[1::2]]
    frames = dict(zip(names, (piece.strip() for piece in pieces[2::2]), strict=True))
    return {"style": re.sub(r"^#\s.*\n", "", pieces[0].lstrip()).strip(), **frames}
