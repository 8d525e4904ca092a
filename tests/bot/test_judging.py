"""What judges get of the engine: its prompts, the quotes in them, and its check."""

from bot.judging import engine_check, prompt_builder
from bot.prompting import build_messages, messages_on, quotes_in
from bot.voice import read_voice
from tests.bot.test_citations import CARRY, LEAVE
from tests.fakes import HashingEmbedder

VOICE = read_voice(None)
QUOTE = "Full-time employees get 27 days of annual leave per calendar year."


def test_the_prompts_are_those_of_the_engine() -> None:
    sent = build_messages("How many days?", [LEAVE, CARRY], VOICE)

    assert prompt_builder(VOICE)("How many days?", [LEAVE.shown, CARRY.shown]) == sent


def test_the_quotes_are_read_back_as_they_were_written() -> None:
    quotes = ["One line.", "Two\nlines: [3] <<and>> more.", "[2] looks like a number."]

    assert quotes_in(messages_on("[1] <<<what>>>?", quotes, VOICE)) == quotes
    assert quotes_in([{"role": "user", "content": "Why is the sky blue? [1] <<<x>>>"}]) == []
    assert quotes_in([]) == []


def test_the_check_tells_for_each_sentence_which_quote_supports_it_and_skips_fixed_phrases() -> None:
    check = engine_check(HashingEmbedder(), ["Hi there!", "Happy to help."])

    found = check("How many?", ["The canteen closes at 14:00.", QUOTE], f"hi  there! {QUOTE} You get 99 days. Happy to help.")

    assert found == [(QUOTE, 1), ("You get 99 days.", None)]
    assert check("How many?", [QUOTE], "Hi there!") == []
    assert check("How many?", [], QUOTE) == [(QUOTE, None)]
