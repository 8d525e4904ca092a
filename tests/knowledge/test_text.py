"""What plain text becomes: paragraphs and list items."""

import pytest

from knowledge.errors import ParseFailed
from knowledge.parsing import is_supported, parse
from tests.knowledge.outlines import blocks


def test_paragraphs_end_at_blank_lines() -> None:
    document = parse(b"One line\nand its rest.\r\n\r\nAnother.\n \n\nLast.", "notes.txt")

    assert blocks(document) == [
        ("paragraph", "One line and its rest.", ""),
        ("paragraph", "Another.", ""),
        ("paragraph", "Last.", ""),
    ]


@pytest.mark.parametrize("mark", ["-", "*", "•", "1.", "2)"])
def test_the_usual_marks_make_list_items(mark: str) -> None:
    document = parse(f"You need:\n{mark} a form\n  in two copies\n{mark} a photo\n\nDone.".encode(), "notes.txt")

    assert blocks(document) == [
        ("paragraph", "You need:", ""),
        ("item", "a form in two copies", "You need:"),
        ("item", "a photo", "You need:"),
        ("paragraph", "Done.", ""),
    ]


@pytest.mark.parametrize(
    ("location", "title"), [("a/first-day_at work.txt", "first day at work"), ("-.txt", "-.txt"), ("v1.2.txt", "v1.2")]
)
def test_the_title_is_the_files_name(location: str, title: str) -> None:
    assert parse(b"x", location).title == title


@pytest.mark.parametrize("ending", [".txt", ".md", ".html"])
@pytest.mark.parametrize("data", [b"", b" \n\n\t", b"\xef\xbb\xbf"])
def test_a_file_without_text_is_refused(data: bytes, ending: str) -> None:
    with pytest.raises(ParseFailed, match="holds no text"):
        parse(data, f"empty{ending}")


@pytest.mark.parametrize(
    ("location", "expected"),
    [("a.MD", True), ("a.markdown", True), ("b/a.Pdf", True), ("a.docx", True), ("a.htm", True), ("a.doc", False), ("md", False)],
)
def test_files_are_supported_by_their_ending(location: str, expected: bool) -> None:
    assert is_supported(location) is expected
