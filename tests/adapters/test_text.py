"""Splitting Markdown, shortening it and making it plain."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.text import plain, shortened, split

LINES = st.sampled_from(
    ["", "one two three.", "x" * 130, "```python", "```", "~~~~", "- item", "a sentence. " * 12, "&lt;" * 40, "`code`"]
)
MARKDOWN = st.lists(LINES, max_size=12).map("\n".join)


def test_a_short_text_stays_whole() -> None:
    assert split("one\n\ntwo", 100) == ["one\n\ntwo"]


def test_empty_text_has_no_parts() -> None:
    assert split(" \n\n", 100) == []


def test_a_long_text_is_cut_between_paragraphs() -> None:
    first, second, third = "a" * 60, "b" * 60, "c" * 30

    assert split(f"{first}\n\n{second}\n\n{third}", 100) == [first, f"{second}\n\n{third}"]


def test_a_long_paragraph_is_cut_between_sentences_and_a_long_sentence_between_words() -> None:
    sentences = "This is the first of them. " + "word " * 30

    parts = split(sentences, 100)

    assert parts[0].startswith("This is the first of them.")
    assert all(re.fullmatch(r"(\S+ )*\S+", part.strip()) for part in parts)


def test_code_that_is_cut_is_closed_and_opened_again() -> None:
    parts = split("```python\n" + "\n".join(f"line_{n} = {n}" for n in range(30)) + "\n```", 100)

    assert len(parts) > 1
    assert all(part.startswith("```python\n") and part.endswith("\n```") for part in parts)


@given(MARKDOWN)
@example("```python\n" + "x" * 500)
def test_parts_are_short_enough_and_lose_nothing(text: str) -> None:
    parts = split(text, 100)

    assert all(0 < len(part) <= 100 for part in parts)
    kept = re.sub(r"```(python)?|~~~~|\s", "", "\n".join(parts))
    assert kept == re.sub(r"```(python)?|~~~~|\s", "", text)


@given(MARKDOWN)
def test_every_part_closes_the_code_that_it_opens(text: str) -> None:
    for part in split(text, 100):
        assert split(part, 100) == [part]


@given(st.text(alphabet="ab&lt;", min_size=1, max_size=400).map(lambda text: text.replace("&", "&lt;")))
def test_an_entity_is_never_cut(text: str) -> None:
    assert sum(part.count("&lt;") for part in split(text, 100)) == text.count("&lt;")


def test_plain_text_keeps_the_words_and_the_marks() -> None:
    paragraph = "You get **28 days** _a year_ [1], see [the page](https://example.com/leave)."
    markdown = f"# Leave\n\n{paragraph}\n\n> said so\n\n```\n2 * 3 * 4\n```"

    assert plain(markdown) == "Leave\n\nYou get 28 days a year [1], see the page.\n\nsaid so\n\n2 * 3 * 4"


@pytest.mark.parametrize("text", ["2 * 3 * 4", "snake_case_name", "5 > 3", "#1 of two", "a [1] b [2]"])
def test_plain_text_leaves_what_is_no_markdown(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("text", ["[" * 5000, "[a](" * 2000, "![a](b" * 2000, "<https://" * 2000, "*a" * 3000, "`" * 5000])
def test_hostile_text_takes_no_time(text: str) -> None:
    plain(text)
    split(text, 2000)


def test_a_shortened_text_ends_after_a_word() -> None:
    assert shortened("How many\ndays of leave do I get?", 20) == "How many days of…"
    assert shortened("short", 20) == "short"
    assert len(shortened("x" * 50, 20)) == 20
