"""`conversations.*` and `users.conversations`: which channels there are, who is in them, what was said."""

import re
from bisect import bisect_left, bisect_right

from tests.adapters.slack.calling import Caller, page, paged
from tests.adapters.slack.shapes import channel_object, message_object
from tests.adapters.slack.state import Channel, ChannelKind, Json, SlackError

KINDS: dict[str, ChannelKind] = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}
OPEN_SCOPES = {1: "im:write"}  # several people: mpim:write
TIMESTAMP = re.compile(r"\d+(\.\d+)?")


def info(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel"])
    shape = channel_object(channel, seen_by=caller.user)
    if arguments.get("include_num_members"):
        shape["num_members"] = len(channel.members)
    return {"channel": shape}


def members(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel"])
    found, cursor = page(channel.members, arguments)
    return {"members": found, "response_metadata": {"next_cursor": cursor}}


def history(caller: Caller, arguments: Json) -> Json:
    """What stands in the channel itself, newest first; threads are not part of it."""
    channel = caller.channel_to_read(arguments["channel"])
    wanted = _within(caller.world.timeline(channel.id), arguments)
    shapes, cursor = _messages(caller, channel, wanted[::-1], arguments, default=100)
    return {"messages": shapes, "has_more": bool(cursor), "pin_count": 0, "response_metadata": {"next_cursor": cursor}}


def replies(caller: Caller, arguments: Json) -> Json:
    """A thread, its first message first, then the replies, oldest first. `oldest` leaves the first message in."""
    channel = caller.channel_to_read(arguments["channel"])
    parent = caller.message(channel, arguments["ts"], "thread_not_found")
    wanted = [parent.root_ts, *_within(caller.world.replies(channel.id, parent.root_ts), arguments)]
    shapes, cursor = _messages(caller, channel, wanted, arguments, default=1000)
    return {"messages": shapes, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}


def list_channels(caller: Caller, arguments: Json) -> Json:
    return _list(caller, arguments, only_of=None)


def users_conversations(caller: Caller, arguments: Json) -> Json:
    return _list(caller, arguments, only_of=arguments.get("user") or caller.user)


def open_conversation(caller: Caller, arguments: Json) -> Json:
    if arguments.get("channel"):
        channel = caller.channel(arguments["channel"])
        return {"channel": {"id": channel.id}, "no_op": True, "already_open": True}
    users = [user for user in (arguments.get("users") or "").split(",") if user]
    if not users:
        raise SlackError("users_list_not_supplied")
    if any(user not in caller.world.users for user in users):
        raise SlackError("user_not_found")
    if any(caller.world.users[user].deleted for user in users):
        raise SlackError("user_disabled")
    needed = OPEN_SCOPES.get(len(users), "mpim:write")
    if needed not in caller.installation.scopes:
        raise SlackError("missing_scope", needed=needed, provided=",".join(sorted(caller.installation.scopes)))
    if len(users) == 1:
        channel = caller.world.direct_channel(users[0], caller.user)
    else:
        channel = caller.world.group_channel([caller.user, *users])
    shape = channel_object(channel, seen_by=caller.user) if arguments.get("return_im") else {"id": channel.id}
    return {"channel": shape}


def join(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel"])
    if channel.kind != "public":
        raise SlackError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise SlackError("is_archived")
    if caller.user not in channel.members:
        caller.slack.join(channel, caller.world.users[caller.user])
    return {"channel": channel_object(channel, seen_by=caller.user)}


def _within(timestamps: list[str], arguments: Json) -> list[str]:
    """Those between `oldest` and `latest`, which count themselves only if `inclusive`."""
    oldest, latest = arguments.get("oldest") or "0", arguments.get("latest")
    for name, value in (("oldest", oldest), ("latest", latest or "0")):
        if not TIMESTAMP.fullmatch(str(value)):
            raise SlackError(f"invalid_ts_{name}")
    is_inclusive = bool(arguments.get("inclusive"))
    start = 0 if oldest == "0" else (bisect_left if is_inclusive else bisect_right)(timestamps, str(oldest))
    if latest in (None, "now"):
        return timestamps[start:]
    return timestamps[start : (bisect_right if is_inclusive else bisect_left)(timestamps, str(latest))]


def _messages(caller: Caller, channel: Channel, wanted: list[str], arguments: Json, *, default: int) -> tuple[list[Json], str]:
    found, cursor = page(wanted, arguments, default=default)
    with_metadata = bool(arguments.get("include_all_metadata"))
    existing = [message for ts in found if (message := caller.world.message(channel.id, ts))]
    return [message_object(message, caller.world, with_metadata=with_metadata) for message in existing], cursor


def _list(caller: Caller, arguments: Json, only_of: str | None) -> Json:
    names = [name.strip() for name in (arguments.get("types") or "public_channel").split(",")]
    if any(name not in KINDS for name in names):
        raise SlackError("invalid_types")
    kinds = [KINDS[name] for name in names]
    found = [
        channel_object(channel, seen_by=caller.user) | ({} if only_of else {"num_members": len(channel.members)})
        for channel in caller.world.channels.values()
        if channel.kind in kinds
        and (channel.team == caller.team or caller.user in channel.members)
        and (channel.kind == "public" or caller.user in channel.members)
        and (only_of is None or only_of in channel.members)
        and not (channel.is_archived and arguments.get("exclude_archived"))
    ]
    return paged("channels", *page(found, arguments))


def kinds_concerned(caller: Caller, arguments: Json) -> list[ChannelKind]:
    """Which kinds of conversation a call is about, for its scopes; all of them where that cannot be told."""
    channel = caller.world.channels.get(str(arguments.get("channel")))
    if channel:
        return [channel.kind]
    return [KINDS[name] for name in str(arguments.get("types") or "public_channel").split(",") if name in KINDS]


METHODS = {
    "conversations.info": info,
    "conversations.members": members,
    "conversations.history": history,
    "conversations.replies": replies,
    "conversations.list": list_channels,
    "conversations.open": open_conversation,
    "conversations.join": join,
    "users.conversations": users_conversations,
}
