"""What people see of a message, whom it pings and where its links lead: pure functions over Slack's markup and blocks.

Every surface counts for pings, `text` next to blocks too, since Slack notifies with it. Whether a client really rings is
not known; a token that Slack parses is taken to ring."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.adapters.slack.state import Json, Message

TOKEN = re.compile(r"<([^<>\n]+)>")
PING = re.compile(r"<(!channel|!here|!everyone|@[UW][A-Z0-9]+|!subteam\^[A-Z0-9]+)(?:\|[^<>\n]*)?>")
NAMED = re.compile(r"(?<![\w@])@(channel|here|everyone)\b")
MARKDOWN_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?[^)]*\)")
BARE_LINK = re.compile(r"https?://[^\s<>|)\]]+")
MRKDWN_EMPHASIS = [
    re.compile(rf"(?<![\w{mark}]){mark}(?=\S)([^\n{mark}]+?)(?<=\S){mark}(?![\w{mark}])") for mark in (r"\*", "_", "~")
]
MARKDOWN_EMPHASIS = [
    re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*"),
    re.compile(r"(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)"),
    re.compile(r"~~(?=\S)(.+?)(?<=\S)~~"),
    re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*\n]+?)(?<=[^\s\\])\*(?![\w*])"),
    re.compile(r"(?<![\w_\\])_(?=\S)([^_\n]+?)(?<=[^\s\\])_(?![\w_])"),
]
MARKDOWN_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()<>#+\-.!|~>])")
HEADING = re.compile(r"^#{1,6} +", re.MULTILINE)

NameOf = Callable[[str], str]
"""An id of a user, channel or user group -> the name that people see."""


@dataclass(frozen=True)
class Link:
    url: str
    label: str


@dataclass(frozen=True)
class Surface:
    """A piece of text of a message and how Slack reads it."""

    kind: str
    """`mrkdwn`, `markdown` or `plain`."""
    text: str


def surfaces(message: Message) -> list[Surface]:
    """Every text of the message, in the order of reading, rich text not included."""
    found = [Surface("mrkdwn", message.text)] if message.text else []
    for body in [*message.blocks, *message.attachments]:
        found.extend(_surfaces_of(body))
    return found


def pings(message: Message) -> list[str]:
    """Who is called: `!channel`, `!here`, `!everyone`, `@U1`, `!subteam^S1`; in order of appearance, each once."""
    found: dict[str, None] = {}
    for surface in surfaces(message):
        if surface.kind == "plain":
            continue
        found.update(dict.fromkeys(PING.findall(surface.text)))
        if message.parses_names:
            found.update(dict.fromkeys(f"!{name}" for name in NAMED.findall(surface.text)))
    found.update(dict.fromkeys(_rich_pings(message.blocks)))
    return list(found)


def links(message: Message) -> list[Link]:
    """Where a click can lead: links of every surface, of rich text and of buttons; each once."""
    found: dict[Link, None] = {}
    for surface in surfaces(message):
        if surface.kind != "plain":
            found.update(dict.fromkeys(_links_of(surface)))
    for part in _walk(message.blocks):
        if part.get("type") == "link":
            found[Link(str(part["url"]), str(part.get("text") or part["url"]))] = None
        if part.get("type") == "button" and part.get("url"):
            found[Link(part["url"], part["text"]["text"])] = None
    return list(found)


def visible_text(message: Message, name_of: NameOf) -> str:
    """The message as a person reads it, markup gone: blocks where there are any, else the text; then files."""
    bodies = [*message.blocks, *message.attachments]
    lines = [line for body in bodies for line in _visible_block(body, name_of)]
    if not message.blocks and message.text:
        lines.insert(0, visible(Surface("mrkdwn", message.text), name_of))
    lines.extend(f"(file: {file.get('name')})" for file in message.files)
    return "\n".join(line for line in lines if line)


def visible(surface: Surface, name_of: NameOf) -> str:
    if surface.kind == "plain":
        return surface.text
    text = TOKEN.sub(lambda token: _token(token.group(1), name_of), surface.text)
    if surface.kind == "markdown":
        text = HEADING.sub("", MARKDOWN_LINK.sub(r"\1", text))
    for emphasis in MARKDOWN_EMPHASIS if surface.kind == "markdown" else MRKDWN_EMPHASIS:
        text = emphasis.sub(r"\1", text)
    return html.unescape(MARKDOWN_ESCAPE.sub(r"\1", text) if surface.kind == "markdown" else text)


def _token(token: str, name_of: NameOf) -> str:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        return "@" + name_of(target[1:])
    if target.startswith("#"):
        return "#" + (label or name_of(target[1:]))
    if target.startswith("!subteam^"):
        return "@" + (label.removeprefix("@") or name_of(target.removeprefix("!subteam^")))
    if target.startswith("!date^"):
        return label
    if target.startswith("!"):
        return "@" + target[1:]
    return label or target


def _links_of(surface: Surface) -> Iterator[Link]:
    text = surface.text
    for token in TOKEN.findall(text):
        target, _, label = token.partition("|")
        if not target.startswith(("@", "#", "!")):
            yield Link(html.unescape(target), html.unescape(label or target))
    text = TOKEN.sub(" ", text)
    if surface.kind == "markdown":
        for label, url in MARKDOWN_LINK.findall(text):
            yield Link(html.unescape(url), label)
        text = MARKDOWN_LINK.sub(" ", text)
    for url in BARE_LINK.findall(text):
        yield Link(html.unescape(url.rstrip(".,;:!?")), html.unescape(url.rstrip(".,;:!?")))


def _walk(part: object) -> Iterator[Json]:
    """Every object within, depth first, itself included."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _walk(value)
    elif isinstance(part, list):
        for item in part:
            yield from _walk(item)


def _surfaces_of(body: Json) -> Iterator[Surface]:
    if body.get("type") == "markdown":
        yield Surface("markdown", str(body.get("text", "")))
        return
    for part in _walk(body):
        if part.get("type") in ("mrkdwn", "plain_text"):
            yield Surface("mrkdwn" if part["type"] == "mrkdwn" else "plain", str(part.get("text", "")))
        elif part.get("type") in ("markdown", "markdown_text"):
            yield Surface("markdown", str(part.get("text", "")))
    for name in ("pretext", "text", "fallback"):
        if "type" not in body and isinstance(body.get(name), str):  # an attachment
            yield Surface("mrkdwn", body[name])


def _rich_pings(blocks: list[Json]) -> Iterator[str]:
    for part in _walk([block for block in blocks if block.get("type") in ("rich_text", "table")]):
        match part.get("type"):
            case "user":
                yield f"@{part['user_id']}"
            case "usergroup":
                yield f"!subteam^{part['usergroup_id']}"
            case "broadcast":
                yield f"!{part['range']}"


def _visible_block(body: Json, name_of: NameOf) -> list[str]:
    match body.get("type"):
        case "markdown":
            return [visible(Surface("markdown", str(body.get("text", ""))), name_of)]
        case "divider":
            return ["---"]
        case "rich_text":
            return ["".join(_rich(part, name_of) for part in _walk(body)).strip()]
        case "table":
            return [" | ".join(_cell(cell, name_of) for cell in row) for row in body.get("rows", [])]
        case "actions" | "context_actions":
            return ["  ".join(label for element in body.get("elements", []) for label in labels(element))]
        case "context":
            return ["  ".join(visible(surface, name_of) for surface in _surfaces_of(body))]
    lines = [visible(surface, name_of) for surface in _surfaces_of({**body, "accessory": None})]
    return [*lines, "  ".join(labels(body["accessory"]))] if body.get("accessory") else lines


def _rich(part: Json, name_of: NameOf) -> str:
    match part.get("type"):
        case "text":
            return str(part["text"])
        case "link":
            return str(part.get("text", part["url"]))
        case "user":
            return "@" + name_of(part["user_id"])
        case "usergroup":
            return "@" + name_of(part["usergroup_id"])
        case "channel":
            return "#" + name_of(part["channel_id"])
        case "broadcast":
            return "@" + str(part["range"])
        case "emoji":
            return f":{part['name']}:"
    return ""


def _cell(cell: Json, name_of: NameOf) -> str:
    return str(cell.get("text", "")) if cell.get("type") == "raw_text" else "\n".join(_visible_block(cell, name_of))


def labels(element: Json) -> list[str]:
    """What an element shows to be pressed or chosen, each in brackets."""
    match element.get("type"):
        case "feedback_buttons":
            return [f"[{element[which]['text']['text']}]" for which in ("positive_button", "negative_button")]
        case "overflow" | "radio_buttons" | "checkboxes":
            return [f"[{option['text']['text']}]" for option in element.get("options", [])]
        case "image":
            return [f"(image: {element.get('alt_text', '')})"]
    text = element.get("text") or element.get("placeholder")
    return [f"[{text['text']}]"] if isinstance(text, dict) else []
