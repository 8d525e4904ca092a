"""Whom a message pings in reality and where its links lead. Pure but for reading the world.

A ping needs a mention in the content, outside code, that `allowed_mentions` lets through; whether the author's permissions
would let @everyone through is left out on purpose: a test wants the worst case.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.adapters.discord.world import Json, Message, MessageType, World

CODE = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.DOTALL)
USER = re.compile(r"<@!?(\d+)>")
ROLE = re.compile(r"<@&(\d+)>")
EVERYONE = re.compile(r"@(everyone|here)\b")
MASKED_LINK = re.compile(r"\[([^\]\n]+)\]\(<?(https?://[^\s)>]+)>?(?:\s+\"[^\"]*\")?\)")
BARE_LINK = re.compile(r"https?://[^\s<>)\]]+")
TEXT_DISPLAY = 10
LINK_BUTTON = 5


@dataclass(frozen=True)
class Pings:
    """Who gets a notification because of a message; false when nobody does."""

    user_ids: tuple[str, ...] = ()
    role_ids: tuple[str, ...] = ()
    everyone: bool = False

    def __bool__(self) -> bool:
        return bool(self.user_ids or self.role_ids or self.everyone)


@dataclass(frozen=True)
class Link:
    """`text` is what a reader sees, `url` where it leads."""

    text: str
    url: str


def allowed(message: Message, world: World) -> Pings:
    """The mentions of the message that its `allowed_mentions` let through, a pinged author of the message replied to included."""
    if message.type is MessageType.THREAD_STARTER:
        return Pings()
    text = CODE.sub(" ", visible_text(message))
    rules = message.allowed_mentions
    users = [user_id for user_id in _unique(USER.findall(text)) if user_id in world.users and _lets(rules, "users", user_id)]
    roles = [role_id for role_id in _unique(ROLE.findall(text)) if _lets(rules, "roles", role_id)]
    everyone = bool(EVERYONE.search(text)) and _lets(rules, "everyone", "")
    replied = world.messages.get(message.replied_to or "")
    if replied and message.type is MessageType.REPLY and (rules is None or rules.get("replied_user")):
        users = _unique([*users, replied.author_id])
    return Pings(tuple(users), tuple(roles), everyone)


def links(message: Message) -> list[Link]:
    """Every link that a reader can follow: masked ones, bare ones, of embeds and of buttons."""
    text = CODE.sub(" ", visible_text(message))
    found = [Link(shown, url) for shown, url in MASKED_LINK.findall(text)]
    found += [Link(url, url) for url in BARE_LINK.findall(MASKED_LINK.sub(" ", text))]
    for embed in message.embeds:
        found += [Link(embed.get("title", ""), embed["url"])] if embed.get("url") else []
        inside = " ".join([embed.get("description", ""), *(field["value"] for field in embed.get("fields", []))])
        found += [Link(shown, url) for shown, url in MASKED_LINK.findall(inside)]
        found += [Link(url, url) for url in BARE_LINK.findall(MASKED_LINK.sub(" ", inside))]
    buttons = [each for each in walk(message.components) if each["type"] == 2 and each.get("style") == LINK_BUTTON]
    return found + [Link(each.get("label", ""), each["url"]) for each in buttons]


def visible_text(message: Message) -> str:
    """Content and, where the layout is made of components, their text."""
    displays = [each["content"] for each in walk(message.components) if each["type"] == TEXT_DISPLAY]
    return "\n".join([message.content, *displays] if message.content else displays)


def walk(components: list[Json]) -> Iterator[Json]:
    """Every component, however deep, in reading order."""
    for component in components:
        yield component
        yield from walk(component.get("components", []))
        yield from walk([component[name] for name in ("component", "accessory") if name in component])


def _lets(rules: Json | None, kind: str, target_id: str) -> bool:
    if rules is None:
        return True
    return kind in (rules.get("parse") or []) or target_id in map(str, rules.get(kind) or [])


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))
