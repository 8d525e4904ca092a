"""What is understood of the words after `/timbre`."""

import pytest
from hypothesis import given

from bot.channels import ChannelSettings, changed
from bot.command_words import MAX_COMPLETION_CHARS, NewSource, completions, help_text, new_source, parse, split, two
from bot.errors import CommandRejected
from bot.people import Role
from tests import properties

SOURCES = ["handbook", "My Docs"]
HR = frozenset({"hr"})


@pytest.mark.parametrize(
    ("text", "verb", "arguments"),
    [
        ("", "help", ()),
        ("  ", "help", ()),
        ("help", "help", ()),
        ("HELP", "help", ()),
        ("reindex", "reindex", ()),
        ("reindex handbook  hr-docs", "reindex", ("handbook", "hr-docs")),
        ("Add  Source /srv/My Docs as docs", "add source", ("/srv/My", "Docs", "as", "docs")),
        ('forget source "My Docs"', "forget source", ("My Docs",)),
        ("forget source “My Docs”", "forget source", ("My Docs",)),
        ("forget source O'Neill", "forget source", ("O'Neill",)),
        ("here", "here", ()),
        ("here answers questions", "here", ("answers", "questions")),
        ("roles", "roles list", ()),
        ("roles list", "roles list", ()),
        ("roles grant @slack:T1:U2 support", "roles grant", ("@slack:T1:U2", "support")),
        ("groups", "groups list", ()),
        ("groups add slack:T1:U2 hr", "groups add", ("slack:T1:U2", "hr")),
    ],
)
def test_words_are_understood(text: str, verb: str, arguments: tuple[str, ...]) -> None:
    request = parse(text)

    assert (request.verb.words, request.arguments) == (verb, arguments)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stauts", "I do not know 'stauts'. Did you mean `/timbre status`?"),
        ("forget sorce handbook", "I do not know 'forget sorce'. Did you mean `/timbre forget source`?"),
        ("roles grnt slack:T1:U2 admin", "Did you mean `/timbre roles grant`, `/timbre roles list` or `/timbre roles revoke`?"),
        ("whoami", "Did you mean `/timbre who-am-i`?"),
        ("explode", "I do not know 'explode'. `/timbre help` lists all."),
        ("status now", "Nothing can follow `/timbre status`."),
        ("forget source", "Something is missing: `/timbre forget source NAME`."),
        ("roles grant", "Something is missing: `/timbre roles grant PERSON support|admin`."),
    ],
)
def test_wrong_words_get_the_nearest_right_ones(text: str, sentence: str) -> None:
    with pytest.raises(CommandRejected) as caught:
        parse(text)

    assert str(caught.value).endswith(sentence)


@pytest.mark.slow
@given(properties.texts)
def test_any_text_is_a_command_or_a_sentence(text: str) -> None:
    try:
        request = parse(text)
    except CommandRejected as err:
        assert str(err).endswith((".", "?"))
    else:
        assert request.verb.words
        request.subject.encode()
    assert all(word.encode() and "\x00" not in word for word in split(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/srv/docs", NewSource("/srv/docs", None, None)),
        ("~/docs as handbook", NewSource("~/docs", "handbook", None)),
        ("s3://bucket/docs for hr", NewSource("s3://bucket/docs", None, HR)),
        ("/srv/docs as handbook for hr, Human Resources", NewSource("/srv/docs", "handbook", HR | {"Human Resources"})),
        ("/srv/docs for hr as handbook", NewSource("/srv/docs", "handbook", HR)),
        ("/srv/My Docs as my docs", NewSource("/srv/My Docs", "my docs", None)),
        ('"/srv/docs for staff"', NewSource("/srv/docs for staff", None, None)),
    ],
)
def test_a_new_source_is_a_place_with_name_and_readers(text: str, found: NewSource) -> None:
    assert new_source(split(text)) == found


@pytest.mark.parametrize("text", ["as", "/srv/docs as", "/srv/docs for", "/srv/docs for ,", "/srv/docs as for hr"])
def test_a_new_source_with_something_missing_is_told_how_it_is_written(text: str) -> None:
    with pytest.raises(CommandRejected):
        new_source(split(text))


@pytest.mark.parametrize("place", ["docs", "./docs", "for"])
def test_a_place_that_depends_on_where_the_server_runs_is_refused(place: str) -> None:
    with pytest.raises(CommandRejected, match="no full path on the server and no URL"):
        new_source([place])


@pytest.mark.parametrize("text", ["roles grant slack:T1:U2", "roles grant slack:T1:U2 support now"])
def test_a_command_that_takes_two_words_says_so(text: str) -> None:
    with pytest.raises(CommandRejected, match=r"Write `/timbre roles grant PERSON support\|admin`"):
        two(parse(text))


def test_the_audit_keeps_no_password_of_a_place() -> None:
    assert parse("add source s3://key:hunter2@bucket/docs").subject == "s3://key:***@bucket/docs"


def test_help_names_what_the_role_may_and_nothing_else() -> None:
    member, support, admin = (help_text(role) for role in Role)

    assert "/timbre mine" in member and "/timbre queue" not in member
    assert "/timbre queue" in support and "/timbre reindex" not in support
    assert "/timbre forget source NAME" in admin and "quiet hours are UTC" in admin
    assert set(member.splitlines()) < set(support.splitlines()) < set(admin.splitlines())


@pytest.mark.parametrize(
    ("typed", "role", "offered"),
    [
        ("st", Role.MEMBER, ["status"]),
        ("re", Role.MEMBER, []),
        ("forget", Role.ADMIN, ["forget source", "forget source handbook", 'forget source "My Docs"']),
        ("Forget source h", Role.ADMIN, ["forget source handbook"]),
        ("here so", Role.ADMIN, ["here sources all", "here sources handbook", 'here sources "My Docs"']),
        (
            "roles grant slack:T1:U2 ",
            Role.ADMIN,
            ["roles grant slack:T1:U2 support", "roles grant slack:T1:U2 admin"],
        ),
        ("promote r-0", Role.ADMIN, ["promote r-0123456789ab"]),
        ("promote r-0", Role.SUPPORT, []),
        ("groups add @slack:T1:U2 h", Role.ADMIN, ["groups add @slack:T1:U2 hr"]),
        ("stauts", Role.MEMBER, ["status"]),
        ("quue", Role.MEMBER, []),
        ("quue", Role.SUPPORT, ["queue"]),
    ],
)
def test_a_beginning_is_completed_as_far_as_the_role_may(typed: str, role: Role, offered: list[str]) -> None:
    assert completions(typed, role, SOURCES, ["hr"], ["r-0123456789ab", "r-a00000000000"]) == offered


def test_nothing_typed_offers_what_the_role_may() -> None:
    everybody = ["help", "who-am-i", "mine", "status", "training opt-out", "training opt-in"]
    assert completions("", Role.MEMBER, [], []) == everybody


def test_completions_fit_into_what_a_platform_shows() -> None:
    many = [f"source-{number:03}" for number in range(50)] + ["x" * 200]

    offered = completions("forget source ", Role.ADMIN, many, [])

    assert len(offered) == 25
    assert max(len(words) for words in completions("forget source x", Role.ADMIN, many, [])) <= MAX_COMPLETION_CHARS


def test_what_is_completed_is_understood() -> None:
    for words in completions("here", Role.ADMIN, SOURCES, []):
        changed(ChannelSettings(), parse(words).arguments, SOURCES)
