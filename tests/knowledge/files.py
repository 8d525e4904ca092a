"""Word and PDF files made in memory, good ones and hostile ones."""

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache

import docx
from docx.document import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from fpdf import FPDF

TEXT_PART = "word/document.xml"


def word(build: Callable[[Document], object]) -> bytes:
    """A .docx that `build` writes into."""
    document = docx.Document()
    build(document)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def add_bookmark(paragraph: object, name: str) -> None:
    """Word's bookmark `name` at the start of a python-docx paragraph."""
    mark = OxmlElement("w:bookmarkStart")
    mark.set(qn("w:id"), "1")
    mark.set(qn("w:name"), name)
    paragraph._p.append(mark)  # type: ignore[attr-defined]  # python-docx has no public way


def with_body(body: bytes) -> bytes:
    """A .docx whose text part is `body` as it stands, and the rest is good."""
    names = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return with_text_part(b"<w:document %s><w:body>%s</w:body></w:document>" % (names, body))


def with_text_part(document_xml: bytes) -> bytes:
    """A .docx whose text part is exactly `document_xml`, and the rest is good."""
    good, buffer = zipfile.ZipFile(io.BytesIO(_empty_document())), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name in good.namelist():
            package.writestr(name, document_xml if name == TEXT_PART else good.read(name))
    return buffer.getvalue()


@cache
def _empty_document() -> bytes:
    return word(lambda document: None)


def zip_bomb(unpacked_mb: int) -> bytes:
    """A good .docx with a part that unpacks to `unpacked_mb` MiB of zeros."""
    buffer = io.BytesIO(word(lambda document: document.add_paragraph("Hello.")))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as package, package.open("word/media/zeros.bin", "w") as part:
        for _ in range(unpacked_mb):
            part.write(bytes(2**20))
    return buffer.getvalue()


class Page(FPDF):  # type: ignore[misc]  # mypy does not follow fpdf2's annotations
    """A PDF with lines of chosen sizes."""

    running_header = ""
    running_footer = ""

    def header(self) -> None:
        if self.running_header:
            self.line_of(self.running_header, 9)
            self.ln(8)

    def footer(self) -> None:
        if self.running_footer:
            self.set_y(-15)
            self.line_of(f"{self.running_footer} {self.page_no()}", 9)

    def line_of(self, text: str, size: float = 11) -> None:
        self.set_font("Helvetica", "", size)
        self.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")

    def paragraph(self, text: str) -> None:
        self.line_of(text)
        self.ln(5)

    def grid(self, rows: Sequence[Sequence[str]]) -> None:
        self.set_font("Helvetica", "", 11)
        with self.table() as table:
            for row in rows:
                table.row(row)
        self.ln(5)


def pdf(*pages: Callable[[Page], object], header: str = "", footer: str = "", title: str = "") -> bytes:
    """A PDF of the pages."""
    document = Page(format="A4")
    document.running_header, document.running_footer = header, footer
    if title:
        document.set_title(title)
    for page in pages:
        document.add_page()
        page(document)
    return bytes(document.output())


def pdf_bomb(inflated_mb: int) -> bytes:
    """A PDF of one page whose content stream of some hundred kilobytes inflates to `inflated_mb` MiB."""
    deflater = zlib.compressobj(9)
    stream = b"".join(deflater.compress(b"BT ET\n" * 174_763) for _ in range(inflated_mb)) + deflater.flush()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> /Contents 4 0 R >>",
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"xref\n0 5\n0000000000 65535 f \n%strailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )
