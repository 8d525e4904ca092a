"""The sample handbook's pages of every kind are understood."""

import pytest

from knowledge.parsing import parse
from tests.conftest import SAMPLES
from tests.knowledge.outlines import blocks, sections, texts

HANDBOOK = SAMPLES / "handbook"


@pytest.mark.slow
def test_the_pdf_has_its_sections_and_its_table_without_running_lines() -> None:
    document = parse((HANDBOOK / "policies/travel-safety.pdf").read_bytes(), "travel-safety.pdf")

    assert document.title == "Travel safety guide"
    assert {"Risk levels", "Keeping in touch", "In an emergency", "Driving", "At sea"} <= {p for p, _ in sections(document)}
    assert "Level: 3; Meaning: Unrest, severe weather or weak medical care; Who must agree: Site director and Security Team" in (
        texts(document)
    )
    assert ("item", "Find the stairs before you unpack.") in [(kind, text) for kind, text, _ in blocks(document)]
    assert not [text for text in texts(document) if text.startswith(("Internal –", "Tarnwick Instruments –"))]
    assert {anchor for _, anchor in sections(document)} <= {"page=1", "page=2", "page=3", "page=4"}


@pytest.mark.slow
def test_the_word_document_has_its_sections_lists_and_table() -> None:
    document = parse((HANDBOOK / "onboarding/first-week.docx").read_bytes(), "first-week.docx")

    assert document.title == "Your first week"
    assert ("People who help you > Your buddy", "your-buddy") in sections(document)
    assert "Day: Tuesday; Time: 12:30; What: Team lunch; With: Your team" in texts(document)
    assert [lead_in for kind, text, lead_in in blocks(document) if "tax number" in text] == [
        "The People Team writes to you two weeks before your first day. Please:"
    ]


def test_the_html_page_has_its_anchors_and_table_without_navigation() -> None:
    document = parse((HANDBOOK / "it/software-requests.html").read_bytes(), "software-requests.html")

    assert document.title == "Requesting software"
    assert ("Approval and waiting time > What to write in the request", "what-to-write") in sections(document)
    assert "Kind of software: Already in the catalogue; Who approves: Nobody; Usual time: At once" in texts(document)
    assert not [text for text in texts(document) if "Search" in text or "FAQ" in text or "helpful" in text]


@pytest.mark.slow
def test_every_page_of_the_handbook_has_a_title_and_text() -> None:
    documents = {path.name: parse(path.read_bytes(), path.name) for path in HANDBOOK.rglob("*.*")}

    assert len(documents) >= 20
    assert all(document.title and document.sections for document in documents.values())
    assert not [(name, text) for name, d in documents.items() for text in texts(d) if "{%" in text or "<!--" in text]
