"""What is wrong with a call of the Web API: against Slack's reference (`reference.py`), and against limits that it leaves out.

A *violation* is wrong whatever the state of the workspace: a caller could have known. It becomes a sentence in
`SlackServer.problems`, and where Slack would refuse the call, an error."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.adapters.slack import blocks as block_kit
from tests.adapters.slack.reference import Method
from tests.adapters.slack.state import Json

STRUCTURED = frozenset("blocks attachments unfurled_attachments metadata view chunks prompts loading_messages file_ids".split())
"""Arguments that may arrive as JSON within a form or within JSON."""
MAX_MARKDOWN_TEXT = 12_000  # characters per call
MAX_TEXT = 40_000  # characters; Slack cuts off the rest
MAX_UPDATED_TEXT = 4_000  # characters; the reference on chat.update
MAX_PROMPTS = 4
MAX_SESSION_TITLE = 200
CHUNKS = {"markdown_text": {"text"}, "task_update": {"id", "title", "status"}, "plan_update": {"title"}, "blocks": {"blocks"}}
TASK_STATES = {"pending", "in_progress", "complete", "error"}
REACTION = re.compile(r"[a-z0-9_+'\-]+(::skin-tone-[2-6])?")


WITHOUT_REFERENCE: Json = {
    "limit": {"type": "number"},
    **{name: {"type": "boolean"} for name in ("exclude_archived", "include_all_metadata", "include_locale", "inclusive")},
}
"""What calls carry in forms, where no reference is beside the checkout: the demo runs without one."""


@dataclass(frozen=True)
class Violation:
    sentence: str
    error: str | None = None
    """What Slack answers; None where it would let it pass."""


def decode(method: Method | None, raw: Json) -> Json:
    """The arguments with the types that the reference gives them: forms carry everything as text. What cannot be read stays."""
    declared = method.arguments if method else WITHOUT_REFERENCE
    return {name: _decoded(name, value, declared.get(name, {})) for name, value in raw.items() if name != "token"}


def _decoded(name: str, value: Any, declared: Json) -> Any:
    if not isinstance(value, str):
        return value
    if name in STRUCTURED and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if declared.get("type") == "boolean" and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if declared.get("type") == "number" and re.fullmatch(r"\d+", value):
        return int(value)
    return value


def check_call(method: Method, arguments: Json, *, sent_as_json: bool) -> list[Violation]:
    """Everything that is wrong with a call whose arguments were decoded."""
    found = [Violation(f"has no argument {name}") for name in arguments if not method.knows(name)]
    if sent_as_json and not method.takes_json:
        found.append(Violation("does not take JSON", "invalid_arguments"))
    found += [
        Violation(f"lacks the argument {name}", "invalid_arguments")
        for name in sorted(method.required)
        if arguments.get(name) in (None, "") and name != "status"
    ]
    for name, value in arguments.items():
        found += [Violation(wrong, "invalid_arguments") for wrong in _check_value(name, value, method.arguments.get(name, {}))]
    return found + _check_rules(method, arguments)


def _check_value(name: str, value: Any, declared: Json) -> list[str]:
    kinds = {"string": str, "boolean": bool, "number": int, "array": list}
    kind = declared.get("type")
    if kind in kinds and not isinstance(value, kinds[kind]):
        return [f"{name} is {type(value).__name__}, not {kind}"]
    allowed = declared.get("enum")
    if allowed and value not in allowed:
        return [f"{name} is {value!r}, not one of {', '.join(allowed)}"]
    if not isinstance(value, list):
        return []
    wrong = []
    if not declared.get("minItems", 0) <= len(value) <= declared.get("maxItems", len(value)):
        wrong.append(f"{name} has {len(value)} items, at most {declared.get('maxItems')} are allowed")
    longest = declared.get("items", {}).get("maxLength")
    wrong += [
        f"{name} holds an item of {len(i)} characters, at most {longest} are allowed"
        for i in value
        if longest and len(i) > longest
    ]
    return wrong


def _check_rules(method: Method, arguments: Json) -> list[Violation]:
    match method.name:
        case "chat.postMessage" | "chat.postEphemeral" | "chat.update":
            return _check_message(method, arguments)
        case "chat.startStream" | "chat.appendStream" | "chat.stopStream":
            return _check_stream(method, arguments)
        case "views.open" | "views.push" | "views.update" | "views.publish":
            wanted = "home" if method.name == "views.publish" else "modal"
            if method.name == "views.update" and isinstance(arguments.get("view"), dict):
                wanted = arguments["view"].get("type", wanted)
            return [Violation(wrong, "invalid_arguments") for wrong in block_kit.check_view(arguments.get("view"), wanted)]
        case "assistant.threads.setSuggestedPrompts":
            return _check_prompts(arguments.get("prompts"))
        case "agents.sessions.setStatus" | "agents.sessions.rename":
            too_long = len(arguments.get("title") or "") > MAX_SESSION_TITLE
            return [Violation("title has more than 200 characters", "invalid_arguments")] if too_long else []
        case "reactions.add" | "reactions.remove":
            named = REACTION.fullmatch(str(arguments.get("name")))
            return [] if named else [Violation(f"name {arguments.get('name')!r} is no emoji name", "invalid_name")]
    return []


def _check_message(method: Method, arguments: Json) -> list[Violation]:
    text, markdown, blocks = (arguments.get(name) or "" for name in ("text", "markdown_text", "blocks"))
    found = _check_markdown(method, markdown) + check_metadata(arguments.get("metadata"))
    if not (text or markdown or blocks or arguments.get("attachments")):
        found.append(Violation("has no text", "no_text"))
    if markdown and (text or blocks):
        found.append(Violation("has markdown_text together with text or blocks", "markdown_text_conflict"))
    if blocks and not text:
        found.append(Violation("has blocks without text: notifications and screen readers have nothing to say"))
    most = MAX_UPDATED_TEXT if method.name == "chat.update" else MAX_TEXT
    if len(text) > most:
        refused = None if method.name == "chat.postMessage" else "msg_too_long"
        found.append(Violation(f"has a text of {len(text)} characters, at most {most} are shown", refused))
    return found + check_message_blocks(blocks or [])


def check_message_blocks(blocks: Any) -> list[Violation]:
    found = [Violation(wrong, "invalid_blocks") for wrong in block_kit.check_blocks(blocks)]
    if not found and block_kit.too_long(blocks):
        found.append(Violation("has blocks of more than 13,200 characters together", "msg_blocks_too_long"))
    return found


def _check_markdown(method: Method, markdown: str) -> list[Violation]:
    if len(markdown) <= MAX_MARKDOWN_TEXT:
        return []
    error = "msg_too_long" if "msg_too_long" in method.errors else "msg_blocks_too_long"
    return [Violation(f"has a markdown_text of {len(markdown)} characters, at most {MAX_MARKDOWN_TEXT} are allowed", error)]


def check_metadata(metadata: Any) -> list[Violation]:
    if metadata in (None, {}):
        return []
    if not isinstance(metadata, dict):
        return [Violation("metadata is no object", "invalid_metadata_format")]
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        return [Violation("metadata needs event_type (text) and event_payload (object)", "invalid_metadata_schema")]
    return []


def _check_stream(method: Method, arguments: Json) -> list[Violation]:
    chunks = arguments.get("chunks") or []
    found = _check_markdown(method, arguments.get("markdown_text") or "") + check_metadata(arguments.get("metadata"))
    found += [Violation(wrong, "invalid_chunks") for chunk in chunks for wrong in _check_chunk(chunk)]
    if method.name == "chat.appendStream" and not (chunks or arguments.get("markdown_text")):
        found.append(Violation("has neither markdown_text nor chunks", "no_text"))
    if arguments.get("blocks") is not None:
        found += check_message_blocks(arguments["blocks"])
    return found


def _check_chunk(chunk: Any) -> list[str]:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind not in CHUNKS:
        return [f"holds a chunk of the unknown type {kind!r}"]
    missing = CHUNKS[kind] - chunk.keys()
    if missing:
        return [f"holds a {kind} chunk without {', '.join(sorted(missing))}"]
    if kind == "markdown_text" and len(chunk["text"]) > MAX_MARKDOWN_TEXT:
        return [f"holds a chunk of {len(chunk['text'])} characters, at most {MAX_MARKDOWN_TEXT} are allowed"]
    if kind == "task_update" and chunk["status"] not in TASK_STATES:
        return [f"holds a task with the unknown status {chunk['status']!r}"]
    return block_kit.check_blocks(chunk["blocks"]) if kind == "blocks" else []


def _check_prompts(prompts: Any) -> list[Violation]:
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= MAX_PROMPTS:
        return [Violation(f"needs 1 to {MAX_PROMPTS} prompts", "invalid_arguments")]
    good = all(isinstance(p, dict) and p.get("title") and p.get("message") for p in prompts)
    return [] if good else [Violation("has a prompt without title or message", "invalid_arguments")]
