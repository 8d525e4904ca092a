"""Discord's JSON of what the world holds, after the response schemas of its OpenAPI document. Only reads the world."""

from datetime import UTC, datetime

from tests.adapters.discord.permissions import Overwrite
from tests.adapters.discord.world import (
    Channel,
    ChannelType,
    Guild,
    Json,
    Member,
    Role,
    User,
    World,
)

DISCRIMINATOR = "0"
FILES_URL = "https://files.invalid"


def moment(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()


def user(who: User) -> Json:
    return {
        "id": who.id,
        "username": who.name.lower(),
        "global_name": None if who.is_bot else who.name,
        "avatar": None,
        "discriminator": DISCRIMINATOR,
        "public_flags": 0,
        "flags": 0,
        "primary_guild": None,
        **({"bot": True} if who.is_bot else {}),
    }


def own_user(who: User) -> Json:
    return user(who) | {"mfa_enabled": False, "locale": "en-US", "email": None, "verified": True}


def partial_member(member: Member) -> Json:
    return {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": None,
        "flags": 0,
        "joined_at": moment(member.joined_at),
        "nick": member.nick,
        "pending": member.is_pending,
        "premium_since": None,
        "roles": list(member.role_ids),
        "mute": False,
        "deaf": False,
    }


def member(world: World, of_guild: Member) -> Json:
    return partial_member(of_guild) | {"user": user(world.users[of_guild.user_id])}


def role(of_guild: Role) -> Json:
    return {
        "id": of_guild.id,
        "name": of_guild.name,
        "permissions": str(max(int(of_guild.permissions), 0)),
        "position": of_guild.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": of_guild.bot_id is not None,
        "mentionable": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
        **({"tags": {"bot_id": of_guild.bot_id}} if of_guild.bot_id else {}),
    }


def overwrite(of_channel: Overwrite) -> Json:
    kind = 0 if of_channel.is_role else 1
    return {
        "id": of_channel.target_id,
        "type": kind,
        "allow": str(int(of_channel.allow)),
        "deny": str(int(of_channel.deny)),
    }


def channel(world: World, shown: Channel) -> Json:
    if shown.is_thread:
        return thread(shown)
    last = str(shown.message_ids[-1]) if shown.message_ids else None
    if shown.type is ChannelType.DM:
        recipients = [user(world.users[user_id]) for user_id in shown.recipient_ids]
        return {"id": shown.id, "type": int(shown.type), "flags": 0, "recipients": recipients, "last_message_id": last}
    forum: Json = {"available_tags": []} if shown.type is ChannelType.FORUM else {}
    return {
        "id": shown.id,
        "type": int(shown.type),
        "flags": 0,
        "guild_id": shown.guild_id,
        "name": shown.name,
        "position": 0,
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "rate_limit_per_user": 0,
        "last_message_id": last,
        "permission_overwrites": [overwrite(each) for each in shown.overwrites],
        **forum,
    }


def thread(shown: Channel) -> Json:
    metadata = {
        "archived": shown.is_archived,
        "archive_timestamp": moment(shown.created_at),
        "auto_archive_duration": shown.auto_archive_minutes,
        "locked": shown.is_locked,
        "create_timestamp": moment(shown.created_at),
        **({"invitable": True} if shown.type is ChannelType.PRIVATE_THREAD else {}),
    }
    return {
        "id": shown.id,
        "type": int(shown.type),
        "flags": 0,
        "guild_id": shown.guild_id,
        "parent_id": shown.parent_id,
        "name": shown.name,
        "owner_id": shown.owner_id,
        "thread_metadata": metadata,
        "message_count": len(shown.message_ids),
        "total_message_sent": len(shown.message_ids),
        "member_count": len(shown.thread_members),
        "last_message_id": str(shown.message_ids[-1]) if shown.message_ids else None,
        "rate_limit_per_user": 0,
    }


def thread_member(shown: Channel, user_id: str) -> Json:
    return {"id": shown.id, "user_id": user_id, "join_timestamp": moment(shown.thread_members[user_id]), "flags": 0}


def guild(shown: Guild) -> Json:
    return {
        "id": shown.id,
        "name": shown.name,
        "owner_id": shown.owner_id,
        "system_channel_id": shown.system_channel_id,
        "roles": [role(each) for each in shown.roles.values()],
        **dict.fromkeys(
            "icon description home_header splash discovery_splash banner application_id afk_channel_id "
            "widget_channel_id vanity_url_code rules_channel_id safety_alerts_channel_id public_updates_channel_id "
            "incidents_data max_presences".split()
        ),
        **{name: [] for name in ("features", "emojis", "stickers")},
        **dict.fromkeys(("widget_enabled", "premium_progress_bar_enabled", "nsfw"), False),
        **dict.fromkeys(
            "system_channel_flags verification_level default_message_notifications mfa_level explicit_content_filter "
            "premium_tier premium_subscription_count nsfw_level".split(),
            0,
        ),
        "region": "deprecated",
        "afk_timeout": 300,
        "preferred_locale": "en-US",
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
    }


def guild_create(world: World, shown: Guild, *, with_members: bool) -> Json:
    """The event's shape: what REST shows, and the channels, threads and members; of these only the bot without their intent."""
    members = shown.members.values() if with_members else [shown.members[world.bot.id]]
    threads = [each for each in world.active_threads_of(shown) if world.sees(world.bot.id, each)]
    return guild(shown) | {
        "joined_at": moment(shown.joined_by_bot_at),
        "large": False,
        "member_count": len(shown.members),
        "members": [member(world, each) for each in members],
        "channels": [channel(world, each) for each in world.channels_of(shown)],
        "threads": [
            thread(each) | ({"member": thread_member(each, world.bot.id)} if world.bot.id in each.thread_members else {})
            for each in threads
        ],
        **{name: [] for name in ("presences", "voice_states", "stage_instances", "guild_scheduled_events", "soundboard_sounds")},
    }


def application(world: World, flags: int) -> Json:
    return {
        "id": world.application_id,
        "name": world.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(world.bot),
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": flags,
        "flags_new": str(flags),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(world.owner),
        "approximate_guild_count": len(world.guilds),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
    }
