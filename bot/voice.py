"""The style guide: the fixed frames that answers and notices are put in, and examples (pure, but for reading the file).

Three optional headings are for training. `## Examples` holds what a good wording is, in blocks with a blank line between:

    Question: How many days of leave do I get?
    Quote: Full-time employees get 27 days of annual leave.
    Wording: You get 27 days a year. Enjoy them!

(a block may have several quotes, and a line that begins with none of these words goes on with the one before it);
`## Phrases` holds sentences without facts that every answer may say, one a line; `## Checks` what a judge looks for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.errors import SettingsInvalid

BUILT_IN = Path(__file__).with_name("voice.md")
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_HEADING = re.compile(r"^##\s+(.+?)\s*$", re.MULTILINE)
FOR_TRAINING = ("examples", "phrases", "checks")
_FIELD = re.compile(r"(?:[-*]\s+)?(?:\*\*)?(question|quote|wording)(?:\*\*)?:(?:\*\*)?\s*(.*)", re.IGNORECASE)
_EXAMPLE = "write `Question: ...`, `Quote: ...` and `Wording: ...`, one a line, with a blank line after each example"


@dataclass(frozen=True)
class VoiceExample:
    """A question, quotes that answer it, and how the company would word them."""

    question: str
    quotes: Sequence[str]
    wording: str


@dataclass(frozen=True)
class Voice:
    """One frame per field, empty ones are left out; `style` is the introduction, which goes to the language model.

    `examples`, `phrases` and `checks` are for training; the built-in guide has none.
    """

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
    examples: Sequence[VoiceExample] = ()
    phrases: Sequence[str] = ()
    checks: str = ""


def read_voice(path: Path | None) -> Voice:
    """The style guide at `path`, frames that it lacks taken from the built-in one. Raises SettingsInvalid."""
    built_in = _frames(BUILT_IN.read_text())
    if path is None:
        return Voice(**built_in, examples=(), phrases=(), checks="")
    try:
        own = _frames(path.expanduser().read_text())
    except (OSError, UnicodeDecodeError) as err:
        raise SettingsInvalid(f"The style guide {path} (TIMBRE_ANSWER__VOICE) cannot be read: {err}.") from err
    unknown = sorted(set(own) - {*built_in, *FOR_TRAINING})
    if unknown:
        names = ", ".join(name.replace("_", " ") for name in (*built_in, *FOR_TRAINING))
        raise SettingsInvalid(f"The style guide {path} has the unknown heading {unknown[0]!r}; known are: {names}.")
    examples, phrases, checks = (own.pop(name, "") for name in FOR_TRAINING)
    return Voice(**{**built_in, **own}, examples=_examples(path, examples), phrases=_lines(phrases), checks=checks)


def _frames(text: str) -> dict[str, str]:
    pieces = _HEADING.split(_COMMENT.sub("", text))
    names = [re.sub(r"[\s-]+", "_", name.lower()) for name in pieces[1::2]]
    frames = dict(zip(names, (piece.strip() for piece in pieces[2::2]), strict=True))
    return {"style": re.sub(r"^#\s.*\n", "", pieces[0].lstrip()).strip(), **frames}


def _examples(path: Path, text: str) -> list[VoiceExample]:
    return [_example(path, block) for block in re.split(r"\n\s*\n", text) if block.strip()]


def _example(path: Path, block: str) -> VoiceExample:
    fields: list[tuple[str, str]] = []
    for line in block.strip().splitlines():
        found = _FIELD.match(line.strip())
        if found:
            fields.append((found[1].lower(), found[2].strip()))
        elif fields:
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line.strip()}".strip())
    values = {name: [value for key, value in fields if key == name and value] for name in ("question", "quote", "wording")}
    if [len(values["question"]), len(values["wording"])] != [1, 1] or not values["quote"]:
        start = block.strip().splitlines()[0]
        raise SettingsInvalid(f"The style guide {path} has an example that cannot be read, from {start!r} on: {_EXAMPLE}.")
    return VoiceExample(values["question"][0], values["quote"], values["wording"][0])


def _lines(text: str) -> list[str]:
    return [line.strip().removeprefix("- ").strip() for line in text.splitlines() if line.strip()]
