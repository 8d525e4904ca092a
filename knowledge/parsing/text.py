"""Plain text to a document: paragraphs at blank lines, list items at the usual marks."""

import re

from knowledge.documents import ParsedDocument
from knowledge.parsing.outline import Outline

_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+(.*)", re.DOTALL)


def parse_text(text: str, fallback_title: str) -> ParsedDocument:
    """The document in `text`; its title is the file's name."""
    outline = Outline()
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        for piece in re.split(r"\n(?=\s*(?:[-*•]|\d+[.)])\s)", paragraph):
            item = _ITEM.match(piece)
            if item:
                outline.item(item[1])
            else:
                outline.paragraph(piece)
    return outline.finish(fallback_title)
