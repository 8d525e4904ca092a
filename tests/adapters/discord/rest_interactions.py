"""The routes that answer interactions: the first response, and what follows by webhook for fifteen minutes."""

import time

from tests.adapters.discord import message_payloads
from tests.adapters.discord.api_errors import refusal
from tests.adapters.discord.call import Answered, Call
from tests.adapters.discord.rest_messages import bot_message, edit, fill
from tests.adapters.discord.world import Interaction, Json, Message, MessageFlag, MessageType


class Callback:
    """Types of a first response."""

    PONG, MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 1, 4, 5, 6, 7, 8, 9


ALLOWED_CALLBACKS = {  # type of the interaction -> its possible first responses
    2: (Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.MODAL),
    3: (Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.DEFERRED_UPDATE, Callback.UPDATE, Callback.MODAL),
    4: (Callback.CHOICES,),
    5: (Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.DEFERRED_UPDATE, Callback.UPDATE),
}


def create_interaction_response(call: Call) -> Answered:
    interaction = call.service.world.interactions.get(call.path["interaction_id"])
    if not interaction or interaction.token != call.path["interaction_token"]:
        raise refusal(10062)
    if interaction.callback_type is not None:
        raise refusal(40060)
    if time.time() - interaction.created_at > call.service.limits.first_response_s or interaction.has_failed:
        raise refusal(10062)
    kind = call.body["type"]
    if kind not in ALLOWED_CALLBACKS[interaction.type] or _updates_nothing(interaction, kind):
        mistake = {"type": {"_errors": [{"code": "BASE_TYPE_CHOICES", "message": "Not for this type of interaction."}]}}
        raise refusal(50035, mistake)
    _answer(call, interaction, kind, call.body.get("data") or {})
    call.service.notice()
    if call.query.get("with_response") in ("1", "true"):
        return Answered(200, _callback_response(call, interaction))
    return Answered(204, None)


def _updates_nothing(interaction: Interaction, kind: int) -> bool:
    return kind in (Callback.DEFERRED_UPDATE, Callback.UPDATE) and interaction.source_message_id is None


def _answer(call: Call, interaction: Interaction, kind: int, data: Json) -> None:
    """Does what the first response says; only then is the interaction answered, so that a refused one may be repeated."""
    world = call.service.world
    if kind == Callback.MESSAGE:
        message = _of_interaction(interaction, bot_message(world, interaction.channel_id, data, call.files), data)
        interaction.response_id = call.service.post(message).id
    elif kind == Callback.DEFERRED_MESSAGE:
        thinking = Message(world.new_id(), interaction.channel_id, world.bot.id, "", time.time())
        message = _of_interaction(interaction, thinking, data)
        message.flags |= MessageFlag.LOADING
        interaction.response_id = call.service.post(message).id
    elif kind == Callback.UPDATE:
        source = world.messages[interaction.source_message_id or ""]
        fill(world, source, data, call.files)
        call.service.edited(source)
    elif kind == Callback.CHOICES:
        interaction.choices = data.get("choices") or []
    elif kind == Callback.MODAL:
        interaction.modal = data | {"components": message_payloads.with_component_ids(data["components"])}
    interaction.callback_type = kind


def _of_interaction(interaction: Interaction, message: Message, data: Json) -> Message:
    """The message as the interaction's answer: under its name, and for its person alone where the flag says so."""
    message.interaction_id = interaction.id
    if interaction.type == 2:
        is_slash = interaction.data["type"] == 1
        message.type = MessageType.CHAT_INPUT_COMMAND if is_slash else MessageType.CONTEXT_MENU_COMMAND
    if (data.get("flags") or 0) & MessageFlag.EPHEMERAL:
        message.visible_to = interaction.user_id
        message.flags |= MessageFlag.EPHEMERAL
    return message


def _callback_response(call: Call, interaction: Interaction) -> Json:
    shown: Json = {"id": interaction.id, "type": interaction.type}
    result: Json = {"interaction": shown}
    message_id = interaction.response_id or interaction.source_message_id
    if message_id and interaction.callback_type in (Callback.MESSAGE, Callback.DEFERRED_MESSAGE, Callback.UPDATE):
        message = call.service.world.messages[message_id]
        shown["response_message_id"] = message.id
        shown["response_message_loading"] = bool(message.flags & MessageFlag.LOADING)
        shown["response_message_ephemeral"] = message.visible_to is not None
        if interaction.callback_type != Callback.DEFERRED_MESSAGE:
            shown_message = message_payloads.message(call.service.world, message)
            result["resource"] = {"type": interaction.callback_type, "message": shown_message}
    return result


def _by_token(call: Call) -> Interaction:
    """The answered interaction of the webhook's token; raises 10015, or 50027 after the token's life."""
    interaction = call.service.world.interaction_by_token.get(call.path["webhook_token"])
    if not interaction or call.path["webhook_id"] != call.service.world.application_id:
        raise refusal(10015)
    if time.time() - interaction.created_at > call.service.limits.token_life_s:
        raise refusal(50027)
    if interaction.callback_type is None:
        raise refusal(10015)
    return interaction


def execute_webhook(call: Call) -> Answered:
    """A follow-up; the first one after a deferred response takes the place of "thinking"."""
    interaction, world = _by_token(call), call.service.world
    original = world.messages.get(interaction.response_id or "")
    if original and original.flags & MessageFlag.LOADING and not original.is_deleted:
        bot_message(world, original.channel_id, call.body, call.files)
        edit(call, original)
        return Answered(200, message_payloads.message(world, original))
    message = bot_message(world, interaction.channel_id, call.body, call.files)
    _of_interaction(interaction, message, call.body)
    message.type = MessageType.DEFAULT
    call.service.post(message)
    interaction.followup_ids.append(message.id)
    call.service.notice()
    return Answered(200, message_payloads.message(world, message))


def get_webhook_message(call: Call) -> Answered:
    return Answered(200, message_payloads.message(call.service.world, _message(call)))


def update_webhook_message(call: Call) -> Answered:
    message = _message(call)
    edit(call, message)
    return Answered(200, message_payloads.message(call.service.world, message))


def delete_webhook_message(call: Call) -> Answered:
    call.service.delete(_message(call))
    return Answered(204, None)


def _message(call: Call) -> Message:
    """The message of the route: of this interaction, `@original` being its first response or the button's message."""
    interaction = _by_token(call)
    original = interaction.response_id or interaction.source_message_id
    message_id = call.path.get("message_id") or original
    if message_id not in (original, *interaction.followup_ids):
        raise refusal(10008)
    message = call.service.world.messages.get(message_id or "")
    if not message or message.is_deleted:
        raise refusal(10008)
    return message


WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
ORIGINAL, FOLLOWUP = WEBHOOK + "/messages/@original", WEBHOOK + "/messages/{message_id}"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
ROUTES = (
    ("POST", CALLBACK, "create_interaction_response", create_interaction_response),
    ("POST", WEBHOOK, "execute_webhook", execute_webhook),
    ("GET", ORIGINAL, "get_original_webhook_message", get_webhook_message),
    ("PATCH", ORIGINAL, "update_original_webhook_message", update_webhook_message),
    ("DELETE", ORIGINAL, "delete_original_webhook_message", delete_webhook_message),
    ("GET", FOLLOWUP, "get_webhook_message", get_webhook_message),
    ("PATCH", FOLLOWUP, "update_webhook_message", update_webhook_message),
    ("DELETE", FOLLOWUP, "delete_webhook_message", delete_webhook_message),
)
