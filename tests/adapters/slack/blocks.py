"""Block Kit's limits: what Slack refuses in blocks and views, as sentences. Pure; lengths in characters.

Field names and types are not checked here: TypeScript does that better (`typescript.py`)."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from tests.adapters.slack.state import Json

MAX_BLOCKS = {"message": 50, "modal": 100, "home": 100}
MAX_SECTION = 3000
MAX_FIELD = 2000
MAX_FIELDS = 10
MAX_HEADER = 150
MAX_MARKDOWN = 12_000  # over all markdown blocks of a payload
MAX_ALL_BLOCKS = 13_200  # not documented; msg_blocks_too_long was seen from here (bolt-js#2509)
MAX_ELEMENTS = {"actions": 25, "context": 10, "context_actions": 5}
MAX_BUTTON = 75
MAX_BUTTON_VALUE = 2000
MAX_URL = 3000
MAX_ALT = 2000
MAX_ID = 255
MAX_OPTION = 75
MAX_OPTION_VALUE = 150
MAX_OPTIONS = {"overflow": 5, "radio_buttons": 10, "checkboxes": 10}  # 100 for the rest
MAX_PLACEHOLDER = 150
MAX_LABEL = 2000
MAX_INPUT = 3000
MAX_TITLE = 24
MAX_PRIVATE_METADATA = 3000

EVERYWHERE = {"section", "header", "context", "actions", "divider", "image", "input", "rich_text", "video"}
ONLY_IN_MESSAGES = {
    *("markdown", "context_actions", "table", "file", "task_card", "plan", "alert", "card", "carousel", "container", "call"),
}
CONTEXT_ACTIONS = {"feedback_buttons", "icon_button"}


def check_blocks(blocks: Any, surface: str = "message") -> list[str]:
    """What is wrong with the blocks of a `message`, `modal` or `home`."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return ["blocks is not a list of objects"]
    return list(chain(_check_all(blocks, surface), *(_check_block(block, i, surface) for i, block in enumerate(blocks))))


def too_long(blocks: list[Json]) -> bool:
    """Whether the texts of all blocks together are more than Slack takes."""
    return sum(len(text) for text in _texts(blocks)) > MAX_ALL_BLOCKS


def check_view(view: Any, wanted: str) -> list[str]:
    """What is wrong with a view that is to be a `modal` or a `home` tab."""
    if not isinstance(view, dict):
        return ["view is not an object"]
    if view.get("type") != wanted:
        return [f"view.type is {view.get('type')!r}, not {wanted}"]
    wrong = check_blocks(view.get("blocks"), wanted)
    wrong += _over("view.private_metadata", view.get("private_metadata"), MAX_PRIVATE_METADATA)
    wrong += _over("view.callback_id", view.get("callback_id"), MAX_ID)
    if wanted == "home":
        return wrong
    if not view.get("title"):
        wrong.append("view has no title")
    for name in ("title", "submit", "close"):
        wrong += _plain(f"view.{name}", view.get(name), MAX_TITLE)
    if not wrong and not view.get("submit") and any(block.get("type") == "input" for block in view["blocks"]):
        wrong.append("view has inputs and no submit")
    return wrong


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """(block, element) of everything that can be pressed, chosen or filled."""
    for block in blocks:
        for element in [*block.get("elements", []), block.get("accessory"), block.get("element")]:
            if isinstance(element, dict) and "action_id" in element:
                yield block, element


def _check_all(blocks: list[Json], surface: str) -> Iterator[str]:
    if len(blocks) > MAX_BLOCKS[surface]:
        yield f"{len(blocks)} blocks, no more than {MAX_BLOCKS[surface]} items allowed"
    if surface == "modal" and not blocks:
        yield "a modal needs at least one block"
    markdown = sum(len(str(block.get("text", ""))) for block in blocks if block.get("type") == "markdown")
    if markdown > MAX_MARKDOWN:
        yield f"markdown blocks hold {markdown} characters together, must be less than {MAX_MARKDOWN + 1}"
    if sum(block.get("type") == "table" for block in blocks) > 1:
        yield "only one table is allowed in a message"
    for block_id, times in Counter(block.get("block_id") for block in blocks if block.get("block_id")).items():
        if times > 1:
            yield f"block_id {block_id!r} is used {times} times"


def _check_block(block: Json, number: int, surface: str) -> list[str]:
    kind, at = block.get("type"), f"blocks/{number}"
    allowed = EVERYWHERE | ONLY_IN_MESSAGES if surface == "message" else EVERYWHERE
    if kind not in allowed:
        return [f"{at}: unsupported block {kind!r} in a {surface}"]
    wrong = _over(f"{at}/block_id", block.get("block_id"), MAX_ID)
    match kind:
        case "section":
            wrong += _section(block, at)
        case "header":
            wrong += _plain(f"{at}/text", block.get("text"), MAX_HEADER, required=True)
        case "markdown" if not block.get("text"):
            wrong.append(f"{at}/text is missing")
        case "image":
            wrong += _image(block, at)
        case "input":
            wrong += _plain(f"{at}/label", block.get("label"), MAX_LABEL, required=True)
            wrong += _plain(f"{at}/hint", block.get("hint"), MAX_LABEL)
            wrong += _element(block.get("element"), f"{at}/element")
        case "actions" | "context" | "context_actions":
            wrong += _row(block, at)
    return wrong


def _section(block: Json, at: str) -> list[str]:
    wrong = [] if block.get("text") or block.get("fields") else [f"{at} has neither text nor fields"]
    wrong += _text(f"{at}/text", block.get("text"), MAX_SECTION)
    fields = block.get("fields") or []
    if len(fields) > MAX_FIELDS:
        wrong.append(f"{at} has {len(fields)} fields, no more than {MAX_FIELDS} items allowed")
    for number, field in enumerate(fields):
        wrong += _text(f"{at}/fields/{number}", field, MAX_FIELD)
    return wrong + (_element(block["accessory"], f"{at}/accessory") if block.get("accessory") else [])


def _row(block: Json, at: str) -> list[str]:
    kind, inside = block["type"], block.get("elements")
    if not isinstance(inside, list) or not inside:
        return [f"{at}/elements is empty"]
    wrong = []
    if len(inside) > MAX_ELEMENTS[kind]:
        wrong.append(f"{at} has {len(inside)} elements, no more than {MAX_ELEMENTS[kind]} items allowed")
    ids = Counter(element.get("action_id") for element in inside if isinstance(element, dict) and element.get("action_id"))
    wrong += [f"{at}: action_id {action_id!r} is used {times} times" for action_id, times in ids.items() if times > 1]
    for number, element in enumerate(inside):
        place = f"{at}/elements/{number}"
        if kind == "context" and element.get("type") != "image":
            wrong += _text(place, element, MAX_SECTION)
        elif kind == "context_actions" and element.get("type") not in CONTEXT_ACTIONS:
            wrong.append(f"{place}: context_actions take no {element.get('type')!r}")
        else:
            wrong += _element(element, place)
    return wrong


def _element(element: Any, at: str) -> list[str]:
    if not isinstance(element, dict) or not element.get("type"):
        return [f"{at} is no element"]
    wrong = _over(f"{at}/action_id", element.get("action_id"), MAX_ID)
    wrong += _plain(f"{at}/placeholder", element.get("placeholder"), MAX_PLACEHOLDER)
    match element["type"]:
        case "button":
            wrong += _button(element, at)
            if element.get("style") not in (None, "primary", "danger"):
                wrong.append(f"{at}/style is {element['style']!r}")
        case "feedback_buttons":
            for which in ("positive_button", "negative_button"):
                wrong += _button(element.get(which) or {}, f"{at}/{which}", needs_value=True)
        case "icon_button":
            wrong += _button(element, at)
            if element.get("icon") != "trash":
                wrong.append(f"{at}/icon is {element.get('icon')!r}")
        case "image":
            wrong += _image(element, at)
        case "plain_text_input":
            wrong += _over(f"{at}/initial_value", element.get("initial_value"), element.get("max_length") or MAX_INPUT)
            if not 1 <= (element.get("max_length") or 1) <= MAX_INPUT:
                wrong.append(f"{at}/max_length is not between 1 and {MAX_INPUT}")
        case "overflow" | "radio_buttons" | "checkboxes" | "static_select" | "multi_static_select":
            wrong += _options(element, at)
    return wrong


def _button(button: Json, at: str, needs_value: bool = False) -> list[str]:
    wrong = _plain(f"{at}/text", button.get("text"), MAX_BUTTON, required=True)
    wrong += _over(f"{at}/value", button.get("value"), MAX_BUTTON_VALUE)
    wrong += _over(f"{at}/url", button.get("url"), MAX_URL)
    wrong += _over(f"{at}/accessibility_label", button.get("accessibility_label"), MAX_BUTTON)
    return wrong + ([f"{at}/value is missing"] if needs_value and not button.get("value") else [])


def _options(element: Json, at: str) -> list[str]:
    options = element.get("options") or [o for group in element.get("option_groups") or [] for o in group.get("options", [])]
    most = MAX_OPTIONS.get(element["type"], 100)
    if not 1 <= len(options) <= most:
        return [f"{at} has {len(options)} options, between 1 and {most} are allowed"]
    wrong = []
    for number, option in enumerate(options):
        wrong += _text(f"{at}/options/{number}/text", option.get("text"), MAX_OPTION, required=True)
        wrong += _over(f"{at}/options/{number}/value", option.get("value"), MAX_OPTION_VALUE)
    initial = element.get("initial_option")
    return wrong if initial is None or initial in options else [*wrong, f"{at}/initial_option is none of the options"]


def _image(image: Json, at: str) -> list[str]:
    wrong = _over(f"{at}/image_url", image.get("image_url"), MAX_URL) + _over(f"{at}/alt_text", image.get("alt_text"), MAX_ALT)
    return wrong if image.get("alt_text") is not None else [*wrong, f"{at}/alt_text is missing"]


def _plain(at: str, text: Any, most: int, required: bool = False) -> list[str]:
    wrong = _text(at, text, most, required)
    return wrong if wrong or not text or text["type"] == "plain_text" else [f"{at} must be plain_text"]


def _text(at: str, text: Any, most: int, required: bool = False) -> list[str]:
    if text is None:
        return [f"{at} is missing"] if required else []
    if not isinstance(text, dict) or text.get("type") not in ("plain_text", "mrkdwn") or not isinstance(text.get("text"), str):
        return [f"{at} is no text object"]
    return _over(at, text["text"], most) if text["text"] else [f"{at} must be more than 0 characters"]


def _over(at: str, value: Any, most: int) -> list[str]:
    if isinstance(value, str) and len(value) > most:
        return [f"{at} has {len(value)} characters, must be less than {most + 1}"]
    return []


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("text"), str):
            yield part["text"]
        for value in part.values():
            yield from _texts(value)
    elif isinstance(part, list):
        for item in part:
            yield from _texts(item)
