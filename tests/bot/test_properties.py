"""What holds for every question and every setting, not only for the examples of the other tests."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.citations import answered, closest, number, quoted, without_marks
from bot.conversation import Outcome, Question, Turn
from bot.engine import cleaned
from bot.errors import CommandRejected, SettingsInvalid
from bot.grounding import coverage, is_supported
from bot.questions import MAX_HISTORY_CHARS, MAX_QUESTION_CHARS, alone, parts, spelled_out, with_previous_turn
from bot.settings import field_paths, load, variable
from bot.voice import read_voice
from tests.bot.passages import a_quote
from tests.properties import texts

VOICE = read_voice(None)
SETTINGS = [variable(path) for path, _ in field_paths() if path != ("home",)]

VALUES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@given(texts)
def test_a_cleaned_question_can_be_asked_stored_and_cleaned_again(text: str) -> None:
    try:
        question = cleaned(text)
    except CommandRejected as err:
        assert str(err).endswith((".", "documents."))
        return
    assert question.encode() and "\x00" not in question and question == question.strip() and cleaned(question) == question
    assert any(char.isalnum() for char in question) and len(question) <= MAX_QUESTION_CHARS


@given(texts)
def test_the_parts_of_a_question_lie_in_it_one_after_the_other(text: str) -> None:
    spans = parts(text)

    edges = [edge for span in spans for edge in span]
    assert spans and edges == sorted(edges) and edges[0] == 0 and edges[-1] == len(text)


@given(texts, texts)
def test_a_question_stands_at_the_end_of_its_query(text: str, earlier: str) -> None:
    question = Question(text, frozenset(), [Turn("user", earlier), Turn("assistant", "27 days.")])

    joined = with_previous_turn(question)

    assert (joined is None) == (not spelled_out(earlier.strip()))
    if joined:
        query, start = joined
        assert query[start:] == alone(question) and start <= MAX_HISTORY_CHARS + 1


@given(st.lists(texts.filter(str.strip), min_size=1, max_size=3), texts)
def test_an_answer_shows_every_quote_word_for_word_with_its_number(quotes: list[str], wording: str) -> None:
    citations = number([replace(a_quote("A sentence."), text=text) for text in quotes])

    whole, unsure = answered(citations, wording, VOICE), closest(citations, VOICE, "the office")

    assert [citation.number for citation in whole.citations] == list(range(1, len(quotes) + 1))
    assert (whole.outcome, unsure.outcome) == (Outcome.ANSWERED, Outcome.CLOSEST)
    for citation in citations:
        assert quoted(citation) in whole.text and f"[{citation.number}]" in quoted(citation)
        assert all(line in quoted(citation) for line in citation.quote.text.splitlines())
    assert len(unsure.pages) == len(unsure.citations) == min(3, len(quotes))


@given(texts)
def test_no_mark_is_left_after_marks_are_taken_out(text: str) -> None:
    assert "[1]" not in without_marks(text) or "[1]" not in text


@given(texts, texts)
def test_coverage_is_a_share_and_a_sentence_covers_itself(sentence: str, quote: str) -> None:
    assert 0 <= coverage(sentence, quote) <= 1
    assert coverage(sentence, sentence) in (0, 1)
    assert not is_supported(f"{sentence} 987654321", quote, 1.0, "")


@given(
    st.dictionaries(
        st.sampled_from(SETTINGS),
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12),
        min_size=1,
        max_size=3,
    )
)
def test_any_value_of_a_setting_is_taken_or_refused_by_name(values: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in values.items():
            environment.setenv(name, value)
        try:
            load()
        except SettingsInvalid as err:
            assert all(any(name in line for name in values) for line in str(err).splitlines() if line.startswith("TIMBRE"))


@given(st.binary(max_size=60))
def test_any_settings_file_is_read_or_refused_with_a_sentence(content: bytes) -> None:
    home = Path(os.environ["TIMBRE_HOME"])
    home.mkdir(exist_ok=True)
    (home / "timbre.toml").write_bytes(content)

    with contextlib.suppress(SettingsInvalid):
        load()
