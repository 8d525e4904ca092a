"""Discord's JSON of messages and interactions; the rest of the world is in `payloads.py`. Only reads the world."""

from tests.adapters.discord import payloads
from tests.adapters.discord.mentions import allowed
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.world import Interaction, Json, Message, MessageFlag, MessageType, World


def emoji(name: str) -> Json:
    """`👍` or `name:id`, as in the routes of reactions."""
    text, _, emoji_id = name.partition(":")
    return {"id": emoji_id or None, "name": text}


def reactions(world: World, shown: Message) -> list[Json]:
    return [
        {
            "emoji": emoji(name),
            "count": len(user_ids),
            "count_details": {"burst": 0, "normal": len(user_ids)},
            "burst_colors": [],
            "me_burst": False,
            "me": world.bot.id in user_ids,
        }
        for name, user_ids in shown.reactions.items()
    ]


def message(world: World, shown: Message) -> Json:
    """The message as REST shows it, with the one that it replies to."""
    told = allowed(shown, world)
    result: Json = {
        "id": shown.id,
        "channel_id": shown.channel_id,
        "type": int(shown.type),
        "author": payloads.user(world.users[shown.author_id]),
        "content": shown.content,
        "timestamp": payloads.moment(shown.created_at),
        "edited_timestamp": None if shown.edited_at is None else payloads.moment(shown.edited_at),
        "tts": False,
        "pinned": False,
        "mention_everyone": told.everyone,
        "mentions": [payloads.user(world.users[user_id]) for user_id in told.user_ids],
        "mention_roles": list(told.role_ids),
        "attachments": shown.attachments,
        "embeds": shown.embeds,
        "components": shown.components,
        "flags": shown.flags,
    }
    if shown.nonce is not None:
        result["nonce"] = shown.nonce
    if shown.reactions:
        result["reactions"] = reactions(world, shown)
    if shown.interaction_id:
        result |= _of_interaction(world, world.interactions[shown.interaction_id])
    if shown.flags & MessageFlag.HAS_THREAD:
        result["thread"] = payloads.thread(world.channels[shown.id])
    return result | (_reply(world, shown) if shown.replied_to else {})


def _reply(world: World, shown: Message) -> Json:
    place = world.channels[shown.replied_channel or shown.channel_id]
    reference: Json = {"type": 0, "channel_id": place.id, "message_id": shown.replied_to}
    if place.guild_id:
        reference["guild_id"] = place.guild_id
    if shown.type is MessageType.DEFAULT:
        return {"message_reference": reference}
    target = world.messages.get(shown.replied_to or "")
    shown_target = None if target is None or target.is_deleted else message(world, _without_reply(target))
    return {"message_reference": reference, "referenced_message": shown_target}


def _without_reply(of: Message) -> Message:
    """Discord nests one level of replies only."""
    return Message(**{**of.__dict__, "replied_to": None})


def _of_interaction(world: World, of: Interaction) -> Json:
    metadata: Json = {
        "id": of.id,
        "type": of.type,
        "user": payloads.user(world.users[of.user_id]),
        "authorizing_integration_owners": integration_owners(world, of),
    }
    if of.type == 2:
        metadata["name"] = of.data["name"]
    if of.type == 3:
        metadata["interacted_message_id"] = of.source_message_id
    if of.type == 5:
        metadata["triggering_interaction_metadata"] = {**metadata, "type": 2}
    return {"webhook_id": world.application_id, "application_id": world.application_id, "interaction_metadata": metadata}


def integration_owners(world: World, of: Interaction) -> Json:
    guild_id = world.channels[of.channel_id].guild_id
    return {"0": guild_id or "0"}


def interaction(world: World, of: Interaction) -> Json:
    """INTERACTION_CREATE."""
    place = world.channels[of.channel_id]
    granted = {"permissions": _bits(world.permissions(of.user_id, place))}
    result: Json = {
        "id": of.id,
        "application_id": world.application_id,
        "type": of.type,
        "token": of.token,
        "version": 1,
        "data": of.data,
        "channel_id": place.id,
        "channel": payloads.channel(world, place) | granted,
        "app_permissions": _bits(world.permissions(world.bot.id, place)),
        "locale": "en-US",
        "entitlements": [],
        "authorizing_integration_owners": integration_owners(world, of),
        "context": 0 if place.guild_id else 1,
        "attachment_size_limit": 10_485_760,
    }
    if of.source_message_id:
        result["message"] = message(world, world.messages[of.source_message_id])
    if not (home := world.guild_of(place)):
        return result | {"user": payloads.user(world.users[of.user_id])}
    asker = payloads.member(world, home.members[of.user_id]) | granted
    short_guild = {"id": home.id, "locale": "en-US", "features": []}
    return result | {"guild_id": home.id, "guild_locale": "en-US", "guild": short_guild, "member": asker}


def _bits(permissions: Permission) -> str:
    known = 0
    for each in Permission:
        known |= each
    return str(int(permissions) & known)


def with_component_ids(components: list[Json]) -> list[Json]:
    """The components with the numbers that Discord gives to those that came without."""
    numbers = iter(range(1, 1000))

    def numbered(component: Json) -> Json:
        result = {**component, "id": component.get("id") or next(numbers)}
        if inner := component.get("components"):
            result["components"] = [numbered(each) for each in inner]
        for name in ("accessory", "component"):
            if name in component:
                result[name] = numbered(component[name])
        return result

    return [numbered(component) for component in components]
