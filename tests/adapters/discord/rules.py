"""What Discord refuses, or we forbid ourselves, beyond its OpenAPI document. Pure.

Refusals are Discord's own (documented limits that the OpenAPI leaves out); complaints are Timbre's promises: nobody is pinged.
"""

from collections.abc import Collection

from tests.adapters.discord.mentions import walk
from tests.adapters.discord.openapi import Mistake
from tests.adapters.discord.world import Json, MessageFlag

MAX_CONTENT_CHARS = 2000
MAX_EMBED_CHARS = 6000  # all embeds of a message together
MAX_DISPLAY_CHARS = 4000  # all text displays of a message together
MAX_COMPONENTS = 40
MAX_ROWS = 5  # without the flag for components v2
USER_AGENT = "DiscordBot ("

MESSAGE_OPERATIONS = (
    "create_message",
    "update_message",
    "execute_webhook",
    "update_original_webhook_message",
    "update_webhook_message",
)


def message_in(operation: str, body: Json) -> Json | None:
    """The part of a call's body that is a message; None where there is none."""
    if operation in MESSAGE_OPERATIONS:
        return body
    if operation == "create_interaction_response" and body.get("type") in (4, 7):
        found = body.get("data")
        return found if isinstance(found, dict) else None
    if operation == "create_thread" and isinstance(body.get("message"), dict):
        return dict(body["message"])
    return None


def refusals(message: Json) -> list[Mistake]:
    """Why Discord refuses this message."""
    content, components = message.get("content") or "", message.get("components") or []
    parts = list(walk(components))
    is_v2 = bool((message.get("flags") or 0) & MessageFlag.COMPONENTS_V2)
    found: list[Mistake] = []
    if len(content) > MAX_CONTENT_CHARS:
        found.append((("content",), f"Must be {MAX_CONTENT_CHARS} or fewer in length."))
    if sum(_embed_chars(embed) for embed in message.get("embeds") or []) > MAX_EMBED_CHARS:
        found.append((("embeds",), f"Embed size exceeds maximum size of {MAX_EMBED_CHARS}"))
    if is_v2 and (content or message.get("embeds")):
        found.append((("content",), "The 'content' and 'embeds' fields cannot be used with MessageFlags.IS_COMPONENTS_V2"))
    if not is_v2 and any(part["type"] != 1 for part in components):
        found.append((("components",), "Only action rows without MessageFlags.IS_COMPONENTS_V2"))
    if not is_v2 and len(components) > MAX_ROWS:
        found.append((("components",), f"Must be {MAX_ROWS} or fewer in length."))
    if len(parts) > MAX_COMPONENTS:
        found.append((("components",), f"At most {MAX_COMPONENTS} components."))
    if sum(len(part["content"]) for part in parts if part["type"] == 10) > MAX_DISPLAY_CHARS:
        found.append((("components",), f"At most {MAX_DISPLAY_CHARS} characters of text."))
    ids = [part["custom_id"] for part in parts if part.get("custom_id")]
    if len(set(ids)) < len(ids):
        found.append((("components",), "Component custom id cannot be duplicated"))
    return found + [mistake for part in parts if part["type"] == 2 for mistake in _button_mistakes(part)]


def complaints(message: Json, may_ping: Collection[str] = ()) -> list[str]:
    """Where the message could ping somebody but those roles."""
    has_text = message.get("content") or any(part["type"] == 10 for part in walk(message.get("components") or []))
    rules = message.get("allowed_mentions")
    if not has_text:
        return []
    if rules is None:
        return ["allowed_mentions is missing: Discord pings whomever the text names"]
    roles = set(rules.get("roles") or ()) - set(may_ping)
    if rules.get("parse") != [] or rules.get("users") or roles or rules.get("replied_user"):
        return [f"allowed_mentions may ping somebody: {rules}"]
    return []


def _embed_chars(embed: Json) -> int:
    texts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    texts += [(embed.get("author") or {}).get("name")]
    texts += [text for field in embed.get("fields") or [] for text in (field["name"], field["value"])]
    return sum(len(text or "") for text in texts)


def _button_mistakes(button: Json) -> list[Mistake]:
    is_link = button.get("style") == 5
    found: list[Mistake] = []
    if is_link == bool(button.get("custom_id")) or is_link != bool(button.get("url")):
        found.append((("components",), "A custom id and url cannot both be specified, and one of them is required"))
    if not button.get("label") and not button.get("emoji"):
        found.append((("components",), "A button needs a label or an emoji"))
    return found
