"""Slack's payloads as values of ours (pure). What is no business of the bot, or lacks what it takes, is None.

A person is an id here: who that is takes a question to Slack, which `people` asks.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from adapters.controls import decode
from bot.messages import Addressed, Command, Control, IncomingMessage, MessageRef, Person, PersonId, Place

PLATFORM = "slack"
HANDLE_LIVES = timedelta(minutes=25)  # a response address lives 30 minutes
RATING = "rating"  # action id of the pair of feedback buttons
FLAG = "timbre:flag"  # callback ids of the entries in a message's menu
CAPTURE = "timbre:capture"
FIELD = "value"  # action id of every field of a form: the block has its name
ASK_COMMAND = "/ask"
COMMAND = "/timbre"

Json: TypeAlias = Mapping[str, Any]

_WRITTEN_BY_PEOPLE = ("", "file_share", "thread_broadcast")
_TIMESTAMP = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_TOKEN = re.compile(r"<([^<>\n]+)>")
_PERSON = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_SKIN = re.compile(r"::skin-tone-\d$")


@dataclass(frozen=True)
class Actor:
    """Who did something, and in which installation of the app we heard of it."""

    workspace: str
    user: str
    is_stranger: bool = False  # the payload says that they belong to another company

    @property
    def id(self) -> PersonId:
        return PersonId(f"{PLATFORM}:{self.workspace}:{self.user}")


@dataclass(frozen=True)
class Post:
    """A message of a person, its text as Slack has it."""

    author: Actor
    channel: str
    ts: str
    thread: str
    text: str
    addressed: Addressed

    @property
    def place(self) -> Place:
        return Place(PLATFORM, self.author.workspace, self.channel, self.thread)

    @property
    def sent_at(self) -> datetime:
        return datetime.fromtimestamp(float(self.ts), UTC)


@dataclass(frozen=True)
class Reaction:
    actor: Actor
    message: MessageRef
    emoji: str
    is_added: bool


@dataclass(frozen=True)
class Opened:
    """The app's own page: `tab` is home or messages, `channel` the direct conversation."""

    actor: Actor
    channel: str
    tab: str


@dataclass(frozen=True)
class Stopped:
    """A person wants no more of the answer that is being written in a thread."""

    channel: str
    thread: str


@dataclass(frozen=True)
class MembersChanged:
    workspace: str
    channel: str


@dataclass(frozen=True)
class Removed:
    """The app is in that workspace no more."""

    workspace: str


Event: TypeAlias = Post | Reaction | Opened | Stopped | MembersChanged | Removed


@dataclass(frozen=True)
class Asking:
    """What an interaction gives us to answer it with; an empty field was not given."""

    trigger: str
    response_url: str


@dataclass(frozen=True)
class Press:
    """A button; on the app's own page there is no message."""

    actor: Actor
    message: MessageRef
    control: Control
    subject: str
    asking: Asking


@dataclass(frozen=True)
class Picked:
    """An entry of a message's menu: FLAG or CAPTURE; `text` is the message's, as Slack has it."""

    actor: Actor
    message: MessageRef
    entry: str
    text: str
    asking: Asking


@dataclass(frozen=True)
class Slash:
    actor: Actor
    place: Place
    command: str
    text: str
    asking: Asking


@dataclass(frozen=True)
class Submitted:
    actor: Actor
    place: Place
    control: Control
    subject: str
    values: Mapping[str, str]
    fields: tuple[str, ...]
    """The names of all fields of the form, in their order."""


def is_timestamp(text: str) -> bool:
    """Whether it is what Slack names messages by."""
    return _TIMESTAMP.fullmatch(text) is not None


def workspace_of(body: Json) -> str:
    """The workspace whose installation got the payload; in a channel that companies share, others have their own."""
    authorizations = body.get("authorizations")
    first = authorizations[0] if isinstance(authorizations, list) and authorizations else {}
    team = body.get("team")
    return _text(first, "team_id") or _text(body, "team_id") or _text(team, "id") or _text(body.get("user"), "team_id")


def read_event(body: Json, bot_user: str) -> Event | None:
    """What happened; `bot_user` is our own user there."""
    event, workspace = body.get("event"), workspace_of(body)
    if not isinstance(event, Mapping) or not workspace:
        return None
    match event.get("type"):
        case "app_mention" if _text(event.get("edited"), "ts"):
            return None  # a name that was added to a message later
        case "message" | "app_mention":
            return read_post(event, workspace, bot_user, _text(event, "channel"))
        case "reaction_added" | "reaction_removed":
            return _reaction(event, workspace, bot_user)
        case "app_home_opened":
            actor = Actor(workspace, _text(event, "user"))
            return Opened(actor, _text(event, "channel"), _text(event, "tab")) if actor.user else None
        case "agent_session_stopped":
            return Stopped(_text(event, "channel"), _text(event, "thread_ts"))
        case "member_joined_channel" | "member_left_channel":
            return MembersChanged(workspace, _text(event, "channel"))
        case "app_uninstalled":
            return Removed(workspace)
        case "tokens_revoked":
            tokens = event.get("tokens")
            return Removed(workspace) if isinstance(tokens, Mapping) and tokens.get("bot") else None
        case _:
            return None


def read_post(message: Json, workspace: str, bot_user: str, channel: str) -> Post | None:
    """The message of an event or of a channel's history; None for those of bots, and what is no message of a person."""
    ts, user, text = _text(message, "ts"), _text(message, "user"), _text(message, "text")
    if not (channel and user and is_timestamp(ts)) or user == bot_user or _text(message, "bot_id"):
        return None
    if _text(message, "subtype") not in _WRITTEN_BY_PEOPLE or message.get("hidden"):
        return None
    thread = _text(message, "thread_ts")
    thread = thread if thread != ts and is_timestamp(thread) else ""
    addressed = _addressed(message, text, bot_user, channel, thread)
    if not text.strip() and addressed in (Addressed.CHANNEL, Addressed.THREAD):
        return None
    return Post(_author(message, workspace, user), channel, ts, thread, text, addressed)


def mentioned(text: str) -> frozenset[str]:
    """The users that a text of Slack's names."""
    return frozenset(_PERSON.findall(text))


def readable(text: str, names: Mapping[str, str], bot_user: str = "") -> str:
    """A text of Slack's as people read it: names for ids, labels for links; the bot's own name is taken out."""
    named = re.sub(rf"\s*<@{re.escape(bot_user)}(?:\|[^<>]*)?>[,:]?", "", text) if bot_user else text
    return _unescaped(_TOKEN.sub(lambda token: _shown(token[1], names), named)).strip()


def message_of(post: Post, author: Person, names: Mapping[str, str], bot_user: str) -> IncomingMessage:
    text = readable(post.text, names, bot_user)
    return IncomingMessage(post.place, post.ts, author, text, post.addressed, post.sent_at)


def question_of(slash: Slash, author: Person, names: Mapping[str, str], now: datetime) -> IncomingMessage:
    """`/ask`: has no message of its own, and is answered through the response address while that lives."""
    handle = {"response_url": slash.asking.response_url, "until": (now + HANDLE_LIVES).isoformat()}
    return IncomingMessage(
        slash.place,
        slash.asking.trigger,
        author,
        readable(slash.text, names),
        Addressed.COMMAND,
        now,
        handle if slash.asking.response_url else {},
        is_threaded=False,
    )


def command_of(slash: Slash, person: Person) -> Command:
    """`/timbre`: people in its words become their ids."""
    ids = _PERSON.sub(lambda found: f"{PLATFORM}:{slash.actor.workspace}:{found[1]}", slash.text)
    return Command(person, slash.place, readable(ids, {}))


def read_action(body: Json) -> Press | None:
    """The button of a `block_actions` payload."""
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    meant = decode(_text(action, "value")) or decode(_text(action, "action_id"))
    actor = _actor(body)
    if actor is None or meant is None:
        return None
    container = body.get("container")
    channel = _text(container, "channel_id") or _text(body.get("channel"), "id")
    thread = _text(container, "thread_ts") or _text(body.get("message"), "thread_ts")
    ts = _text(container, "message_ts")
    place = Place(PLATFORM, actor.workspace, channel, thread if thread != ts else "")
    return Press(actor, MessageRef(place, ts), *meant, _asking(body))


def read_shortcut(body: Json) -> Picked | None:
    """The entry of a message's menu that somebody picked."""
    actor, message = _actor(body), body.get("message")
    if actor is None or not isinstance(message, Mapping):
        return None
    ts, thread = _text(body, "message_ts") or _text(message, "ts"), _text(message, "thread_ts")
    place = Place(PLATFORM, actor.workspace, _text(body.get("channel"), "id"), thread if thread != ts else "")
    return Picked(actor, MessageRef(place, ts), _text(body, "callback_id"), _text(message, "text"), _asking(body))


def read_command(body: Json) -> Slash | None:
    workspace, user = workspace_of(body), _text(body, "user_id")
    if not workspace or not user:
        return None
    place = Place(PLATFORM, workspace, _text(body, "channel_id"))
    asking = Asking(_text(body, "trigger_id"), _text(body, "response_url"))
    return Slash(Actor(workspace, user), place, _text(body, "command"), _text(body, "text"), asking)


def read_submission(body: Json) -> Submitted | None:
    """A form of ours that somebody filled in."""
    actor, view = _actor(body), body.get("view")
    meant = decode(_text(view, "callback_id"))
    if actor is None or meant is None or not isinstance(view, Mapping):
        return None
    state = view.get("state")
    fields = state.get("values") if isinstance(state, Mapping) else None
    values = {name: _filled(elements) for name, elements in fields.items()} if isinstance(fields, Mapping) else {}
    blocks = view.get("blocks")
    names = (
        tuple(_text(block, "block_id") for block in blocks if _text(block, "type") == "input") if isinstance(blocks, list) else ()
    )
    return Submitted(actor, _place(_text(view, "private_metadata"), actor.workspace), *meant, values, names)


def place_note(place: Place) -> str:
    """What a form remembers of the place that it was opened from."""
    return json.dumps({"channel": place.channel, "thread": place.thread})


def _place(note: str, workspace: str) -> Place:
    try:
        found = json.loads(note)
    except ValueError:
        found = {}
    return Place(PLATFORM, workspace, _text(found, "channel"), _text(found, "thread"))


def _addressed(message: Json, text: str, bot_user: str, channel: str, thread: str) -> Addressed:
    if _text(message, "channel_type") == "im" or channel.startswith("D"):
        return Addressed.DIRECT
    if _text(message, "type") == "app_mention" or (bot_user and bot_user in mentioned(text)):
        return Addressed.MENTION
    return Addressed.THREAD if thread else Addressed.CHANNEL


def _author(message: Json, workspace: str, user: str) -> Actor:
    teams = {_text(message, "user_team"), _text(message, "source_team")}
    return Actor(workspace, user, _is_foreign(teams, workspace))


def _is_foreign(teams: Iterable[str], workspace: str) -> bool:
    """Whether one of the teams is another workspace; an E... is the organisation that several belong to."""
    return any(team.startswith("T") and team != workspace for team in teams)


def _reaction(event: Json, workspace: str, bot_user: str) -> Reaction | None:
    item, user = event.get("item"), _text(event, "user")
    channel, ts = _text(item, "channel"), _text(item, "ts")
    if _text(item, "type") != "message" or not (user and channel and ts) or user == bot_user:
        return None
    message = MessageRef(Place(PLATFORM, workspace, channel), ts)
    return Reaction(Actor(workspace, user), message, _SKIN.sub("", _text(event, "reaction")), event["type"] == "reaction_added")


def _actor(body: Json) -> Actor | None:
    user = body.get("user")
    workspace = _text(body.get("view"), "app_installed_team_id") or workspace_of(body)
    if not workspace or not _text(user, "id"):
        return None
    return Actor(workspace, _text(user, "id"), _is_foreign([_text(user, "team_id")], workspace))


def _asking(body: Json) -> Asking:
    return Asking(_text(body, "trigger_id"), _text(body, "response_url"))


def _filled(elements: object) -> str:
    """The one element of a block is called FIELD; what is not filled in is empty."""
    element = elements.get(FIELD) if isinstance(elements, Mapping) else None
    if not isinstance(element, Mapping):
        return ""
    option = element.get("selected_option")
    return _text(option, "value") if isinstance(option, Mapping) else _text(element, "value")


def _shown(token: str, names: Mapping[str, str]) -> str:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        return "@" + (names.get(target[1:]) or label or target[1:])
    if target.startswith("#"):
        return "#" + (label or target[1:])
    if target.startswith("!"):
        return label if target.startswith("!date") else "@" + (label.removeprefix("@") or target[1:].partition("^")[0])
    return label or target.removeprefix("mailto:")


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _text(value: object, name: str) -> str:
    """The text under that name, empty where there is none."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""
