"""What every platform needs done to Markdown: splitting, shortening, making plain (pure). Knows nothing of any platform.

What makes mentions and other syntax of a platform plain is the business of its own `rendering`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MIN_LIMIT = 100
"""Characters that a part may have at least: below that there is no room for the fences around code."""

_FENCE = re.compile(r"^\s*(?P<mark>`{3,16}|~{3,16})[^`~]*$")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_ENTITY_CUT = re.compile(r"&#?\w{0,8}$")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^\s()]*(?:\([^\s()]*\)[^\s()]*)*\)")
_CODE = re.compile(r"(`{1,3})([^`]+)\1")
_EMPHASIS = re.compile(
    r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]+)(?<=\S)\1(?!\w)|(?<!\w)(_{1,3})(?=\S)([^_\n]+)(?<=\S)\3(?!\w)|(~~)(?=\S)([^~\n]+)~~"
)
_NESTED_EMPHASES = 3
_LINE_START = re.compile(r"^([ \t]*)(?:#{1,6}[ \t]+|>[ \t]?)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A paragraph, or fenced code with its fences; `opening` is the line that opens the code, empty for a paragraph."""

    text: str
    opening: str = ""

    @property
    def code(self) -> str:
        """The lines between the fences."""
        lines = self.text.split("\n")
        return "\n".join(lines[1:-1] if _closes(lines[-1], self.opening) and len(lines) > 1 else lines[1:])


def blocks(text: str) -> list[Block]:
    """The paragraphs and the fenced code of a text in their order, without the blank lines between them."""
    return list(_blocks(text))


def split(text: str, limit: int) -> list[str]:
    """The text in parts of at most `limit` characters (100 or more), cut between paragraphs where that is possible.

    Then between lines, sentences and words. Code that is cut is closed in one part and opened again in the next. Empty text
    has no parts.
    """
    assert limit >= MIN_LIMIT
    parts: list[str] = []
    for piece in (piece.rstrip() for block in _blocks(text) for piece in _pieces(block, limit)):
        if parts and len(parts[-1]) + 2 + len(piece) <= limit:
            parts[-1] += "\n\n" + piece
        else:
            parts.append(piece)
    return parts


def shortened(text: str, limit: int) -> str:
    """The text on one line; one that is longer than `limit` characters is cut after a word, with … for the rest."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:.") + "…"


def plain(text: str) -> str:
    """The words of a Markdown text: labels without addresses, no emphasis, no fences. Marks like [1] stay."""
    return "\n\n".join(block.code if block.opening else _plain_paragraph(block.text) for block in _blocks(text))


def _plain_paragraph(text: str) -> str:
    text = _CODE.sub(r"\2", _LINK.sub(r"\1", _LINE_START.sub(r"\1", text)))
    for _ in range(_NESTED_EMPHASES):
        text = _EMPHASIS.sub(lambda found: found[2] or found[4] or found[6], text)
    return text


def _blocks(text: str) -> Iterator[Block]:
    lines: list[str] = []
    opening = ""
    for line in text.split("\n"):
        if opening:
            lines.append(line)
            if _closes(line, opening):
                yield Block("\n".join(lines), opening)
                lines, opening = [], ""
        elif _FENCE.match(line):
            yield from _paragraph(lines)
            lines, opening = [line], line
        elif line.strip():
            lines.append(line)
        else:
            yield from _paragraph(lines)
            lines = []
    yield from [Block("\n".join([*lines, _mark(opening)]), opening)] if opening else _paragraph(lines)


def _paragraph(lines: Sequence[str]) -> Iterator[Block]:
    if lines:
        yield Block("\n".join(lines).rstrip())


def _mark(opening: str) -> str:
    match = _FENCE.match(opening)
    return match["mark"] if match else ""


def _closes(line: str, opening: str) -> bool:
    mark = _mark(opening)
    line = line.strip()
    return bool(mark) and line.startswith(mark) and not line.strip(mark[0])


def _pieces(block: Block, limit: int) -> Iterator[str]:
    if len(block.text) <= limit:
        yield block.text
    elif not block.opening:
        yield from _packed(block.text.split("\n"), "\n", limit)
    else:
        opening = block.opening if len(block.opening) <= limit // 2 else _mark(block.opening)
        closing = "\n" + _mark(block.opening)
        for code in _packed(block.code.split("\n"), "\n", limit - len(opening) - 1 - len(closing)):
            yield f"{opening}\n{code}{closing}"


def _packed(parts: Sequence[str], separator: str, limit: int) -> Iterator[str]:
    """The parts joined to pieces as long as fit; a part that is too long by itself is cut finer."""
    packed: str | None = None
    for part in (finer for whole in parts for finer in _finer(whole, separator, limit)):
        if packed is not None and len(packed) + len(separator) + len(part) <= limit:
            packed += separator + part
            continue
        if packed and packed.strip():
            yield packed
        packed = part
    if packed and packed.strip():
        yield packed


def _finer(part: str, separator: str, limit: int) -> Iterator[str]:
    if len(part) <= limit:
        yield part
    elif separator == "\n":
        yield from _packed(_SENTENCE_END.split(part), " ", limit)
    else:
        yield from _words(part, limit)


def _words(text: str, limit: int) -> Iterator[str]:
    while len(text) > limit:
        cut = text[: limit + 1].rfind(" ")
        if cut <= 0:
            cut = limit - len(entity[0]) if (entity := _ENTITY_CUT.search(text[:limit])) else limit
        yield text[:cut]
        text = text[cut:].lstrip(" ")
    if text:
        yield text
