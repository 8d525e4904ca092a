"""Replies, notices, forms and the start page as blocks: within Slack's limits, with nothing in them that pings or leads away."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.markup import escaped, link, markdown, mrkdwn
from adapters.slack.rendering import (
    Content,
    contents,
    form_errors,
    home_view,
    modal,
    notice_contents,
    prompts,
    streamed,
)
from bot.messages import (
    Button,
    Choice,
    Control,
    FieldErrors,
    Form,
    Greeting,
    Home,
    Item,
    Link,
    Notice,
    Place,
    Reply,
    ReplyKind,
    Section,
    TextInput,
)
from tests.adapters.slack import reading
from tests.adapters.slack.blocks import check_blocks, check_view, too_long
from tests.adapters.slack.state import Message

RATING = (Button(Control.HELPFUL, "e1", "Helpful"), Button(Control.NOT_HELPFUL, "e1", "Not helpful"))
ASK = Button(Control.ASK_PERSON, "e1", "Ask a person")
PAGE = Link(1, "Leave", "How many days", "https://example.com/leave?a=1&b=2")
FILE = Link(2, "Parking", "", "")
HOSTILE = [
    "<!channel>", "<!here|here>", "<!everyone>", "<@U1>", "<@U1|ana>", "<!subteam^S1>", "<#C1>", "< !channel>",
    "&lt;!channel&gt;", "<https://evil.example|Reset your password>", "[click](https://evil.example)", "![x](https://evil.example/p.png)",
    "[x](https://a|h><!channel>)", "https://evil.example/?q=secret", "`<!channel>`", "```\n<!channel>\n```", "> <!channel>",
    "<mailto:a@evil.example>", "[a]: https://evil.example", "**<!here>**", "<<!channel>>", "<\n!channel>", "&#60;!channel&#62;",
    "\x00<!channel>", "\u202e<!channel>", "<!channel\u200b>", "[<!channel>](https://example.com/leave?a=1&b=2)", "|", "*", "_~*`",
    "a" * 200, "\ud800",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from([*HOSTILE, "\n\n", "\n", "Text. ", "- item\n"]), max_size=30).map("".join)


def reply(text: str = "You get 27 days. [1]", **changes: Any) -> Reply:
    return Reply(**{"kind": ReplyKind.ANSWER, "text": text, "links": [PAGE, FILE], "buttons": [*RATING, ASK], **changes})


def posted(content: Content) -> Message:
    return Message(channel="C1", ts="1.1", user="UBOT", team="T1", text=content.text, blocks=list(content.blocks))


def kinds(content: Content) -> list[str]:
    return [block["type"] for block in content.blocks]


def evil_links(message: Message) -> list[str]:
    return [found.url for found in reading.links(message) if "evil" in found.url]


def assert_harmless(shown: list[Content]) -> None:
    for content in shown:
        texts = [posted(content), *(Message(channel="C1", ts="1", user="U", team="T", text=text) for text in content.plain)]
        for message in texts:
            assert reading.pings(message) == []
            assert evil_links(message) == []
        assert check_blocks(list(content.blocks)) == []
        assert not too_long(list(content.blocks))
        assert content.text
        assert all(0 < len(text) <= 3500 for text in (content.text, *content.plain))


def test_an_answer_has_its_pages_its_rating_and_a_way_to_people() -> None:
    (content,) = contents(reply())

    assert kinds(content) == ["markdown", "context", "context_actions", "actions"]
    assert content.blocks[1]["elements"][0]["text"] == "[1] <https://example.com/leave?a=1&amp;b=2|Leave › How many days>"
    assert content.blocks[1]["elements"][1]["text"] == "[2] Parking"
    assert content.text == "You get 27 days. [1]"


def test_closest_pages_look_softer_and_offer_a_person_first() -> None:
    (content,) = contents(reply(kind=ReplyKind.CLOSEST, buttons=[ASK, *RATING]))

    assert kinds(content) == ["context", "markdown", "section", "actions", "context_actions"]
    assert "not a sure answer" in content.blocks[0]["elements"][0]["text"]


def test_an_unknown_answer_offers_a_person() -> None:
    (content,) = contents(reply(kind=ReplyKind.UNKNOWN, links=[], buttons=[ASK, *RATING]))

    assert kinds(content) == ["markdown", "actions", "context_actions"]


def test_one_thumb_alone_is_an_ordinary_button() -> None:
    (content,) = contents(reply(links=[], buttons=RATING[1:]))

    assert kinds(content) == ["markdown", "actions"]


def test_the_support_group_is_called_once_in_front() -> None:
    first, *rest = contents(reply("word " * 4000, calls_support=True), "S1")

    assert reading.pings(posted(first)) == ["!subteam^S1"]
    assert first.blocks[0]["text"]["text"] == "<!subteam^S1>"
    assert first.text.startswith("<!subteam^S1> ")
    assert [reading.pings(posted(content)) for content in rest] == [[]] * len(rest)


def test_without_a_support_group_nobody_is_called() -> None:
    assert_harmless(contents(reply(calls_support=True)))


def test_a_long_answer_becomes_several_messages_with_the_buttons_under_the_last() -> None:
    shown = contents(reply("\n\n".join(["A paragraph of a long answer. " * 20] * 60)))

    assert len(shown) > 2
    assert [kinds(content) for content in shown[:-1]] == [["markdown"]] * (len(shown) - 1)
    assert kinds(shown[-1]) == ["markdown", "context", "context_actions", "actions"]
    assert_harmless(shown)


def test_quotes_lists_and_code_keep_their_form() -> None:
    text = "> quoted 1 < 2\n\n- a\n- b\n\n```\nif a < b:\n```"

    (content,) = contents(reply(text, links=[], buttons=[]))

    assert content.blocks[0]["text"] == "> quoted 1 &lt; 2\n\n- a\n- b\n\n```\nif a &lt; b:\n```"


def test_many_pages_fit() -> None:
    pages = [Link(number, "T" * 300, "H" * 300, "https://example.com/" + "x" * 2900) for number in range(40)]

    assert_harmless_but_for_pages(contents(reply(links=pages)))


def assert_harmless_but_for_pages(shown: list[Content]) -> None:
    for content in shown:
        assert check_blocks(list(content.blocks)) == []
        assert not too_long(list(content.blocks))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", list(ReplyKind))
def test_nothing_in_a_reply_pings_or_leads_away(text: str, kind: ReplyKind) -> None:
    assert_harmless(contents(reply(f"Before {text} after", kind=kind)))
    assert_harmless(contents(reply(text, kind=kind)))


@given(TEXTS, TEXTS.filter(lambda title: not title.startswith("https://")))  # the address of a cited page is a page's
def test_no_mixture_in_a_reply_pings_or_leads_away(text: str, title: str) -> None:
    assert_harmless(contents(reply(text, links=[Link(1, title, title, PAGE.url), Link(2, title, title, title)])))


@given(TEXTS)
def test_what_is_streamed_pings_nobody(text: str) -> None:
    message = Message(channel="C1", ts="1.1", user="U", team="T", blocks=[{"type": "markdown", "text": streamed(text)}])

    assert reading.pings(message) == []
    assert evil_links(message) == []


@given(TEXTS)
def test_a_notice_pings_nobody_and_fits(text: str) -> None:
    for content in notice_contents(Notice(text, [ASK], is_problem=True)):
        message = posted(content)
        assert reading.pings(message) == []
        assert check_blocks(list(content.blocks)) == []


def test_a_long_notice_becomes_several_messages() -> None:
    shown = notice_contents(Notice("\n\n".join(["A line of the sources. " * 50] * 150), [ASK]))

    assert len(shown) > 1
    assert kinds(shown[-1])[-1] == "actions"
    for content in shown:
        assert check_blocks(list(content.blocks)) == []


def test_a_problem_is_marked() -> None:
    (content,) = notice_contents(Notice("That is no command.", is_problem=True))

    assert content.text == ":warning: That is no command."


# -- forms and the start page

PLACE = Place("slack", "T1", "C1", "1.1")
FORM = Form(
    Control.NOT_HELPFUL,
    "e1",
    "What was wrong with this answer?",
    [
        Choice("reason", "Why?", [(str(number), "x" * 100) for number in range(5)], value="3"),
        Choice("kind", "Which?", [(str(number), f"Kind {number}") for number in range(150)], is_required=False),
        TextInput("comment", "Comment", value="<!channel>" * 1000, hint="h" * 300),
        TextInput("name", "Name", max_chars=50, is_required=True),
    ],
)


def test_a_form_fits_and_remembers_where_it_was_opened() -> None:
    view = modal(FORM, PLACE)

    assert check_view(view, "modal") == []
    assert view["callback_id"] == "timbre:not_helpful:e1"
    assert json.loads(view["private_metadata"]) == {"channel": "C1", "thread": "1.1"}
    assert [block["element"]["type"] for block in view["blocks"]] == [
        "radio_buttons", "static_select", "plain_text_input", "plain_text_input",
    ]  # fmt: skip
    assert [block["optional"] for block in view["blocks"]] == [False, True, True, False]
    assert view["blocks"][0]["element"]["initial_option"]["value"] == "3"


def test_what_is_wrong_stands_at_its_field_or_at_the_last() -> None:
    errors = FieldErrors({"reason": "Choose one.", "elsewhere": "That is over.", "comment": "x" * 500})

    found = form_errors(errors, ["reason", "comment", "name"])

    assert found["reason"] == "Choose one."
    assert found["name"] == "That is over."
    assert len(found["comment"]) <= 150


@given(TEXTS)
def test_a_start_page_fits_and_pings_nobody(text: str) -> None:
    item = Item(text, [ASK, Button(Control.REJECT, "c1", text, is_dangerous=True)])
    view = home_view(Home([Section(text, [item] * 3), Section("Last", [])]))

    assert check_view(view, "home") == []
    for block in view["blocks"]:
        assert reading.pings(Message(channel="D", ts="1", user="U", team="T", blocks=[block])) == []


def test_a_start_page_that_is_too_long_says_so() -> None:
    view = home_view(Home([Section("Queue", [Item("One.", [ASK])] * 100)]))

    assert check_view(view, "home") == []
    assert "more than fits" in str(view["blocks"][-1])


def test_an_empty_start_page_is_one_all_the_same() -> None:
    assert check_view(home_view(Home([])), "home") == []


def test_four_suggestions_at_most() -> None:
    found = prompts(Greeting("Hi", ["How many days of leave do I get? " * 5, "", "b", "c", "d", "e"]))

    assert len(found) == 3
    assert all(len(prompt["title"]) <= 75 for prompt in found)


# -- markup


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**bold** and *soft* and ~~gone~~", "*bold* and _soft_ and ~gone~"),
        ("# Heading\n\ntext", "*Heading*\n\ntext"),
        ("- one\n- two", "• one\n• two"),
        ("`a < *b*`", "`a &lt; *b*`"),
        ("[page](https://example.com/a?b&c)", "<https://example.com/a?b&amp;c|page>"),
        ("[page](javascript:x)", "[page](javascript:x)"),
        ("2 * 3 * 4 & 5 < 6", "2 * 3 * 4 &amp; 5 &lt; 6"),
        ("> quote <x>", "> quote &lt;x&gt;"),
        ("snake_case_name __init__", "snake_case_name *init*"),
        ("```py\n**x** <y>\n```", "```\n**x** &lt;y&gt;\n```"),
    ],
)
def test_markdown_as_mrkdwn(text: str, expected: str) -> None:
    assert mrkdwn(text) == expected


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a|b", "https://a>b", "https://a b", "/page", "", "slack://x"])
def test_only_web_addresses_become_links(url: str) -> None:
    assert link(url, "a > b") == "a &gt; b"


def test_surrogates_and_control_characters_are_taken_out() -> None:
    assert escaped("a\x00b\ud800c\u2028d") == "a b?c d"
    assert markdown("a\x07<b") == "a &lt;b"
