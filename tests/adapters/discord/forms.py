"""A modal that a person fills in: from its components and the person's values to what Discord submits. Pure."""

from typing import Any

from tests.adapters.discord.commands import Impossible
from tests.adapters.discord.world import Json

ROW, TEXT_INPUT, TEXT_DISPLAY, LABEL = 1, 4, 10, 18
RADIO_GROUP, CHECKBOX = 21, 23  # have one `value`, as text inputs; all other fields have `values`


def submitted(form: Json, values: dict[str, Any]) -> Json:
    """The data of a submission; Impossible where the client would not send it: required fields, lengths, unknown fields."""
    left = dict(values)
    components = [_filled(component, left) for component in form["components"]]
    if left:
        raise Impossible(f"the form has no fields {sorted(left)}")
    return {"custom_id": form["custom_id"], "components": components}


def _filled(component: Json, left: dict[str, Any]) -> Json:
    if component["type"] == LABEL:
        inner = _field(component["component"], component["label"], left)
        return {"type": LABEL, "id": component["id"], "component": inner}
    if component["type"] == ROW:
        inner_fields = [_field(each, each.get("label", ""), left) for each in component["components"]]
        return {"type": ROW, "id": component["id"], "components": inner_fields}
    return {"type": component["type"], "id": component["id"]}


def _field(field: Json, label: str, left: dict[str, Any]) -> Json:
    key = next((name for name in (field["custom_id"], label) if name in left), None)
    value = left.pop(key) if key else None
    if value in (None, "", []) and field.get("value") is not None and key is None:
        value = field["value"]
    if value in (None, "", []) and field.get("required", True):
        raise Impossible(f"{label or field['custom_id']} is required")
    shown: Json = {"type": field["type"], "id": field["id"], "custom_id": field["custom_id"]}
    if field["type"] == TEXT_INPUT:
        return shown | {"value": _text(field, str(value or ""))}
    if field["type"] in (RADIO_GROUP, CHECKBOX):
        return shown | {"value": value}
    return shown | {"values": _picked(field, [value] if isinstance(value, str) else list(value or []))}


def _text(field: Json, value: str) -> str:
    low, high = field.get("min_length") or 0, field.get("max_length") or 4000
    if value and not low <= len(value) <= high:
        raise Impossible(f"{field['custom_id']} takes {low} to {high} characters")
    return value


def _picked(field: Json, values: list[str]) -> list[str]:
    offered = [option["value"] for option in field.get("options") or []]
    if offered and not set(values) <= set(offered):
        raise Impossible(f"{field['custom_id']} offers {offered}")
    return values
