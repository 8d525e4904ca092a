"""The routes of the bot itself, of guilds, channels, threads and commands."""

from tests.adapters.discord import message_payloads, payloads
from tests.adapters.discord.api_errors import refusal
from tests.adapters.discord.call import Answered, Call
from tests.adapters.discord.gateway import Intent, application_flags
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.rest_messages import bot_message, must_be_open
from tests.adapters.discord.world import Channel, ChannelType, Json

DEFAULT_MEMBERS = 1


def get_my_user(call: Call) -> Answered:
    return Answered(200, payloads.own_user(call.service.world.bot))


def get_user(call: Call) -> Answered:
    user = call.service.world.users.get(call.path["user_id"])
    if not user:
        raise refusal(10013)
    return Answered(200, payloads.user(user))


def get_my_application(call: Call) -> Answered:
    flags = application_flags(call.service.gateway.allowed_intents)
    return Answered(200, payloads.application(call.service.world, flags))


def list_my_guilds(call: Call) -> Answered:
    world = call.service.world
    return Answered(
        200,
        [
            {"id": guild.id, "name": guild.name, "icon": None, "banner": None, "owner": False, "features": []}
            | {"permissions": str(max(int(world.permissions_in_guild(guild, world.bot.id)), 0))}
            for guild in world.guilds.values()
        ],
    )


def get_gateway(call: Call) -> Answered:
    return Answered(200, {"url": call.service.gateway.url})


def get_bot_gateway(call: Call) -> Answered:
    gateway = call.service.gateway
    total, left = call.service.limits.identifies, gateway.identifies_left
    start = {"total": total, "remaining": left, "reset_after": 86_400_000, "max_concurrency": 1}
    return Answered(200, {"url": gateway.url, "shards": 1, "session_start_limit": start})


def create_dm(call: Call) -> Answered:
    user_id = str(call.body.get("recipient_id"))
    if user_id not in call.service.world.users:
        raise refusal(10013)
    if call.service.world.users[user_id].is_bot:
        raise refusal(50007)
    return Answered(200, payloads.channel(call.service.world, call.service.world.dm_with(user_id)))


def get_guild(call: Call) -> Answered:
    guild = call.guild()
    counts = {"approximate_member_count": len(guild.members), "approximate_presence_count": 0}
    return Answered(200, payloads.guild(guild) | (counts if call.query.get("with_counts") in ("true", "1") else {}))


def list_roles(call: Call) -> Answered:
    return Answered(200, [payloads.role(role) for role in call.guild().roles.values()])


def list_channels(call: Call) -> Answered:
    world = call.service.world
    return Answered(200, [payloads.channel(world, channel) for channel in world.channels_of(call.guild())])


def list_active_threads(call: Call) -> Answered:
    world = call.service.world
    found = [thread for thread in world.active_threads_of(call.guild()) if world.sees(world.bot.id, thread)]
    return Answered(200, _threads(call, found) | {"has_more": False})


def list_archived_threads(call: Call) -> Answered:
    channel, world = call.channel(), call.service.world
    found = [thread for thread in world.channels.values() if thread.parent_id == channel.id and thread.is_archived]
    public = [thread for thread in found if thread.type is ChannelType.PUBLIC_THREAD]
    return Answered(200, _threads(call, public) | {"has_more": False})


def _threads(call: Call, found: list[Channel]) -> Json:
    bot_id = call.service.world.bot.id
    members = [payloads.thread_member(thread, bot_id) for thread in found if bot_id in thread.thread_members]
    return {"threads": [payloads.thread(thread) for thread in found], "members": members}


def list_members(call: Call) -> Answered:
    """Only for bots whose owner has switched the intent on, whether or not they identified with it."""
    if not call.service.gateway.allowed_intents & Intent.MEMBERS:
        raise refusal(50001)
    after, limit = int(call.query.get("after", 0)), int(call.query.get("limit", DEFAULT_MEMBERS))
    members = sorted(call.guild().members.values(), key=lambda member: int(member.user_id))
    found = [member for member in members if int(member.user_id) > after][:limit]
    return Answered(200, [payloads.member(call.service.world, member) for member in found])


def get_member(call: Call) -> Answered:
    member = call.guild().members.get(call.path["user_id"])
    if not member:
        raise refusal(10007)
    return Answered(200, payloads.member(call.service.world, member))


def get_channel(call: Call) -> Answered:
    return Answered(200, payloads.channel(call.service.world, call.channel()))


def update_channel(call: Call) -> Answered:
    """Threads only: archive, lock, rename."""
    thread = call.channel()
    if not thread.is_thread:
        raise refusal(50013)
    if thread.owner_id != call.service.world.bot.id:
        call.require(thread, Permission.MANAGE_THREADS)
    thread.name = call.body.get("name", thread.name)
    archived, locked = call.body.get("archived", thread.is_archived), call.body.get("locked", thread.is_locked)
    call.service.update_thread(thread, is_archived=archived, is_locked=locked)
    return Answered(200, payloads.thread(thread))


def create_thread_from_message(call: Call) -> Answered:
    channel = call.text_channel()
    message = call.message(channel)
    if channel.type is not ChannelType.TEXT:
        raise refusal(50024)
    call.require(channel, Permission.CREATE_PUBLIC_THREADS)
    if message.id in call.service.world.channels:
        raise refusal(160004)
    bot_id = call.service.world.bot.id
    thread = call.service.start_thread(channel, bot_id, call.body["name"], thread_id=message.id)
    return Answered(201, payloads.thread(thread) | {"member": payloads.thread_member(thread, bot_id)})


def create_thread(call: Call) -> Answered:
    """A thread without a message, or a post in a forum."""
    channel, world = call.channel(), call.service.world
    if channel.type is ChannelType.FORUM:
        return _create_post(call, channel)
    if channel.type is not ChannelType.TEXT:
        raise refusal(50024)
    is_private = call.body.get("type", ChannelType.PRIVATE_THREAD) == ChannelType.PRIVATE_THREAD
    call.require(channel, Permission.CREATE_PRIVATE_THREADS if is_private else Permission.CREATE_PUBLIC_THREADS)
    thread = call.service.start_thread(channel, world.bot.id, call.body["name"], is_private=is_private)
    return Answered(201, payloads.thread(thread) | {"member": payloads.thread_member(thread, world.bot.id)})


def _create_post(call: Call, forum: Channel) -> Answered:
    call.require(forum, Permission.SEND_MESSAGES)
    world = call.service.world
    opening = bot_message(world, "", call.body["message"], call.files)
    thread = call.service.start_thread(forum, world.bot.id, call.body["name"], thread_id=opening.id)
    opening.channel_id = thread.id
    call.service.post(opening)
    shown = payloads.thread(thread) | {"member": payloads.thread_member(thread, world.bot.id)}
    return Answered(201, shown | {"message": message_payloads.message(world, opening)})


def list_thread_members(call: Call) -> Answered:
    thread = call.channel()
    return Answered(200, [payloads.thread_member(thread, user_id) for user_id in thread.thread_members])


def get_thread_member(call: Call) -> Answered:
    thread = call.channel()
    if call.path["user_id"] not in thread.thread_members:
        raise refusal(10007)
    return Answered(200, payloads.thread_member(thread, call.path["user_id"]))


def join_thread(call: Call) -> Answered:
    return _add_thread_member(call, call.service.world.bot.id)


def add_thread_member(call: Call) -> Answered:
    return _add_thread_member(call, call.path["user_id"])


def _add_thread_member(call: Call, user_id: str) -> Answered:
    thread = call.channel()
    must_be_open(thread)
    guild = call.service.world.guild_of(thread)
    if not guild or user_id not in guild.members:
        raise refusal(10007)
    call.service.join_thread(thread, user_id)
    return Answered(204, None)


def leave_thread(call: Call) -> Answered:
    thread = call.channel()
    must_be_open(thread)
    thread.thread_members.pop(call.service.world.bot.id, None)
    return Answered(204, None)


def list_commands(call: Call) -> Answered:
    _own_application(call)
    return Answered(200, call.service.world.commands)


def set_commands(call: Call) -> Answered:
    """Replaces all commands; a command of the same type and name keeps its id."""
    _own_application(call)
    world = call.service.world
    ids = {(command["type"], command["name"]): command["id"] for command in world.commands}
    world.commands = [_command(call, command, ids) for command in call.body["commands"]]
    call.service.notice()
    return Answered(200, world.commands)


def _command(call: Call, command: Json, ids: dict[tuple[int, str], str]) -> Json:
    world = call.service.world
    kind = command.get("type", 1)
    permissions = command.get("default_member_permissions")
    return {
        "nsfw": False,
        **{name: value for name, value in command.items() if value is not None},
        "id": ids.get((kind, command["name"])) or world.new_id(),
        "application_id": world.application_id,
        "version": world.new_id(),
        "type": kind,
        "description": command.get("description") or "",
        "default_member_permissions": None if permissions is None else str(permissions),
    }


def _own_application(call: Call) -> None:
    if call.path["application_id"] != call.service.world.application_id:
        raise refusal(50001)


GUILD, CHANNEL, COMMANDS = "/guilds/{guild_id}", "/channels/{channel_id}", "/applications/{application_id}/commands"
ROUTES = (
    ("GET", "/users/@me", "get_my_user", get_my_user),
    ("GET", "/users/{user_id}", "get_user", get_user),
    ("GET", "/users/@me/guilds", "list_my_guilds", list_my_guilds),
    ("POST", "/users/@me/channels", "create_dm", create_dm),
    ("GET", "/applications/@me", "get_my_application", get_my_application),
    ("GET", "/oauth2/applications/@me", "get_my_oauth2_application", get_my_application),
    ("GET", "/gateway", "get_gateway", get_gateway),
    ("GET", "/gateway/bot", "get_bot_gateway", get_bot_gateway),
    ("GET", GUILD, "get_guild", get_guild),
    ("GET", GUILD + "/roles", "list_guild_roles", list_roles),
    ("GET", GUILD + "/channels", "list_guild_channels", list_channels),
    ("GET", GUILD + "/threads/active", "get_active_guild_threads", list_active_threads),
    ("GET", GUILD + "/members", "list_guild_members", list_members),
    ("GET", GUILD + "/members/{user_id}", "get_guild_member", get_member),
    ("GET", CHANNEL, "get_channel", get_channel),
    ("PATCH", CHANNEL, "update_channel", update_channel),
    ("POST", CHANNEL + "/messages/{message_id}/threads", "create_thread_from_message", create_thread_from_message),
    ("POST", CHANNEL + "/threads", "create_thread", create_thread),
    ("GET", CHANNEL + "/threads/archived/public", "list_public_archived_threads", list_archived_threads),
    ("GET", CHANNEL + "/thread-members", "list_thread_members", list_thread_members),
    ("GET", CHANNEL + "/thread-members/{user_id}", "get_thread_member", get_thread_member),
    ("PUT", CHANNEL + "/thread-members/@me", "join_thread", join_thread),
    ("PUT", CHANNEL + "/thread-members/{user_id}", "add_thread_member", add_thread_member),
    ("DELETE", CHANNEL + "/thread-members/@me", "leave_thread", leave_thread),
    ("GET", COMMANDS, "list_application_commands", list_commands),
    ("PUT", COMMANDS, "bulk_set_application_commands", set_commands),
)
