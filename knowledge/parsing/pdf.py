"""PDF files to a document: headings from font sizes, tables, page numbers as anchors; no running headers or footers."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect
from pdfplumber.page import Page

from knowledge.documents import ParsedDocument
from knowledge.errors import ParseFailed
from knowledge.parsing.outline import Outline, collapse

MAX_PAGES = 2000
HEADING_RATIO = 1.12  # a line this much larger than the body text is a heading
MAX_HEADING_CHARS = 120
PARAGRAPH_GAP = 0.6  # of the font size: a wider gap between lines starts a new paragraph
RUNNING_SHARE = 0.5  # a line on more than this share of the pages is a running header or footer
_ITEM = re.compile(r"^(?:[•▪◦‣·–*-]|\(?\d{1,2}[.)])\s+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class _Line:
    text: str
    size: float
    top: float
    bottom: float


_Table: TypeAlias = list[list[str]]


@dataclass(frozen=True)
class _PageText:
    number: int
    content: list[_Line | _Table]


def parse_pdf(data: bytes, fallback_title: str) -> ParsedDocument:
    """The document in `data`. Raises ParseFailed for an encrypted, broken or image-only file."""
    try:
        declared, pages = _read_pages(data)
    except MemoryError:
        raise
    except Exception as err:  # pdfminer stumbles over broken files anywhere, with any exception (found by fuzzing)
        raise _failure(err) from err
    pages = _without_running_lines(pages)
    if not any(page.content for page in pages):
        raise ParseFailed("The PDF holds no text (scanned pages?); run text recognition on it first.")
    return _outline(pages, collapse(declared)).finish(fallback_title)


def _read_pages(data: bytes) -> tuple[str, list[_PageText]]:
    """(declared title, pages)"""
    with pdfplumber.open(io.BytesIO(data)) as pdf:
        pages = [_read(page) for page in pdf.pages[:MAX_PAGES]]
        return str((pdf.metadata or {}).get("Title") or ""), pages


def _failure(err: Exception) -> ParseFailed:
    cause = err.args[0] if err.args else err
    if isinstance(cause, PDFPasswordIncorrect) or isinstance(err, PDFPasswordIncorrect):
        return ParseFailed("The file is encrypted; remove its password.")
    if isinstance(cause, MemoryError):
        return ParseFailed("The file needs more memory than parsing allows; make it smaller or split it.")
    return ParseFailed("The file is broken or is no PDF; open and save it again.")


def _read(page: Page) -> _PageText:
    tables = page.find_tables()
    content: list[tuple[float, _Line | _Table]] = [
        (table.bbox[1], [[cell or "" for cell in row] for row in table.extract()]) for table in tables
    ]
    boxes = [table.bbox for table in tables]
    content += [(line.top, line) for line in _lines(page) if not _inside(line, boxes)]
    page.close()
    return _PageText(page.page_number, [part for _, part in sorted(content, key=lambda entry: entry[0])])


def _lines(page: Page) -> Iterable[_Line]:
    for line in page.extract_text_lines(return_chars=True):
        sizes = Counter(round(char["size"], 1) for char in line["chars"])
        yield _Line(collapse(line["text"]), sizes.most_common(1)[0][0], line["top"], line["bottom"])


def _inside(line: _Line, boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    middle = (line.top + line.bottom) / 2
    return any(top <= middle <= bottom for _, top, _, bottom in boxes)


def _without_running_lines(pages: list[_PageText]) -> list[_PageText]:
    """The first and last two lines of a page go when they stand, digits aside, on most of the pages."""
    seen = Counter(key for page in pages for key in {_key(line) for line in _edges(page)})
    limit = max(2, RUNNING_SHARE * len(pages) + 0.5)

    def is_running(part: _Line | _Table, page: _PageText) -> bool:
        return isinstance(part, _Line) and part in _edges(page) and seen[_key(part)] >= limit

    return [_PageText(p.number, [part for part in p.content if not is_running(part, p)]) for p in pages]


def _edges(page: _PageText) -> list[_Line]:
    lines = [part for part in page.content if isinstance(part, _Line)]
    return lines[:2] + lines[-2:]


def _key(line: _Line) -> str:
    return _DIGITS.sub("#", line.text)


def _outline(pages: list[_PageText], title: str) -> Outline:
    outline = Outline()
    outline.title = title
    sizes = Counter[float]()
    for page in pages:
        for part in page.content:
            if isinstance(part, _Line):
                sizes[part.size] += len(part.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    levels = {size: level for level, size in enumerate(sorted((s for s in sizes if s >= body * HEADING_RATIO), reverse=True), 1)}
    writer = _Writer(outline, levels)
    for page in pages:
        writer.page(page)
    return outline


class _Writer:
    """Joins lines into paragraphs and items, and opens a section per heading and page."""

    def __init__(self, outline: Outline, levels: dict[float, int]) -> None:
        self._outline = outline
        self._levels = levels
        self._waiting: list[_Line] = []

    def page(self, page: _PageText) -> None:
        anchor = f"page={page.number}"
        self._outline.page(anchor)
        for part in page.content:
            if not isinstance(part, _Line):
                self._flush()
                self._outline.table(part[0] if len(part) > 1 else [], part[1:] if len(part) > 1 else part)
            elif part.size in self._levels and len(part.text) <= MAX_HEADING_CHARS:
                self._flush()
                self._outline.heading(self._levels[part.size], part.text, anchor)
            else:
                self._body(part)
        self._flush()

    def _body(self, line: _Line) -> None:
        previous = self._waiting[-1] if self._waiting else None
        if previous and (_ITEM.match(line.text) or line.top - previous.bottom > PARAGRAPH_GAP * line.size):
            self._flush()
        self._waiting.append(line)

    def _flush(self) -> None:
        text = _dehyphenate([line.text for line in self._waiting])
        self._waiting = []
        item = _ITEM.match(text)
        if item:
            self._outline.item(text[item.end() :])
        else:
            self._outline.paragraph(text)


def _dehyphenate(lines: list[str]) -> str:
    return re.sub(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])", "", "\n".join(lines)).replace("\n", " ")
