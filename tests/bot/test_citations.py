"""How answers, prompts and JSON objects look."""

import json
import re
from datetime import UTC, datetime

import pytest

from bot import citations
from bot.conversation import Answer, Exchange, ExchangeId, Outcome, Question, ReleaseId
from bot.prompting import INSTRUCTIONS, build_messages
from bot.serialise import error_object, exchange_object, passage_object
from bot.voice import Voice, read_voice
from tests.bot.passages import a_passage, a_quote

VOICE = read_voice(None)
FRAMED = Voice(**{**vars(VOICE), "opening": "Ahoy!", "lead_in": "The log says:", "closing": "Fair winds."})
LEAVE = a_quote("You get 27 days.", heading="Allowance")
CARRY = a_quote("- Five days.\n- Until March.", context="You may carry over:", title="Carrying over", number=2)
DOGS = a_quote("Dogs are welcome.", title="Dogs", number=3)
CATS = a_quote("Cats are not.", title="Cats", number=4)


def test_an_answer_is_its_numbered_quotes() -> None:
    answer = citations.answered(citations.number([LEAVE, CARRY]), "", VOICE)

    assert answer.outcome is Outcome.ANSWERED
    assert answer.text == "> You get 27 days. [1]\n\n> You may carry over: - Five days.\n> - Until March. [2]"
    assert [(citation.number, citation.quote) for citation in answer.citations] == [(1, LEAVE), (2, CARRY)]


def test_code_in_a_quote_is_closed_before_the_mark_and_a_part_of_it_has_no_fences() -> None:
    whole, part = a_quote("Type:\n```sh\nls\n```"), a_quote("Type:\n```sh\nls")

    texts = [citations.answered(citations.number([quote]), "", VOICE).text for quote in (whole, part)]

    assert texts == ["> Type:\n> ```sh\n> ls\n> ```\n> [1]", "> Type:\n> ls [1]"]


def test_the_frames_of_the_style_guide_stand_around_the_quotes() -> None:
    answer = citations.answered(citations.number([LEAVE]), "", FRAMED)

    assert answer.text == "Ahoy!\n\nThe log says:\n\n> You get 27 days. [1]\n\nFair winds."


def test_a_wording_stands_in_place_of_the_lead_in_above_the_quotes() -> None:
    answer = citations.answered(citations.number([LEAVE]), "It is 27. [1]", FRAMED)

    assert answer.text == "Ahoy!\n\nIt is 27. [1]\n\n> You get 27 days. [1]\n\nFair winds."
    assert answer.wording == "It is 27. [1]"


def test_the_closest_answer_offers_three_pages_and_names_whom_to_ask() -> None:
    answer = citations.closest(citations.number([LEAVE, CARRY, DOGS, CATS]), VOICE, "the people team")

    assert answer.outcome is Outcome.CLOSEST
    assert answer.text == (
        "I am not sure that this answers it. The closest that I found:\n\n> You get 27 days. [1]\n\n"
        "These pages may help:\n\n- Carrying over [2]\n- Dogs [3]\n\nIf not, ask the people team."
    )
    assert list(answer.pages) == [LEAVE.passage, CARRY.passage, DOGS.passage]
    assert [citation.number for citation in answer.citations] == [1, 2, 3]


def test_one_page_alone_is_not_listed_twice() -> None:
    answer = citations.closest(citations.number([LEAVE]), VOICE, "Ann")

    assert "These pages may help" not in answer.text


@pytest.mark.parametrize(("is_off_limits", "text"), [(False, "Please ask Ann."), (True, "I can't help with that.")])
def test_an_unknown_answer_cites_nothing(is_off_limits: bool, text: str) -> None:
    answer = citations.unknown(VOICE, "Ann", is_off_limits)

    assert (answer.outcome, list(answer.citations)) == (Outcome.UNKNOWN, [])
    assert text in answer.text


def test_a_page_is_named_by_title_and_heading() -> None:
    assert [citations.page_name(citation) for citation in citations.number([LEAVE, DOGS])] == ["Annual leave (Allowance)", "Dogs"]


@pytest.mark.parametrize(
    ("text", "bare"),
    [("It is 27 [1].", "It is 27."), ("[2] Yes [12]", " Yes"), ("See [note] and [123]", "See [note] and [123]")],
)
def test_marks_that_a_model_makes_are_removed(text: str, bare: str) -> None:
    assert citations.without_marks(text) == bare


def test_the_model_gets_the_task_the_style_the_question_and_the_numbered_quotes() -> None:
    messages = build_messages("How many days?", [LEAVE, CARRY], VOICE)

    assert messages == [
        {"role": "system", "content": f"{INSTRUCTIONS}\n\n{VOICE.style}"},
        {
            "role": "user",
            "content": "Question: <<<How many days?>>>\n\nQuotes:\n[1] <<<You get 27 days.>>>\n"
            "[2] <<<You may carry over: - Five days.\n- Until March.>>>\n\nAnswer:",
        },
    ]


@pytest.mark.parametrize("text", ["a>>> b", "a>>>>>> b", ">>>>", "<<<", "a><<<>> b", "a<>>><< b", "<<<>>><<<>>>", "a>>>>>"])
def test_a_fence_cannot_be_closed_or_opened_from_inside(text: str) -> None:
    content = build_messages(text, [a_quote(f"Quote. {text}")], VOICE)[1]["content"]

    assert re.findall(r"<{3,}|>{3,}", content) == ["<<<", ">>>"] * 2


def test_an_exchange_as_json_has_the_promised_fields() -> None:
    question = Question("How many days?", frozenset({"everyone"}))
    answer = Answer(Outcome.ANSWERED, "> You get 27 days. [1]", citations.number([LEAVE]))
    exchange = Exchange(
        ExchangeId("e1"), question, "q", answer, [LEAVE.passage], [LEAVE], 0.123456, ReleaseId("base:m"), "m",
        timings_s={"total": 0.25001}, asked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip

    found = json.loads(json.dumps(exchange_object(exchange)))

    assert found == {
        "outcome": "answered",
        "text": "> You get 27 days. [1]",
        "citations": [
            {
                "number": 1,
                "document": "Annual leave",
                "source": "handbook",
                "location": "leave.md",
                "address": "/docs/leave.md",
                "heading": "Allowance",
                "quote": "You get 27 days.",
            }
        ],
        "exchange_id": "e1",
        "release": "base:m",
        "model": "m",
        "signal": 0.1235,
        "wording": "",
        "reduced_search": False,
        "timings": {"total": 0.25},
    }
    assert set(error_object("Broken.")) == set(found)
    assert (error_object("Broken.")["outcome"], error_object("Broken.")["text"]) == ("error", "Broken.")


def test_a_passage_as_json_has_the_promised_fields() -> None:
    found = passage_object(a_passage("You get 27 days.", heading="Allowance"))

    assert set(found) == {"rank", "score", "document", "source", "location", "heading", "text"}
    assert (found["rank"], found["text"]) == (1, "You get 27 days.")
