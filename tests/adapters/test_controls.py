"""What a button carries leads back to what it is for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.controls import decode, encode
from bot.messages import Control


@given(st.sampled_from(list(Control)), st.text(max_size=80))
def test_what_a_button_carries_comes_back(control: Control, subject: str) -> None:
    assert decode(encode(control, subject)) == (control, subject)


@pytest.mark.parametrize("text", ["", "vote:up", "timbre", "timbre:dance:e1", "other:helpful:e1"])
def test_a_button_that_is_not_ours_is_none(text: str) -> None:
    assert decode(text) is None
