"""Each check of a call refuses a wrong one, and lets the right one next to it pass."""

from typing import Any

import pytest

from tests.adapters.slack.checks import check_call, decode
from tests.adapters.slack.handles import check_response
from tests.adapters.slack.reference import has_reference, the_reference
from tests.adapters.slack.state import Json

pytestmark = pytest.mark.skipif(not has_reference(), reason="Slack's reference is not beside this checkout.")

THREAD = {"channel_id": "C1", "thread_ts": "1.2", "status": ""}
PROMPT = {"title": "t", "message": "m"}


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(length: int) -> Json:
    return {"type": "section", "text": mrkdwn("x" * length)}


def button(text: str = "Press", **fields: Any) -> Json:
    return {"type": "button", "action_id": fields.pop("action_id", "a"), "text": plain(text), **fields}


def row(*elements: Json, kind: str = "actions") -> Json:
    return {"type": kind, "elements": list(elements)}


def below(element: Json) -> Json:
    return row(element, kind="context_actions")


def feedback(**button: Any) -> Json:
    good = {"text": plain("Good"), "value": "1"}
    return {"type": "feedback_buttons", "positive_button": {**good, **button}, "negative_button": good}


def field(label: str = "Label", **element: Any) -> Json:
    return {"type": "input", "label": plain(label), "element": {"type": "plain_text_input", "action_id": "a", **element}}


def select(count: int, **option: Any) -> Json:
    options = [{"text": plain("One"), "value": str(number), **option} for number in range(count)]
    return {"type": "static_select", "action_id": "a", "placeholder": plain("Pick"), "options": options}


def modal(*blocks: Json, **fields: Any) -> Json:
    return {"type": "modal", "title": plain("Title"), "submit": plain("Send"), "blocks": list(blocks), **fields}


def sentences(method: str, sent_as_json: bool = False, **arguments: Any) -> list[str]:
    described = the_reference().method(method)
    return [v.sentence for v in check_call(described, decode(described, arguments), sent_as_json=sent_as_json)]


def errors(method: str, sent_as_json: bool = False, **arguments: Any) -> set[str | None]:
    described = the_reference().method(method)
    return {v.error for v in check_call(described, decode(described, arguments), sent_as_json=sent_as_json)}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ([section(3000)], [section(3001)]),
        ([section(1)] * 50, [section(1)] * 51),
        ([{"type": "header", "text": plain("x" * 150)}], [{"type": "header", "text": plain("x" * 151)}]),
        ([{"type": "header", "text": plain("x")}], [{"type": "header", "text": mrkdwn("x")}]),
        ([{"type": "markdown", "text": "x" * 6000}] * 2, [{"type": "markdown", "text": "x" * 6001}] * 2),
        ([row(button("x" * 75))], [row(button("x" * 76))]),
        ([row(button(value="x" * 2000))], [row(button(value="x" * 2001))]),
        ([row(button(action_id="x" * 255))], [row(button(action_id="x" * 256))]),
        ([row(button(style="danger"))], [row(button(style="red"))]),
        ([row(button(), button(action_id="b"))], [row(button(), button())]),
        ([row(*(button(action_id=str(n)) for n in range(25)))], [row(*(button(action_id=str(n)) for n in range(26)))]),
        ([row(*[mrkdwn("x")] * 10, kind="context")], [row(*[mrkdwn("x")] * 11, kind="context")]),
        ([below(feedback())], [below(button())]),
        ([below(feedback(value="x" * 2000))], [below(feedback(value="x" * 2001))]),
        (
            [row(feedback(text=plain("x" * 75)), kind="context_actions")],
            [row(feedback(text=plain("x" * 76)), kind="context_actions")],
        ),
        ([row(select(100))], [row(select(101))]),
        ([row(select(1, value="x" * 150))], [row(select(1, value="x" * 151))]),
        ([row(select(1, text=plain("x" * 75)))], [row(select(1, text=plain("x" * 76)))]),
        ([{**section(1), "block_id": "a"}], [{**section(1), "block_id": "a"}] * 2),
        ([{**section(1), "fields": [mrkdwn("x")] * 10}], [{**section(1), "fields": [mrkdwn("x")] * 11}]),
        ([{**section(1), "accessory": button()}], [{**section(1), "accessory": button("")}]),
        ([{"type": "image", "image_url": "u", "alt_text": ""}], [{"type": "image", "image_url": "u"}]),
        ([{"type": "divider"}], [{"type": "line"}]),
        ([section(1)], [section(0)]),
    ],
)
def test_blocks_beyond_a_limit_are_invalid(right: list[Json], wrong: list[Json]) -> None:
    assert errors("chat.postMessage", channel="C1", text="x", blocks=right) == set()
    assert errors("chat.postMessage", channel="C1", text="x", blocks=wrong) == {"invalid_blocks"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (modal(field()), modal(field(), submit=None)),
        (modal(field(), title=plain("x" * 24)), modal(field(), title=plain("x" * 25))),
        (modal(field(), submit=plain("x" * 24)), modal(field(), submit=plain("x" * 25))),
        (modal(field(), private_metadata="x" * 3000), modal(field(), private_metadata="x" * 3001)),
        (modal(field(), callback_id="x" * 255), modal(field(), callback_id="x" * 256)),
        (modal(*[field()] * 100), modal(*[field()] * 101)),
        (modal(field(label="x" * 2000)), modal(field(label="x" * 2001))),
        (modal(field(max_length=3000)), modal(field(max_length=3001))),
        (modal(field(placeholder=plain("x" * 150))), modal(field(placeholder=plain("x" * 151)))),
        (modal(section(1)), modal({"type": "markdown", "text": "x"})),
        (modal(section(1)), {**modal(section(1)), "type": "home"}),
        (modal(section(1)), modal()),
    ],
)
def test_modals_beyond_a_limit_are_invalid(right: Json, wrong: Json) -> None:
    assert errors("views.open", trigger_id="1", view=right) == set()
    assert errors("views.open", trigger_id="1", view=wrong) == {"invalid_arguments"}


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "C1"}, "no_text"),
        ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": "C1", "text": "x", "colour": "red"}, None),
        ("chat.postMessage", {"channel": "C1", "blocks": [section(1)]}, None),
        ("chat.postMessage", {"channel": "C1", "text": "x", "markdown_text": "x"}, "markdown_text_conflict"),
        ("chat.postMessage", {"channel": "C1", "markdown_text": "x" * 12_001}, "msg_blocks_too_long"),
        ("chat.postMessage", {"channel": "C1", "text": "x" * 40_001}, None),
        ("chat.postMessage", {"channel": "C1", "text": "x", "blocks": [section(2700)] * 5}, "msg_blocks_too_long"),
        ("chat.postMessage", {"channel": "C1", "text": "x", "blocks": "[{"}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "C1", "text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_schema"),
        ("chat.postMessage", {"channel": "C1", "text": "x", "metadata": "a"}, "invalid_metadata_format"),
        ("chat.postMessage", {"channel": "C1", "text": "x", "unfurl_links": "maybe"}, "invalid_arguments"),
        ("chat.postEphemeral", {"channel": "C1", "user": "U1", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.update", {"channel": "C1", "ts": "1.2", "text": "x" * 4_001}, "msg_too_long"),
        ("chat.startStream", {"channel": "C1", "markdown_text": "x" * 12_001}, "msg_blocks_too_long"),
        ("chat.startStream", {"channel": "C1", "task_display_mode": "list"}, "invalid_arguments"),
        ("chat.appendStream", {"channel": "C1", "ts": "1.2"}, "no_text"),
        ("chat.appendStream", {"channel": "C1", "ts": "1.2", "chunks": [{"type": "shout"}]}, "invalid_chunks"),
        ("chat.appendStream", {"channel": "C1", "ts": "1.2", "chunks": [{"type": "markdown_text"}]}, "invalid_chunks"),
        ("chat.stopStream", {"channel": "C1", "ts": "1.2", "blocks": [section(3001)]}, "invalid_blocks"),
        ("conversations.history", {"channel": "C1", "limit": "many"}, "invalid_arguments"),
        ("views.publish", {"user_id": "U1", "view": modal(section(1))}, "invalid_arguments"),
        ("reactions.add", {"channel": "C1", "timestamp": "1.2", "name": ":tada:"}, "invalid_name"),
        ("agents.sessions.setStatus", {"channel_id": "C1", "status": "busy"}, "invalid_arguments"),
        ("agents.sessions.setStatus", {"channel_id": "C1", "status": "active", "title": "x" * 201}, "invalid_arguments"),
        ("assistant.threads.setStatus", {**THREAD, "loading_messages": ["x"] * 11}, "invalid_arguments"),
        ("assistant.threads.setStatus", {**THREAD, "loading_messages": ["x" * 51]}, "invalid_arguments"),
        ("assistant.threads.setSuggestedPrompts", {"channel_id": "D1", "prompts": [PROMPT] * 5}, "invalid_arguments"),
        ("assistant.threads.setSuggestedPrompts", {"channel_id": "D1", "prompts": [{"title": "t"}]}, "invalid_arguments"),
    ],
)
def test_a_wrong_call_is_noticed(method: str, arguments: Json, error: str | None) -> None:
    assert errors(method, **arguments) == {error}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("chat.postMessage", {"channel": "C1", "text": "x" * 40_000, "unfurl_links": "0", "team_id": "T1"}),
        ("chat.postMessage", {"channel": "C1", "text": "x", "blocks": '[{"type": "divider"}]', "metadata": {}}),
        ("chat.postMessage", {"channel": "C1", "markdown_text": "x" * 12_000}),
        ("chat.update", {"channel": "C1", "ts": "1.2", "text": "x" * 4_000}),
        ("chat.startStream", {"channel": "C1", "task_display_mode": "plan"}),
        ("chat.appendStream", {"channel": "C1", "ts": "1.2", "chunks": [{"type": "markdown_text", "text": "x"}]}),
        ("chat.stopStream", {"channel": "C1", "ts": "1.2", "session_status": "active"}),
        ("conversations.history", {"channel": "C1", "limit": "10", "inclusive": "true"}),
        ("reactions.add", {"channel": "C1", "timestamp": "1.2", "name": "+1"}),
        (
            "assistant.threads.setStatus",
            {"channel_id": "C1", "thread_ts": "1.2", "status": "", "loading_messages": ["x" * 50] * 10},
        ),
        ("assistant.threads.setSuggestedPrompts", {"channel_id": "D1", "prompts": [PROMPT] * 4}),
        ("views.update", {"view_id": "V1", "view": {"type": "home", "blocks": []}}),
    ],
)
def test_a_right_call_passes(method: str, arguments: Json) -> None:
    assert sentences(method, **arguments) == []


def test_json_is_refused_where_slack_reads_only_forms() -> None:
    assert sentences("conversations.replies", sent_as_json=True, channel="C1", ts="1.2") == ["does not take JSON"]
    assert sentences("chat.postMessage", sent_as_json=True, channel="C1", text="x") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "x", "response_type": "loud"},
        {"text": "x", "user": "U1"},
        {"blocks": [section(1)]},
        {"text": "x", "blocks": [section(3001)]},
    ],
)
def test_a_wrong_body_for_a_response_url_is_noticed(body: Json) -> None:
    assert check_response(body)
    assert check_response({"text": "x", "response_type": "in_channel", "blocks": [section(1)]}) == []
