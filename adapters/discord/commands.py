"""The commands that Discord offers people, and the words that they stand for (pure).

`/timbre` has the words that Slack's `/timbre` has; those that everybody needs have a command of their own.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from adapters.discord.inbound import with_person_ids

Payload: TypeAlias = dict[str, Any]

CHAT_INPUT, MESSAGE_MENU = 1, 3
SUBCOMMAND, STRING, USER = 1, 3, 6
IN_SERVER, IN_PRIVATE = 0, 1
FOR_SERVERS = 0

ASK = "ask"
HELP = "help"
TIMBRE = "timbre"
FLAG = "Flag answer"
CAPTURE = "Use as correction"
MAX_QUESTION_CHARS = 2000
MAX_CHOICES = 25
MAX_CHOICE_CHARS = 100


def payload() -> list[Payload]:
    """All commands, as Discord wants them registered."""
    return [
        _command(ASK, "Ask something; only you see the answer", [_text("text", "Your question", is_required=True)]),
        _command(HELP, "How to ask, and what else I can do"),
        _command("mine", "Your last questions"),
        _command("queue", "Corrections that wait for a decision (support)"),
        _command("status", "How I am doing"),
        _command(TIMBRE, "Everything else", _subcommands()),
        _menu(FLAG),
        _menu(CAPTURE),
    ]


def payload_hash() -> str:
    """Changes when `payload` does."""
    return hashlib.sha256(json.dumps(payload(), sort_keys=True).encode()).hexdigest()


def words_of(data: Mapping[str, Any], workspace: str) -> str:
    """The words of `/timbre` that a used command stands for; people as ids."""
    name = data["name"]
    if name != TIMBRE:
        return str(name)
    chosen = data["options"][0]
    values = {option["name"]: str(option["value"]) for option in chosen.get("options", ())}
    return with_person_ids(_words(chosen["name"], values), workspace).strip()


def unfinished_words_of(data: Mapping[str, Any]) -> tuple[str, str]:
    """(the words so far, what of them stands before the option that is being typed)."""
    chosen = data["options"][0]
    typed = next(str(option["value"]) for option in chosen["options"] if option.get("focused"))
    before = {"reindex": "reindex ", "here": "here ", "forget-source": "forget source ", "promote": "promote "}.get(
        chosen["name"], ""
    )
    return before + typed, before


def choices(found: Sequence[str], before: str) -> list[str]:
    """What Discord offers for an option, of what completes the whole words."""
    values = [words.removeprefix(before) for words in found]
    return [value for value in dict.fromkeys(values) if 0 < len(value) <= MAX_CHOICE_CHARS][:MAX_CHOICES]


def asked(data: Mapping[str, Any]) -> str:
    """The question of `/ask`."""
    return str(data["options"][0]["value"])


def _words(subcommand: str, values: Mapping[str, str]) -> str:
    match subcommand:
        case "add-source":
            named = f" as {values['name']}" if "name" in values else ""
            grouped = f" for {values['group']}" if "group" in values else ""
            return f"add source {values['place']}{named}{grouped}"
        case "forget-source":
            return f"forget source {values['name']}"
        case "roles" | "groups":
            person = f"<@{values['person']}>" if "person" in values else ""
            parts = [values.get("action", "list"), person, values.get("role", values.get("group", ""))]
            return " ".join([subcommand, *(part for part in parts if part)])
        case _:
            return " ".join([subcommand, *values.values()])


def _subcommands() -> list[Payload]:
    return [
        _sub("help", "All of these, and what they mean"),
        _sub("status", "How I am doing"),
        _sub("sources", "Where my answers come from"),
        _sub("reindex", "Read the sources again (admin)", [_text("source", "Only this one", completes=True)]),
        _sub(
            "add-source",
            "Read a new source (admin)",
            [
                _text("place", "A folder or an address", is_required=True),
                _text("name", "What it is called"),
                _text("group", "Who may read it; everyone when left out"),
            ],
        ),
        _sub("forget-source", "Forget a source (admin)", [_text("name", "Which one", is_required=True, completes=True)]),
        _sub("releases", "The voices that were trained (admin)"),
        _sub("promote", "Let one of them answer (admin)", [_text("release", "Which one", is_required=True, completes=True)]),
        _sub("rollback", "Bring back what answered before (admin)"),
        _sub("train", "Train a voice on what was rated (admin)", [_choice("action", "now", "forecast", "status")]),
        _sub("here", "How I behave in this channel (admin)", [_text("settings", "Such as: answers questions", completes=True)]),
        _sub(
            "roles",
            "Who may do what (admin)",
            [_choice("action", "grant", "revoke", "list"), _person(), _choice("role", "support", "admin")],
        ),
        _sub(
            "groups",
            "Who may read what (admin)",
            [_choice("action", "add", "remove", "list"), _person(), _text("group", "Which group")],
        ),
        _sub("who-am-i", "Your id, role and groups"),
    ]


def _command(name: str, description: str, options: Sequence[Payload] = ()) -> Payload:
    return {**_registered(name, CHAT_INPUT), "description": description, "options": list(options)}


def _menu(name: str) -> Payload:
    return _registered(name, MESSAGE_MENU)


def _registered(name: str, kind: int) -> Payload:
    return {"name": name, "type": kind, "contexts": [IN_SERVER, IN_PRIVATE], "integration_types": [FOR_SERVERS]}


def _sub(name: str, description: str, options: Sequence[Payload] = ()) -> Payload:
    return {"type": SUBCOMMAND, "name": name, "description": description, "options": list(options)}


def _text(name: str, description: str, *, is_required: bool = False, completes: bool = False) -> Payload:
    option: Payload = {"type": STRING, "name": name, "description": description, "required": is_required}
    if name == "text":
        option["max_length"] = MAX_QUESTION_CHARS
    return option | {"autocomplete": True} if completes else option


def _choice(name: str, *values: str) -> Payload:
    options = [{"name": value, "value": value} for value in values]
    return {"type": STRING, "name": name, "description": f"One of {', '.join(values)}", "required": False, "choices": options}


def _person() -> Payload:
    return {"type": USER, "name": "person", "description": "Whom", "required": False}
