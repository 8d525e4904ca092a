"""Standard answers and known questions: more ways to find a passage, which end with the text that they are about."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.storage.database import Database
from knowledge.documents import EVERYONE, Passage
from tests.knowledge.library import Library

pytestmark = pytest.mark.both_databases

Write = Callable[..., Path]

LEAVE = "# Annual leave\n\nYou have thirty days of holiday.\n\n## Carry over\n\nUnused days expire in March."
PAY = "# Pay\n\nSalaries arrive on the twentieth."
QUESTION = "when does money land"
EVERYONE_ALONE = frozenset({EVERYONE})


def knowing(library: Library, write: Write) -> Passage:
    """Ingests two pages, and makes the page about pay the answer to QUESTION; that passage."""
    library.ingest(write({"leave.md": LEAVE, "pay.md": PAY}))
    passage = library.passages("salaries")[0]
    library.catalogue.add_known_question(passage.chunk_id, QUESTION, "confirmed", "exchange-1")
    return passage


def test_a_known_question_leads_to_its_passage(library: Library, write: Write) -> None:
    known = knowing(library, write)

    first, *others = library.passages(QUESTION)

    assert (first.chunk_id, first.found_by, first.rank) == (known.chunk_id, QUESTION, 1)
    assert first.score == first.known_match == pytest.approx(1, abs=1e-3)
    assert {passage.found_by for passage in others} == {""}


def test_a_similar_question_is_led_there_too_and_another_is_not(library: Library, write: Write) -> None:
    knowing(library, write)

    assert library.passages("when does the money land")[0].found_by == QUESTION
    assert {passage.found_by for passage in library.passages("unused days expire")} == {""}


def test_a_removed_question_leads_nowhere(library: Library, write: Write) -> None:
    knowing(library, write)

    removed = library.catalogue.remove_known_question(origin="exchange-1")

    assert (removed, library.catalogue.remove_known_question(origin="exchange-1")) == (True, False)
    assert {passage.found_by for passage in library.passages(QUESTION)} == {""}


def test_a_question_can_be_removed_by_its_number(library: Library, write: Write) -> None:
    knowing(library, write)
    number = library.catalogue.known_questions()[0].id

    assert library.catalogue.remove_known_question(id=number)
    assert library.catalogue.known_questions() == []


def test_the_same_origin_is_known_once(library: Library, write: Write) -> None:
    known = knowing(library, write)

    library.catalogue.add_known_question(known.chunk_id, "how often is payday", "confirmed", "exchange-1")

    assert [question.question for question in library.catalogue.known_questions()] == ["how often is payday"]


def test_a_question_about_a_chunk_that_is_gone_is_not_kept(library: Library, write: Write) -> None:
    known = knowing(library, write)
    library.ingest(write({"pay.md": PAY.replace("twentieth", "first")}))

    library.catalogue.add_known_question(known.chunk_id, "how often is payday", "confirmed", "exchange-2")

    assert library.catalogue.known_questions() == []


def test_a_question_ends_with_the_text_that_it_is_about(library: Library, write: Write) -> None:
    knowing(library, write)

    library.ingest(write({"pay.md": PAY.replace("twentieth", "first")}))

    assert {passage.found_by for passage in library.passages(QUESTION)} == {""}


def test_a_question_survives_changes_elsewhere_in_its_document_and_a_rebuild(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))
    passage = library.passages("unused days expire")[0]
    library.catalogue.add_known_question(passage.chunk_id, QUESTION, "confirmed", "exchange-1")

    library.ingest(write({"leave.md": LEAVE.replace("thirty", "forty")}))
    library.rebuild()

    first = library.passages(QUESTION)[0]
    assert (first.found_by, first.chunk.anchor) == (QUESTION, "carry-over")


def test_a_question_goes_with_its_document(library: Library, write: Write) -> None:
    knowing(library, write)
    (write({}) / "pay.md").unlink()

    library.ingest(write({}))

    assert library.catalogue.known_questions() == []


def test_a_question_is_for_those_who_may_read_its_document(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}, "open"), name="open")
    library.ingest(write({"pay.md": PAY}, "closed"), ["people team"], name="closed")
    chunk_id = library.passages("salaries", ["people team"])[0].chunk_id
    library.catalogue.add_known_question(chunk_id, QUESTION, "confirmed", "exchange-1")

    mine, theirs = library.passages(QUESTION), library.passages(QUESTION, ["people team"])

    assert {passage.document.source for passage in mine} == {"open"}
    assert [passage.found_by for passage in theirs] == [QUESTION]


def test_a_standard_answer_is_found_at_once(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    chunk_id = library.ingestion.add_standard_answer("x1", QUESTION, "On the twentieth.\n\nAsk pay@x.example.", EVERYONE_ALONE)

    first = library.passages(QUESTION)[0]
    assert (first.chunk_id, first.found_by, first.document.title) == (chunk_id, QUESTION, QUESTION)
    assert first.chunk.text == "On the twentieth.\nAsk pay@x.example."
    assert (first.document.is_standard_answer, first.document.address) == (True, "")


def test_a_standard_answer_needs_no_documents(library: Library) -> None:
    library.ingestion.add_standard_answer("x1", QUESTION, "On the twentieth.", EVERYONE_ALONE)

    assert library.texts(QUESTION) == ["On the twentieth."]


def test_the_same_key_replaces_a_standard_answer(library: Library) -> None:
    library.ingestion.add_standard_answer("x1", QUESTION, "On the twentieth.", EVERYONE_ALONE)
    library.ingestion.add_standard_answer("x2", "what is a tidebook", "A calendar.", EVERYONE_ALONE)

    library.ingestion.add_standard_answer("x1", "when is payday", "On the first.", EVERYONE_ALONE)

    assert sorted(library.texts(QUESTION)) == ["A calendar.", "On the first."]
    assert sorted(question.question for question in library.catalogue.known_questions()) == [
        "what is a tidebook",
        "when is payday",
    ]


def test_a_standard_answer_has_its_own_audience(library: Library, write: Write) -> None:
    library.ingest(write({"leave.md": LEAVE}))

    library.ingestion.add_standard_answer("x1", QUESTION, "On the twentieth.", frozenset({"people team"}))

    assert "On the twentieth." not in library.texts(QUESTION)
    assert library.texts(QUESTION, ["people team"]) == ["On the twentieth."]
    assert library.catalogue.groups() == {EVERYONE, "people team"}


def test_a_standard_answer_survives_ingestion_and_rebuild(database: Database, library: Library, write: Write) -> None:
    library.ingestion.add_standard_answer("x1", QUESTION, "On the twentieth.", EVERYONE_ALONE)

    library.ingest(write({"leave.md": LEAVE}))
    library.rebuild()

    assert Library(database).passages(QUESTION)[0].found_by == QUESTION
