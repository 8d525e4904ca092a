"""Nobody reads an answer that is made of what they may not read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audiences import audience_of_viewers
from bot.messages import PersonId, Viewers
from knowledge.documents import EVERYONE, Audience
from tests import properties  # noqa: F401  # the profile

ANN, BOB, CAT = PersonId("slack:T1:ANN"), PersonId("slack:T1:BOB"), PersonId("slack:T1:CAT")
GROUPS: dict[PersonId, Audience] = {ANN: frozenset({EVERYONE, "hr", "legal"}), BOB: frozenset({EVERYONE, "hr"})}
people = st.frozensets(st.sampled_from([ANN, BOB, CAT]))
labels = st.frozensets(st.sampled_from([EVERYONE, "hr", "legal", "board"]))


@pytest.mark.parametrize(
    ("viewers", "audience"),
    [
        (Viewers(is_open=False, has_outsiders=False, people=frozenset({ANN})), {EVERYONE, "hr", "legal"}),
        (Viewers(is_open=False, has_outsiders=False, people=frozenset({ANN, BOB})), {EVERYONE, "hr"}),
        (Viewers(is_open=False, has_outsiders=False, people=frozenset({ANN, CAT})), {EVERYONE}),
        (Viewers(is_open=False, has_outsiders=False), {EVERYONE}),
        (Viewers(is_open=True, has_outsiders=False), {EVERYONE}),
        (Viewers(is_open=True, has_outsiders=False, people=frozenset({ANN})), {EVERYONE}),
        (Viewers(is_open=True, has_outsiders=True), set()),
        (Viewers(is_open=False, has_outsiders=True, people=frozenset({ANN})), set()),
    ],
)
def test_an_answer_is_made_of_what_all_who_see_it_may_read(viewers: Viewers, audience: set[str]) -> None:
    assert audience_of_viewers(viewers, GROUPS) == audience


@pytest.mark.slow
@given(
    is_open=st.booleans(), has_outsiders=st.booleans(), viewing=people,
    groups=st.dictionaries(st.sampled_from([ANN, BOB, CAT]), labels),
)  # fmt: skip
def test_no_viewer_gets_a_group_that_is_not_theirs(
    is_open: bool, has_outsiders: bool, viewing: frozenset[PersonId], groups: dict[PersonId, Audience]
) -> None:
    audience = audience_of_viewers(Viewers(is_open, has_outsiders, viewing), groups)

    assert not (has_outsiders and audience)
    assert not (is_open and audience - {EVERYONE})
    assert all(audience - {EVERYONE} <= groups.get(person, frozenset()) for person in viewing)
