"""What an app may do and hears of: its scopes and event subscriptions, from its manifest or all that a good bot asks for."""

from dataclasses import dataclass

from tests.adapters.slack.state import ChannelKind, Json

FAMILY: dict[ChannelKind, str] = {"public": "channels", "private": "groups", "im": "im", "mpim": "mpim"}
"""How scopes and event subscriptions call a kind of conversation."""

ALL_SCOPES = frozenset(
    "app_mentions:read assistant:write channels:history channels:join channels:read chat:write chat:write.public commands "
    "groups:history groups:read im:history im:read im:write mpim:history mpim:read mpim:write reactions:read reactions:write "
    "team:read usergroups:read users:read users:read.email".split()
)
ALL_EVENTS = frozenset(
    "agent_session_stopped app_context_changed app_home_opened app_mention app_uninstalled member_joined_channel "
    "member_left_channel message.channels message.groups message.im message.mpim reaction_added reaction_removed "
    "tokens_revoked".split()
)
EVENT_SCOPES = {
    "app_mention": "app_mentions:read",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "agent_session_stopped": "chat:write",
    "app_context_changed": "assistant:write",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
}
"""The scope that an event needs besides its subscription. (The reference spells that of app_mention wrongly.)"""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a manifest declares. None: not declared, so everything goes."""

    name: str = "Timbre"
    scopes: frozenset[str] = ALL_SCOPES
    events: frozenset[str] = ALL_EVENTS
    commands: frozenset[str] | None = None
    shortcuts: frozenset[str] | None = None
    """Callback ids of message and global shortcuts."""


def read_manifest(manifest: Json | None) -> Declared:
    if manifest is None:
        return Declared()
    features, settings = manifest.get("features", {}), manifest.get("settings", {})
    return Declared(
        name=features.get("bot_user", {}).get("display_name", "Timbre"),
        scopes=frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())),
        events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", ())),
        commands=frozenset(command["command"] for command in features.get("slash_commands", ())),
        shortcuts=frozenset(shortcut["callback_id"] for shortcut in features.get("shortcuts", ())),
    )


def scopes_for(method: str, bot_scopes: frozenset[str], kinds: list[ChannelKind]) -> frozenset[str]:
    """The scopes that a call needs, of those that its method lists: for conversations, that of each kind concerned."""
    if method == "conversations.join" or not (method.startswith("conversations.") or method == "users.conversations"):
        return bot_scopes
    families = {FAMILY[kind] for kind in kinds}
    return frozenset(scope for scope in bot_scopes if scope.split(":")[0] in families)
