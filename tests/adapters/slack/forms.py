"""What people press, choose and fill in, in the shapes that Slack gives it. Pure; refuses what a client would not let them do."""

from typing import Any

from tests.adapters.slack.state import Impossible, Json, View

TYPED = {"plain_text_input", "email_text_input", "url_text_input", "number_input"}
ONE_OPTION = {"static_select", "radio_buttons", "overflow", "external_select"}
MANY_OPTIONS = {"checkboxes", "multi_static_select", "multi_external_select"}
PICKED = {
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
}
FEEDBACK = ("positive_button", "negative_button")


def offers(element: Json, value: Any) -> bool:
    """Whether an element can be pressed or set so."""
    match element["type"]:
        case "button" | "icon_button":
            return value is None or element.get("value") == value
        case "feedback_buttons":
            return value in [element[which]["value"] for which in FEEDBACK]
        case kind if kind in ONE_OPTION - {"external_select"}:
            return value in [option["value"] for option in _options(element)]
    return True


def pressed(element: Json, value: Any) -> Json:
    """The fields of an action that are the element's own."""
    match element["type"]:
        case "button":
            return {name: element[name] for name in ("text", "value", "style", "url") if name in element}
        case "icon_button":
            return {name: element[name] for name in ("text", "value", "icon") if name in element}
        case "feedback_buttons":
            button = next(element[which] for which in FEEDBACK if element[which]["value"] == value)
            return {"text": button["text"], "value": button["value"]}
    return chosen(element, value)


def chosen(element: Json, value: Any) -> Json:
    """How an input says what was chosen or typed."""
    kind = element["type"]
    if kind in TYPED:
        return {"value": None if value is None else _typed(element, str(value))}
    if kind in ONE_OPTION:
        return {"selected_option": None if value is None else _option(element, value)}
    if kind in MANY_OPTIONS:
        return {"selected_options": [_option(element, one) for one in value or []]}
    if kind in PICKED:
        return {PICKED[kind]: value}
    raise Impossible(f"Nobody can fill in a {kind}.")


def state_of(view: View, values: Json) -> Json:
    """The state of a view's inputs after somebody filled in `values` ({block id or action id: value}).

    Impossible where a value belongs to no input or a required one stays empty."""
    state: Json = {}
    used = set()
    for block in view.body["blocks"]:
        if block["type"] != "input":
            continue
        element = block["element"]
        names = {block["block_id"], element.get("action_id")} & values.keys()
        used |= names
        value = values[names.pop()] if names else _initial(element)
        if values and value in (None, "", []) and not block.get("optional"):
            raise Impossible(f"{block['label']['text']} must be filled in.")
        state[block["block_id"]] = {element.get("action_id"): {"type": element["type"], **chosen(element, value)}}
    if values.keys() - used:
        raise Impossible(f"The modal has no input {sorted(values.keys() - used)}.")
    return state


def _initial(element: Json) -> Any:
    if element.get("initial_option"):
        return element["initial_option"]["value"]
    if element.get("initial_options"):
        return [option["value"] for option in element["initial_options"]]
    return next((value for name, value in element.items() if name.startswith("initial_")), None)


def _typed(element: Json, text: str) -> str:
    if len(text) > (element.get("max_length") or 3000) or len(text) < (element.get("min_length") or 0):
        raise Impossible(f"{len(text)} characters do not fit into {element.get('action_id')}.")
    return text


def _option(element: Json, value: Any) -> Json:
    found = next((option for option in _options(element) if option["value"] == value), None)
    if found is None:
        raise Impossible(f"{element.get('action_id')} does not offer {value!r}.")
    return found


def _options(element: Json) -> list[Json]:
    groups = element.get("option_groups") or []
    return list(element.get("options") or [option for group in groups for option in group["options"]])
