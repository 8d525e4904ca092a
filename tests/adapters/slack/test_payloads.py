"""The payloads have the shapes of those that were captured from Slack (`../shared/authorities/slack/*-samples`)."""

import json
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.adapters.slack.bolt import a_client
from tests.adapters.slack.office import Office
from tests.adapters.slack.reference import AUTHORITY
from tests.adapters.slack.state import Json

EVENTS = AUTHORITY / "event-samples"
INTERACTIONS = AUTHORITY / "interaction-samples"
NOT_CAPTURED = {
    "context_team_id", "context_enterprise_id",  # of the envelope; in some samples only
    "team", "thread_ts",  # of messages within message_changed and file_share; documented with every message
    "client_msg_id", "channel", "user", "reactions", "edited",
    "action_ts", "response_urls",  # of interactions; Slack's reference of interaction payloads
    "files", "blocks",
}  # fmt: skip
FREE = {"blocks", "attachments", "files", "metadata", "state", "actions", "bot_profile", "errors"}


def unknown(payload: Json, sample: Json, at: str = "") -> Iterator[str]:
    """Fields of a payload that the sample does not have."""
    for name, value in payload.items():
        if name not in sample and name not in NOT_CAPTURED:
            yield f"{at}{name}"
        elif name not in FREE and isinstance(value, dict) and isinstance(sample.get(name), dict):
            yield from unknown(value, sample[name], f"{at}{name}.")


def sample_of(event: Json) -> str:
    if event["type"] == "message" and not event.get("subtype"):
        return "Message"
    name = f"{event['type']}_{event['subtype']}" if event["type"] == "message" else event["type"]
    return "".join(word.title() for word in name.replace("message_message", "message").split("_"))


async def test_events_have_no_fields_that_slack_does_not_send(office: Office) -> None:
    slack, channel = office.slack, office.general
    ts = await office.ana.say(channel, f"{slack.mention} Hello")
    await office.ana.edit(channel, ts, "Hello all")
    await office.ben.say(channel, "A reply", thread_ts=ts)
    await office.ben.broadcast(channel, "To all", thread_ts=ts)
    await office.ana.share_file(channel, "plan.pdf")
    await office.ana.react(channel, ts, "tada")
    await office.ana.unreact(channel, ts, "tada")
    await office.ana.delete(channel, await office.ana.say(channel, "Oops"))
    await office.ben.leave(channel)
    await office.ana.invite(channel, "U2")
    await a_client(slack).views_publish(user_id="U1", view={"type": "home", "blocks": [{"type": "divider"}]})
    await office.ana.open_home()
    await a_client(slack).chat_postMessage(channel=channel, text="Own")
    slack.uninstall()

    kinds = set()
    for delivery in slack.deliveries.all:
        name = sample_of(delivery.payload["event"])
        kinds.add(name)
        assert list(unknown(delivery.payload, json.loads((EVENTS / f"{name}Payload.json").read_text()))) == [], name
    assert kinds == {
        *("AppMention", "Message", "MessageChanged", "MessageThreadBroadcast", "MessageFileShare", "MessageDeleted"),
        *("ReactionAdded", "ReactionRemoved", "MemberJoinedChannel", "MemberLeftChannel", "AppHomeOpened"),
        *("AppUninstalled", "TokensRevoked"),
    }


@pytest.mark.parametrize("kind", ["block_actions", "message_action", "view_submission", "view_closed", "slash_command"])
async def test_interactions_have_no_fields_that_slack_does_not_send(office: Office, kind: str) -> None:
    slack, client = office.slack, a_client(office.slack)
    plain = {"type": "plain_text", "text": "x"}
    row = {"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": plain}]}
    posted = await client.chat_postMessage(channel=office.general, text="x", blocks=[row])
    message = slack.message(office.general, posted["ts"])
    modal = {"type": "modal", "title": plain, "blocks": [{"type": "divider"}], "notify_on_close": True}
    await client.views_open(trigger_id=slack.handles.new_trigger("T1", "U1"), view=modal)
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "block_actions": lambda: office.ana.click(message, "a"),
        "message_action": lambda: office.ana.message_shortcut(message, "c"),
        "view_submission": lambda: office.ana.submit(),
        "view_closed": lambda: office.ana.close(),
        "slash_command": lambda: office.ana.slash("/ask", "x"),
    }
    samples = {"block_actions": "BlockAction", "message_action": "MessageShortcut", "slash_command": "SlashCommand"}
    name = samples.get(kind) or "".join(word.title() for word in kind.split("_"))

    with pytest.raises(Exception, match="not acknowledged"):
        await acts[kind]()

    sent = slack.deliveries.all[-1].payload
    assert list(unknown(sent, json.loads((INTERACTIONS / f"{name}Payload.json").read_text()))) == []
