"""Who is there: `auth.test`, `users.*`, `usergroups.*`, `bots.info`, `team.info`; and reactions, which people see."""

from tests.adapters.slack.calling import Caller, page, paged
from tests.adapters.slack.shapes import user_group_object, user_object
from tests.adapters.slack.state import Json, SlackError, User


def auth_test(caller: Caller, arguments: Json) -> Json:
    workspace = caller.world.workspaces[caller.team]
    return {
        "url": f"https://{workspace.domain}.slack.com/",
        "team": workspace.name,
        "user": caller.world.users[caller.user].name,
        "team_id": workspace.id,
        "user_id": caller.user,
        "bot_id": caller.installation.bot_id,
        "is_enterprise_install": False,
    }


def users_info(caller: Caller, arguments: Json) -> Json:
    user = caller.world.users.get(arguments["user"])
    if user is None or not (user.team == caller.team or _meets(caller, user)):
        raise SlackError("user_not_found")
    return {"user": user_object(user, seen_from=caller.team, scopes=caller.installation.scopes)}


def users_list(caller: Caller, arguments: Json) -> Json:
    found = [
        user_object(user, seen_from=caller.team, scopes=caller.installation.scopes)
        for user in caller.world.users.values()
        if user.team == caller.team
    ]
    return paged("members", *page(found, arguments, default=1000)) | {"cache_ts": int(caller.world.clock.now())}


def usergroups_list(caller: Caller, arguments: Json) -> Json:
    include_users, include_count = bool(arguments.get("include_users")), bool(arguments.get("include_count"))
    return {
        "usergroups": [
            user_group_object(group, include_users=include_users, include_count=include_count)
            for group in caller.world.user_groups.values()
            if group.team == caller.team and (not group.is_disabled or arguments.get("include_disabled"))
        ]
    }


def usergroups_users_list(caller: Caller, arguments: Json) -> Json:
    group = caller.world.user_groups.get(arguments["usergroup"])
    if group is None or group.team != caller.team or (group.is_disabled and not arguments.get("include_disabled")):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


def bots_info(caller: Caller, arguments: Json) -> Json:
    user = next((u for u in caller.world.users.values() if u.bot_id and u.bot_id == arguments.get("bot")), None)
    if user is None:
        raise SlackError("bot_not_found")
    bot = {"id": user.bot_id, "deleted": user.deleted, "name": user.real_name, "updated": 1_700_000_000}
    return {"bot": bot | {"app_id": user.app_id, "user_id": user.id, "icons": {"image_36": "", "image_48": "", "image_72": ""}}}


def team_info(caller: Caller, arguments: Json) -> Json:
    workspace = caller.world.workspaces.get(arguments.get("team") or caller.team)
    if workspace is None:
        raise SlackError("team_not_found")
    return {"team": {"id": workspace.id, "name": workspace.name, "domain": workspace.domain, "email_domain": "", "icon": {}}}


def reactions_add(caller: Caller, arguments: Json) -> Json:
    channel = caller.channel_to_read(arguments["channel"])
    caller.slack.react(caller.message(channel, arguments["timestamp"]), caller.user, arguments["name"])
    return {}


def reactions_remove(caller: Caller, arguments: Json) -> Json:
    if not arguments.get("channel") or not arguments.get("timestamp"):
        raise SlackError("no_item_specified")
    channel = caller.channel_to_read(arguments["channel"])
    caller.slack.unreact(caller.message(channel, arguments["timestamp"]), caller.user, arguments["name"])
    return {}


def _meets(caller: Caller, user: User) -> bool:
    """Whether a channel connects the app with somebody of another workspace."""
    return any({user.id, caller.user} <= set(channel.members) for channel in caller.world.channels.values())


METHODS = {
    "auth.test": auth_test,
    "users.info": users_info,
    "users.list": users_list,
    "usergroups.list": usergroups_list,
    "usergroups.users.list": usergroups_users_list,
    "bots.info": bots_info,
    "team.info": team_info,
    "reactions.add": reactions_add,
    "reactions.remove": reactions_remove,
}
