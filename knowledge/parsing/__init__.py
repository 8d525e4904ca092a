"""Files to documents. To add a parser: write `parse_x(data or text, fallback_title)` and name its endings in `PARSERS`."""

from collections.abc import Callable
from pathlib import PurePosixPath

from knowledge.documents import ParsedDocument
from knowledge.errors import ParseFailed

PARSER_VERSION = "2"
"""Raise it when parsing or chunking changes what it yields: every document is then read again at the next ingestion."""


def _decode(data: bytes) -> str:
    """UTF-8 (with or without a mark), UTF-16 with a mark, else Western European."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _markdown(data: bytes, title: str) -> ParsedDocument:
    from knowledge.parsing.markdown import parse_markdown

    return parse_markdown(_decode(data), title)


def _html(data: bytes, title: str) -> ParsedDocument:
    from knowledge.parsing.html import parse_html

    return parse_html(_decode(data), title)


def _text(data: bytes, title: str) -> ParsedDocument:
    from knowledge.parsing.text import parse_text

    return parse_text(_decode(data), title)


def _pdf(data: bytes, title: str) -> ParsedDocument:
    from knowledge.parsing.pdf import parse_pdf

    return parse_pdf(data, title)


def _docx(data: bytes, title: str) -> ParsedDocument:
    from knowledge.parsing.docx import parse_docx

    return parse_docx(data, title)


PARSERS: dict[str, Callable[[bytes, str], ParsedDocument]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".txt": _text,
    ".pdf": _pdf,
    ".docx": _docx,
}


def is_supported(location: str) -> bool:
    return PurePosixPath(location).suffix.lower() in PARSERS


def parse(data: bytes, location: str) -> ParsedDocument:
    """The document in `data`, parsed by the ending of `location`.

    Raises ParseFailed with a reason for a person when the file is broken, encrypted, a bomb or holds no text.
    """
    path = PurePosixPath(location)
    document = PARSERS[path.suffix.lower()](data, path.stem.replace("-", " ").replace("_", " ").strip() or path.name)
    if not document.sections:
        raise ParseFailed("The file holds no text.")
    return document
