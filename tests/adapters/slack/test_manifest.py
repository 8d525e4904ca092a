"""The manifest against Slack's own schema and reference, and what `timbre doctor` says of tokens and scopes."""

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from adapters.slack.checks import check, examine, scopes
from adapters.slack.manifest import EVENTS, SCOPES, slack_manifest
from bot.settings import SlackSettings
from tests.adapters.slack.faults import unavailable
from tests.adapters.slack.manifest import EVENT_SCOPES
from tests.adapters.slack.office import Office
from tests.adapters.slack.reference import AUTHORITY, has_reference, the_reference
from tests.adapters.slack.running import slack_settings

needs_authority = pytest.mark.skipif(not has_reference(), reason="Slack's reference is not beside this checkout (../shared).")

METHODS = (
    "assistant.threads.setStatus assistant.threads.setSuggestedPrompts auth.test chat.appendStream chat.postEphemeral "
    "chat.postMessage chat.startStream chat.stopStream chat.update conversations.history conversations.info "
    "conversations.members conversations.open conversations.replies reactions.add reactions.remove users.conversations "
    "users.info users.list views.open views.publish"
).split()
FAMILIES = ("channels", "groups", "im", "mpim")


@needs_authority
@pytest.mark.parametrize("public_url", ["", "https://bot.example.com/"])
def test_the_manifest_is_one_by_slacks_schema(public_url: str) -> None:
    schema = json.loads((AUTHORITY / "manifest.schema.2.0.0.json").read_text())

    errors = [error.message for error in Draft7Validator(schema).iter_errors(slack_manifest(public_url))]

    assert errors == []


def test_http_mode_has_its_addresses() -> None:
    manifest = slack_manifest("https://bot.example.com/")

    address = "https://bot.example.com/slack/events"
    assert manifest["settings"]["event_subscriptions"]["request_url"] == address
    assert manifest["settings"]["interactivity"]["request_url"] == address
    assert [command["url"] for command in manifest["features"]["slash_commands"]] == [address, address]
    assert manifest["oauth_config"]["redirect_urls"] == ["https://bot.example.com/slack/oauth_redirect"]
    assert manifest["settings"]["socket_mode_enabled"] is False


@needs_authority
def test_the_events_exist() -> None:
    known = json.loads((AUTHORITY / "reference" / "events" / "events.json").read_text())

    assert set(EVENTS) <= {name if isinstance(name, str) else name["name"] for name in known}


@needs_authority
@pytest.mark.parametrize("method", METHODS)
def test_the_scopes_suffice_for_every_call(method: str) -> None:
    needed = the_reference().method(method).bot_scopes
    if (method.startswith("conversations.") and method != "conversations.open") or method == "users.conversations":
        assert needed <= set(SCOPES)  # one for each kind of conversation
    else:
        assert not needed or needed & set(SCOPES)


def test_the_scopes_suffice_for_every_event() -> None:
    assert {EVENT_SCOPES[event] for event in EVENTS if event in EVENT_SCOPES} <= set(SCOPES)


@needs_authority
def test_no_scope_is_asked_for_in_vain() -> None:
    of_methods = {scope for method in METHODS for scope in the_reference().method(method).bot_scopes}

    assert set(SCOPES) <= of_methods | set(EVENT_SCOPES.values()) | {"commands"}


# -- doctor


def summary(findings: list[Any]) -> list[tuple[str, bool]]:
    return [(finding.name, finding.is_well) for finding in findings]


async def test_good_tokens_are_well(office: Office) -> None:
    findings = await examine(slack_settings(office.slack))

    assert summary(findings) == [("Slack bot token", True), ("Slack Socket Mode", True)]
    assert findings[0].fact == "timbre in Acme"


async def test_scopes_that_are_missing_are_named(office: Office) -> None:
    installation = office.slack.installation()
    installation.scopes = installation.scopes - {"reactions:write", "users:read"}

    (token, _) = await examine(slack_settings(office.slack))

    assert not token.is_well
    assert "lacks the scopes reactions:write, users:read" in token.fact
    assert "timbre slack manifest" in token.remedy


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"bot_token": "xoxb-wrong"}, "Slack bot token", "TIMBRE_SLACK__BOT_TOKEN"),
        ({"app_token": "xapp-wrong"}, "Slack Socket Mode", "TIMBRE_SLACK__APP_TOKEN"),
        ({"app_token": ""}, "Slack Socket Mode", "TIMBRE_SLACK__APP_TOKEN"),
        ({"http_port": 3000, "signing_secret": ""}, "Slack HTTP mode", "TIMBRE_SLACK__SIGNING_SECRET"),
    ],
)
async def test_what_is_wrong_is_named(office: Office, changes: dict[str, object], name: str, says: str) -> None:
    findings = await examine(slack_settings(office.slack, **changes))

    (bad,) = [finding for finding in findings if not finding.is_well]
    assert bad.name == name
    assert says in bad.remedy


@pytest.mark.slow
async def test_a_slack_that_is_away_is_named(office: Office) -> None:
    office.slack.faults.add(unavailable(), times=None)

    findings = await examine(slack_settings(office.slack))

    assert all("TIMBRE_SLACK__API_URL" in finding.remedy for finding in findings)


def test_nothing_is_checked_where_slack_is_not_used() -> None:
    assert check(SlackSettings()) == []


def test_a_slack_that_does_not_tell_the_scopes_is_believed() -> None:
    assert scopes({}) is None
    assert scopes({"X-OAuth-Scopes": "chat:write, commands"}) == frozenset({"chat:write", "commands"})
