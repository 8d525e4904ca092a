"""What is small talk and what may be a question to the documents, and the style guide that frames replies."""

import time
from pathlib import Path

import pytest

from bot.errors import SettingsInvalid
from bot.small_talk import candidate_questions, kind_of, reply
from bot.voice import read_voice


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("hi", "greeting"),
        ("Hello there!", "greeting"),
        ("Good morning everyone :)", "greeting"),
        ("hey, how are you?", "greeting"),
        ("Moin!", "greeting"),
        ("thanks!", "thanks"),
        ("Thank you so much", "thanks"),
        ("Great, thanks :+1:", "thanks"),
        ("perfect", "thanks"),
        ("who are you?", "who"),
        ("Hi, what are you?", "who"),
        ("Are you a bot?", "who"),
        ("What's your name?", "who"),
        ("help", "what"),
        ("What can you do for me?", "what"),
        ("how does this work?", "what"),
    ],
)
def test_small_talk_is_recognised(text: str, kind: str) -> None:
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "hi, how many days of leave do I get?",
        "Hello team, when is payday?",
        "thanks, and who approves it?",
        "Thank you. What about part-time?",
        "who are you reporting incidents to?",
        "Are you allowed to take your dog to the office?",
        "What can you do with unused leave?",
        "How does this work for contractors?",
        "help with VPN",
        "help desk number",
        "Great Place to Work survey",
        "What is your name policy for vessels?",
        "history of the company",
        "heyday",
    ],
)
def test_what_may_be_a_question_is_no_small_talk(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.slow
@pytest.mark.parametrize("text", ["hi" + " " * 3900 + "x", "hi" + "!" * 3900 + "x", "thanks" + " a lot" * 650 + " x"])
def test_a_long_message_is_judged_in_time(text: str) -> None:
    started = time.perf_counter()

    kind = kind_of(text)

    assert kind is None
    assert time.perf_counter() - started < 5


def test_the_frame_gets_the_questions_as_a_list() -> None:
    voice = read_voice(None)

    text = reply("greeting", voice, ["When is payday?", "Who pays?"])

    assert text.endswith("For example:\n- When is payday?\n- Who pays?")


def test_headings_that_ask_are_suggested_first_and_others_once_a_page() -> None:
    headings = [
        ("Leave", "Carrying days over"),
        ("Leave", "Sick days"),
        ("FAQ", "When is payday?"),
        ("IT", "VPN access"),
        ("Blank", ""),
        ("FAQ", "When is payday?"),
    ]

    assert candidate_questions(headings) == [
        "When is payday?",
        "What should I know about VPN access (IT)?",
        "What should I know about carrying days over (Leave)?",
    ]


def test_the_built_in_style_guide_fills_every_frame_that_a_reply_needs() -> None:
    voice = read_voice(None)

    assert voice.style.startswith("Plain, friendly and short.")
    assert all([voice.not_sure, voice.pages, voice.ask, voice.unknown, voice.off_limits])
    assert all([voice.greeting, voice.thanks, voice.who, voice.what])
    assert (voice.opening, voice.lead_in, voice.closing) == ("", "", "")


def test_an_own_style_guide_replaces_the_frames_that_it_has(tmp_path: Path) -> None:
    path = tmp_path / "voice.md"
    path.write_text("# Ours\n\nShort and salty.\n\n## Opening\n\nAhoy!\n\n## Not sure\n\n## lead-in\n\nThe log says:\n")

    voice = read_voice(path)

    assert (voice.style, voice.opening, voice.not_sure, voice.lead_in) == ("Short and salty.", "Ahoy!", "", "The log says:")
    assert voice.thanks == read_voice(None).thanks


def test_an_unknown_heading_of_a_style_guide_is_named(tmp_path: Path) -> None:
    path = tmp_path / "voice.md"
    path.write_text("## Openning\n\nAhoy!\n")

    with pytest.raises(SettingsInvalid, match="unknown heading 'openning'; known are: style, opening, lead in"):
        read_voice(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_style_guide_that_cannot_be_read_names_its_setting(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "voice.md"
    if content:
        path.write_bytes(content)

    with pytest.raises(SettingsInvalid, match="TIMBRE_ANSWER__VOICE"):
        read_voice(path)
