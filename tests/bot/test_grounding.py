"""What a worded sentence may say, given the quotes."""

import pytest

from bot.grounding import coverage, has_negation, is_supported, supporting_quote

LEAVE = "Full-time employees get 27 days of annual leave per calendar year. You may not carry over more than 5 days."
CONTACT = "Write to people@tern.example or ask in #ask-people, see https://tern.example/leave for the form, says Ann Lee."
MEETING = "The safety meeting is on 14 March 2026 at 9:30 in Bergen."


def supported(sentence: str, quote: str, question: str = "", cosine: float = 0.9) -> bool:
    return is_supported(sentence, quote, cosine, question)


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Full-time employees get 27 days of annual leave per calendar year.", LEAVE),
        ("As a full-time employee you get 27 days of annual leave.", LEAVE),
        ("You may not carry over more than five days.", LEAVE),
        ("Employees get 27 annual leave days each calendar year.", LEAVE),
        ("Ask in #ask-people or write to people@tern.example.", CONTACT),
        ("Ann Lee says the form is at https://tern.example/leave.", CONTACT),
        ("The safety meeting in Bergen is on 14 March 2026.", MEETING),
        ("VPN access needs a code.", "VPN access needs a code."),
        ("Twenty people may join.", "20 people may join."),
        ("The budget is 1500 euros.", "The budget is 1,500 euros."),
    ],
)
def test_a_paraphrase_of_the_quote_is_supported(sentence: str, quote: str) -> None:
    assert supported(sentence, quote)


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Full-time employees get 28 days of annual leave per calendar year.", LEAVE),
        ("Full-time employees get twenty days of annual leave per calendar year.", LEAVE),
        ("You may not carry over more than six days.", LEAVE),
        ("The safety meeting is on 15 March 2026 in Bergen.", MEETING),
        ("The safety meeting is on 14 April 2026 in Bergen.", MEETING),
        ("The safety meeting is on 14 March 2026 at 9:00.", MEETING),
        ("The safety meeting is in Oslo on 14 March 2026.", MEETING),
        ("Write to people@tern.example, says Bob Lee.", CONTACT),
        ("Write to hr@tern.example or ask in #ask-people.", CONTACT),
        ("Ask in #people for the form, says Ann Lee.", CONTACT),
        ("See https://tern.example/holiday for the form, says Ann Lee.", CONTACT),
        ("Full-time employees do not get 27 days of annual leave per calendar year.", LEAVE),
        ("You may carry over more than 5 days.", LEAVE),
        ("Full-time employees get 27 days without annual leave per calendar year.", LEAVE),
        ("Managers usually approve holidays quickly.", LEAVE),
    ],
)
def test_a_changed_fact_is_not_supported(sentence: str, quote: str) -> None:
    assert not supported(sentence, quote)


def test_a_name_may_come_from_the_question_but_a_number_may_not() -> None:
    quote = "New hires get a laptop on their first day."

    assert supported("New hires in Galway get a laptop on their first day.", quote, "Does Galway give laptops?")
    assert not supported("New hires get 2 laptops on their first day.", quote, "Do I get 2 laptops?")


def test_a_sentence_far_from_the_quote_is_not_supported() -> None:
    assert not supported("Employees get 27 days of annual leave.", LEAVE, cosine=0.44)
    assert supported("Employees get 27 days of annual leave.", LEAVE, cosine=0.46)


def test_the_polarity_is_that_of_the_nearest_sentence_of_the_quote() -> None:
    assert supported("Full-time employees get 27 days of annual leave.", LEAVE)
    assert not supported("Full-time employees never get 27 days of annual leave.", LEAVE)


@pytest.mark.parametrize("text", ["It isn't allowed", "no dogs", "You cannot", "except Friday", "They don’t", "WITHOUT a permit"])
def test_a_negation_is_seen(text: str) -> None:
    assert has_negation(text)


@pytest.mark.parametrize("text", ["Note the time", "Know the nation", "The notice was given", ""])
def test_words_that_only_look_like_a_negation_are_none(text: str) -> None:
    assert not has_negation(text)


def test_coverage_is_the_share_of_content_words() -> None:
    assert coverage("Annual leave", LEAVE) == 1.0
    assert coverage("Annual parking", LEAVE) == 0.5
    assert coverage("", LEAVE) == 0.0


def test_the_quote_that_supports_a_sentence_best_is_cited() -> None:
    quotes = [MEETING, "You get 27 days of annual leave.", LEAVE]

    position = supporting_quote("Full-time employees get 27 days of annual leave.", quotes, [0.9, 0.9, 0.9], "")

    assert position == 2


def test_what_no_quote_supports_has_no_citation() -> None:
    assert supporting_quote("The pool is open until 9.", [LEAVE, MEETING], [0.9, 0.9], "") is None
    assert supporting_quote("Anything.", [], [], "") is None


def test_facts_of_two_quotes_in_one_sentence_have_no_citation() -> None:
    sentence = "You get 27 days of annual leave and the safety meeting is on 14 March 2026."

    assert supporting_quote(sentence, [LEAVE, MEETING], [0.9, 0.9], "") is None
