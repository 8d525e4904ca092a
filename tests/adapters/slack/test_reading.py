"""What people see of a message, whom it pings, where its links lead."""

import pytest

from tests.adapters.slack.reading import Link, links, pings, visible_text
from tests.adapters.slack.state import Json, Message

NAMES = {"U1": "Ana", "C1": "general", "S1": "support"}


def a_message(text: str = "", *blocks: Json, parses_names: bool = False) -> Message:
    return Message(channel="C1", ts="1.000001", user="U1", team="T1", text=text, blocks=list(blocks), parses_names=parses_names)


def markdown(text: str) -> Json:
    return {"type": "markdown", "text": text}


def section(text: str, kind: str = "mrkdwn") -> Json:
    return {"type": "section", "text": {"type": kind, "text": text}}


def context(text: str) -> Json:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        (a_message("1 &lt; 2 &amp; *3*"), "1 < 2 & 3"),
        (a_message("<@U1> in <#C1> with <!subteam^S1>, <!here>"), "@Ana in #general with @support, @here"),
        (a_message("See <https://x.org/a_b_c|the page> or <https://y.org>"), "See the page or https://y.org"),
        (a_message("snake_case_name and 2*3*4"), "snake_case_name and 2*3*4"),
        (a_message("fallback", section("*Yes*"), section("*Yes*", "plain_text")), "Yes\n*Yes*"),
        (a_message("", markdown("# Title\n**Bold** and _slanted_ [page](https://x.org)")), "Title\nBold and slanted page"),
        (a_message("", markdown(r"2 \* 3, &lt;!channel&gt;")), "2 * 3, <!channel>"),
        (a_message("", rich({"type": "user", "user_id": "U1"}, {"type": "text", "text": " hi"})), "@Ana hi"),
        (
            a_message("", {"type": "divider"}, {"type": "context", "elements": [{"type": "mrkdwn", "text": "_small_"}]}),
            "---\nsmall",
        ),
    ],
)
def test_a_message_is_seen_without_its_markup(message: Message, seen: str) -> None:
    assert visible_text(message, lambda id: NAMES[id]) == seen


def test_buttons_are_seen_by_their_labels() -> None:
    plain = {"type": "plain_text"}
    feedback = {
        "type": "feedback_buttons",
        "positive_button": {"text": {**plain, "text": "Good"}, "value": "1"},
        "negative_button": {"text": {**plain, "text": "Bad"}, "value": "0"},
    }
    row = {
        "type": "context_actions",
        "elements": [feedback, {"type": "icon_button", "icon": "trash", "text": {**plain, "text": "Bin"}}],
    }

    assert visible_text(a_message("", row), str) == "[Good]  [Bad]  [Bin]"


@pytest.mark.parametrize(
    ("message", "called"),
    [
        (a_message("<!channel> <!here|here> <!everyone> <@U1|ana> <!subteam^S1|@support> <@U1>"), 5),
        (a_message("&lt;!channel&gt; @channel <#C1> <https://x.org>"), 0),
        (a_message("@channel", parses_names=True), 1),
        (a_message("all well", section("<!here>")), 1),
        (a_message("all well", section("<!here>", "plain_text")), 0),
        (a_message("all well", markdown("[x](https://a|h><!channel>)")), 1),
        (a_message("all well", context("<@U1>")), 1),
        (a_message("all well", {**section("a"), "fields": [{"type": "mrkdwn", "text": "<@U1>"}]}), 1),
        (a_message("all well", rich({"type": "broadcast", "range": "here"}, {"type": "usergroup", "usergroup_id": "S1"})), 2),
        (a_message("<!channel>", section("well")), 1),
    ],
)
def test_every_surface_counts_for_pings(message: Message, called: int) -> None:
    assert len(pings(message)) == called


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (a_message("<https://x.org/?a=1&amp;b=2|page>"), Link("https://x.org/?a=1&b=2", "page")),
        (a_message("at https://y.org."), Link("https://y.org", "https://y.org")),
        (a_message("", markdown("[a [b]](https://x.org/(1))")), Link("https://x.org/(1)", "a [b]")),
        (a_message("", markdown("<https://y.org>")), Link("https://y.org", "https://y.org")),
        (a_message("", rich({"type": "link", "url": "https://x.org", "text": "page"})), Link("https://x.org", "page")),
        (a_message("<@U1> <mailto:a@b.org|mail>"), Link("mailto:a@b.org", "mail")),
    ],
)
def test_a_link_is_found_with_its_label(message: Message, found: Link) -> None:
    assert links(message) == [found]
