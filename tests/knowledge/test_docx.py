"""What a Word document becomes, and which ones are refused unopened."""

import pytest
from docx.document import Document

from knowledge.errors import ParseFailed
from knowledge.parsing.docx import parse_docx
from tests.knowledge.files import add_bookmark, with_body, word, zip_bomb
from tests.knowledge.outlines import blocks, sections, texts


def test_headings_make_sections_below_the_title() -> None:
    def build(document: Document) -> None:
        document.add_heading("First week", level=0)
        document.add_paragraph("Welcome.")
        document.add_heading("Before", level=1)
        document.add_paragraph("Write to us.")
        document.add_heading("Papers", level=2)
        document.add_paragraph("Bring an ID.")
        document.add_heading("After", level=1)
        document.add_paragraph("Rest.")

    document = parse_docx(word(build), "file name")

    assert document.title == "First week"
    assert sections(document) == [("", ""), ("Before", "before"), ("Before > Papers", "papers"), ("After", "after")]
    assert texts(document) == ["Welcome.", "Write to us.", "Bring an ID.", "Rest."]


@pytest.mark.parametrize(("declared", "title"), [("Declared", "Declared"), ("", "file name")])
def test_without_a_title_paragraph_the_declared_title_counts(declared: str, title: str) -> None:
    def build(document: Document) -> None:
        document.core_properties.title = declared
        document.add_paragraph("x")

    assert parse_docx(word(build), "file name").title == title


def test_lists_carry_their_lead_in() -> None:
    def build(document: Document) -> None:
        document.add_paragraph("Please bring:")
        document.add_paragraph("papers", style="List Bullet")
        document.add_paragraph("a visa", style="List Bullet 2")
        document.add_paragraph("money", style="List Number")

    assert blocks(parse_docx(word(build), "x"))[1:] == [
        ("item", "papers", "Please bring:"),
        ("item", "a visa", "papers"),
        ("item", "money", "Please bring:"),
    ]


def test_table_rows_name_their_columns_in_reading_order() -> None:
    def build(document: Document) -> None:
        document.add_paragraph("Before.")
        table = document.add_table(rows=0, cols=2)
        for row in (("Day", "What"), ("Monday", "Laptop"), ("Friday", "Tea")):
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
        document.add_paragraph("After.")

    assert texts(parse_docx(word(build), "x")) == ["Before.", "Day: Monday; What: Laptop", "Day: Friday; What: Tea", "After."]


def test_a_table_of_one_row_has_no_header() -> None:
    def build(document: Document) -> None:
        cells = document.add_table(rows=1, cols=2).rows[0].cells
        cells[0].text, cells[1].text = "Desk", "4.12"

    assert texts(parse_docx(word(build), "x")) == ["Desk; 4.12"]


def test_bookmarks_become_anchors() -> None:
    def build(document: Document) -> None:
        add_bookmark(document.add_heading("Pay", level=1), "pay_day")
        document.add_paragraph("On the 25th.")
        add_bookmark(document.add_heading("Leave", level=1), "_Toc123")
        document.add_paragraph("30 days.")

    assert sections(parse_docx(word(build), "x")) == [("Pay", "pay_day"), ("Leave", "leave")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "broken"),
        (b"plain text", "broken"),
        (b"PK\x03\x04 cut off", "broken"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 encrypted", "encrypted"),
    ],
)
def test_what_is_no_word_document_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ParseFailed, match=reason):
        parse_docx(data, "x")


def test_a_zip_file_that_is_no_word_document_is_refused() -> None:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("a.txt", "hello")

    with pytest.raises(ParseFailed, match="no Word document"):
        parse_docx(buffer.getvalue(), "x")


@pytest.mark.slow
@pytest.mark.parametrize("unpacked_mb", [20, 300])
def test_a_zip_bomb_is_refused_unopened(unpacked_mb: int) -> None:
    bomb = zip_bomb(unpacked_mb)

    with pytest.raises(ParseFailed, match="zip bomb"):
        parse_docx(bomb, "x")

    assert len(bomb) < unpacked_mb * 2**20 / 100


@pytest.mark.parametrize(("place", "value"), [(6, b"\xff"), (8, b"\x00\x08")])
def test_a_file_list_that_zip_readers_give_up_on_is_refused(place: int, value: bytes) -> None:
    # Found by fuzzing: a version of the format from the future; names that claim to be UTF-8 and are not.
    data = bytearray(word(lambda document: document.add_paragraph("x")))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + place : entry + place + len(value)] = value
    data[entry + 46] = 0xFF

    with pytest.raises(ParseFailed, match="no Word document"):
        parse_docx(bytes(data), "x")


@pytest.mark.parametrize(
    "body",
    [
        b"<w:p>",
        b'<w:p><w:pPr><w:numPr><w:ilvl w:val="one"/></w:numPr></w:pPr></w:p>',
        b"<w:tbl><w:tr><w:tc/></w:tr></w:tbl>",
    ],
)
def test_a_text_part_that_breaks_off_or_breaks_the_format_is_refused_or_read(body: bytes) -> None:
    # python-docx reads lazily, and each of these ends in an exception of another kind.
    try:
        parse_docx(with_body(body), "x")
    except ParseFailed as err:
        assert "broken" in err.reason
