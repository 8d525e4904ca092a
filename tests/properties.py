"""What the property tests share: bounded and, in CI, the same examples every time; and text as people and attackers write it."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = 60  # a test; all property tests together take some seconds

settings.register_profile(
    "timbre", max_examples=EXAMPLES, deadline=None, derandomize="CI" in os.environ, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
settings.load_profile("timbre")

_WORDS = (
    "leave Leave LEAVE days 27 1.5 and or the a VPN b4 pls u n 2 call Straße ﬁle don’t ann@x.example #people https://x.example/a "
    "休暇 サーバー छुट्टी إجازة отпуск สวัสดี"
).split()
_SIGNS = [
    *" \n\t.,;:!?…。？।؟-–—()[]{}<>|`*_#'\"“”", "\r\n", "\n\n", "```", "[1]", "> ",
    "\x00", "\x1f", "\u200b", "\u202e", "\u200d", "\ufeff", "\ud800", "\udfff", "👩‍👩‍👧", "e\u0301",
]  # fmt: skip

texts = st.one_of(
    st.lists(st.one_of(st.sampled_from(_WORDS), st.sampled_from(_SIGNS), st.just(" ")), max_size=60).map("".join),
    st.text(st.characters(exclude_categories=[]), max_size=200),
)
"""Any text: lone surrogates, control characters, other scripts, marks that mean something to one of our rules."""
