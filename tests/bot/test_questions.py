"""How questions are spelled out, taken apart and made self-contained."""

import pytest

from bot.conversation import Question, Turn
from bot.questions import MAX_HISTORY_CHARS, alone, parts, spelled_out, with_previous_turn
from knowledge.documents import EVERYONE

ALL = frozenset({EVERYONE})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("how r u doing w leave", "how are you doing with leave"),
        ("who 2 call b4 lunch", "who to call before lunch"),
        ("is the form 4 contractors", "is the form for contractors"),
        ("what is the # for IT", "what is the number for IT"),
        ("pls tell me abt parking thx", "please tell me about parking thanks"),
        ("btw where do I park", "where do I park"),
        ("how many wks", "how many weeks"),
        ("every1 gonna be there", "everyone going to be there"),
        ("leave   and\tsick   days", "leave and\tsick days"),
    ],
)
def test_chat_shorthand_is_spelled_out(typed: str, meant: str) -> None:
    assert spelled_out(typed) == meant


@pytest.mark.parametrize(
    "text",
    [
        "How many days of annual leave do I get?",
        "What does R mean in the U rating of plan N?",
        "Who is at n@tern.example or https://tern.example/u/r?",
        "Is the #hr channel for me?",
        "I need 2 days and 4 weeks",
        "Is it 2 of 5?",
        "Does the hi-vis vest fit?",
        "What is the r&d budget?",
        "the u.s. office",
        "",
    ],
)
def test_names_codes_addresses_and_amounts_stay_as_they_are(text: str) -> None:
    assert spelled_out(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many days of leave do I get?", ["How many days of leave do I get?"]),
        (
            "How long is parental leave, and who approves the request?",
            ["How long is parental leave", "who approves the request?"],
        ),
        ("When is the monthly payday and what does food cost?", ["When is the monthly payday", "what does food cost?"]),
        (
            "What is the limit for meals; also how do I file receipts?",
            ["What is the limit for meals", "how do I file receipts?"],
        ),
        ("Is remote work allowed and if so, how many days a week?", ["Is remote work allowed", "how many days a week?"]),
        ("Do cats and dogs need leave?", ["Do cats and dogs need leave?"]),
        ("What is it and why?", ["What is it and why?"]),
    ],
)
def test_a_message_with_two_questions_has_two_parts(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in parts(text)] == expected


def test_an_amount_before_an_adjective_stays_a_number() -> None:
    assert spelled_out("Can I carry over 4 unused days?") == "Can I carry over 4 unused days?"


def test_a_question_without_history_has_nothing_in_front() -> None:
    question = Question("  What about u?  ", ALL)

    assert (alone(question), with_previous_turn(question)) == ("What about you?", None)


def test_the_previous_question_of_the_person_goes_in_front() -> None:
    history = [
        Turn("user", "When is payday?"),
        Turn("assistant", "On the 26th."),
        Turn("user", "How many days of leave do I get?"),
        Turn("assistant", "You get 27."),
    ]

    found = with_previous_turn(Question("What about part-time?", ALL, history))

    assert found is not None
    query, start = found
    assert query == "How many days of leave do I get? What about part-time?"
    assert query[start:] == "What about part-time?"


def test_a_long_previous_turn_is_cut() -> None:
    found = with_previous_turn(Question("And then?", ALL, [Turn("user", "word " * 1000)]))

    assert found is not None
    query, start = found
    assert (query[start:], start <= MAX_HISTORY_CHARS + 1) == ("And then?", True)


@pytest.mark.parametrize("earlier", ["", "   ", "lol", "hi"])
def test_a_previous_turn_that_says_nothing_is_passed_over(earlier: str) -> None:
    before = Turn("user", "Is parking free?")

    assert with_previous_turn(Question("Who pays?", ALL, [Turn("user", earlier)])) is None
    assert with_previous_turn(Question("Who pays?", ALL, [before, Turn("user", earlier)])) == ("Is parking free? Who pays?", 17)


def test_a_question_of_shorthand_alone_is_kept_as_it_was() -> None:
    assert alone(Question("btw", ALL)) == "btw"
