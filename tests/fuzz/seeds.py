"""Where fuzzing starts: the samples, small files made by hand, the kept corpus. All is our own text, as is what grows of it."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from docx.document import Document
from fpdf import FPDF

from tests.conftest import SAMPLES
from tests.knowledge.files import TEXT_PART, Page, add_bookmark, pdf, with_text_part, word

ENDINGS = {"markdown": ".md", "html": ".html", "text": ".txt", "pdf": ".pdf", "docx": ".docx"}
CORPUS = Path(__file__).parent / "corpus"


def seeds(kind: str) -> Iterator[bytes]:
    """The first inputs of a kind of file."""
    yield from (path.read_bytes() for path in sorted(SAMPLES.rglob(f"*{ENDINGS[kind]}")))
    yield from _made_by_hand(kind)
    yield from kept(kind).values()


def kept(kind: str) -> dict[str, bytes]:
    """The corpus in the repository, by file name."""
    path = CORPUS / f"{kind}.zip"
    if not path.exists():
        return {}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def keep(kind: str, inputs: list[bytes]) -> None:
    """Writes the corpus; the same inputs make the same bytes."""
    CORPUS.mkdir(exist_ok=True)
    with zipfile.ZipFile(CORPUS / f"{kind}.zip", "w", zipfile.ZIP_LZMA) as archive:
        for number, data in enumerate(inputs):
            archive.writestr(zipfile.ZipInfo(f"{number:04}"), data, zipfile.ZIP_LZMA)


def file_of(kind: str, data: bytes) -> bytes:
    """The file that an input stands for. For docx, an input that is no zip file is the text part of a good one.

    The checksums of a zip file would else keep the fuzzer away from everything inside.
    """
    return with_text_part(data) if kind == "docx" and not data.startswith(b"PK") else data


def _made_by_hand(kind: str) -> Iterator[bytes]:
    if kind == "markdown":
        yield b'---\ntitle: "T"\nkeywords: [a, b]\n---\n# H {#x}\n\nText:\n\n- a\n  - b\n'
        yield b"| h | i |\n|---|---|\n| 1 | 2 |\n\n```\nx\n```\n"
        yield "\ufeff# 休暇\n\n年次休暇は二十日です。翌年に繰り越せます。".encode()
    elif kind == "html":
        yield b"<title>T</title><main><h1 id=a>H</h1><p>a<br>b<ul><li>c<ul><li>d</ul></ul>"
        yield b"<table><tr><th>x<tr><td>y</table><pre>z</pre>"
    elif kind == "text":
        yield "a\n\n- b\n- c\n\n1) d\r\n\r\nMr. Smith came. He left.".encode("utf-16")
    elif kind == "pdf":
        yield from _pdfs()
    else:
        yield from _word_documents()


def _pdfs() -> Iterator[bytes]:
    """Small, and with streams that are not compressed, so that a changed byte changes what is drawn."""
    yield pdf(lambda page: page.paragraph("The rule. It holds."), header="Top", footer="Page", title="T")
    plain = Page()
    plain.set_compression(False)
    plain.add_page()
    plain.line_of("Heading", 18)
    plain.paragraph("Text of the page.")
    plain.grid([["a", "b"], ["1", "2"]])
    yield bytes(plain.output())
    smallest = FPDF()
    smallest.set_compression(False)
    smallest.add_page()
    smallest.set_font("Courier", "", 12)
    smallest.cell(0, 10, "x")
    yield bytes(smallest.output())


def _word_documents() -> Iterator[bytes]:
    def build(document: Document) -> None:
        document.add_heading("Title", 0)
        add_bookmark(document.add_heading("Part", 1), "part")
        document.add_paragraph("Text.")
        document.add_paragraph("one", "List Bullet 2")
        document.add_table(2, 2).cell(0, 0).text = "a"

    whole = word(build)
    yield whole
    with zipfile.ZipFile(io.BytesIO(whole)) as package:
        yield package.read(TEXT_PART)
