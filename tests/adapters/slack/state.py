"""What a pretended Slack remembers, as plain records: workspaces, people, channels, messages, views, the app and where it is
installed. They know nothing of each other beyond ids; `world.py` keeps them together."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
ChannelKind = Literal["public", "private", "im", "mpim"]


@dataclass
class Clock:
    """The time of the pretended Slack, in seconds since 1970. Tests move it forward instead of sleeping."""

    offset_s: float = 0.0

    def now(self) -> float:
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        self.offset_s += seconds


@dataclass(frozen=True, kw_only=True)
class Workspace:
    id: str
    name: str
    domain: str


@dataclass(kw_only=True)
class User:
    id: str
    team: str
    name: str
    """The name in lower case that Slack calls `name`; `real_name` is what people see unless there is a `display_name`."""
    real_name: str
    display_name: str = ""
    email: str = ""
    tz: str = "Europe/Berlin"
    tz_offset: int = 3600
    is_admin: bool = False
    is_restricted: bool = False
    """A multi-channel guest."""
    is_ultra_restricted: bool = False
    """A single-channel guest."""
    deleted: bool = False
    bot_id: str | None = None
    """Set for the user that stands for a bot."""
    app_id: str | None = None

    @property
    def shown_name(self) -> str:
        return self.display_name or self.real_name


@dataclass(kw_only=True)
class Channel:
    id: str
    team: str
    name: str
    kind: ChannelKind
    members: list[str]
    creator: str
    created: int
    is_archived: bool = False
    is_ext_shared: bool = False
    """Shared with another workspace (Slack Connect)."""
    topic: str = ""
    purpose: str = ""


@dataclass(kw_only=True)
class UserGroup:
    id: str
    team: str
    handle: str
    name: str
    users: list[str]
    is_disabled: bool = False


@dataclass(kw_only=True)
class Message:
    """A message as Slack keeps it; `text` holds Slack's markup with `&`, `<` and `>` escaped."""

    channel: str
    ts: str
    user: str
    team: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    subtype: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    username: str | None = None
    client_msg_id: str | None = None
    metadata: Json | None = None
    files: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    edited: Json | None = None
    parses_names: bool = False
    """Posted with `parse=full` or `link_names`: a bare `@channel` in its text is a mention."""
    visible_to: str | None = None
    """The one person who sees an ephemeral message."""
    stream: "Stream | None" = None

    @property
    def root_ts(self) -> str:
        return self.thread_ts or self.ts

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass(kw_only=True)
class Stream:
    """What makes a message a streamed one. Open until stopped by the app, by a person, or by its age."""

    ends_at: float
    chunks: list[Json] = field(default_factory=list)
    state: Literal["open", "stopped", "stopped_by_user"] = "open"


@dataclass(kw_only=True)
class View:
    """A modal that is open, or a Home tab; `body` is what the app sent."""

    id: str
    team: str
    user: str
    body: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    response_url_channel: str | None = None


@dataclass(frozen=True, kw_only=True)
class ThreadStatus:
    text: str
    loading_messages: tuple[str, ...]
    ends_at: float


@dataclass(frozen=True, kw_only=True)
class SuggestedPrompts:
    title: str | None
    prompts: tuple[Json, ...]
    thread_ts: str | None


@dataclass(kw_only=True)
class App:
    """The app under test, as its manifest declares it."""

    id: str = "A0TIMBRE00"
    name: str = "Timbre"
    client_id: str = "1.1"
    client_secret: str = "client-secret"
    signing_secret: str = "signing-secret"
    verification_token: str = "verification-token"
    app_token: str = "xapp-1-A0TIMBRE00-test"
    scopes: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Installation:
    """The app in one workspace."""

    team: str
    bot_user: str
    bot_id: str
    token: str
    scopes: frozenset[str]
    installer: str | None = None
    is_revoked: bool = False


class SlackError(Exception):
    """The reply `{"ok": false, "error": code}`, with further fields."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields


class Impossible(Exception):
    """A test asked a person to do what Slack would not let them do (press a button that is not there)."""
