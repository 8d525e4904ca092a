"""Word documents (.docx) to a document: heading styles, lists, tables, bookmarks as anchors."""

import io
import re
from collections.abc import Callable
from functools import partial
from typing import TypeAlias
from zipfile import BadZipFile, ZipFile

import docx
from docx.table import Table
from docx.text.paragraph import Paragraph

from knowledge.documents import ParsedDocument
from knowledge.errors import ParseFailed
from knowledge.parsing.outline import Outline

MAX_UNPACKED_BYTES = 200 * 2**20  # a .docx is a zip file; more than this unpacked is a zip bomb
MAX_RATIO = 100  # unpacked to packed; ordinary documents stay below 20
OLE_MAGIC = b"\xd0\xcf\x11\xe0"  # an encrypted .docx is an OLE file, not a zip file
_HEADING = re.compile(r"Heading (\d)")
_Event: TypeAlias = Callable[[Outline], None]


def parse_docx(data: bytes, fallback_title: str) -> ParsedDocument:
    """The document in `data`.

    Raises ParseFailed for a zip bomb, an encrypted or a broken file.
    """
    refuse_bombs(data)
    try:
        title, events = _read(data)
    except MemoryError:
        raise
    except Exception as err:  # python-docx and lxml stumble over broken files anywhere, with any exception (found by fuzzing)
        raise ParseFailed("The file is broken or is no Word document; open and save it again.") from err
    outline = Outline()
    for tell in events:
        tell(outline)
    return outline.finish(title or fallback_title)


def refuse_bombs(data: bytes) -> None:
    """Raises ParseFailed when `data` is no zip file or would unpack to an unreasonable size."""
    if data.startswith(OLE_MAGIC):
        raise ParseFailed("The file is encrypted; remove its password.")
    try:
        entries = ZipFile(io.BytesIO(data)).infolist()
    except (BadZipFile, NotImplementedError, ValueError) as err:  # a version from the future, names that are no text
        raise ParseFailed("The file is broken or is no Word document; open and save it again.") from err
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED_BYTES or unpacked > MAX_RATIO * max(len(data), 1):
        raise ParseFailed(f"The file would unpack to {unpacked / 2**20:.0f} MiB (zip bomb?); it was not opened.")


def _read(data: bytes) -> tuple[str, list[_Event]]:
    """(declared title, what to tell an outline)"""
    document = docx.Document(io.BytesIO(data))
    events = [_table(e) if isinstance(e, Table) else _paragraph(e) for e in document.iter_inner_content()]
    return document.core_properties.title or "", events


def _paragraph(paragraph: Paragraph) -> _Event:
    style = (paragraph.style.name if paragraph.style else "") or ""
    heading = _HEADING.fullmatch(style)
    if style == "Title":
        return partial(Outline.heading, level=1, text=paragraph.text, anchor=_bookmark(paragraph) or "")
    if heading:
        return partial(Outline.heading, level=int(heading[1]) + 1, text=paragraph.text, anchor=_bookmark(paragraph))
    if style.startswith("List") or _is_numbered(paragraph):
        return partial(Outline.item, text=paragraph.text, depth=_list_depth(paragraph, style))
    return partial(Outline.paragraph, text=paragraph.text)


def _is_numbered(paragraph: Paragraph) -> bool:
    properties = paragraph._p.pPr
    return properties is not None and properties.numPr is not None


def _list_depth(paragraph: Paragraph, style: str) -> int:
    if style[-1:].isdigit():
        return int(style[-1])
    properties = paragraph._p.pPr
    level = properties.numPr.ilvl if properties is not None and properties.numPr is not None else None
    return 1 + (level.val if level is not None else 0)


def _bookmark(paragraph: Paragraph) -> str | None:
    names = paragraph._p.xpath("./w:bookmarkStart/@w:name")
    return next((str(name) for name in names if not str(name).startswith("_")), None)


def _table(table: Table) -> _Event:
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    header, rows = (rows[0], rows[1:]) if len(rows) > 1 else ([], rows)
    return partial(Outline.table, header=header, rows=rows)
