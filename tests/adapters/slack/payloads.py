"""The payloads that Slack sends to an app, events and interactions, in the shapes of the captured samples. Pure."""

from typing import Any

from tests.adapters.slack.shapes import message_object, view_object
from tests.adapters.slack.state import App, Channel, Installation, Json, Message, User, View, Workspace
from tests.adapters.slack.world import World

CHANNEL_TYPE = {"public": "channel", "private": "group", "im": "im", "mpim": "mpim"}


def event_payload(event: Json, app: App, to: Installation, *, event_id: str, time: float, is_ext_shared: bool = False) -> Json:
    """The envelope of the Events API around one event."""
    return {
        "token": app.verification_token,
        "team_id": to.team,
        "context_team_id": to.team,
        "context_enterprise_id": None,
        "api_app_id": app.id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(time),
        "authorizations": [
            {"enterprise_id": None, "team_id": to.team, "user_id": to.bot_user, "is_bot": True, "is_enterprise_install": False}
        ],
        "is_ext_shared_channel": is_ext_shared,
        "event_context": f"4-{event_id}",
    }


def message_event(message: Message, channel: Channel, world: World) -> Json:
    """A message that was posted, as `message.channels`, `message.im` and so on deliver it."""
    shape = message_object(message, world)
    for name in ("reply_count", "reply_users", "reply_users_count", "latest_reply", "is_locked", "subscribed", "app_id"):
        shape.pop(name, None)
    shape |= {"channel": channel.id, "event_ts": message.ts, "channel_type": CHANNEL_TYPE[channel.kind]}
    if message.subtype == "thread_broadcast" and (root := world.message(channel.id, message.root_ts)):
        shape.pop("parent_user_id", None)
        shape["root"] = {n: v for n, v in message_object(root, world).items() if n not in ("reply_users", "is_locked")}
    return shape


def mention_event(message: Message, world: World) -> Json:
    """The same message as `app_mention` delivers it: without `channel_type`."""
    shape = message_object(message, world)
    wanted = ("user", "bot_id", "bot_profile", "client_msg_id", "text", "ts", "team", "blocks", "thread_ts", "edited", "subtype")
    event = {"type": "app_mention", **{name: shape[name] for name in wanted if name in shape}}
    return event | {"channel": message.channel, "event_ts": message.ts}


def changed_event(message: Message, previous: Json, channel: Channel, world: World, ts: str) -> Json:
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": channel.id,
        "channel_type": CHANNEL_TYPE[channel.kind],
        "message": message_object(message, world),
        "previous_message": previous,
        "ts": ts,
        "event_ts": ts,
    }


def deleted_event(previous: Json, channel: Channel, ts: str) -> Json:
    return {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": channel.id,
        "channel_type": CHANNEL_TYPE[channel.kind],
        "deleted_ts": previous["ts"],
        "previous_message": previous,
        "ts": ts,
        "event_ts": ts,
    }


def reaction_event(kind: str, user: str, name: str, message: Message, ts: str) -> Json:
    """`kind` is `reaction_added` or `reaction_removed`."""
    item = {"type": "message", "channel": message.channel, "ts": message.ts}
    return {"type": kind, "user": user, "reaction": name, "item": item, "item_user": message.user, "event_ts": ts}


def membership_event(kind: str, user: User, channel: Channel, ts: str, inviter: str | None = None) -> Json:
    """`kind` is `member_joined_channel` or `member_left_channel`."""
    letter = "C" if channel.kind == "public" else "G"
    event = {"type": kind, "user": user.id, "channel": channel.id, "channel_type": letter, "team": user.team, "event_ts": ts}
    return event | ({"inviter": inviter} if inviter else {})


def interaction(kind: str, app: App, user: User, workspace: Workspace, **fields: Any) -> Json:
    """What block actions, shortcuts and submissions have in common."""
    person = {"id": user.id, "name": user.name, "team_id": user.team}
    payload: Json = {"type": kind, "team": {"id": workspace.id, "domain": workspace.domain}, "user": person}
    payload |= {"token": app.verification_token, "enterprise": None, "is_enterprise_install": False}
    if kind != "message_action":
        payload["api_app_id"] = app.id
        person["username"] = user.name
    return payload | fields


def message_container(message: Message, channel: Channel, world: World) -> Json:
    """Where a pressed button stands. An ephemeral message itself is not sent along, as in Slack."""
    is_ephemeral = message.visible_to is not None
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": is_ephemeral,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    fields: Json = {"container": container, "channel": {"id": channel.id, "name": channel.name or "directmessage"}}
    return fields if is_ephemeral else fields | {"message": message_object(message, world)}


def view_container(view: View, installation: Installation, app: App, state: Json) -> Json:
    container = {"type": "view", "view_id": view.id}
    return {"container": container, "view": view_object(view, installation, app.id, state)}


def slash_command(
    command: str, text: str, app: App, user: User, channel: Channel, workspace: Workspace, *, response_url: str, trigger_id: str
) -> Json:
    name = "directmessage" if channel.kind == "im" else channel.name if channel.kind == "public" else "privategroup"
    return {
        "token": app.verification_token,
        "team_id": workspace.id,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": name,
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": app.id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }
