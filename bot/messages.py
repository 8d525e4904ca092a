"""The values that go between a platform and the bot: what people send and do, and what they get. Nothing of any platform.

Every text in a `Reply`, `Notice`, `Form` or `Home` is Markdown in which nothing but links is meant to be active: renderers
make mentions and other syntax of their platform plain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeAlias

from bot.conversation import ExchangeId

PersonId = NewType("PersonId", str)
"""`platform:workspace:user`, such as slack:T1:U1: the same person has one for each workspace."""
DeliveryKey = NewType("DeliveryKey", str)
"""Names one message of a person, or one of ours, for ever: what has the same key is the same message."""


@dataclass(frozen=True)
class Person:
    """Who acts. Guests, people of other companies and bots are no members: they may ask nothing and do nothing."""

    id: PersonId
    name: str
    is_member: bool

    @property
    def workspace(self) -> str:
        """`platform:workspace`."""
        return self.id.rpartition(":")[0]


@dataclass(frozen=True)
class Place:
    """Where something stands. `thread` is the id of the message that a thread hangs on, empty outside of threads."""

    platform: str
    workspace: str
    channel: str
    thread: str = ""

    @property
    def channel_key(self) -> str:
        """`platform:workspace:channel`: one string for the channel with all of its threads."""
        return ":".join((self.platform, self.workspace, self.channel))

    @property
    def conversation(self) -> str:
        """One string for the thread, or for the channel outside of threads."""
        return f"{self.channel_key}:{self.thread}"


@dataclass(frozen=True)
class MessageRef:
    """A message on a platform; `place.thread` is where it stands, not what hangs on it."""

    place: Place
    id: str


class Addressed(StrEnum):
    """mention: names the bot; direct: in a conversation with the bot alone; thread: in a thread where the bot takes part;
    channel: to nobody in particular; command: `/ask`, to be answered for the asker's eyes only."""

    MENTION = "mention"
    DIRECT = "direct"
    THREAD = "thread"
    CHANNEL = "channel"
    COMMAND = "command"


@dataclass(frozen=True)
class IncomingMessage:
    """What a person wrote, free of platform syntax (mentions of the bot taken out, links as text).

    `handle` is what the platform needs to answer a command privately (a response address, a token with its end); it is kept
    with the message and given back in the `Delivery`. `is_threaded`: the answer hangs below the message as a thread, as it does
    wherever a platform has threads; else it goes into the place itself. `is_late`: it was fetched, not delivered.
    """

    place: Place
    id: str
    author: Person
    text: str
    addressed: Addressed
    sent_at: datetime
    handle: Mapping[str, str] = field(default_factory=dict)
    is_threaded: bool = True
    is_late: bool = False

    @property
    def key(self) -> DeliveryKey:
        """Names the message, not its delivery: a mention that arrives as two events has one key."""
        return DeliveryKey(f"{self.place.channel_key}:{self.id}")

    @property
    def answer_place(self) -> Place:
        """Where the answer goes, and what is said there afterwards belongs to the same conversation."""
        return replace(self.place, thread=self.id) if self.is_threaded and not self.place.thread else self.place

    @property
    def conversation(self) -> str:
        """Names what belongs together; a command has a conversation of its own."""
        return self.key if self.addressed is Addressed.COMMAND else self.answer_place.conversation


class Mark(StrEnum):
    """What is put on a message for everybody to see, beside its text."""

    ESCALATED = "escalated"  # people were asked to take over
    RESOLVED = "resolved"


class Control(StrEnum):
    """What a button, a menu entry or a form is for. The word stands in what a platform stores under old messages: keep it."""

    HELPFUL = "helpful"  # of an exchange
    NOT_HELPFUL = "not_helpful"  # of an exchange; opens the form that asks why
    ASK_PERSON = "ask_person"  # of an exchange: call support
    RESOLVED = "resolved"  # of an escalation
    SHARE = "share"  # of an exchange answered privately: show it to the channel
    SHOW_REST = "show_rest"  # of an exchange: what its asker may read beyond the channel
    ASK = "ask"  # of a suggested question (the subject is its text)
    CAPTURE = "capture"  # of a person's reply (its delivery key): propose it as the correction of what it replies to
    PROPOSE = "propose"  # of an exchange: the form for a correction
    APPROVE = "approve"  # of a correction
    EDIT = "edit"  # of a correction; opens its form
    REJECT = "reject"  # of a correction
    CONFIRM = "confirm"  # of a command that asks once before it destroys
    CANCEL = "cancel"


@dataclass(frozen=True)
class Button:
    """`subject` is the id of what the control acts on: at most 80 characters."""

    control: Control
    subject: str
    label: str
    is_dangerous: bool = False


@dataclass(frozen=True)
class Link:
    """A cited page. `url` is empty where a person cannot open it (a file on the server, a standard answer)."""

    number: int
    title: str
    heading: str
    url: str


class ReplyKind(StrEnum):
    """What a reply looks like: closest is softer than answer and offers pages first; unknown offers a person at once."""

    ANSWER = "answer"
    CLOSEST = "closest"
    UNKNOWN = "unknown"
    SMALL_TALK = "small_talk"
    NOTICE = "notice"
    ERROR = "error"


@dataclass(frozen=True)
class Reply:
    """What a conversation gets. `text` has marks like [1] that point at `links`; only addresses in `links` may be linked.

    `calls_support` asks the renderer to name the support group of its platform in front, the one mention that pings.
    """

    kind: ReplyKind
    text: str
    links: Sequence[Link] = ()
    buttons: Sequence[Button] = ()
    calls_support: bool = False


@dataclass(frozen=True)
class Delivery:
    """A reply on its way. `key` names it for ever; `to` is the one person who sees it, None for everybody in `place`.

    A place without a channel is a direct conversation with `to`. `answers` is the message that it replies to, if any;
    `exchange` the exchange that it shows, so that what people do with the message can be led back to it.
    """

    key: DeliveryKey
    place: Place
    reply: Reply
    to: PersonId | None = None
    answers: str = ""
    exchange: ExchangeId | None = None
    handle: Mapping[str, str] = field(default_factory=dict)


def direct_place(person: PersonId) -> Place:
    """The direct conversation with the person."""
    platform, workspace, _ = person.split(":", 2)
    return Place(platform, workspace, "")


def direct_delivery(key: str, to: PersonId, reply: Reply) -> Delivery:
    """Of a reply that goes into the direct conversation with the person."""
    return Delivery(DeliveryKey(key), direct_place(to), reply, to=to)


@dataclass(frozen=True)
class Viewers:
    """Who sees what is written in a place.

    `people` are all of its human members that are known by name, empty where anybody of the workspace may come in
    (`is_open`); `has_outsiders` tells of a guest or a person of another company among those who see it.
    """

    is_open: bool
    has_outsiders: bool
    people: frozenset[PersonId] = frozenset()


@dataclass(frozen=True)
class Click:
    """A button, a reaction or a menu entry that a person used; `message` is where it hung."""

    person: Person
    message: MessageRef
    control: Control
    subject: str


@dataclass(frozen=True)
class Choice:
    """A field with one of several values, as (value, label)."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    value: str = ""
    is_required: bool = True


@dataclass(frozen=True)
class TextInput:
    name: str
    label: str
    value: str = ""
    is_required: bool = False
    max_chars: int = 3000
    hint: str = ""


@dataclass(frozen=True)
class Form:
    """What opens over the chat; submitted as `Submission` with the same control and subject. `title`: at most 24 characters."""

    control: Control
    subject: str
    title: str
    fields: Sequence[Choice | TextInput]
    submit: str = "Send"


@dataclass(frozen=True)
class Submission:
    person: Person
    place: Place
    control: Control
    subject: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Notice:
    """Something that only the person who acts sees."""

    text: str
    buttons: Sequence[Button] = ()
    is_problem: bool = False


@dataclass(frozen=True)
class FieldErrors:
    """A form that is not accepted: field name -> what is wrong with it."""

    errors: Mapping[str, str]


Response: TypeAlias = Notice | Reply | Form | FieldErrors | None
"""What an action gives the person who acts, and nobody else; None: nothing to say (the result shows elsewhere)."""


@dataclass(frozen=True)
class Command:
    """`/timbre WORDS` by a person in a place."""

    person: Person
    place: Place
    words: str


@dataclass(frozen=True)
class Item:
    """An entry of a list, with what can be done about it."""

    text: str
    buttons: Sequence[Button] = ()


@dataclass(frozen=True)
class Section:
    title: str
    items: Sequence[Item]


@dataclass(frozen=True)
class Home:
    """The start page of one person, made for their role."""

    sections: Sequence[Section]


@dataclass(frozen=True)
class Greeting:
    """What opens a direct conversation: a text and up to four questions to begin with."""

    text: str
    prompts: Sequence[str]
