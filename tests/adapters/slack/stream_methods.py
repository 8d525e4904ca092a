"""`chat.startStream`, `appendStream`, `stopStream`: answers that grow while people read them."""

from tests.adapters.slack.blocks import MAX_BLOCKS
from tests.adapters.slack.calling import Caller
from tests.adapters.slack.chat_methods import bot_message, with_ids
from tests.adapters.slack.shapes import message_object
from tests.adapters.slack.state import Json, Message, SlackError, Stream

STREAM_LIVES_S = 300.0  # about 5 minutes, then message_not_in_streaming_state (python-slack-sdk#1859)


def start(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_write(arguments["channel"])
    if caller.user not in channel.members:
        raise SlackError("not_in_channel")
    if channel.kind != "im":
        _check_recipient(caller, arguments)
    if not arguments.get("thread_ts") and channel.kind != "im":
        caller.problem("chat.startStream in a channel has no thread_ts: streamed messages are replies.")
    stream = Stream(ends_at=caller.world.clock.now() + STREAM_LIVES_S, chunks=_chunks(arguments))
    message = bot_message(caller, channel, arguments.get("thread_ts"), stream=stream, **_content(caller, stream.chunks))
    caller.slack.post(message)
    caller.world.sessions.setdefault((channel.id, message.root_ts), {"title": None})["status"] = "processing"
    return {"channel": channel.id, "ts": message.ts}


def append(caller: Caller, arguments: Json) -> Json:
    message, stream = _open_stream(caller, arguments)
    chunks = stream.chunks + _chunks(arguments)
    fields = _content(caller, chunks)
    stream.chunks = chunks
    caller.slack.edit(message, announces=False, **fields)
    return {"channel": message.channel, "ts": message.ts}


def stop(caller: Caller, arguments: Json) -> Json:
    message, stream = _open_stream(caller, arguments)
    chunks = stream.chunks + _chunks(arguments)
    fields = _content(caller, chunks, arguments.get("blocks") or [])
    stream.chunks, stream.state = chunks, "stopped"
    caller.slack.edit(message, **fields, metadata=arguments.get("metadata") or None)
    status = arguments.get("session_status") or "active"
    caller.world.sessions.setdefault((message.channel, message.root_ts), {"title": None})["status"] = status
    return {"channel": message.channel, "ts": message.ts, "message": message_object(message, caller.world)}


def _check_recipient(caller: Caller, arguments: Json) -> None:
    """In channels a stream needs to know for whom it is."""
    for name in ("recipient_team_id", "recipient_user_id"):
        if not arguments.get(name):
            caller.problem(f"chat.startStream in a channel lacks {name}.")
            raise SlackError(f"missing_{name}")
    if arguments["recipient_user_id"] not in caller.world.users:
        raise SlackError("user_not_found")
    if arguments["recipient_team_id"] not in caller.world.workspaces:
        raise SlackError("team_not_found")


def _open_stream(caller: Caller, arguments: Json) -> tuple[Message, Stream]:
    message = caller.message(caller.channel(arguments["channel"]), arguments["ts"])
    if message.app_id != caller.slack.app.id:
        caller.problem(f"The app tried to stream into the message {message.ts} of {message.user}.")
        raise SlackError("message_not_owned_by_app")
    stream = message.stream
    if stream is None or stream.state == "stopped" or caller.world.clock.now() > stream.ends_at:
        raise SlackError("message_not_in_streaming_state")
    if stream.state == "stopped_by_user":
        raise SlackError("stopped_by_user")
    return message, stream


def _chunks(arguments: Json) -> list[Json]:
    markdown = arguments.get("markdown_text")
    return ([{"type": "markdown_text", "text": markdown}] if markdown else []) + (arguments.get("chunks") or [])


def _content(caller: Caller, chunks: list[Json], closing: list[Json] | None = None) -> Json:
    """The message that the chunks make up: neighbouring Markdown runs together, tasks keep their last state."""
    blocks: list[Json] = []
    tasks: dict[str, Json] = {}
    for chunk in chunks:
        match chunk["type"]:
            case "markdown_text" if blocks and blocks[-1]["type"] == "markdown":
                blocks[-1]["text"] += chunk["text"]
            case "markdown_text":
                blocks.append({"type": "markdown", "text": chunk["text"]})
            case "blocks":
                blocks += chunk["blocks"]
            case "task_update" if chunk["id"] in tasks:
                tasks[chunk["id"]].update(title=chunk["title"], status=chunk["status"])
            case "task_update":
                tasks[chunk["id"]] = {"type": "task_card", "title": chunk["title"], "status": chunk["status"]}
                blocks.append(tasks[chunk["id"]])
    if len(blocks) + len(closing or []) > MAX_BLOCKS["message"]:
        raise SlackError("msg_blocks_too_many")
    text = "".join(block["text"] for block in blocks if block["type"] == "markdown")
    return {"text": text, "blocks": with_ids(caller, [*blocks, *(closing or [])])}


METHODS = {"chat.startStream": start, "chat.appendStream": append, "chat.stopStream": stop}
