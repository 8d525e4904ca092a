"""Discord messages and forms of our values: within every limit, and with nothing active in them but cited pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.rendering import (
    MAX_CONTENT_CHARS,
    as_plain_text,
    growing,
    render_errors,
    render_form,
    render_greeting,
    render_home,
    render_notice,
    render_reply,
    thread_name,
)
from bot.messages import (
    Button,
    Choice,
    Control,
    Form,
    Greeting,
    Home,
    Item,
    Link,
    Notice,
    Reply,
    ReplyKind,
    Section,
    TextInput,
)
from tests.adapters.discord.mentions import allowed, links
from tests.adapters.discord.openapi import openapi
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.rules import complaints, refusals
from tests.adapters.discord.world import Json, Message, World
from tests.properties import texts

EPHEMERAL, SUPPRESS_EMBEDS = 64, 4
URL = "https://handbook.example/leave#days"
HOSTILE = (
    "@everyone", "@here", "<@{user}>", "<@!{user}>", "<@&{role}>", "<#{user}>", "</ask:{user}>", "<:smile:{user}>", "<t:0>",
    "<id:guide>", "[click](https://evil.example)", "[x](<https://evil.example> \"t\")", "https://evil.example/p?q=secret",
    "<https://evil.example>", "discord.gg/evil", "![pixel](https://evil.example/p.png)", "```\n@everyone\n```", "`@here`",
)  # fmt: skip


def shown(payload: Json) -> Message:
    """The payload as Discord keeps it."""
    return Message("1", "2", "3", payload["content"], 0.0, components=payload.get("components", []),
                   allowed_mentions=payload["allowed_mentions"])  # fmt: skip


def mistakes(payload: Json) -> list[object]:
    """What Discord refuses, by its own document and its limits, and what could ping."""
    judge = openapi()
    found: list[object] = [*refusals(payload), *complaints(payload)]
    if judge:
        found += judge.call_mistakes("POST", "/channels/{channel_id}/messages", {}, payload, has_body=True)
    return found


def answer(text: str, *, kind: ReplyKind = ReplyKind.ANSWER, calls_support: bool = False) -> Reply:
    rating = [Button(Control.HELPFUL, "e1", "Helpful"), Button(Control.NOT_HELPFUL, "e1", "Not helpful")]
    buttons = [*rating, Button(Control.ASK_PERSON, "e1", "Ask a person")]
    return Reply(kind, text, [Link(1, "Leave", "Days > Half days", URL), Link(2, "A file", "", "")], buttons, calls_support)


def labels(payload: Json) -> list[list[str]]:
    return [[button["label"] for button in row["components"]] for row in payload["components"]]


def test_an_answer_has_its_pages_small_below_it_and_its_buttons_in_a_row() -> None:
    [message] = render_reply(answer("You have **30 days** [1]."))

    assert message["content"] == f"You have **30 days** [1].\n\n-# [1] [Leave › Days › Half days](<{URL}>)\n-# [2] A file"
    assert labels(message) == [["Helpful", "Not helpful", "Ask a person"]]
    assert message["flags"] == SUPPRESS_EMBEDS
    assert mistakes(message) == []


def test_where_there_is_no_answer_it_looks_different_and_a_person_comes_first() -> None:
    [closest] = render_reply(answer("These pages may help:", kind=ReplyKind.CLOSEST))
    [unknown] = render_reply(answer("I do not know.", kind=ReplyKind.UNKNOWN))

    assert closest["content"] == f"> These pages may help:\n\n- [1] [Leave › Days › Half days](<{URL}>)\n- [2] A file"
    assert labels(closest)[0][0] == labels(unknown)[0][0] == "Ask a person"


def test_a_long_answer_keeps_its_code_whole_in_each_part() -> None:
    code = "```python\n" + "\n".join(f"line_{number} = {number}" for number in range(300)) + "\n```"

    messages = render_reply(answer(f"Do this:\n\n{code}"))

    assert len(messages) > 2
    assert all(message["content"].count("```") % 2 == 0 for message in messages)
    assert [bool(message.get("components")) for message in messages] == [False] * (len(messages) - 1) + [True]
    assert [each for message in messages for each in mistakes(message)] == []


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_an_answer_pings_or_leads_anywhere_but_to_cited_pages(hostile: str) -> None:
    world = World()
    guild = world.add_guild("Acme", Permission(0))
    hostile = hostile.format(user=world.owner.id, role=guild.id)
    reply = Reply(ReplyKind.ANSWER, f"Look {hostile} here", [Link(1, hostile, hostile, URL)])

    for kind in ReplyKind:
        [payload] = render_reply(Reply(kind, reply.text, reply.links))
        message = shown(payload)
        message.allowed_mentions = None  # even if Discord did not heed what we allow
        assert not allowed(message, world)
        assert {link.url for link in links(message)} <= {URL}
        assert "<@" not in payload["content"] and "</ask" not in payload["content"]


def test_only_a_call_for_support_names_its_role_and_allows_nothing_else() -> None:
    [calling] = render_reply(answer("Please help.", calls_support=True), support_role="77")
    [quiet] = render_reply(answer("All is well."), support_role="77")
    [nobody] = render_reply(answer("Please help.", calls_support=True))

    assert calling["content"].startswith("<@&77>\n")
    assert calling["allowed_mentions"] == {"parse": [], "roles": ["77"]}
    assert quiet["allowed_mentions"] == nobody["allowed_mentions"] == {"parse": []}
    assert "<@&" not in quiet["content"] + nobody["content"]


TEXT = st.lists(st.one_of(texts, st.sampled_from([*HOSTILE, "\n\n", "```", "> ", "word " * 300])), max_size=30)


@given(TEXT, st.sampled_from(ReplyKind), st.text(max_size=300))
def test_whatever_an_answer_says_discord_takes_it(said: list[str], kind: ReplyKind, heading: str) -> None:
    reply = answer(" ".join(said), kind=kind)
    reply = Reply(kind, reply.text, [Link(1, heading, heading, URL)], reply.buttons)

    for message in render_reply(reply):
        assert mistakes(message) == []
        assert mistakes(as_plain_text(message)) == []
        assert 0 < len(message["content"].strip()) <= MAX_CONTENT_CHARS
        assert message["content"].encode()
        assert "\x00" not in message["content"]


@given(TEXT)
def test_whatever_grows_fits_one_message_and_links_nothing(said: list[str]) -> None:
    content = growing(" ".join(said))

    assert 0 < len(content) <= MAX_CONTENT_CHARS
    assert content.endswith("…")
    assert links(shown({"content": content, "allowed_mentions": None})) == []


def test_buttons_that_do_not_fit_are_left_out_and_long_labels_are_cut() -> None:
    buttons = [Button(Control.ASK, f"{number} " + "x" * 70, "y " * 60) for number in range(30)]
    buttons += [Button(Control.ASK, "z" * 95, "too long a subject"), buttons[0]]

    [message] = render_notice(Notice("Pick one", buttons))

    assert [len(row) for row in labels(message)] == [5, 5, 5, 5, 5]
    assert mistakes(message) == []


def test_a_notice_is_for_one_person_and_a_problem_looks_like_one() -> None:
    [notice] = render_notice(Notice("Noted."))
    [problem] = render_notice(Notice("That did not work.", is_problem=True))

    assert notice["flags"] == EPHEMERAL | SUPPRESS_EMBEDS
    assert problem["content"] == "⚠️ That did not work."


def test_a_form_has_a_box_for_text_and_a_list_for_a_choice() -> None:
    form = Form(
        Control.NOT_HELPFUL,
        "e1",
        "Not helpful",
        [
            Choice("reason", "What is wrong?", [("wrong", "It is wrong"), ("tone", "The tone")], value="tone"),
            TextInput("comment", "Comment " * 10, value="so far", hint="h" * 200, max_chars=5000),
            TextInput("name", "Name", is_required=True, max_chars=40),
        ],
    )

    modal = render_form(form)
    reason, comment, name = (field["component"] for field in modal["components"])

    assert (modal["title"], modal["custom_id"]) == ("Not helpful", "timbre:not_helpful:e1")
    assert [option.get("default", False) for option in reason["options"]] == [False, True]
    assert (comment["value"], comment["style"], comment["max_length"]) == ("so far", 2, 4000)
    assert (name["required"], name["style"]) == (True, 1)
    if judge := openapi():
        body = {"type": 9, "data": modal}
        path = "/interactions/{interaction_id}/{interaction_token}/callback"
        assert judge.call_mistakes("POST", path, {}, body, has_body=True) == []


def test_a_form_that_is_not_accepted_comes_back_with_what_was_typed() -> None:
    messages = render_errors(Control.PROPOSE, "e1", ["Say more."], ["a" * 3000, " "])

    assert messages[0]["content"] == "⚠️ Say more."
    assert "".join(message["content"] for message in messages).count("a") > 3000
    assert labels(messages[-1]) == [["Try again"]]
    assert messages[-1]["components"][0]["components"][0]["custom_id"] == "timbre:propose:e1"
    assert [each for message in messages for each in mistakes(message)] == []


def test_a_start_page_has_a_message_for_each_entry_with_buttons() -> None:
    approve = Button(Control.APPROVE, "c1", "Approve")
    home = Home([Section("How to ask", [Item("One"), Item("Two")]), Section("Queue", [Item("Fix this", [approve])])])

    messages = render_home(home)

    assert [message["content"] for message in messages] == ["### How to ask\n- One\n- Two", "### Queue", "Fix this"]
    assert labels(messages[-1]) == [["Approve"]]
    assert all(message["flags"] & EPHEMERAL for message in messages)


def test_a_greeting_has_a_button_for_each_question() -> None:
    [message] = render_greeting(Greeting("Hello!", ["How much leave do I have?", "q" * 120]))

    assert labels(message) == [["How much leave do I have?"]]
    assert not message["flags"] & EPHEMERAL


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("How much leave do I have?", "How much leave do I have?"),
        ("**Where** is\nit?", "Where is it?"),
        ("", "Answer"),
        ("word " * 50, "word " * 18 + "word…"),
    ],
)
def test_a_thread_is_named_after_its_question(question: str, name: str) -> None:
    assert thread_name(question) == name
    assert len(name) <= 100
