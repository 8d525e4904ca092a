"""Discord's permission bits and how roles and overwrites combine to what a member may do in a channel. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag


class Permission(IntFlag):
    """The bits that this server decides by; the values are Discord's."""

    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    MANAGE_ROLES = 1 << 28
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


NONE = Permission(0)
ALL = ~NONE
ORDINARY = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.SEND_MESSAGES_IN_THREADS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.CREATE_PRIVATE_THREADS
    | Permission.ADD_REACTIONS
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_APPLICATION_COMMANDS
)


@dataclass(frozen=True)
class Overwrite:
    """What a channel allows and denies to one role or one member."""

    target_id: str
    is_role: bool
    allow: Permission = NONE
    deny: Permission = NONE


def guild_permissions(of_roles: Iterable[Permission], is_owner: bool) -> Permission:
    """What the roles of a member, @everyone's among them, give together."""
    together = NONE
    for permissions in of_roles:
        together |= permissions
    return ALL if is_owner or Permission.ADMINISTRATOR in together else together


def channel_permissions(
    base: Permission, overwrites: Iterable[Overwrite], everyone_id: str, role_ids: Iterable[str], user_id: str
) -> Permission:
    """`base` changed by the channel's overwrites in Discord's order: @everyone, then all roles together, then the member."""
    if base == ALL:
        return ALL
    by_target = {overwrite.target_id: overwrite for overwrite in overwrites}
    result = base
    if everyone := by_target.get(everyone_id):
        result = (result & ~everyone.deny) | everyone.allow
    of_roles = [by_target[role_id] for role_id in role_ids if role_id in by_target and role_id != everyone_id]
    allow, deny = NONE, NONE
    for overwrite in of_roles:
        allow, deny = allow | overwrite.allow, deny | overwrite.deny
    result = (result & ~deny) | allow
    if own := by_target.get(user_id):
        result = (result & ~own.deny) | own.allow
    return result if Permission.VIEW_CHANNEL in result else NONE
