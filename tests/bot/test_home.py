"""Start pages and greetings: for each role what it may see, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.home import HomePages, clipped, greeting_text
from bot.links import REMOVED
from bot.main import Timbre
from bot.messages import Control, Home, Item, PersonId, Place
from bot.people import Role
from bot.voice import read_voice
from knowledge.documents import EVERYONE, Audience
from tests.bot.team import ANN, BOB, GUEST, QUESTION, SUE, ask, name_of, queue_of
from tests.bot.test_escalations import escalations_of

pytestmark = pytest.mark.both_databases

BICYCLE = "Where can I park my bicycle?"
UNKNOWN = "Which vaccine protects against malaria?"
STATE = ["Slack is connected.", "2 sources, 14 documents."]
THREAD = Place("slack", "T1", "C1", "10")


async def state() -> Sequence[str]:
    return STATE


def groups_of(person: PersonId) -> Audience:
    return frozenset({EVERYONE})


def pages_of(timbre: Timbre) -> HomePages:
    return HomePages(
        timbre.engine.suggestions, timbre.exchanges, queue_of(timbre), escalations_of(timbre), read_voice(None), groups_of,
        state, name_of,
    )  # fmt: skip


def titles(home: Home) -> list[str]:
    return [section.title for section in home.sections]


def items(home: Home, title: str) -> Sequence[Item]:
    return next(section.items for section in home.sections if section.title == title)


def controls(item: Item) -> list[tuple[Control, str]]:
    return [(button.control, button.subject) for button in item.buttons]


async def test_a_member_sees_how_to_ask_what_to_ask_and_what_they_asked(handbook: Timbre) -> None:
    await ask(handbook, UNKNOWN)
    await ask(handbook, QUESTION)
    await ask(handbook, "thanks")
    await ask(handbook, BICYCLE, by=BOB)

    home = await pages_of(handbook).home(ANN, Role.MEMBER)

    assert titles(home) == ["How to ask", "You could ask", "Your last questions"]
    assert [(item.text, controls(item)) for item in items(home, "You could ask")] == [(BICYCLE, [(Control.ASK, BICYCLE)])]
    assert [item.text for item in items(home, "Your last questions")] == [
        f"{QUESTION}\n*answered, less than a minute ago*",
        f"{UNKNOWN}\n*no answer found, less than a minute ago*",
    ]


async def test_the_last_five_questions_are_shown(handbook: Timbre) -> None:
    for number in range(7):
        await ask(handbook, f"Vaccine {number}?")

    shown = items(await pages_of(handbook).home(ANN, Role.MEMBER), "Your last questions")

    assert [item.text.partition("?")[0] for item in shown] == [f"Vaccine {number}" for number in (6, 5, 4, 3, 2)]


async def test_who_has_no_role_sees_nothing(handbook: Timbre) -> None:
    pages = pages_of(handbook)

    home, greeting = await pages.home(GUEST, None), await pages.greeting(GUEST)

    assert [item.text for section in home.sections for item in section.items] == [greeting.text]
    assert "only help members" in greeting.text
    assert list(greeting.prompts) == []


async def test_staff_see_what_waits_for_them_with_what_to_do_about_it(handbook: Timbre) -> None:
    exchange = await ask(handbook)
    proposed = await queue_of(handbook).propose(exchange.id, "See https://evil.example.\n\nIt is 30.", BOB)
    await escalations_of(handbook).ask_person(exchange.id, ANN, THREAD)

    home = await pages_of(handbook).home(SUE, Role.SUPPORT)

    assert titles(home)[-2:] == ["Corrections to review", "Questions for people"]
    (correction,) = items(home, "Corrections to review")
    assert correction.text == f"**{QUESTION}**\n> See {REMOVED}. It is 30.\n*Bob, less than a minute ago*"
    assert controls(correction) == [(control, proposed.id) for control in (Control.APPROVE, Control.EDIT, Control.REJECT)]
    assert [button.is_dangerous for button in correction.buttons] == [False, False, True]
    (question,) = items(home, "Questions for people")
    assert question.text == f"**{QUESTION}**\n*Ann has waited for less than a minute*"
    assert controls(question) == [(Control.RESOLVED, "1")]


async def test_staff_see_that_nothing_waits(handbook: Timbre) -> None:
    home = await pages_of(handbook).home(SUE, Role.SUPPORT)

    assert [item.text for title in titles(home)[-2:] for item in items(home, title)] == [
        "No correction waits.",
        "Nobody waits for a person.",
    ]


async def test_ten_corrections_are_shown_and_the_others_counted(handbook: Timbre) -> None:
    exchange = await ask(handbook)
    for number in range(12):
        await queue_of(handbook).propose(exchange.id, f"It is {number} days.", BOB)

    shown = items(await pages_of(handbook).home(SUE, Role.SUPPORT), "Corrections to review")

    assert len(shown) == 11
    assert "It is 0 days." in shown[0].text
    assert shown[-1] == Item("And 2 more.")


async def test_admins_alone_see_the_state(handbook: Timbre) -> None:
    pages = pages_of(handbook)

    homes = [await pages.home(SUE, role) for role in Role]

    assert ["State" in titles(home) for home in homes] == [False, False, True]
    assert [item.text for item in items(homes[-1], "State")] == STATE


async def test_the_greeting_offers_questions_that_are_answered(handbook: Timbre) -> None:
    greeting = await pages_of(handbook).greeting(ANN)

    assert (greeting.prompts, "{questions}" in greeting.text) == ([BICYCLE], False)
    assert greeting.text.endswith("For example:")


def test_a_greeting_without_questions_introduces_none() -> None:
    voice = read_voice(None)
    own = replace(voice, greeting="Ahoy! Try one of these:\n\n{questions}\n\nFair winds.")

    assert greeting_text(voice, has_prompts=False) == "Hello! Ask me anything about the company's documents."
    assert greeting_text(own, has_prompts=False) == "Ahoy!\nFair winds."
    assert greeting_text(own, has_prompts=True) == "Ahoy! Try one of these:\nFair winds."


def test_a_long_text_is_cut_and_an_address_taken_out() -> None:
    assert clipped("one\n two  three", 9) == "one two…"
    assert clipped("one", 3) == "one"
    assert clipped("https://evil.example", 99) == REMOVED
