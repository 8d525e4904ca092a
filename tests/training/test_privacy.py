"""What must never be learned is taken out of texts, and what is left is found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.privacy import Finding, KnownNames, kinds_in, masked, scan

TEAM = KnownNames(["Anna Müller", "Will Smith", "@jdoe42", "Jo", "May Lee", "José Ångström", ""])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask Anna Müller.", "Ask [name]."),
        ("Anna's desk, and the Müllers'", "[name]'s desk, and the Müllers'"),
        ("ask anna or MÜLLER or muller", "ask [name] or [name] or [name]"),
        ("Jose knows, José's list", "[name] knows, [name]'s list"),
        ("@jdoe42 and jdoe42 wrote to <@U024BE7LH> and <@!80351110224678912> and <@U1|anna>",
         "[name] and [name] wrote to [name] and [name] and [name]"),
        ("Will I get it? I will, and so will they.", "Will I get it? I will, and so will they."),
        ("I asked Will about it, WILL knows.", "I asked [name] about it, [name] knows."),
        ("Joanna and the annals", "Joanna and the annals"),
        ("Jo is too short a name to be looked for", "Jo is too short a name to be looked for"),
    ],
)  # fmt: skip
def test_people_whom_we_know_are_not_named(text: str, expected: str) -> None:
    assert masked(text, TEAM) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to anna.m+work@acme.co.uk.", "Write to [e-mail]."),
        ("Card 4111 1111 1111 1111 or 5500-0000-0000-0004", "Card [card] or [card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 and done", "IBAN [iban] and done"),
        ("gb29nwbk60161331926819", "[iban]"),
        ("Call +44 20 7946 0958 or (212) 555-0187.", "Call [phone] or [phone]."),
        ("key AKIAIOSFODNN7EXAMPLE", "key [secret]"),
        ("https://user:pa55word@host.example/x", "https://user:[secret]@host.example/x"),
        ("The password is hunter22!", "The password is [secret]!"),
        ("api_key=abc123def456", "api_key=[secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nbye", "[secret]\nbye"),
    ],
)
def test_addresses_numbers_and_secrets_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "You get 27 days of annual leave, up to €1,250,000 in 2024-2025 for 10 weeks.",
        "From 2026-11-21 08:30 to 18:00, extension 4911, form M-22, ISO 27001:2022.",
        "A passphrase has at least 16 characters; your token is new.",
        "DE00 is no account, node.js/express no person @ all",
    ],
)
def test_what_documents_are_full_of_stays(text: str) -> None:
    assert masked(text) == text


def test_masking_twice_changes_nothing_even_for_people_called_like_our_placeholders() -> None:
    names = KnownNames(["Phil Card", "Mail Name", "E-mail Secret"])

    once = masked("Mail Name asked Card for 4111 1111 1111 1111 at a@b.example", names)

    assert once == "[name] asked [name] for [card] at [e-mail]"
    assert masked(once, names) == once


_ALPHABET = st.one_of(st.sampled_from("0123456789 -.@+[]:/=\nAabDE"), st.characters(exclude_categories=["Cs"]))
_PIECES = st.one_of(
    st.text(_ALPHABET, max_size=30),
    st.sampled_from(
        ["anna", "Müller", "4111111111111111", "+442079460958", "a@b.co", "[name]", "[phone]", "DE89370400440532013000"]
    ),
)


@given(st.lists(_PIECES, max_size=8))
def test_nothing_is_left_in_what_was_masked(pieces: list[str]) -> None:
    once = masked("".join(pieces), TEAM)

    assert kinds_in(once, TEAM) == []
    assert masked(once, TEAM) == once


@given(st.lists(_PIECES, max_size=8))
def test_what_masking_would_change_is_what_is_found(pieces: list[str]) -> None:
    text = "".join(pieces)

    assert bool(kinds_in(text, TEAM)) == (masked(text, TEAM) != text)


def test_a_scan_names_row_and_kind_and_never_the_text() -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": [{"role": "user", "content": "hello"}], "completion": [{"role": "assistant", "content": "ok"}]},
        {"prompt": [{"role": "user", "content": "I am Anna"}], "chosen": [{"role": "assistant", "content": "a@b.example"}]},
        {"prompt": [], "question": "Is it 4111 1111 1111 1111?", "exchange": "4111111111111111"},
    ]

    assert set(scan(rows, TEAM)) == {Finding(2, "name"), Finding(2, "e-mail"), Finding(3, "card")}
