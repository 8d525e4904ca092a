"""`chat.*` without streaming: posting, changing and deleting messages."""

from tests.adapters.slack.calling import Caller
from tests.adapters.slack.checks import MAX_TEXT
from tests.adapters.slack.shapes import message_object
from tests.adapters.slack.state import Channel, Json, Message, SlackError


def post_message(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_write(arguments["channel"])
    message = _new_message(caller, channel, arguments)
    if message.is_reply and arguments.get("reply_broadcast"):
        message.subtype = "thread_broadcast"
    caller.slack.post(message)
    return {"channel": channel.id, "ts": message.ts, "message": message_object(message, caller.world)}


def post_ephemeral(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_write(arguments["channel"])
    if caller.user not in channel.members:
        raise SlackError("not_in_channel")
    if arguments["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    message = _new_message(caller, channel, arguments)
    message.visible_to = arguments["user"]
    caller.slack.show(message)
    return {"message_ts": message.ts}


def update(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel"])
    message = own_message(caller, channel, arguments["ts"], "cant_update_message")
    if message.stream and message.stream.state == "open":
        if caller.world.clock.now() <= message.stream.ends_at:
            raise SlackError("streaming_state_conflict")
        message.stream.state = "stopped"
    changed: Json = content(caller, arguments)
    if arguments.get("metadata") is None:
        changed.pop("metadata")
    edited = {"user": caller.user, "ts": caller.world.new_ts()}
    caller.slack.edit(message, **changed, edited=edited)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message_object(message, caller.world)}


def delete(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel"])
    message = own_message(caller, channel, arguments["ts"], "cant_delete_message")
    caller.slack.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel(arguments["channel"])
    message = caller.message(channel, arguments["message_ts"])
    domain = caller.world.workspaces[caller.team].domain
    link = f"https://{domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def own_message(caller: Caller, channel: Channel, ts: str, error: str) -> Message:
    """A message of the app's own; changing somebody else's is a problem."""
    message = caller.message(channel, ts)
    if message.app_id != caller.slack.app.id:
        caller.problem(f"The app tried to change the message {ts} of {message.user} in {channel.id}.")
        raise SlackError(error)
    return message


def content(caller: Caller, arguments: Json) -> Json:
    """What a message says, as fields of `Message`. Blocks get the ids that Slack gives them."""
    text, markdown = arguments.get("text") or "", arguments.get("markdown_text") or ""
    blocks = arguments.get("blocks") or ([{"type": "markdown", "text": markdown}] if markdown else [])
    return {
        "text": (text or markdown)[:MAX_TEXT],
        "blocks": with_ids(caller, blocks),
        "attachments": arguments.get("attachments") or [],
        "metadata": arguments.get("metadata") or None,
        "parses_names": arguments.get("parse") == "full" or bool(arguments.get("link_names")),
    }


def with_ids(caller: Caller, blocks: list[Json]) -> list[Json]:
    """The blocks with a `block_id` each, and an `action_id` for each thing to press that came without."""
    made = []
    for block in blocks:
        block = {**block, "block_id": block.get("block_id") or caller.world.new_id("b")}
        if block["type"] in ("actions", "context_actions"):
            block["elements"] = [
                {**element, "action_id": element.get("action_id") or caller.world.new_id("a")} for element in block["elements"]
            ]
        made.append(block)
    return made


def bot_message(caller: Caller, channel: Channel, thread_ts: str | None, **fields: object) -> Message:
    """An empty message by the bot in the channel or, with `thread_ts`, in that thread."""
    message = Message(
        channel=channel.id,
        ts=caller.world.new_ts(),
        user=caller.user,
        team=caller.team,
        bot_id=caller.installation.bot_id,
        app_id=caller.slack.app.id,
        thread_ts=find_thread(caller, channel, thread_ts),
    )
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def find_thread(caller: Caller, channel: Channel, thread_ts: str | None) -> str | None:
    """The first message of the thread; the timestamp of a reply is a problem and means its thread."""
    if not thread_ts:
        return None
    parent = caller.message(channel, thread_ts, "thread_not_found")
    if parent.is_reply:
        caller.problem(f"thread_ts {thread_ts} is a reply's timestamp: use that of its thread, {parent.thread_ts}.")
    return parent.root_ts


def _new_message(caller: Caller, channel: Channel, arguments: Json) -> Message:
    fields = content(caller, arguments) | {"username": arguments.get("username")}
    return bot_message(caller, channel, arguments.get("thread_ts"), **fields)


METHODS = {
    "chat.postMessage": post_message,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
    "chat.getPermalink": get_permalink,
}
