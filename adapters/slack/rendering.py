"""Replies, notices, forms and the start page as Slack's blocks (pure), within all of its limits.

Nothing that a model, a document or a person wrote can ping or link; see `markup`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapters.controls import encode
from adapters.slack.inbound import FIELD, RATING, place_note
from adapters.slack.markup import clean, escaped, link, markdown, mrkdwn
from adapters.text import plain, shortened, split
from bot.links import without_links
from bot.messages import (
    Button,
    Choice,
    Control,
    FieldErrors,
    Form,
    Greeting,
    Home,
    Item,
    Link,
    Notice,
    Place,
    Reply,
    ReplyKind,
    Section,
    TextInput,
)

Json: TypeAlias = dict[str, Any]

MAX_MARKDOWN = 9_000  # of the 12,000 in markdown blocks and about 13,200 in a message, with room for pages and buttons
MAX_TEXT = 3_500  # Slack recommends 4,000 at most
MAX_SECTION = 3_000
SECTION_MARKDOWN = 2_500  # becomes longer as mrkdwn
MAX_NOTICE_BLOCKS = 40  # of 50
MAX_PAGES_CHARS = 2_000
MAX_CONTEXT = 10  # elements
MAX_ACTIONS = 25
MAX_LABEL = 75
MAX_HEADER = 150
MAX_TITLE = 24
MAX_OPTIONS = 100
MAX_RADIO = 5  # more than that is a menu
MAX_INPUT = 3_000
MAX_HOME_BLOCKS = 98  # of 100
MAX_PROMPTS = 4
ONE_LINE_CHARS = 150  # a field for more than that has several lines
MAX_ERROR = 150

CLOSEST_FRAME = ":mag: These are the closest pages, not a sure answer."
PROBLEM = ":warning: "
MORE = "There is more than fits here."


@dataclass(frozen=True)
class Content:
    """One message. `text` is what notifications say; `plain` what is sent instead, one by one, where Slack refuses the blocks."""

    text: str
    blocks: Sequence[Json]
    plain: Sequence[str]


def contents(reply: Reply, support_group: str = "") -> list[Content]:
    """The messages that show the reply; where it asks so, the first calls the support group, the one mention that pings."""
    urls = {page.url for page in reply.links if page.url}
    parts = split(markdown(without_links(reply.text, urls)), MAX_MARKDOWN) or ["…"]
    call = f"<!subteam^{escaped(support_group)}>" if reply.calls_support and support_group else ""
    return [
        _content(part, call if number == 0 else "", _above(reply, call) if number == 0 else [], below)
        for number, (part, below) in enumerate(zip(parts, [*[[]] * (len(parts) - 1), _below(reply)], strict=True))
    ]


def notice_contents(notice: Notice) -> list[Content]:
    """The messages that show the notice."""
    text = f"{PROBLEM}{notice.text}" if notice.is_problem else notice.text
    sections = [_section(piece) for piece in _section_texts(text)] or [_section("…")]
    shown = [sections[start : start + MAX_NOTICE_BLOCKS] for start in range(0, len(sections), MAX_NOTICE_BLOCKS)]
    found = []
    for number, group in enumerate(shown):
        said = "\n\n".join(section["text"]["text"] for section in group)
        last = _controls(notice.buttons) if number == len(shown) - 1 else []
        found.append(Content(split(said, MAX_TEXT)[0], [*group, *last], split(said, MAX_TEXT)))
    return found


def streamed(text: str) -> str:
    """A piece of an answer that is being written."""
    return markdown(without_links(text))


def modal(form: Form, place: Place) -> Json:
    return {
        "type": "modal",
        "callback_id": encode(form.control, form.subject),
        "private_metadata": place_note(place),
        "title": _plain_text(form.title, MAX_TITLE),
        "submit": _plain_text(form.submit, MAX_TITLE),
        "close": _plain_text("Cancel", MAX_TITLE),
        "blocks": [_input(field) for field in form.fields],
    }


def form_errors(errors: FieldErrors, fields: Sequence[str]) -> dict[str, str]:
    """What is wrong by field; what belongs to no field of the form stands at its last one."""
    known = {name: shortened(error, MAX_ERROR) for name, error in errors.errors.items() if name in fields}
    rest = " ".join(error for name, error in errors.errors.items() if name not in fields)
    if rest and fields:
        known[fields[-1]] = shortened(f"{known.get(fields[-1], '')} {rest}", MAX_ERROR)
    return known


def home_view(home: Home) -> Json:
    blocks = [block for section in home.sections for block in _home_section(section)]
    if len(blocks) > MAX_HOME_BLOCKS:
        blocks = [*blocks[: MAX_HOME_BLOCKS - 1], _context([MORE])]
    return {"type": "home", "blocks": blocks or [_section("…")]}


def prompts(greeting: Greeting) -> list[Json]:
    """The questions to begin with, as Slack suggests them."""
    return [
        {"title": shortened(clean(prompt), MAX_LABEL), "message": clean(prompt)}
        for prompt in greeting.prompts[:MAX_PROMPTS]
        if prompt.strip()
    ]


def _content(part: str, call: str, above: Sequence[Json], below: Sequence[Json]) -> Content:
    said = f"{call} {_plain(part)}".strip()
    pages = "\n".join(_lines(below))
    whole = split(f"{said}\n\n{pages}", MAX_TEXT)
    return Content(split(said, MAX_TEXT)[0], [*above, {"type": "markdown", "text": part}, *below], whole)


def _plain(part: str) -> str:
    """A part that is escaped Markdown already, for `text`."""
    return escaped(plain(part.replace("&lt;", "<").replace("&gt;", ">"))) or "…"


def _above(reply: Reply, call: str) -> list[Json]:
    frame = [_context([CLOSEST_FRAME])] if reply.kind is ReplyKind.CLOSEST else []
    warning = [_context([PROBLEM.strip()])] if reply.kind is ReplyKind.ERROR else []
    return [*([_section(call)] if call else []), *frame, *warning]


def _below(reply: Reply) -> list[Json]:
    return [*_pages(reply), *_controls(reply.buttons)]


def _pages(reply: Reply) -> list[Json]:
    """The cited pages: small under an answer, as a list where they are all that there is."""
    lines = list(_page_lines(reply.links))
    if not lines:
        return []
    if reply.kind is ReplyKind.CLOSEST:
        return [_section("\n".join(f"• {line}" for line in lines))]
    return [_context(lines[start : start + MAX_CONTEXT]) for start in range(0, len(lines), MAX_CONTEXT)]


def _page_lines(pages: Sequence[Link]) -> Iterator[str]:
    room = MAX_PAGES_CHARS
    for page in pages:
        label = shortened(without_links(f"{page.title} › {page.heading}" if page.heading else page.title), MAX_HEADER)
        linked = f"[{page.number}] {link(page.url, label)}"
        line = linked if len(linked) <= room else f"[{page.number}] {escaped(label)}"
        if len(line) > room:
            return
        room -= len(line)
        yield line


def _lines(blocks: Iterable[Json]) -> Iterator[str]:
    """What context and sections say, line by line."""
    for block in blocks:
        if block["type"] == "context":
            yield from (element["text"] for element in block["elements"])
        elif block["type"] == "section":
            yield block["text"]["text"]


def _controls(buttons: Sequence[Button]) -> list[Json]:
    """Buttons in their order; the pair that rates an answer as Slack's own."""
    rating = {button.control: button for button in buttons if button.control in (Control.HELPFUL, Control.NOT_HELPFUL)}
    if len(rating) < 2:
        return _rows(buttons)
    first = next(number for number, button in enumerate(buttons) if button.control in rating)
    others = [button for button in buttons[first:] if button.control not in rating]
    pair = _feedback(rating[Control.HELPFUL], rating[Control.NOT_HELPFUL])
    return [*_rows(buttons[:first]), pair, *_rows(others)]


def _rows(buttons: Sequence[Button]) -> list[Json]:
    rows = [buttons[start : start + MAX_ACTIONS] for start in range(0, len(buttons), MAX_ACTIONS)]
    return [{"type": "actions", "elements": [_button(button) for button in row]} for row in rows]


def _feedback(helpful: Button, not_helpful: Button) -> Json:
    pair = {
        "type": "feedback_buttons",
        "action_id": f"timbre:{RATING}:{helpful.subject}",
        "positive_button": _feedback_button(helpful),
        "negative_button": _feedback_button(not_helpful),
    }
    return {"type": "context_actions", "elements": [pair]}


def _feedback_button(button: Button) -> Json:
    return {"text": _plain_text(button.label, MAX_LABEL), "value": encode(button.control, button.subject)}


def _button(button: Button) -> Json:
    carried = encode(button.control, button.subject)
    made: Json = {"type": "button", "action_id": carried, "value": carried, "text": _plain_text(button.label, MAX_LABEL)}
    return made | ({"style": "danger"} if button.is_dangerous else {})


def _section_texts(text: str) -> Iterator[str]:
    for piece in split(text, SECTION_MARKDOWN):
        written = mrkdwn(piece)
        yield from [written] if len(written) <= MAX_SECTION else split(written, MAX_SECTION)


def _section(text: str) -> Json:
    """`text` is mrkdwn; what looks like an address or a name in it is left alone."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(texts: Sequence[str]) -> Json:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True} for text in texts]}


def _plain_text(text: str, limit: int) -> Json:
    return {"type": "plain_text", "text": shortened(clean(text), limit) or "…"}


def _home_section(section: Section) -> Iterator[Json]:
    yield {"type": "header", "text": _plain_text(section.title, MAX_HEADER)}
    for item in section.items:
        yield from _home_item(item)


def _home_item(item: Item) -> Iterator[Json]:
    yield from (_section(text) for text in _section_texts(item.text))
    yield from _controls(item.buttons)


def _input(field: Choice | TextInput) -> Json:
    block: Json = {
        "type": "input",
        "block_id": field.name,
        "label": _plain_text(field.label, MAX_HEADER),
        "optional": not field.is_required,
        "element": _choice(field) if isinstance(field, Choice) else _text_input(field),
    }
    hint = field.hint if isinstance(field, TextInput) else ""
    return block | ({"hint": _plain_text(hint, MAX_HEADER)} if hint else {})


def _choice(field: Choice) -> Json:
    options = [{"text": _plain_text(label, MAX_LABEL), "value": value} for value, label in field.options[:MAX_OPTIONS]]
    kind = "radio_buttons" if len(options) <= MAX_RADIO else "static_select"
    initial = [option for option in options if option["value"] == field.value]
    return {"type": kind, "action_id": FIELD, "options": options} | ({"initial_option": initial[0]} if initial else {})


def _text_input(field: TextInput) -> Json:
    most = min(field.max_chars, MAX_INPUT)
    value = clean(field.value)[:most]
    element: Json = {"type": "plain_text_input", "action_id": FIELD, "multiline": most > ONE_LINE_CHARS, "max_length": most}
    return element | ({"initial_value": value} if value else {})
