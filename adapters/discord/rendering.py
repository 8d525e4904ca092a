"""Our values as Discord messages, forms and choices, within its limits (pure). Knows nothing of connections.

A `Payload` is the JSON body of a message without what is due to its way: `{"content": "...", "components": [...], ...}`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from adapters.controls import encode
from adapters.text import plain, shortened, split
from bot.links import without_links
from bot.messages import Button, Choice, Control, Form, Greeting, Home, Link, Notice, Reply, ReplyKind, TextInput

Payload: TypeAlias = dict[str, Any]

MAX_CONTENT_CHARS = 2000
MAX_BUTTON_CHARS = 80
MAX_CUSTOM_ID_CHARS = 100
BUTTONS_IN_ROW = 5
MAX_ROWS = 5
MAX_TITLE_CHARS = 45
MAX_LABEL_CHARS = 45
MAX_HINT_CHARS = 100
MAX_INPUT_CHARS = 4000
MAX_FIELDS = 5
MAX_OPTIONS = 25
MAX_OPTION_CHARS = 100
MAX_THREAD_NAME_CHARS = 100
MAX_QUOTED_LINE_CHARS = 1900  # leaves room for the mark of a quotation

SUPPRESS_EMBEDS = 1 << 2
EPHEMERAL = 1 << 6
NOBODY: Payload = {"parse": []}
PLACEHOLDER = "…"
"""What stands where an answer is about to grow."""
TRY_AGAIN = "Try again"

ACTION_ROW, BUTTON, SELECT, TEXT_INPUT, LABEL = 1, 2, 3, 4, 18
PRIMARY, SECONDARY, SUCCESS, DANGER = 1, 2, 3, 4
SHORT, PARAGRAPH = 1, 2
SHORT_INPUT_CHARS = 100  # a longer input gets a box of several lines

_STYLES = {Control.APPROVE: SUCCESS, Control.CONFIRM: PRIMARY, Control.ASK_PERSON: SECONDARY}
_EMOJI = {Control.HELPFUL: "👍", Control.NOT_HELPFUL: "👎"}
_ACTIVE = re.compile(
    r"<(?=@[!&]?\d|#\d|/[^<>:\n]{1,200}:\d|a?:\w+:\d|t:-?\d|id:|sound:)|@(?=everyone|here)", re.IGNORECASE
)  # mentions, commands, emoji, times, guides, sounds
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_LINKABLE = re.compile(r"https?://[^\s<>]+", re.IGNORECASE)
_BREAK = "\u200b"  # invisible, and ends what Discord would take for its own syntax


def render_reply(reply: Reply, support_role: str = "") -> list[Payload]:
    """The messages that show the reply, at least one, the buttons under the last.

    The support role is named only where the reply calls for it; that is the one mention that pings.
    """
    calls = f"<@&{support_role}>" if reply.calls_support and support_role else ""
    text = safe(reply.text, [link.url for link in reply.links])
    parts = [part for part in (calls, _framed(text, reply.kind), _pages(reply)) if part]
    messages = [_message(content) for content in split("\n\n".join(parts), MAX_CONTENT_CHARS) or [PLACEHOLDER]]
    if calls:
        messages[0]["allowed_mentions"] = {"parse": [], "roles": [support_role]}
    messages[-1]["components"] = button_rows(_in_order(reply))
    return messages


def render_notice(notice: Notice) -> list[Payload]:
    """Messages for one person's eyes."""
    text = f"⚠️ {notice.text}" if notice.is_problem else notice.text
    return _texts(text, notice.buttons, EPHEMERAL)


def render_home(home: Home) -> list[Payload]:
    """Messages for one person's eyes: a section each, and what has buttons in a message of its own."""
    messages: list[Payload] = []
    for section in home.sections:
        silent = [item for item in section.items if not item.buttons]
        lines = [f"### {section.title}", *(f"- {item.text}" for item in silent)]
        messages += _texts("\n".join(lines), (), EPHEMERAL)
        for item in section.items:
            if item.buttons:
                messages += _texts(item.text, item.buttons, EPHEMERAL)
    return messages


def render_greeting(greeting: Greeting) -> list[Payload]:
    """Messages for everybody where they stand, with a button for each question that fits one."""
    asked = [Button(Control.ASK, prompt, prompt) for prompt in greeting.prompts]
    return _texts(greeting.text, asked, 0)


def render_errors(control: Control, subject: str, errors: Iterable[str], texts: Iterable[str]) -> list[Payload]:
    """A form that was not accepted, for one person's eyes: what is wrong, and what they typed, which Discord has thrown away."""
    typed = [f"What you wrote:\n{_quoted(safe(text))}" for text in texts if text.strip()]
    messages = _texts("⚠️ " + " ".join(errors), (), EPHEMERAL)
    messages += [_message(part, EPHEMERAL) for text in typed for part in split(text, MAX_CONTENT_CHARS)]
    messages[-1]["components"] = button_rows([Button(control, subject, TRY_AGAIN)])
    return messages


def as_plain_text(message: Payload) -> Payload:
    """The message once more without everything that Discord may have refused: only its words are left, cut where too long."""
    content = inert(plain(message["content"]))[:MAX_CONTENT_CHARS].strip() or PLACEHOLDER
    return {name: value for name, value in message.items() if name != "components"} | {"content": content, "components": []}


def as_edit(message: Payload) -> Payload:
    """The body that changes a message into this one: who sees it cannot be changed any more."""
    return message | {"flags": message["flags"] & ~EPHEMERAL}


def growing(text: str) -> str:
    """What is shown of an answer while it is made: its beginning as one message, without any link."""
    shown = split(safe(text), MAX_CONTENT_CHARS - len(PLACEHOLDER) - 1)
    return f"{shown[0]} {PLACEHOLDER}" if shown else PLACEHOLDER


def safe(text: str, allowed_urls: Sequence[str] = ()) -> str:
    """The text without links beyond those, and with nothing in it that Discord would make more of."""
    return inert(without_links(text, [url for url in allowed_urls if url]))


def inert(text: str) -> str:
    """The text with mentions and other syntax of Discord's as plain characters, without those that cannot be sent."""
    return _ACTIVE.sub(lambda found: found[0] + _BREAK, _UNSENDABLE.sub("", text))


def thread_name(question: str) -> str:
    return shortened(inert(plain(without_links(question))), MAX_THREAD_NAME_CHARS) or "Answer"


def button_rows(buttons: Iterable[Button]) -> list[Payload]:
    """Rows of five; a button that would be doubled, or whose subject does not fit, is left out."""
    unique = {encode(button.control, button.subject): button for button in buttons}
    fitting = [_button(name, button) for name, button in unique.items() if len(name) <= MAX_CUSTOM_ID_CHARS]
    rows = [fitting[start : start + BUTTONS_IN_ROW] for start in range(0, len(fitting), BUTTONS_IN_ROW)]
    return [{"type": ACTION_ROW, "components": row} for row in rows[:MAX_ROWS]]


def _button(name: str, button: Button) -> Payload:
    style = DANGER if button.is_dangerous else _STYLES.get(button.control, SECONDARY)
    shown: Payload = {"type": BUTTON, "style": style, "label": shortened(button.label, MAX_BUTTON_CHARS), "custom_id": name}
    emoji = _EMOJI.get(button.control)
    return shown | {"emoji": {"name": emoji}} if emoji and emoji not in button.label else shown


def render_form(form: Form) -> Payload:
    """The data of a modal; Discord has room for five fields."""
    return {
        "title": shortened(form.title, MAX_TITLE_CHARS),
        "custom_id": encode(form.control, form.subject),
        "components": [_field(field) for field in form.fields[:MAX_FIELDS]],
    }


def _field(field: Choice | TextInput) -> Payload:
    label: Payload = {"type": LABEL, "label": shortened(field.label, MAX_LABEL_CHARS)}
    if isinstance(field, Choice):
        return label | {"component": _select(field)}
    hint = {"description": shortened(field.hint, MAX_HINT_CHARS)} if field.hint else {}
    return label | hint | {"component": _text_input(field)}


def _select(choice: Choice) -> Payload:
    options = [
        {"value": value, "label": shortened(label, MAX_OPTION_CHARS), **({"default": True} if value == choice.value else {})}
        for value, label in choice.options[:MAX_OPTIONS]
    ]
    return {
        "type": SELECT,
        "custom_id": choice.name,
        "options": options,
        "required": choice.is_required,
        "min_values": int(choice.is_required),
        "max_values": 1,
    }


def _text_input(field: TextInput) -> Payload:
    most = min(field.max_chars, MAX_INPUT_CHARS)
    shown: Payload = {
        "type": TEXT_INPUT,
        "custom_id": field.name,
        "style": SHORT if most <= SHORT_INPUT_CHARS else PARAGRAPH,
        "required": field.is_required,
        "max_length": most,
    }
    return shown | {"value": field.value[:most]} if field.value else shown


def _texts(text: str, buttons: Sequence[Button], flags: int) -> list[Payload]:
    messages = [_message(part, flags) for part in split(inert(text), MAX_CONTENT_CHARS) or [PLACEHOLDER]]
    messages[-1]["components"] = button_rows(buttons)
    return messages


def _message(content: str, flags: int = 0) -> Payload:
    """Discord takes blanks at both ends away; what it keeps is then what was sent."""
    return {"content": content.strip() or PLACEHOLDER, "flags": SUPPRESS_EMBEDS | flags, "allowed_mentions": NOBODY}


def _framed(text: str, kind: ReplyKind) -> str:
    if kind is ReplyKind.CLOSEST:
        return _quoted(text)
    return f"⚠️ {text}" if kind is ReplyKind.ERROR else text


def _quoted(text: str) -> str:
    lines = [piece for line in plain(text).split("\n") for piece in split(line, MAX_QUOTED_LINE_CHARS) or [""]]
    return "\n".join(f"> {line}" for line in lines)


def _pages(reply: Reply) -> str:
    """The cited pages, small below an answer; where the pages are the answer, in normal size."""
    mark = "- " if reply.kind is ReplyKind.CLOSEST else "-# "
    return "\n".join(mark + _page(link) for link in reply.links)


def _page(link: Link) -> str:
    title = safe(" › ".join(part for part in (link.title, *link.heading.split(" > ")) if part))
    title = " ".join(re.sub(r"[\[\]\\]", " ", title).split()) or "page"
    return f"[{link.number}] [{title}](<{link.url}>)" if _LINKABLE.fullmatch(link.url) else f"[{link.number}] {title}"


def _in_order(reply: Reply) -> list[Button]:
    """Where there is no answer, a person comes first."""
    if reply.kind not in (ReplyKind.CLOSEST, ReplyKind.UNKNOWN):
        return list(reply.buttons)
    return sorted(reply.buttons, key=lambda button: button.control is not Control.ASK_PERSON)
