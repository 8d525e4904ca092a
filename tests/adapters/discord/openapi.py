"""Discord's own OpenAPI document as a judge of calls and replies; validators are built on first use and kept.

In what the bot sends, a field that the document does not name is a mistake too; Discord itself ignores it in silence.
Ids may be numbers there, as Discord takes them and discord.py sends them in replies.
Unions whose branches differ in `type` are judged by that branch alone: faster, and the mistake named is the real one.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.adapters.discord.world import Json

DOCUMENT = "shared/authorities/discord/openapi.json"
FOLDERS = Path(__file__).resolve().parents
PATH = next((folder / DOCUMENT for folder in FOLDERS if (folder / DOCUMENT).exists()), None)  # None: this machine has it not
JSON_TYPE = "application/json"

NAMED_ELSEWHERE = {  # fields that discord.py sends, Discord takes and the OpenAPI document leaves out
    "ApplicationCommandUpdateRequest": "nsfw",
    "CreateForumThreadRequest": "type",
}
HARMLESS_PARAMETERS = ("use_nested_fields",)  # discord.py's, of an earlier form of forum posts

Mistake = tuple[tuple[str | int, ...], str]  # where, what


@cache
def openapi() -> "OpenApi | None":
    """The document's judge, one for the process; None where the document is missing."""
    return OpenApi(json.loads(PATH.read_text())) if PATH else None


class OpenApi:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._schemas: Json = document["components"]["schemas"]
        for name, field in NAMED_ELSEWHERE.items():
            self._schemas[name]["properties"].setdefault(field, {})
        self._lenient = _registry(self._schemas)
        as_sent = self._schemas | {"SnowflakeType": {"type": ["string", "integer"], "pattern": "^(0|[1-9][0-9]*)$"}}
        self._strict = _registry(_strict(_by_type(as_sent, self._schemas)))
        self._validators: dict[tuple[str, str, str], Draft202012Validator | None] = {}
        self._patterns = [(re.compile(_pattern(template)), template) for template in document["paths"]]

    def template(self, path: str) -> str | None:
        """The documented route of a path; fixed words win over parameters."""
        found = [template for pattern, template in self._patterns if pattern.fullmatch(path)]
        return min(found, key=lambda template: template.count("{"), default=None)

    def operation(self, method: str, template: str) -> Json:
        found: Json = self._document["paths"][template][method.lower()]
        return found

    def call_mistakes(self, method: str, template: str, query: dict[str, str], body: object, *, has_body: bool) -> list[Mistake]:
        """What is wrong with the call by the document."""
        operation = self.operation(method, template)
        mistakes = [((name,), text) for name, text in _query_mistakes(self._document, operation, query)]
        if "requestBody" not in operation:
            return mistakes + ([((), "this operation takes no body")] if has_body and body else [])
        if not has_body:
            return mistakes + ([((), "the body is missing")] if operation["requestBody"].get("required") else [])
        schema = operation["requestBody"]["content"][JSON_TYPE]["schema"]
        return mistakes + self._judge((method, template, "call"), schema, self._strict, body)

    def reply_mistakes(self, method: str, template: str, status: int, body: object) -> list[Mistake]:
        """What is wrong with a reply of ours by the document."""
        responses = self.operation(method, template)["responses"]
        if str(status) not in responses:
            return [((), f"status {status} is not documented")]
        content = responses[str(status)].get("content", {}).get(JSON_TYPE)
        if content is None:
            return [] if body is None else [((), "no body is documented")]
        return self._judge((method, template, str(status)), content["schema"], self._lenient, body)

    def shape_mistakes(self, schema_name: str, value: object) -> list[Mistake]:
        """What is wrong with a value by a named schema of responses."""
        reference = {"$ref": f"#/components/schemas/{schema_name}"}
        return self._judge(("", schema_name, "shape"), reference, self._lenient, value)

    def _judge(self, key: tuple[str, str, str], schema: Json, registry: "Registry[Any]", value: object) -> list[Mistake]:
        if key not in self._validators:
            strict = _strict(_by_type(schema, self._schemas)) if registry is self._strict else schema
            self._validators[key] = Draft202012Validator(_absolute(strict), registry=registry)
        validator = self._validators[key]
        assert validator
        found: list[Mistake] = []
        for error in validator.iter_errors(value):
            deepest: ValidationError = best_match([error]) or error
            found.append((tuple(deepest.absolute_path), deepest.message[:200]))
        return found


def _registry(schemas: Json) -> "Registry[Any]":
    document = _absolute({"components": {"schemas": schemas}})
    resources: list[tuple[str, Resource[Any]]] = [("urn:discord", DRAFT202012.create_resource(document))]
    return Registry().with_resources(resources)


def _absolute(schema: Any) -> Any:
    """The schema with references that hold wherever it stands."""
    if isinstance(schema, dict):
        return {
            key: f"urn:discord{value}" if key == "$ref" and isinstance(value, str) else _absolute(value)
            for key, value in schema.items()
        }
    return [_absolute(each) for each in schema] if isinstance(schema, list) else schema


def _strict(schema: Any) -> Any:
    """The schema with unknown fields forbidden in every object that lists its fields."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items()}
    if "allowed_mentions" in result.get("properties", {}):
        result["properties"].setdefault("tts", {})  # discord.py's, with every message
    lists_fields = schema.get("type") == "object" and isinstance(schema.get("properties"), dict) and "allOf" not in schema
    return result | ({"additionalProperties": False} if lists_fields and "additionalProperties" not in schema else {})


def _by_type(schema: Any, schemas: Json) -> Any:
    """The schema with `if type is ... then` for unions of objects that all name their types, and with enums of constants."""
    if isinstance(schema, list):
        return [_by_type(each, schemas) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _by_type(value, schemas) for key, value in schema.items()}
    for union in ("oneOf", "anyOf"):
        branches: list[Any] = result.get(union) or []
        if branches and all("const" in branch for branch in branches):
            del result[union]
            return result | {"enum": [branch["const"] for branch in branches]}
        types = [_types(branch, schemas) for branch in branches]
        if len(types) > 1 and all(types) and len({each for one in types for each in one}) == sum(map(len, types)):
            del result[union]
            known = sorted(each for one in types for each in one)
            result |= {"type": "object", "required": ["type"], "allOf": [{"properties": {"type": {"enum": known}}}]}
            result["allOf"] += [
                {"if": {"properties": {"type": {"enum": one}}}, "then": branch}
                for one, branch in zip(types, branches, strict=True)
            ]  # fmt: skip
    return result


def _types(branch: object, schemas: Json) -> list[int]:
    """The values of `type` that a branch of a union allows; none where it does not say."""
    name = str(branch.get("$ref", "")).rsplit("/", 1)[-1] if isinstance(branch, dict) else ""
    target = schemas.get(name, {})
    found: list[int] = target.get("properties", {}).get("type", {}).get("enum", [])
    return found if "type" in target.get("required", []) else []


def _query_mistakes(document: Json, operation: Json, query: dict[str, str]) -> list[tuple[str, str]]:
    known = {each["name"]: each["schema"] for each in operation.get("parameters", []) if each.get("in") == "query"}
    mistakes = [(name, "unknown query parameter") for name in query if name not in known and name not in HARMLESS_PARAMETERS]
    for name, schema in known.items():
        if name in query:
            resolved = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
            value = _typed(resolved, query[name])
            mistakes += [(name, error.message) for error in Draft202012Validator(resolved).iter_errors(value)]
    return mistakes


def _typed(schema: Json, text: str) -> object:
    if schema.get("type") == "integer" and text.lstrip("-").isdigit():
        return int(text)
    if schema.get("type") == "boolean" and text.lower() in ("1", "0", "true", "false"):
        return text.lower() in ("1", "true")
    return text


def _pattern(template: str) -> str:
    return re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
