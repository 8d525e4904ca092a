"""What a PDF becomes: headings from font sizes, tables, pages as anchors, no running lines."""

import io

import pytest
from pypdf import PdfReader, PdfWriter

from knowledge.errors import ParseFailed
from knowledge.parsing.pdf import parse_pdf
from tests.knowledge.files import Page, pdf
from tests.knowledge.outlines import blocks, sections, texts

BODY = "Everyone who travels for the company follows these rules, on land and at sea, in all countries."


def encrypted(data: bytes, user_password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user_password, "owner", algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_large_lines_are_headings_and_pages_are_anchors() -> None:
    def first(page: Page) -> None:
        page.line_of("Safety guide", 22)
        page.paragraph(BODY)
        page.line_of("Driving", 15)
        page.paragraph("Take a taxi at night, for the company pays the fare.")

    def second(page: Page) -> None:
        page.paragraph("Never drive alone for more than four hundred kilometres.")
        page.line_of("At sea", 15)
        page.paragraph("Wear a life jacket on deck, whatever the weather is like.")

    document = parse_pdf(pdf(first, second), "file name")

    assert document.title == "Safety guide"
    assert sections(document) == [("", "page=1"), ("Driving", "page=1"), ("Driving", "page=2"), ("At sea", "page=2")]
    assert texts(document)[2].startswith("Never drive alone")


def test_a_declared_title_wins_over_the_files_name() -> None:
    assert parse_pdf(pdf(lambda page: page.paragraph(BODY), title="Safety"), "file name").title == "Safety"
    assert parse_pdf(pdf(lambda page: page.paragraph(BODY)), "file name").title == "file name"


def test_lines_are_joined_to_paragraphs_that_end_at_gaps() -> None:
    def build(page: Page) -> None:
        page.paragraph(BODY * 3)
        page.paragraph("A second paragraph.")

    assert texts(parse_pdf(pdf(build), "x")) == [(BODY * 3).strip(), "A second paragraph."]


def test_items_are_found_by_their_marks() -> None:
    def build(page: Page) -> None:
        page.paragraph(BODY)
        for line in ("You need:", "- a form", "- a photo", "1. a stamp", "(2) patience"):
            page.line_of(line)

    assert blocks(parse_pdf(pdf(build), "x"))[1:] == [
        ("paragraph", "You need:", ""),
        ("item", "a form", "You need:"),
        ("item", "a photo", "You need:"),
        ("item", "a stamp", "You need:"),
        ("item", "patience", "You need:"),
    ]


def test_words_broken_at_line_ends_are_joined() -> None:
    def build(page: Page) -> None:
        for line in (BODY, "Travel is reim-", "bursed by the Bristol-", "London office"):
            page.line_of(line)

    assert texts(parse_pdf(pdf(build), "x"))[0].endswith("Travel is reimbursed by the Bristol- London office")


def test_table_rows_name_their_columns_and_stay_in_place() -> None:
    def build(page: Page) -> None:
        page.paragraph(BODY)
        page.grid([("Level", "Who agrees"), ("1", "Your manager"), ("3", "The Security Team")])
        page.paragraph("The level on the day of departure counts.")

    assert texts(parse_pdf(pdf(build), "x"))[1:] == [
        "Level: 1; Who agrees: Your manager",
        "Level: 3; Who agrees: The Security Team",
        "The level on the day of departure counts.",
    ]


@pytest.mark.slow
def test_running_headers_and_footers_are_dropped() -> None:
    pages = [lambda page, n=n: page.paragraph(f"{BODY} This is rule {'abcdef'[n]}.") for n in range(6)]

    document = parse_pdf(pdf(*pages, header="Tarnwick safety guide", footer="Internal - page"), "x")

    assert len(texts(document)) == 6
    assert not [text for text in texts(document) if "Tarnwick" in text or "Internal" in text]


@pytest.mark.slow
def test_an_encrypted_file_is_refused_and_one_that_needs_no_password_is_read() -> None:
    data = pdf(lambda page: page.paragraph(BODY))

    with pytest.raises(ParseFailed, match="encrypted; remove its password"):
        parse_pdf(encrypted(data, "secret"), "x")

    assert texts(parse_pdf(encrypted(data, ""), "x")) == [BODY]


@pytest.mark.parametrize("data", [b"", b"garbage", b"%PDF-1.7 and nothing else", b"%PDF-1.7\n" + bytes(range(256)) * 20])
def test_a_broken_file_is_refused(data: bytes) -> None:
    with pytest.raises(ParseFailed, match="broken"):
        parse_pdf(data, "x")


@pytest.mark.parametrize("box", [b"[0 0 595.28 841.89 (a)]", b"[0 0 595.28]"])
def test_a_page_without_a_size_is_refused(box: bytes) -> None:
    # Found by fuzzing: closing the file reads its pages once more, and fails with exceptions of no common kind.
    data = pdf(lambda page: page.paragraph("The rule."))

    with pytest.raises(ParseFailed, match="broken"):
        parse_pdf(data.replace(b"[0 0 595.28 841.89]", box), "x")


def test_a_file_cut_in_the_middle_is_read_or_refused() -> None:
    data = pdf(lambda page: page.paragraph(BODY))

    for length in range(50, len(data), 97):
        try:
            texts(parse_pdf(data[:length], "x"))
        except ParseFailed as err:
            assert err.reason.endswith(".")


def test_pages_without_text_are_refused_with_a_hint() -> None:
    with pytest.raises(ParseFailed, match="text recognition"):
        parse_pdf(pdf(lambda page: page.rect(10, 10, 50, 50), lambda page: None), "x")
