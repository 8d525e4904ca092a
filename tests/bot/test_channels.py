"""What is said after `/timbre here`, and what a channel is like afterwards."""

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels import EXAMPLES, Answers, ChannelSettings, changed, described
from bot.errors import CommandRejected
from bot.messages import PersonId, Place
from bot.storage.channels import ChannelStore
from bot.storage.database import Database
from tests import properties  # noqa: F401  # the profile

ANN = PersonId("slack:T1:ANN")
SOURCES = ["handbook", "hr-docs", "My Docs"]
NIGHT = ChannelSettings(quiet_from=time(18), quiet_until=time(8))


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 5, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("", ChannelSettings()),
        ("answers mentions", ChannelSettings()),
        ("answers questions", ChannelSettings(Answers.QUESTIONS)),
        ("Answers Questions", ChannelSettings(Answers.QUESTIONS)),
        ("answers unanswered", ChannelSettings(Answers.UNANSWERED, wait_minutes=15)),
        ("answers unanswered after 40 minutes", ChannelSettings(Answers.UNANSWERED, wait_minutes=40)),
        ("answers unanswered after 1", ChannelSettings(Answers.UNANSWERED, wait_minutes=1)),
        ("sources handbook hr-docs", ChannelSettings(sources=("handbook", "hr-docs"))),
        ("sources handbook, HR-docs, handbook", ChannelSettings(sources=("handbook", "hr-docs"))),
        ("sources all", ChannelSettings()),
        ("private", ChannelSettings(is_private=True)),
        ("private public", ChannelSettings()),
        ("quiet 18:00-08:00", NIGHT),
        ("quiet 18:00-08:00 quiet never", ChannelSettings()),
        ("private quiet 18:00-08:00 reset", ChannelSettings()),
        (
            "answers unanswered after 5 minutes sources handbook private quiet 9:30-10:00",
            ChannelSettings(Answers.UNANSWERED, 5, ("handbook",), True, time(9, 30), time(10)),
        ),
    ],
)
def test_words_change_what_they_name(words: str, settings: ChannelSettings) -> None:
    assert changed(ChannelSettings(), words.split(), SOURCES) == settings


def test_what_is_not_named_stays() -> None:
    before = ChannelSettings(Answers.UNANSWERED, 40, ("handbook",), True, time(18), time(8))

    after = changed(before, ["answers", "questions"], SOURCES)

    assert after == ChannelSettings(Answers.QUESTIONS, 40, ("handbook",), True, time(18), time(8))
    assert changed(after, ["answers", "unanswered"], SOURCES) == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("anwsers questions", "Did you mean answers?"),
        ("loud", "Right would be answers, sources, private, public, quiet or reset."),
        ("answers", "missing after `answers`: mentions, questions or unanswered"),
        ("answers question", "Did you mean questions or mentions?"),
        ("answers unanswered after", "missing after `after`"),
        ("answers unanswered after 0", "'0' is no number of minutes from 1 to 1,440"),
        ("answers unanswered after 1441", "no number of minutes"),
        ("answers unanswered after soon", "no number of minutes"),
        ("answers questions after 5", "'after' is no word"),
        ("sources", "missing after `sources`: all, handbook, hr-docs or My Docs"),
        ("sources handbok", "Did you mean handbook?"),
        ("sources handbook all", "'all' is no source"),
        ("quiet", "missing after `quiet`"),
        ("quiet nightly", "write them in UTC, such as 18:00-08:00, or never"),
        ("quiet 18:00", "are no hours"),
        ("quiet 25:00-08:00", "are no hours"),
        ("quiet 18:00-08:00-09:00", "are no hours"),
        ("quiet 18:00-18:00", "different times"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_ones(words: str, reason: str) -> None:
    with pytest.raises(CommandRejected) as caught:
        changed(ChannelSettings(), words.split(), SOURCES)

    assert reason in str(caught.value)


@given(st.lists(st.sampled_from([*" ".join(EXAMPLES).split(), "handbook", "1", "x", "", ",", "18:00+02:00-08:00"]), max_size=8))
def test_any_words_are_settings_or_a_sentence(words: list[str]) -> None:
    try:
        settings = changed(ChannelSettings(), words, SOURCES)
    except CommandRejected as err:
        assert str(err).endswith((".", "?"))
    else:
        assert set(settings.sources) <= set(SOURCES)
        assert settings.is_quiet(at(12)) in (True, False)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_right(example: str) -> None:
    changed(ChannelSettings(), example.split()[1:], SOURCES)


@pytest.mark.parametrize(
    ("settings", "moment", "is_quiet"),
    [
        (NIGHT, at(17, 59), False), (NIGHT, at(18), True), (NIGHT, at(0), True), (NIGHT, at(7, 59), True), (NIGHT, at(8), False),
        (ChannelSettings(quiet_from=time(12), quiet_until=time(13)), at(12, 30), True),
        (ChannelSettings(quiet_from=time(12), quiet_until=time(13)), at(13), False),
        (ChannelSettings(), at(0), False), (ChannelSettings(), at(12), False),
        (NIGHT, datetime(2026, 11, 5, 19, 0, tzinfo=timezone(timedelta(hours=2))), False),
    ],
)  # fmt: skip
def test_quiet_hours_are_utc_and_run_over_midnight(settings: ChannelSettings, moment: datetime, is_quiet: bool) -> None:
    assert settings.is_quiet(moment) is is_quiet


def test_a_description_says_what_holds() -> None:
    assert described(ChannelSettings(Answers.UNANSWERED, 1, ("handbook",), True, time(18), time(8))).splitlines() == [
        "- answers: questions that nobody answered within a minute",
        "- sources: handbook",
        "- who sees an answer: only the person who asked",
        "- quiet hours: 18:00-08:00 UTC; then it answers mentions and direct questions only",
    ]
    assert "quiet hours: never" in described(ChannelSettings())


@pytest.mark.both_databases
def test_a_channel_keeps_its_settings_and_others_keep_theirs(database: Database) -> None:
    store, place = ChannelStore(database), Place("slack", "T1", "C1", "thread")
    first = ChannelSettings(Answers.UNANSWERED, 5, ("handbook", "hr-docs"), True, time(18), time(8, 30))

    store.put(place, ChannelSettings(Answers.QUESTIONS), ANN)
    store.put(place, first, ANN)

    assert store.get(Place("slack", "T1", "C1")) == first
    assert store.get(Place("slack", "T1", "C2")) == store.get(Place("slack", "T2", "C1")) == ChannelSettings()
