"""Collects headings and blocks in reading order into a ParsedDocument. Every parser writes into one of these."""

import re
from collections.abc import Sequence

import regex

from knowledge.documents import Block, BlockKind, ParsedDocument, Section

_SPACES = re.compile(r"\s+")
_NOT_SLUG = regex.compile(r"[^\p{L}\p{N}\p{M}_\- ]+")
LEAD_IN_MAX_CHARS = 300  # a longer paragraph before a list is text of its own, not its lead-in


def collapse(text: str) -> str:
    """The text on one line, without surplus white space and without characters that no database stores."""
    cleaned = text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return _SPACES.sub(" ", cleaned).strip()


def slug(heading: str) -> str:
    """GitHub's anchor for a heading: lower case, punctuation dropped, spaces as hyphens."""
    return _NOT_SLUG.sub("", heading.strip().lower()).replace(" ", "-")


class Outline:
    """Builds a document from events in reading order."""

    def __init__(self) -> None:
        self.title = ""
        self._path: list[tuple[int, str]] = []
        self._anchor = ""
        self._anchors: dict[str, int] = {}
        self._blocks: list[Block] = []
        self._sections: list[Section] = []
        self._lead_ins: list[str] = [""]

    def heading(self, level: int, text: str, anchor: str | None = None) -> None:
        """A heading. The first one of level 1 becomes the title when the document has none."""
        text = collapse(text)
        if not text:
            return
        self._close_section()
        self._anchor = self._unique(slug(text)) if anchor is None else anchor
        if level == 1 and not self._path and not self._sections and (not self.title or self.title == text):
            self.title = text
            return
        self._path = [entry for entry in self._path if entry[0] < level] + [(level, text)]

    def page(self, anchor: str) -> None:
        """A new page of the same section: what follows is cited by this anchor."""
        self._close_section()
        self._anchor = anchor

    def paragraph(self, text: str) -> None:
        text = collapse(text)
        if text:
            self._blocks.append(Block("paragraph", text))
            self._lead_ins = [text if len(text) <= LEAD_IN_MAX_CHARS else ""]

    def item(self, text: str, depth: int = 1) -> None:
        """A list item; `depth` counts from 1. Its lead-in is the paragraph or the item that it hangs from."""
        text = collapse(text)
        if text:
            self._blocks.append(Block("item", text, self._lead_in_of(depth)))
            self._lead_ins = [*self._lead_ins[:depth], text]

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; each row becomes "Header: cell; Header: cell"."""
        names = [collapse(name) for name in header]
        for row in rows:
            cells = [collapse(cell) for cell in row]
            self._add("row", "; ".join(_label(names, i, cell) for i, cell in enumerate(cells) if cell))

    def code(self, text: str) -> None:
        cleaned = text.replace("\x00", "").strip("\n")
        if cleaned.strip():
            self._blocks.append(Block("code", cleaned, self._lead_in_of(1)))

    def finish(self, fallback_title: str, keywords: Sequence[str] = ()) -> ParsedDocument:
        self._close_section()
        words = tuple(word for keyword in keywords if (word := collapse(keyword)))
        return ParsedDocument(collapse(self.title) or collapse(fallback_title), tuple(self._sections), words)

    def _add(self, kind: BlockKind, text: str) -> None:
        if text:
            self._blocks.append(Block(kind, text, self._lead_in_of(1)))

    def _lead_in_of(self, depth: int) -> str:
        lead_in = self._lead_ins[min(depth, len(self._lead_ins)) - 1]
        return lead_in if depth > 1 or lead_in.endswith(":") else ""

    def _close_section(self) -> None:
        if self._blocks:
            path = tuple(text for _, text in self._path)
            self._sections.append(Section(path, self._anchor, tuple(self._blocks)))
        self._blocks = []
        self._lead_ins = [""]

    def _unique(self, anchor: str) -> str:
        unique = anchor
        while unique in self._anchors:
            unique = f"{anchor}-{self._anchors[anchor]}"
            self._anchors[anchor] += 1
        self._anchors[unique] = 1
        return unique


def _label(names: Sequence[str], column: int, cell: str) -> str:
    name = names[column] if column < len(names) else ""
    return f"{name}: {cell}" if name else cell
