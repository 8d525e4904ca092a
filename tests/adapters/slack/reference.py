"""Slack's methods as its documentation describes them (`../shared/authorities/slack/reference`, MIT): arguments, scopes, errors,
rate tiers. Where the folder is absent nothing can be checked, and tests skip saying so."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.adapters.slack.state import Json

AUTHORITY = Path(__file__).parents[4] / "shared" / "authorities" / "slack"
TIERS = {"Tier1": 1, "Tier2": 20, "Tier3": 50, "Tier4": 100, "t1": 1, "t2": 20, "t3": 50, "t4": 100}
"""Calls per minute that a tier grants at least."""

UNDOCUMENTED_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "chat.stopStream": frozenset({"session_status"}),  # slack_sdk 3.47, python-slack-sdk#1945; newer than the reference
}
ADDED_BY_BOLT = "team_id"  # bolt's client sends it with every call
NOT_REALLY_REQUIRED: Mapping[str, frozenset[str]] = {
    "chat.appendStream": frozenset({"markdown_text"}),  # `chunks` serve as well: what every SDK sends
    "chat.startStream": frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class Method:
    name: str
    arguments: Mapping[str, Json]
    required: frozenset[str]
    bot_scopes: frozenset[str]
    errors: frozenset[str]
    takes_json: bool
    is_get: bool
    calls_per_minute: int | None
    """None: a limit of its own kind."""

    def knows(self, argument: str) -> bool:
        return argument in self.arguments or argument == ADDED_BY_BOLT or argument in UNDOCUMENTED_ARGUMENTS.get(self.name, ())


class Reference:
    """Method descriptions, read from the authority once each."""

    def __init__(self, folder: Path = AUTHORITY) -> None:
        self._folder = folder
        self._tiers: dict[str, str] = json.loads((folder / "rate_limit_tiers.json").read_text())

    def knows(self, name: str) -> bool:
        return (self._folder / "reference" / "methods" / f"{name}.json").exists()

    @cache  # noqa: B019 - one reference per process
    def method(self, name: str) -> Method:
        described = json.loads((self._folder / "reference" / "methods" / f"{name}.json").read_text())
        arguments = described.get("args", {})
        tier = self._tiers.get(name) or described.get("rate_limits", "")
        return Method(
            name=name,
            arguments=arguments.get("properties", {}),
            required=frozenset(arguments.get("required") or ()) - NOT_REALLY_REQUIRED.get(name, frozenset()) - {"token"},
            bot_scopes=frozenset(described.get("scope", {}).get("bot", ())),
            errors=frozenset(described.get("errors", {})),
            takes_json=bool(described.get("json_input_supported")) or name == "apps.connections.open",
            is_get=described.get("http_method") == "GET",
            calls_per_minute=TIERS.get(tier),
        )


@cache
def the_reference() -> Reference:
    """The reference of this checkout. FileNotFoundError where there is none."""
    return Reference()


def has_reference() -> bool:
    return (AUTHORITY / "reference" / "methods").is_dir()
