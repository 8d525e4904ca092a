"""What Discord's texts, forms and commands mean, as our values."""

import pytest

from adapters.discord import commands
from adapters.discord.inbound import (
    Myself,
    Whereabouts,
    read_form,
    read_menu,
    readable,
    typed_texts,
    user_of,
    with_person_ids,
)
from bot.messages import PersonId, Place
from tests.adapters.discord.openapi import openapi

ME = Myself(1, 2)
NAMES = {3: "Ada", 4: "Leads", 5: "general"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@1> where are the keys?", "where are the keys?"),
        ("<@!1> hello", "hello"),
        ("<@&2> hello", "hello"),
        ("ask <@1> please", "ask please"),
        ("<@3> and <@&4> know, see <#5>", "@Ada and @Leads know, see #general"),
        ("<@9> <@&9> <#9>", "@somebody @a role #a channel"),
        ("try </ask:77> <:smile:78> <a:wave:79>", "try /ask :smile: :wave:"),
        ("see <https://handbook.example/a?b=1>", "see https://handbook.example/a?b=1"),
        ("a < b, c > d, <b>bold</b>", "a < b, c > d, <b>bold</b>"),
        ("```\n    indented\n```", "```\n    indented\n```"),
        ("<@1>", ""),
    ],
)
def test_a_text_is_read_without_the_syntax_of_discord(content: str, text: str) -> None:
    assert readable(content, NAMES, ME) == text


def test_a_thread_is_placed_in_its_channel() -> None:
    assert Whereabouts(7, 6, 5).place() == Place("discord", "6", "5", "7")
    assert Whereabouts(5, 6).place() == Place("discord", "6", "5")
    assert Whereabouts(8, None, None, 3).place("6") == Place("discord", "6", "8")


def test_the_fields_of_a_form_are_found_in_labels_and_in_rows() -> None:
    data = {
        "custom_id": "timbre:not_helpful:e1",
        "components": [
            {"type": 18, "component": {"type": 3, "custom_id": "reason", "values": ["tone"]}},
            {"type": 18, "component": {"type": 3, "custom_id": "none", "values": []}},
            {"type": 18, "component": {"type": 4, "custom_id": "comment", "value": "rude"}},
            {"type": 1, "components": [{"type": 4, "custom_id": "answer", "value": "Be kind."}]},
        ],
    }

    assert read_form(data) == {"reason": "tone", "none": "", "comment": "rude", "answer": "Be kind."}
    assert typed_texts(data) == {"comment": "rude", "answer": "Be kind."}


def test_the_message_of_a_menu_entry_is_read_with_its_mentions_by_name() -> None:
    place = Place("discord", "6", "5", "7")
    message = {
        "id": "9",
        "content": "ask <@3>",
        "author": {"id": "4", "username": "ben"},
        "mentions": [{"id": "3", "username": "ada", "global_name": "Ada"}],
    }
    data = {"name": commands.CAPTURE, "target_id": "9", "resolved": {"messages": {"9": message}}}

    chosen = read_menu(data, place)

    assert (chosen.entry, chosen.ref.id, chosen.ref.place, chosen.text) == (commands.CAPTURE, "9", place, "ask @Ada")


def test_people_are_named_by_ids_that_commands_understand() -> None:
    assert with_person_ids("roles grant <@3> admin", "6") == "roles grant discord:6:3 admin"
    assert user_of(PersonId("discord:6:3")) == 3


def test_the_commands_are_such_as_discord_takes() -> None:
    if judge := openapi():
        path = "/applications/{application_id}/commands"
        assert judge.call_mistakes("PUT", path, {}, commands.payload(), has_body=True) == []
    names = [command["name"] for command in commands.payload()]
    assert names == ["ask", "help", "mine", "queue", "status", "timbre", "Flag answer", "Use as correction"]


def test_choices_complete_the_option_that_is_typed() -> None:
    data = {
        "name": "timbre",
        "options": [{"name": "forget-source", "options": [{"name": "name", "value": "han", "focused": True}]}],
    }

    words, before = commands.unfinished_words_of(data)

    assert words == "forget source han"
    assert commands.choices(["forget source handbook", "forget source hanoi"], before) == ["handbook", "hanoi"]
