"""A channel as people see it, as plain lines: names, threads indented, buttons in brackets, private remarks marked."""

from tests.adapters.slack.slack import Slack
from tests.adapters.slack.state import Channel, Message

INDENT = "    "


def transcript(slack: Slack, channel_id: str, *, seen_by: str | None = None) -> str:
    """The channel from top to bottom, threads under their first message. `seen_by`: only what that person sees."""
    channel = slack.world.channels[channel_id]
    private = [m for m in slack.world.ephemerals if m.channel == channel_id and seen_by in (None, m.visible_to)]
    lines = [_title(slack, channel)]
    tops = [slack.message(channel_id, ts) for ts in slack.world.timeline(channel_id)]
    for message in sorted([*tops, *(m for m in private if not m.is_reply)], key=lambda message: message.ts):
        lines += _lines(slack, message, "")
        if not message.is_reply and not message.visible_to:
            replies = [slack.message(channel_id, ts) for ts in slack.world.replies(channel_id, message.ts)]
            remarks = [m for m in private if m.is_reply and m.root_ts == message.ts]
            for reply in sorted([*replies, *remarks], key=lambda message: message.ts):
                lines += _lines(slack, reply, INDENT)
            status = slack.world.status(channel_id, message.ts)
            lines += [f"{INDENT}({slack.app.name} {status.text})"] if status else []
    return "\n".join(lines)


def _title(slack: Slack, channel: Channel) -> str:
    if channel.kind in ("im", "mpim"):
        return "== " + ", ".join(slack.name_of(member) for member in channel.members) + " =="
    return f"== #{channel.name} =="


def _lines(slack: Slack, message: Message, indent: str) -> list[str]:
    name = message.username or slack.name_of(message.user)
    mark = f" (only {slack.name_of(message.visible_to)} sees this)" if message.visible_to else ""
    mark += " (also sent to the channel)" if message.subtype == "thread_broadcast" else ""
    mark += " (edited)" if message.edited else ""
    mark += " (still writing)" if message.stream and message.stream.state == "open" else ""
    first, *rest = slack.visible_text(message).split("\n")
    margin = indent + " " * (len(name) + 2)
    lines = [f"{indent}{name}{mark}: {first}", *(margin + line for line in rest)]
    reactions = "  ".join(f":{reaction}: {len(people)}" for reaction, people in message.reactions.items())
    return [*lines, margin + reactions] if reactions else lines
