"""The app as Slack needs it described (pure): what it may do, what it hears of, its commands and menu entries."""

from typing import Any

from adapters.slack.http_mode import PATH
from adapters.slack.inbound import ASK_COMMAND, CAPTURE, COMMAND, FLAG

NAME = "Timbre"
DESCRIPTION = "Answers from your company's documents, with citations."

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "reactions:write",
    "users:read",
)
EVENTS = (
    "agent_session_stopped",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "reaction_removed",
    "tokens_revoked",
)


def slack_manifest(public_url: str = "") -> dict[str, Any]:
    """The manifest to create the app from: for Socket Mode or, with the address under which Slack reaches us, for HTTP."""
    request = {"request_url": f"{public_url.rstrip('/')}{PATH}"} if public_url else {}
    redirect = {"redirect_urls": [f"{public_url.rstrip('/')}/slack/oauth_redirect"]} if public_url else {}
    return {
        "_metadata": {"major_version": 2, "minor_version": 0},
        "display_information": {"name": NAME, "description": DESCRIPTION},
        "features": {
            "agent_view": {"agent_description": DESCRIPTION},
            "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
            "bot_user": {"display_name": NAME, "always_online": True},
            "shortcuts": [_shortcut("Flag this answer", FLAG), _shortcut("Use as correction", CAPTURE)],
            "slash_commands": [
                _command(ASK_COMMAND, "Ask, and be answered for your eyes only", "your question") | _url(request),
                _command(COMMAND, "Help, status and administration", "help") | _url(request),
            ],
        },
        "oauth_config": {**redirect, "scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {**request, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **request},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not public_url,
            "token_rotation_enabled": False,
        },
    }


def _shortcut(name: str, callback_id: str) -> dict[str, Any]:
    return {"name": name, "type": "message", "callback_id": callback_id, "description": f"{name}."}


def _command(command: str, description: str, hint: str) -> dict[str, Any]:
    return {"command": command, "description": description, "usage_hint": hint, "should_escape": True}


def _url(request: dict[str, str]) -> dict[str, str]:
    return {"url": request["request_url"]} if request else {}
