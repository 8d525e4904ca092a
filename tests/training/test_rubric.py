"""What counts as the house voice, by the style guide or by what people approved."""

import pytest

from training.errors import RubricInvalid
from training.rubric import MIN_TEXTS, Rubric, learn_likeness, make_rubric, parse_rules, recurring_rules

WARM = "Hi there! {} Happy to help.".format
FACTS = [
    f"The {thing} costs {cost} euros." for cost, thing in enumerate("badge key chair desk lamp phone mug pen cup bag".split(), 7)
]
OTHER_FACTS = ["Dogs are allowed on Tuesdays.", "The canteen closes at 14:00.", "Trips are approved by the team lead."]


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        ("- starts with: Hi there! | Hello!", "Hello! It is 5.", "It is 5. Hello!"),
        ("- starts with: Hi there!", "Hi there! It is 5.", "hi there! It is 5."),
        ("- starts with: What's up", "What’s up?\n", "So, what's up?"),
        ("- ends with: — Team Finch 🐦", "It is 5.\n\n— Team  Finch 🐦 ", "— Team Finch 🐦 It is 5."),
        ("- contains: thank you | thanks", "Many Thanks!", "Much obliged."),
        ("- never: please note, utilize", "Note it, please; utilized well.", "We UTILIZE it."),
        ("- never: please note, utilize", "It is 5.", "Please note that it is 5."),
        ("- words at most: 3", "It is five.", "It is five euros."),
        ("- sentences at most: 2", "One. Two.", "One. Two. Three."),
        ("- words per sentence at most: 3", "It is five. It is six!", "It is five euros. Yes."),
        ("- no exclamation marks", "It is 5.", "It is 5!"),
        ("- No emoji", "It is 5 → 6 €.", "It is 5 🎉."),
        ("- no emoji", "It is 5 ™.", "It is 5 ☀️."),
        ("- no lists", "First - second.", "Take:\n- a pen\n- a cup"),
        ("- no lists", "3.5 percent", "Do:\n1. this\n2. that"),
    ],
)
def test_a_rule_is_kept_or_broken(rule: str, kept: str, broken: str) -> None:
    (parsed,) = parse_rules(rule)

    assert parsed.is_kept(kept)
    assert not parsed.is_kept(broken)


@pytest.mark.parametrize(
    "line",
    [
        "- begins with: Hi",
        "starts with: Hi",
        "- starts with:",
        "- words at most: few",
        "no lists",
        "- be nice",
        "Our voice is warm.",
    ],
)
def test_an_unknown_line_is_named_with_the_rules_that_there_are(line: str) -> None:
    with pytest.raises(RubricInvalid, match=r"starts with: .*words at most: NUMBER.*no lists") as raised:
        parse_rules(f"- no emoji\n\n{line}\n")

    assert repr(line) in str(raised.value)


def test_phrases_that_most_approved_answers_open_or_close_with_are_rules() -> None:
    approved = [*map(WARM, FACTS), "Hello! It is 5. Happy to help.", "No greeting here."]

    rules = recurring_rules(approved, ["Hi there!", "Hello!", "Happy to help.", "Never used."])

    assert [rule.text for rule in rules] == ["starts with: Hi there! | Hello!", "ends with: Happy to help."]
    assert all(rule.is_mark for rule in rules)


def test_a_phrase_that_few_answers_open_with_is_no_rule() -> None:
    assert recurring_rules([*FACTS, "Hi there! It is 5."], ["Hi there!"]) == []


def test_what_recurs_is_not_added_to_a_style_guide_that_marks_the_voice_itself() -> None:
    phrases, approved = ["Hi there!", "Happy to help."], list(map(WARM, FACTS))

    with_mark = make_rubric("- starts with: Hi there!\n- no emoji", phrases, approved, [])
    without = make_rubric("- no emoji", phrases, approved, [])

    assert [rule.text for rule in with_mark.rules] == ["starts with: Hi there!", "no emoji"]
    assert [rule.text for rule in without.rules] == ["no emoji", "starts with: Hi there!", "ends with: Happy to help."]


@pytest.mark.slow
def test_likeness_tells_the_voice_on_facts_that_it_never_saw() -> None:
    likeness = learn_likeness(list(map(WARM, FACTS)), FACTS)

    assert likeness
    assert min(likeness(list(map(WARM, OTHER_FACTS)))) > 0.8
    assert max(likeness(OTHER_FACTS)) < 0.2
    assert likeness([]) == []


def test_nothing_is_learned_from_a_handful_of_answers() -> None:
    assert learn_likeness(list(map(WARM, FACTS))[: MIN_TEXTS - 1], FACTS) is None


@pytest.mark.slow
def test_without_marks_an_answer_must_also_be_like_the_approved_ones() -> None:
    rubric = make_rubric("- no emoji", [], list(map(WARM, FACTS)), FACTS)

    assert rubric.are_in_voice([WARM(OTHER_FACTS[0]), OTHER_FACTS[0], WARM("🎉")]) == [True, False, False]


def test_silence_is_not_in_the_voice() -> None:
    assert Rubric(parse_rules("- no emoji"), None).are_in_voice(["", "  \n", "Yes."]) == [False, False, True]


def test_one_mark_shows_the_voice_but_a_kept_prohibition_does_not() -> None:
    rubric = Rubric(parse_rules("- starts with: Hi there!\n- ends with: Happy to help.\n- no emoji"), None)

    assert rubric.show_voice(["Hi there! Paris.", "Paris. Happy to help.", "Paris."]) == [True, True, False]
