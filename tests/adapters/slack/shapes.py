"""Users, channels, messages and views as Slack writes them in JSON. Pure; who is looking is given where that matters."""

from tests.adapters.slack.state import Channel, Installation, Json, Message, User, UserGroup, View
from tests.adapters.slack.world import World


def user_object(user: User, *, seen_from: str, scopes: frozenset[str]) -> Json:
    """A user as the workspace `seen_from` sees them; the address only with `users:read.email`."""
    profile = {
        "avatar_hash": "g0000000000",
        "real_name": user.real_name,
        "real_name_normalized": user.real_name,
        "display_name": user.display_name,
        "display_name_normalized": user.display_name,
        "status_text": "",
        "status_emoji": "",
        "team": user.team,
    }
    if "users:read.email" in scopes and not user.bot_id:
        profile["email"] = user.email
    if user.bot_id:
        profile |= {"bot_id": user.bot_id, "api_app_id": user.app_id or ""}
    shape: Json = {"id": user.id, "team_id": user.team, "name": user.name, "deleted": user.deleted, "profile": profile}
    shape |= {"is_bot": user.bot_id is not None, "is_app_user": False, "updated": 1_700_000_000}
    if user.team != seen_from:
        shape["is_stranger"] = True
    if not user.deleted:
        shape |= {
            "real_name": user.real_name,
            "tz": user.tz,
            "tz_label": user.tz,
            "tz_offset": user.tz_offset,
            "is_admin": user.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": user.is_restricted or user.is_ultra_restricted,
            "is_ultra_restricted": user.is_ultra_restricted,
        }
    return shape


def channel_object(channel: Channel, *, seen_by: str) -> Json:
    """A conversation as the member or non-member `seen_by` sees it."""
    shape: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": channel.is_archived,
        "is_im": channel.kind == "im",
        "is_org_shared": False,
        "context_team_id": channel.team,
        "updated": channel.created * 1000,
    }
    if channel.kind == "im":
        others = [member for member in channel.members if member != seen_by]
        return shape | {"user": others[0] if others else seen_by, "is_open": True, "priority": 0}
    return shape | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": channel.kind == "public",
        "is_group": channel.kind == "private",
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.kind != "public",
        "is_general": channel.name == "general",
        "is_shared": channel.is_ext_shared,
        "is_ext_shared": channel.is_ext_shared,
        "is_pending_ext_shared": False,
        "pending_shared": [],
        "is_member": seen_by in channel.members,
        "creator": channel.creator,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
        "previous_names": [],
        "unlinked": 0,
    }


def user_group_object(group: UserGroup, *, include_users: bool, include_count: bool) -> Json:
    shape: Json = {
        "id": group.id,
        "team_id": group.team,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "description": "",
        "is_external": False,
        "date_create": 1_700_000_000,
        "date_update": 1_700_000_000,
        "date_delete": 1_700_000_000 if group.is_disabled else 0,
        "prefs": {"channels": [], "groups": []},
    }
    if include_users:
        shape["users"] = list(group.users)
    if include_count:
        shape["user_count"] = len(group.users)
    return shape


def bot_profile(user: User) -> Json:
    return {
        "id": user.bot_id,
        "app_id": user.app_id,
        "name": user.real_name,
        "icons": {"image_36": "", "image_48": "", "image_72": ""},
        "deleted": user.deleted,
        "updated": 1_700_000_000,
        "team_id": user.team,
    }


def message_object(message: Message, world: World, *, with_metadata: bool = True) -> Json:
    """A message without its channel, as in `conversations.history` and within events."""
    shape: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts, "team": message.team}
    optional = {
        "subtype": message.subtype,
        "client_msg_id": message.client_msg_id,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "thread_ts": message.thread_ts,
        "edited": message.edited,
        "files": message.files,
        "bot_id": message.bot_id,
        "app_id": message.app_id,
        "username": message.username,
    }
    shape |= {name: value for name, value in optional.items() if value}
    if message.bot_id and message.user in world.users:
        shape["bot_profile"] = bot_profile(world.users[message.user])
    if message.metadata and with_metadata:
        shape["metadata"] = message.metadata
    if message.reactions:
        shape["reactions"] = [{"name": n, "users": users, "count": len(users)} for n, users in message.reactions.items()]
    return shape | _thread_fields(message, world)


def _thread_fields(message: Message, world: World) -> Json:
    if message.visible_to:
        return {}
    if message.is_reply:
        parent = world.message(message.channel, message.root_ts)
        return {"parent_user_id": parent.user} if parent else {}
    replies = world.replies(message.channel, message.ts)
    if not replies:
        return {}
    authors = list(dict.fromkeys(reply.user for ts in replies if (reply := world.message(message.channel, ts))))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": authors,
        "reply_users_count": len(authors),
        "latest_reply": replies[-1],
        "is_locked": False,
        "subscribed": False,
    }


def view_object(view: View, installation: Installation, app_id: str, state: Json | None = None) -> Json:
    """A view as Slack returns it and sends it along with what people do in it."""
    body = view.body
    return {
        "id": view.id,
        "team_id": view.team,
        "type": body.get("type"),
        "blocks": body.get("blocks", []),
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "external_id": body.get("external_id", ""),
        "state": {"values": state or {}},
        "hash": view.hash,
        "title": body.get("title"),
        "close": body.get("close"),
        "submit": body.get("submit"),
        "clear_on_close": bool(body.get("clear_on_close")),
        "notify_on_close": bool(body.get("notify_on_close")),
        "submit_disabled": bool(body.get("submit_disabled")),
        "previous_view_id": view.previous_id,
        "root_view_id": view.root_id,
        "app_id": app_id,
        "app_installed_team_id": view.team,
        "bot_id": installation.bot_id,
    }
