"""The check against Slack's TypeScript types lets right calls pass and refuses wrong ones."""

from typing import Any

import pytest

from tests.adapters.slack import typescript
from tests.adapters.slack.slack import Call

pytestmark = pytest.mark.slow
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "Hello"}}


@pytest.fixture(autouse=True, scope="module")
def types_are_installed() -> None:
    """Node and its package index are needed once; without them these tests are skipped."""
    obstacle = typescript.install()
    if obstacle:
        pytest.skip(obstacle)


def a_call(method: str, **arguments: Any) -> Call:
    return Call(method=method, arguments=arguments, team="T1", at=0.0, status=200, reply={"ok": True})


def test_right_calls_pass() -> None:
    calls = [
        a_call("chat.postMessage", channel="C1", text="Hello", blocks=[SECTION], team_id="T1", unfurl_links=False),
        a_call("chat.startStream", channel="C1", thread_ts="1.2", recipient_team_id="T1", recipient_user_id="U1"),
        a_call("chat.appendStream", channel="C1", ts="1.2", chunks=[{"type": "markdown_text", "text": "Hello"}]),
        a_call("conversations.replies", channel="C1", ts="1.2", limit=10),
        a_call("views.open", trigger_id="1", view={"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": []}),
    ]

    assert typescript.check_types(calls) == []


@pytest.mark.parametrize(
    "call",
    [
        a_call("chat.postMessage", channel="C1", txt="Hello"),
        a_call("chat.postMessage", channel="C1", text="Hello", blocks=[{"type": "section", "text": "Hello"}]),
        a_call("chat.postMessage", channel="C1", text="Hi", blocks=[{"type": "header", "text": {"type": "mrkdwn", "text": "H"}}]),
        a_call("chat.postMessage", text="Hello"),
        a_call("views.open", trigger_id="1", view={"type": "modal", "title": "T", "blocks": []}),
        a_call("conversations.history", channel="C1", limit="10"),
    ],
    ids=[
        "misspelt argument",
        "text without object",
        "mrkdwn in a header",
        "no channel",
        "title without object",
        "text for a number",
    ],
)
def test_a_wrong_call_is_refused(call: Call) -> None:
    found = typescript.check_types([a_call("auth.test"), call])

    assert found
    assert all(sentence.startswith(typescript.type_name(call.method)) for sentence in found)
