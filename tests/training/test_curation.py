"""What is learned of rated exchanges, and why the rest is not."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.rated import exchange, exchanges, member, staff, unsupported
from training.curation import MEANINGS, Curated, Limits, Reason, curate, refusals, states_a_fact
from training.examples import PromptCompletion, RatedExchange


def curated(rated: list[RatedExchange], **options: Any) -> Curated:
    return curate(rated, options.pop("seeds", []), unsupported, options.pop("style_phrases", ["Hi there!"]), **options)


def reasons(rated: list[RatedExchange], **options: Any) -> dict[str, int]:
    return curated(rated, **options).rejected_counts


def test_what_support_found_helpful_is_learned_with_the_prompt_that_the_engine_sends() -> None:
    one = exchange(3)

    rows = curated([one]).completions

    assert rows == [PromptCompletion(one.prompt, one.answer, one.id, "answer", one.topic, ("support-1",), question=one.question)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quotes": []}, Reason.NO_QUOTES),
        ({"prompt": []}, Reason.NO_QUOTES),
        ({"was_worded": False}, Reason.PLAIN_QUOTES),
        ({"ratings": []}, Reason.NOT_CONFIRMED),
        ({"ratings": [member("a")]}, Reason.NOT_CONFIRMED),
        ({"ratings": [member("a"), member("a")]}, Reason.NOT_CONFIRMED),
        ({"ratings": [member("a", False)]}, Reason.DISPUTED),
        ({"ratings": [member("a"), member("b", False)]}, Reason.DISPUTED),
        ({"ratings": [member("a"), member("b"), staff("s", False)]}, Reason.DISPUTED),
        ({"answer": " \n "}, Reason.EMPTY),
        ({"answer": "room 14 " * 60}, Reason.TOO_LONG),
        ({"answer": "It is in room 14, see https://evil.example/login."}, Reason.FOREIGN_ADDRESS),
        ({"answer": "It is in room 14, ask help@evil.example."}, Reason.FOREIGN_ADDRESS),
        ({"answer": "It is in room 14, ask #random-channel."}, Reason.FOREIGN_ADDRESS),
        ({"answer": "It is in room 14, says [name]."}, Reason.MASKED_FACT),
        ({"answer": "It is in room 15."}, Reason.UNSUPPORTED),
        ({"answer": "You find it in room 14. Bring 99 euros."}, Reason.UNSUPPORTED),
        ({"answer": "You find it in room 14. The lift is broken."}, Reason.UNSUPPORTED),
        ({"answer": "Hi there!"}, Reason.UNSUPPORTED),
    ],
)
def test_what_is_not_fit_to_be_learned_has_its_reason(changes: dict[str, Any], reason: Reason) -> None:
    result = curated([exchange(4, **changes)])

    assert (result.completions, result.rejected_counts) == ([], {reason: 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"ratings": [member("a"), member("b")]},
        {"ratings": [member("a")], "is_vouched": True},
        {"ratings": [member("a"), member("b"), member("c", False)]},
        {"ratings": [staff("s"), member("c", False), member("d")]},
        {"correction": "In room 14.", "author": "s", "ratings": [member("a", False)]},
        {"answer": "Room 14: https://a.example/map.", "quotes": ["Room 14, see https://a.example/map"]},
        {"answer": "Room 14: https://a.example/map", "cited_urls": ["https://a.example/map"]},
        {"answer": "Room 14, ask [name].", "quotes": ["Room 14 is kept by [name]."]},
    ],
)
def test_what_people_who_may_say_so_approved_is_learned(changes: dict[str, Any]) -> None:
    assert len(curated([exchange(4, **changes)]).completions) == 1


def test_a_correction_is_the_target_and_what_the_bot_said_the_worse_answer() -> None:
    one = exchange(4, correction="Hi there! Look in room 14.", author="s", ratings=[member("a", False)], was_worded=False)

    result = curated([one])

    assert [row.origin for row in result.completions] == ["correction"]
    assert [(row.chosen, row.rejected, row.raters) for row in result.preferences] == [
        ("Hi there! Look in room 14.", one.answer, ("s",))
    ]


def test_sentences_without_facts_that_answers_to_several_questions_share_belong_to_the_voice() -> None:
    rated = [replace(one, answer=f"{one.answer} Happy to help, your Team Finch!") for one in exchanges(3)]

    assert curated(rated).phrases == ["Happy to help, your Team Finch!", "Hi there!"]
    assert reasons(rated[:2]) == {Reason.UNSUPPORTED: 2}


@pytest.mark.parametrize(
    "sentence",
    ["Call extension 4711.", "See www.evil.example.", "Never ask support.", "Bring two coins.", "Ask [name].", "so " * 15],
)
def test_a_sentence_that_may_be_wrong_never_becomes_a_phrase_however_often_it_recurs(sentence: str) -> None:
    rated = [
        replace(one, answer=f"{one.answer} {sentence}", quotes=[*one.quotes, "[name] www.evil.example"]) for one in exchanges(9)
    ]

    assert states_a_fact(sentence)
    assert sentence not in curated(rated).phrases


def test_contradicting_corrections_of_the_same_question_are_both_left_out() -> None:
    both = ["Room 14 and 15 are there."]
    one = exchange(4, correction="In room 14.", author="s1", quotes=both)
    other = replace(one, id="other", correction="In room 15.", author="s2", question=one.question.upper())

    result = curated([one, other])

    assert (result.completions, result.rejected_counts) == ([], {Reason.CONTRADICTING: 2})


def test_a_poisoned_row_loses_against_an_honest_majority() -> None:
    quotes = ["Room 14 and 15 are there."]
    honest = [
        exchange(4, id=f"honest-{n}", answer="In room 14.", quotes=quotes, ratings=[member(f"m{n}"), member("z")])
        for n in range(4)
    ]
    poisoned = exchange(4, id="poisoned", answer="In room 15.", quotes=quotes, ratings=[member("p1"), member("p2")])

    result = curated([*honest, poisoned])

    assert [row.completion for row in result.completions] == ["In room 14."]
    assert result.rejected_counts == {Reason.NEAR_DUPLICATE: 3, Reason.OUTVOTED: 1}


def test_of_answers_to_the_same_question_the_best_approved_one_is_kept() -> None:
    weaker = exchange(4, id="a", ratings=[member("a"), member("b")])
    stronger = exchange(4, id="b", answer="Hi there! It is in room 14.", ratings=[staff("s"), member("b")])

    result = curated([weaker, stronger])

    assert [row.exchange for row in result.completions] == ["b"]
    assert result.rejected_counts == {Reason.NEAR_DUPLICATE: 1}


def test_nearly_the_same_question_with_nearly_the_same_answer_is_one_row_but_not_with_another_number() -> None:
    quotes = ["Box 7 or box 8."]
    one = exchange(
        1, question="Where do I find the old red box of nails?", answer="You find the old red box in box 7.", quotes=quotes
    )
    near = replace(one, id="near", question="Where do I find the old red box of nails please?")
    other = replace(
        one, id="other", question="Where do I find the old blue box of nails?", answer="You find the old red box in box 8."
    )

    assert reasons([one, near, other]) == {Reason.NEAR_DUPLICATE: 1}


def test_one_account_with_fifty_votes_moves_nothing() -> None:
    honest = exchanges(30)
    poisoned = [replace(exchange(100 + n), ratings=[member("mallory")]) for n in range(50)]

    result = curated([*honest, *poisoned])

    assert result.rejected_counts == {Reason.NOT_CONFIRMED: 50, Reason.ONE_PERSON: 10}
    assert not any("mallory" in row.raters for row in result.completions)


def test_two_colluding_accounts_get_a_twentieth_of_the_rows_at_most() -> None:
    honest = [replace(one, ratings=[staff(f"s{n % 4}")]) for n, one in enumerate(exchanges(60))]
    colluding = [replace(exchange(100 + n), ratings=[member("m1"), member("m2")]) for n in range(50)]

    result = curated([*honest, *colluding])

    assert sum("m1" in row.raters for row in result.completions) == 5  # of 110
    assert result.rejected_counts == {Reason.ONE_PERSON: 45}


def test_a_member_of_staff_has_twenty_rows_and_what_an_admin_vouches_for_rests_on_nobody() -> None:
    assert len(curated(exchanges(50)).completions) == 20
    assert len(curated(exchanges(50, is_vouched=True)).completions) == 50


def test_the_newest_rows_of_a_person_are_kept() -> None:
    rows = curated(exchanges(25)).completions

    assert {row.exchange for row in rows} == {f"x{number:04}" for number in range(5, 25)}


def test_imbalances_are_told() -> None:
    rated = [replace(one, topic="one.md", audience=frozenset({"hr"})) for one in exchanges(12)]
    unhelpful = exchanges(3, ratings=[member("a", False)])

    told = curated(rated).imbalances

    assert told == [
        "12 of 12 rows are of one.md.",
        "12 of 12 rows are from documents that only hr may read.",
        "All 12 verdicts say helpful, and nothing was corrected.",
    ]
    assert curated(unhelpful).imbalances == ["All 3 verdicts say not helpful, and nothing was corrected."]


def test_rows_that_refuse_are_told_when_they_are_many() -> None:
    rated = [replace(one, answer=f"{one.answer} I don't know more.") for one in exchanges(5)]

    assert (
        "5 of 5 rows say that they do not know; answers would learn to."
        in curated(rated, style_phrases=["Hi there!", "I don't know more."]).imbalances
    )


def test_too_few_rows_are_refused_with_what_was_left_out() -> None:
    assert refusals(curated(exchanges(20)), 20) == []
    assert refusals(curated(exchanges(3, ratings=[member("a", False)])), 20) == [
        "There is nothing to learn from yet: approve corrections, rate answers, import feedback or write examples into the style "
        "guide. Left out: 3 because as many people, or support, found it not helpful."
    ]
    assert refusals(curated(exchanges(3)), 20)[0].startswith("There are 3 rows, and at least 20 are needed")


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Reason)


def seed(text: str) -> PromptCompletion:
    return PromptCompletion([{"role": "user", "content": text}], text, "", "replay", "")


_RATED = st.builds(
    lambda number, who, helpful, is_staff, vouched, corrected: exchange(
        number,
        id=f"{number}-{who}-{helpful}-{is_staff}-{vouched}-{corrected}",
        ratings=[(staff if is_staff else member)(f"p{who}", helpful)],
        is_vouched=vouched,
        correction=f"Look in room {number + 10}." if corrected else "",
        author=f"p{who}",
    ),
    st.integers(0, 40), st.integers(0, 5), st.booleans(), st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


@given(st.lists(_RATED, max_size=40, unique_by=lambda one: one.id))
def test_every_exchange_is_a_row_or_has_one_reason_and_the_order_they_come_in_does_not_matter(rated: list[RatedExchange]) -> None:
    result = curated(rated)

    learned = [row.exchange for row in result.completions]
    assert sorted(learned + [rejection.exchange for rejection in result.rejected]) == sorted(one.id for one in rated)
    assert curated(rated[::-1]) == result
    assert len({row.question for row in result.completions}) == len(learned)
    people = [row.raters for row in result.completions if not next(one for one in rated if one.id == row.exchange).is_vouched]
    assert all(
        sum(person in raters for raters in people) <= Limits().max_rows_of_person for person in {p for r in people for p in r}
    )


@given(st.lists(st.sets(st.sampled_from("abcdefghij"), min_size=1), min_size=2, max_size=6))
def test_no_two_rows_that_are_left_are_near_each_other(questions: list[set[str]]) -> None:
    rated = [
        exchange(1, id=f"q{n}", question=" ".join(sorted(words)), answer="It is in room 11.", is_vouched=True)
        for n, words in enumerate(questions)
    ]

    left = [set(row.question.split()) for row in curated(rated).completions]

    assert all(len(one & other) / len(one | other) < 0.8 for one, other in combinations(left, 2))
