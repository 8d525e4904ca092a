"""Presses, submissions, shortcuts and commands: the payload that the app gets, and what its acknowledgement brings about."""

from typing import Any

from tests.adapters.slack import forms, payloads
from tests.adapters.slack.blocks import check_view, elements
from tests.adapters.slack.calling import Caller
from tests.adapters.slack.deliveries import Delivery, Kind
from tests.adapters.slack.response_urls import show_response
from tests.adapters.slack.shapes import message_object
from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import Channel, Impossible, Installation, Json, Message, User, View
from tests.adapters.slack.view_methods import new_view, replace_view


class NotAcknowledged(Exception):
    """The app did not acknowledge an interaction in time: people see that it did not work."""


async def click(slack: Slack, user: User, to: Installation, where: Message | View, action_id: str, value: Any) -> Json:
    block, element = _find(where.body["blocks"] if isinstance(where, View) else where.blocks, action_id, value)
    action = {"action_id": action_id, "block_id": block["block_id"], "action_ts": slack.world.new_ts()}
    action |= {"type": element["type"], **forms.pressed(element, value)}
    trigger_id = slack.handles.new_trigger(to.team, user.id)
    fields: Json = {"trigger_id": trigger_id, "actions": [action]}
    if isinstance(where, View):
        fields |= payloads.view_container(where, to, slack.app, forms.state_of(where, {}))
    else:
        _must_see(slack, user, where)
        channel = slack.world.channels[where.channel]
        fields |= payloads.message_container(where, channel, slack.world)
        fields |= {"response_url": _response_url(slack, user, to, channel, where), "state": {"values": {}}}
    ack = (await _interact(slack, user, to, "block_actions", **fields)).ack
    if ack:
        slack.problems.append("A press was acknowledged with a body, which Slack ignores.")
    return ack


async def submit(slack: Slack, user: User, to: Installation, view: View, values: Json) -> Json:
    state = forms.state_of(view, values)
    trigger_id = slack.handles.new_trigger(to.team, user.id)
    fields = {"trigger_id": trigger_id, "view": payloads.view_container(view, to, slack.app, state)["view"]}
    ack = (await _interact(slack, user, to, "view_submission", **fields, response_urls=[])).ack
    _follow(slack, to, view, ack)
    slack.changed()
    return ack


async def close(slack: Slack, user: User, to: Installation, view: View) -> None:
    slack.world.modals[user.id].remove(view)
    if view.body.get("notify_on_close"):
        shape = payloads.view_container(view, to, slack.app, {})["view"]
        await _interact(slack, user, to, "view_closed", view=shape, is_cleared=False)


async def slash(slack: Slack, user: User, to: Installation, command: str, text: str, channel: Channel) -> Json:
    declared = slack.declared.commands
    if declared is not None and command not in declared:
        raise Impossible(f"The manifest has no command {command}.")
    id = slack.handles.new_response_url(to.team, user.id, channel.id)
    payload = payloads.slash_command(
        command,
        text,
        slack.app,
        user,
        channel,
        slack.world.workspaces[to.team],
        response_url=f"{slack.url}/response/{id}",
        trigger_id=slack.handles.new_trigger(to.team, user.id),
    )
    ack = (await _deliver(slack, "slash_commands", payload)).ack
    if ack:
        show_response(Caller(slack, to), user.id, channel, None, ack, f"The acknowledgement of {command}")
    return ack


async def message_shortcut(slack: Slack, user: User, to: Installation, message: Message, callback_id: str) -> Json:
    _must_be_declared(slack, callback_id)
    _must_see(slack, user, message)
    channel = slack.world.channels[message.channel]
    fields = {
        "callback_id": callback_id,
        "trigger_id": slack.handles.new_trigger(to.team, user.id),
        "response_url": _response_url(slack, user, to, channel, message),
        "message_ts": message.ts,
        "action_ts": slack.world.new_ts(),
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message": message_object(message, slack.world),
    }
    return (await _interact(slack, user, to, "message_action", **fields)).ack


async def global_shortcut(slack: Slack, user: User, to: Installation, callback_id: str) -> Json:
    _must_be_declared(slack, callback_id)
    fields = {"callback_id": callback_id, "trigger_id": slack.handles.new_trigger(to.team, user.id)}
    return (await _interact(slack, user, to, "shortcut", **fields, action_ts=slack.world.new_ts())).ack


async def _interact(slack: Slack, user: User, to: Installation, kind: str, **fields: Any) -> Delivery:
    workspace = slack.world.workspaces[to.team]
    return await _deliver(slack, "interactive", payloads.interaction(kind, slack.app, user, workspace, **fields))


async def _deliver(slack: Slack, kind: Kind, payload: Json) -> Delivery:
    delivery = slack.deliveries.send(kind, payload)
    assert delivery.settled
    await delivery.settled.wait()
    if delivery.acked_at is None:
        raise NotAcknowledged(f"{payload.get('type') or payload.get('command')} was not acknowledged.")
    return delivery


def _find(blocks: list[Json], action_id: str, value: Any) -> tuple[Json, Json]:
    """(block, element) of what is to be pressed. The value tells elements with the same action id apart."""
    found = [(block, element) for block, element in elements(blocks) if element["action_id"] == action_id]
    if not found:
        there = sorted(element["action_id"] for _, element in elements(blocks))
        raise Impossible(f"Nothing here has the action id {action_id}, only {there}.")
    fitting = [pair for pair in found if forms.offers(pair[1], value)]
    if not fitting:
        raise Impossible(f"{action_id} does not offer {value!r}.")
    return fitting[0]


def _follow(slack: Slack, to: Installation, view: View, ack: Json) -> None:
    """What becomes of a modal after its submission."""
    stack = slack.world.modals[view.user]
    match ack.get("response_action"):
        case None:
            stack.remove(view)
        case "clear":
            stack.clear()
        case "errors":
            inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
            unknown = sorted(set(ack.get("errors") or {}) - inputs)
            if unknown or not ack.get("errors"):
                slack.problems.append(f"A submission was answered with errors on {unknown or 'nothing'}, which are no inputs.")
        case "update" | "push" as action:
            wrong = check_view(ack.get("view"), "modal")
            slack.problems += [f"A submission was answered with a view: {sentence}." for sentence in wrong]
            if not wrong and action == "update":
                replace_view(Caller(slack, to), view, ack["view"])
            elif not wrong:
                stack.append(new_view(Caller(slack, to), ack["view"], view.user, below=view))
        case other:
            slack.problems.append(f"A submission was answered with the unknown response_action {other!r}.")


def _response_url(slack: Slack, user: User, to: Installation, channel: Channel, message: Message) -> str:
    id = slack.handles.new_response_url(to.team, user.id, channel.id, message_ts=message.ts, thread_ts=message.thread_ts)
    return f"{slack.url}/response/{id}"


def _must_see(slack: Slack, user: User, message: Message) -> None:
    is_theirs = message.visible_to in (None, user.id)
    if user.id not in slack.world.channels[message.channel].members or not is_theirs:
        raise Impossible(f"{user.shown_name} does not see the message {message.ts}.")


def _must_be_declared(slack: Slack, callback_id: str) -> None:
    declared = slack.declared.shortcuts
    if declared is not None and callback_id not in declared:
        raise Impossible(f"The manifest has no shortcut {callback_id}.")
