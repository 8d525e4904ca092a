"""The routes of messages, reactions and typing."""

import time
from collections.abc import Callable

from tests.adapters.discord import message_payloads, payloads
from tests.adapters.discord.api_errors import refusal
from tests.adapters.discord.call import Answered, Call, Upload
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.world import Channel, Json, Message, MessageFlag, MessageType, World

DEFAULT_HISTORY = 50
BODY_FIELDS = ("content", "embeds", "components", "flags", "allowed_mentions")


def list_messages(call: Call) -> Answered:
    channel = call.text_channel()
    if not call.service.may(call.service.world.bot.id, channel, Permission.READ_MESSAGE_HISTORY):
        return Answered(200, [])
    limit = int(call.query.get("limit", DEFAULT_HISTORY))
    before, after = (int(call.query[name]) if name in call.query else None for name in ("before", "after"))
    found = call.service.world.history(channel, limit=limit, before=before, after=after)
    call.service.ledger.fetched([message.id for message in found])
    return Answered(200, [message_payloads.message(call.service.world, message) for message in found])


def get_message(call: Call) -> Answered:
    channel = call.text_channel()
    call.require(channel, Permission.READ_MESSAGE_HISTORY)
    message = call.message(channel)
    call.service.ledger.fetched([message.id])
    return Answered(200, message_payloads.message(call.service.world, message))


def create_message(call: Call) -> Answered:
    channel = call.text_channel()
    may_send(call, channel)
    world = call.service.world
    nonce = call.body.get("nonce")
    if nonce is not None and call.body.get("enforce_nonce"):
        earlier = call.service.earlier_with_nonce(channel, world.bot.id, nonce)
        if earlier:
            return Answered(200, message_payloads.message(world, earlier))
    message = bot_message(world, channel.id, call.body, call.files)
    message.nonce = nonce
    if reference := call.body.get("message_reference"):
        message.replied_to = _reply_target(call, channel, reference)
        message.type = MessageType.REPLY if message.replied_to else MessageType.DEFAULT
    call.service.remember_nonce(message)
    return Answered(200, message_payloads.message(world, call.service.post(message)))


def may_send(call: Call, channel: Channel) -> None:
    """Raises what Discord raises where the bot may not write there."""
    if not channel.guild_id:
        if not call.service.world.users[channel.recipient_ids[0]].accepts_dms:
            raise refusal(50007)
        return
    call.require(channel, Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES)
    if channel.is_locked and not call.service.may(call.service.world.bot.id, channel, Permission.MANAGE_THREADS):
        raise refusal(160005)
    if call.files:
        call.require(channel, Permission.ATTACH_FILES)


def _reply_target(call: Call, channel: Channel, reference: Json) -> str | None:
    call.require(channel, Permission.READ_MESSAGE_HISTORY)
    message_id = str(reference["message_id"])
    if call.service.world.message_in(channel, message_id):
        return message_id
    if reference.get("fail_if_not_exists", True):
        mistake = {"message_reference": {"_errors": [{"code": "REPLIES_UNKNOWN_MESSAGE", "message": "Unknown message"}]}}
        raise refusal(50035, mistake)
    return None


def bot_message(world: World, channel_id: str, body: Json, files: list[Upload]) -> Message:
    """A message of the bot with what the body holds; raises 50006 where that is nothing."""
    message = Message(world.new_id(), channel_id, world.bot.id, "", time.time())
    fill(world, message, body, files)
    if not (message.content or message.embeds or message.components or message.attachments):
        raise refusal(50006)
    return message


def fill(world: World, message: Message, body: Json, files: list[Upload]) -> None:
    """Puts the fields that the body names into the message; flags keep what only Discord sets."""
    for name in BODY_FIELDS:
        if name in body:
            setattr(message, name, _FIELD_VALUES[name](body[name]))
    if "attachments" in body or files:
        kept = {str(each["id"]) for each in body.get("attachments") or []}
        message.attachments = [each for each in message.attachments if each["id"] in kept]
        message.attachments += [_attachment(world, upload) for upload in files]


_FIELD_VALUES: dict[str, Callable[..., object]] = {
    "content": lambda value: value or "",
    "embeds": lambda value: [{"type": "rich", **embed} for embed in value or []],
    "components": lambda value: message_payloads.with_component_ids(value or []),
    "flags": lambda value: value or 0,
    "allowed_mentions": lambda value: value,
}


def _attachment(world: World, upload: Upload) -> Json:
    attachment_id = world.new_id()
    url = f"{payloads.FILES_URL}/{attachment_id}/{upload.filename}"
    size = len(upload.content)
    shown = {"id": attachment_id, "filename": upload.filename, "size": size, "url": url, "proxy_url": url}
    return shown | {"content_type": upload.content_type}


def update_message(call: Call) -> Answered:
    channel = call.text_channel()
    message = call.message(channel)
    if message.author_id != call.service.world.bot.id:
        raise refusal(50005)
    must_be_open(channel)
    edit(call, message)
    return Answered(200, message_payloads.message(call.service.world, message))


def edit(call: Call, message: Message) -> None:
    """Changes the message as the body says and tells of it."""
    kept = message.flags & (MessageFlag.HAS_THREAD | MessageFlag.EPHEMERAL | MessageFlag.COMPONENTS_V2)
    fill(call.service.world, message, call.body, call.files)
    message.flags = (message.flags | kept) & ~MessageFlag.LOADING
    call.service.edited(message)


def must_be_open(channel: Channel) -> None:
    if channel.is_archived:
        raise refusal(50083)


def delete_message(call: Call) -> Answered:
    channel = call.text_channel()
    message = call.message(channel)
    if message.author_id != call.service.world.bot.id:
        call.require(channel, Permission.MANAGE_MESSAGES)
    must_be_open(channel)
    call.service.delete(message)
    return Answered(204, None)


def trigger_typing(call: Call) -> Answered:
    channel = call.text_channel()
    may_send(call, channel)
    call.service.typing.append(channel.id)
    call.service.notice()
    return Answered(204, None)


def add_reaction(call: Call) -> Answered:
    channel = call.text_channel()
    message = call.message(channel)
    call.require(channel, Permission.READ_MESSAGE_HISTORY)
    must_be_open(channel)
    if call.path["emoji_name"] not in message.reactions:
        call.require(channel, Permission.ADD_REACTIONS)
    call.service.react(message, call.service.world.bot.id, call.path["emoji_name"], add=True)
    return Answered(204, None)


def remove_own_reaction(call: Call) -> Answered:
    return _remove_reaction(call, call.service.world.bot.id)


def remove_reaction(call: Call) -> Answered:
    call.require(call.text_channel(), Permission.MANAGE_MESSAGES)
    return _remove_reaction(call, call.path["user_id"])


def _remove_reaction(call: Call, user_id: str) -> Answered:
    channel = call.text_channel()
    message = call.message(channel)
    must_be_open(channel)
    call.service.react(message, user_id, call.path["emoji_name"], add=False)
    return Answered(204, None)


def list_reactions(call: Call) -> Answered:
    message = call.message(call.text_channel())
    world = call.service.world
    return Answered(200, [payloads.user(world.users[each]) for each in message.reactions.get(call.path["emoji_name"], [])])


MESSAGES = "/channels/{channel_id}/messages"
REACTIONS = MESSAGES + "/{message_id}/reactions/{emoji_name}"
ROUTES = (
    ("GET", MESSAGES, "list_messages", list_messages),
    ("POST", MESSAGES, "create_message", create_message),
    ("GET", MESSAGES + "/{message_id}", "get_message", get_message),
    ("PATCH", MESSAGES + "/{message_id}", "update_message", update_message),
    ("DELETE", MESSAGES + "/{message_id}", "delete_message", delete_message),
    ("POST", "/channels/{channel_id}/typing", "trigger_typing_indicator", trigger_typing),
    ("GET", REACTIONS, "list_message_reactions_by_emoji", list_reactions),
    ("PUT", REACTIONS + "/@me", "add_my_message_reaction", add_reaction),
    ("DELETE", REACTIONS + "/@me", "delete_my_message_reaction", remove_own_reaction),
    ("DELETE", REACTIONS + "/{user_id}", "delete_user_message_reaction", remove_reaction),
)
