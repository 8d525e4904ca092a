"""Registered application commands as a person's client uses them: which are offered, and the data of their use."""

from typing import Any

from tests.adapters.discord import message_payloads, payloads
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.world import Json, Message, World

SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, NUMBER = 1, 2, 3, 4, 5, 6, 7, 8, 10
IN_GUILD, IN_BOT_DM = 0, 1


class Impossible(Exception):
    """A person cannot do that in Discord: the test is wrong, or the bot offers less than the test believes."""


def find_command(commands: list[Json], name: str, type_: int, *, granted: Permission, in_guild: bool) -> Json:
    """The command of that name and type; Impossible where it is not registered or not offered to this person here."""
    found = next((each for each in commands if each["name"] == name and each["type"] == type_), None)
    if not found:
        raise Impossible(f"no command {name!r}; registered are {[each['name'] for each in commands]}")
    contexts = found.get("contexts")
    is_offered = (IN_GUILD if in_guild else IN_BOT_DM) in contexts if contexts else in_guild or found.get("dm_permission", True)
    if not is_offered:
        raise Impossible(f"{name} is not offered here")
    needed = found["default_member_permissions"]
    if in_guild and needed is not None and int(granted) & int(needed) != int(needed):
        raise Impossible(f"{name} is not offered to this person")
    return found


def slash_data(world: World, command: Json, words: str, options: dict[str, Any]) -> Json:
    """The data of INTERACTION_CREATE for `words`, the command's name with its group and subcommand."""
    path = words.split()[1:]
    inner, resolved = _options(world, _declared(command, path), options)
    missing = [each["name"] for each in _declared(command, path) if each.get("required") and each["name"] not in options]
    if missing:
        raise Impossible(f"{words} needs {missing}")
    return _command_data(command, _nested(command, path, inner), resolved)


def autocomplete_data(world: World, command: Json, words: str, option: str, typed: str, options: dict[str, Any]) -> Json:
    """The data while `typed` stands in `option`."""
    path = words.split()[1:]
    declared = {each["name"]: each for each in _declared(command, path)}
    if not declared.get(option, {}).get("autocomplete"):
        raise Impossible(f"{option} of {words} does not complete itself")
    inner, _ = _options(world, list(declared.values()), options)
    inner.append({"name": option, "type": declared[option]["type"], "value": typed, "focused": True})
    return _command_data(command, _nested(command, path, inner), {})


def menu_data(world: World, command: Json, message: Message) -> Json:
    """The data of a command from a message's menu."""
    shown = {"messages": {message.id: message_payloads.message(world, message)}}
    return _command_data(command, [], shown) | {"target_id": message.id}


def _command_data(command: Json, options: list[Json], resolved: Json) -> Json:
    data = {"id": command["id"], "name": command["name"], "type": command["type"], "options": options}
    return data | ({"resolved": resolved} if resolved else {})


def _declared(command: Json, path: list[str]) -> list[Json]:
    node = command
    for word in path:
        inner = [each for each in node.get("options", []) if each["name"] == word and each["type"] in (SUBCOMMAND, GROUP)]
        if not inner:
            raise Impossible(f"{node['name']} has no subcommand {word!r}")
        node = inner[0]
    declared: list[Json] = node.get("options") or []
    if any(each["type"] in (SUBCOMMAND, GROUP) for each in declared):
        raise Impossible(f"{node['name']} needs one of {[each['name'] for each in declared]}")
    return declared


def _nested(command: Json, path: list[str], inner: list[Json]) -> list[Json]:
    kinds = [GROUP, SUBCOMMAND] if len(path) == 2 else [SUBCOMMAND]
    for word, kind in reversed(list(zip(path, kinds, strict=False))):
        inner = [{"name": word, "type": kind, "options": inner}]
    return inner


def _options(world: World, declared: list[Json], given: dict[str, Any]) -> tuple[list[Json], Json]:
    by_name = {each["name"]: each for each in declared}
    if unknown := given.keys() - by_name.keys():
        raise Impossible(f"unknown options {sorted(unknown)}; there are {sorted(by_name)}")
    resolved: Json = {}
    for name, value in given.items():
        _check_choice(by_name[name], value)
        _resolve(world, by_name[name]["type"], value, resolved)
    return [{"name": name, "type": by_name[name]["type"], "value": value} for name, value in given.items()], resolved


def _check_choice(option: Json, value: object) -> None:
    kinds: dict[int, type | tuple[type, ...]] = {STRING: str, INTEGER: int, BOOLEAN: bool, NUMBER: (int, float)}
    if not isinstance(value, kinds.get(option["type"], str)):
        raise Impossible(f"{option['name']} takes another type than {value!r}")
    choices = [choice["value"] for choice in option.get("choices") or []]
    if choices and value not in choices:
        raise Impossible(f"{option['name']} is one of {choices}")
    if isinstance(value, str) and len(value) > option.get("max_length", 6000):
        raise Impossible(f"{option['name']} is too long")


def _resolve(world: World, type_: int, value: Any, resolved: Json) -> None:
    if type_ == USER:
        resolved.setdefault("users", {})[value] = payloads.user(world.users[value])
        for guild in world.guilds.values():
            if value in guild.members:
                resolved.setdefault("members", {})[value] = payloads.partial_member(guild.members[value]) | {"permissions": "0"}
                break
    elif type_ == CHANNEL:
        shown = payloads.channel(world, world.channels[value])
        resolved.setdefault("channels", {})[value] = shown | {"permissions": "0"}
    elif type_ == ROLE:
        role = next(guild.roles[value] for guild in world.guilds.values() if value in guild.roles)
        resolved.setdefault("roles", {})[value] = payloads.role(role)
