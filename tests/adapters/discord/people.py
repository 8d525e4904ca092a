"""People, and other bots, as they act in Discord's client: they write, react, use commands, press buttons, fill in forms.

What a person could not do in reality raises `Impossible`: no test shall pass because of it.
"""

import time
from dataclasses import dataclass
from typing import Any

from tests.adapters.discord.commands import Impossible, autocomplete_data, find_command, menu_data, slash_data
from tests.adapters.discord.forms import submitted
from tests.adapters.discord.mentions import visible_text, walk
from tests.adapters.discord.permissions import Permission
from tests.adapters.discord.service import Service
from tests.adapters.discord.world import Channel, ChannelType, Interaction, Json, Message, MessageType, User

SLASH, MESSAGE_MENU = 1, 3
COMMAND, COMPONENT, AUTOCOMPLETE, SUBMIT = 2, 3, 4, 5
BUTTON = 2
NO_REPLY_PING: Json = {"parse": ["users", "roles", "everyone"], "replied_user": False}


@dataclass(frozen=True)
class Used:
    """A person's use of a command, button or form, and what this person sees of it."""

    interaction: Interaction
    _service: Service

    async def outcome(self, timeout_s: float = 5.0) -> "Used":
        """Itself, once there is something to see: a message, a form, choices, an update, or that it failed."""
        await self._service.wait_until(lambda: self._is_settled, timeout_s, f"an answer to {self.interaction.data}")
        return self

    @property
    def _is_settled(self) -> bool:
        is_update = self.interaction.callback_type in (6, 7)
        return is_update or self.has_failed or self.form is not None or self.choices is not None or bool(self.messages)

    @property
    def has_failed(self) -> bool:
        """Discord told the person that the application did not respond."""
        return self.interaction.has_failed

    @property
    def is_thinking(self) -> bool:
        return self.interaction.callback_type == 5 and not self.messages

    @property
    def messages(self) -> list[Message]:
        """What the bot answered and this person sees, in order, without "thinking"."""
        shown = self._service.world.shown_to(self.interaction.user_id, self.interaction)
        return [message for message in shown if visible_text(message) or message.embeds or message.attachments]

    @property
    def text(self) -> str:
        return "\n".join(visible_text(message) for message in self.messages)

    @property
    def is_ephemeral(self) -> bool:
        """Nobody else sees any of it."""
        return bool(self.messages) and all(message.visible_to is not None for message in self.messages)

    @property
    def form(self) -> Json | None:
        """The modal that opened."""
        return self.interaction.modal

    @property
    def choices(self) -> list[str] | None:
        """What autocomplete proposes, as shown."""
        found = self.interaction.choices
        return None if found is None else [choice["name"] for choice in found]


@dataclass(frozen=True)
class Person:
    """One user, acting."""

    user: User
    _service: Service

    @property
    def id(self) -> str:
        return self.user.id

    # writing -----------------------------------------------------------------------------------------------------------------

    def say(self, channel: Channel, text: str, *, attachments: list[Json] | None = None) -> str:
        """Writes there and returns the message's id."""
        self._must(channel, Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES)
        message = self._message(channel, text)
        message.attachments = attachments or []
        return self._service.post(message).id

    def reply(self, message_id: str, text: str, *, pings: bool = True) -> str:
        """Replies to that message, with a ping for its author unless switched off."""
        target = self._seen(message_id)
        message = self._message(self._service.world.channels[target.channel_id], text)
        message.type, message.replied_to = MessageType.REPLY, target.id
        message.allowed_mentions = None if pings else NO_REPLY_PING
        return self._service.post(message).id

    def dm(self, text: str) -> str:
        """Writes to the bot in private."""
        return self.say(self._service.world.dm_with(self.id), text)

    def start_thread(self, channel: Channel, name: str, *, from_message: str | None = None, is_private: bool = False) -> Channel:
        """A thread, of that message or of none; members of a private one are added by `add_to_thread`."""
        self._must(channel, Permission.CREATE_PRIVATE_THREADS if is_private else Permission.CREATE_PUBLIC_THREADS)
        if from_message in self._service.world.channels:
            raise Impossible("that message has a thread already")
        return self._service.start_thread(channel, self.id, name, thread_id=from_message, is_private=is_private)

    def add_to_thread(self, thread: Channel, user_id: str) -> None:
        self._must(thread, Permission.VIEW_CHANNEL)
        self._service.join_thread(thread, user_id)

    def post_in_forum(self, forum: Channel, title: str, text: str) -> Channel:
        """A post: a thread whose first message has the thread's id."""
        if forum.type is not ChannelType.FORUM:
            raise Impossible(f"{forum.name} is no forum")
        self._must(forum, Permission.SEND_MESSAGES)
        opening_id = self._service.world.new_id()
        thread = self._service.start_thread(forum, self.id, title, thread_id=opening_id)
        self._service.post(Message(opening_id, thread.id, self.id, text, time.time()))
        return thread

    def edit(self, message_id: str, text: str) -> None:
        message = self._own(message_id)
        message.content = text
        self._service.edited(message)

    def delete(self, message_id: str) -> None:
        self._service.delete(self._own(message_id))

    def react(self, message_id: str, emoji: str) -> None:
        self._service.react(self._seen(message_id), self.id, emoji, add=True)

    def unreact(self, message_id: str, emoji: str) -> None:
        self._service.react(self._seen(message_id), self.id, emoji, add=False)

    # commands, buttons, forms ------------------------------------------------------------------------------------------------

    def slash(self, channel: Channel, command: str, **options: Any) -> Used:
        """Uses a registered command, such as "ask" or "sources add", with its options by name."""
        found = self._usable(channel, command.split()[0], SLASH)
        return self._use(COMMAND, channel, slash_data(self._service.world, found, command, options))

    def autocomplete(self, channel: Channel, command: str, option: str, typed: str, **options: Any) -> Used:
        """Types into an option that completes itself."""
        found = self._usable(channel, command.split()[0], SLASH)
        return self._use(AUTOCOMPLETE, channel, autocomplete_data(self._service.world, found, command, option, typed, options))

    def menu(self, command: str, message_id: str) -> Used:
        """Uses a registered command from the menu of a message."""
        message = self._seen(message_id)
        channel = self._service.world.channels[message.channel_id]
        return self._use(COMMAND, channel, menu_data(self._service.world, self._usable(channel, command, MESSAGE_MENU), message))

    def click(self, message_id: str, label: str) -> Used:
        """Presses the button with that label or emoji."""
        message = self._seen(message_id)
        buttons = [part for part in walk(message.components) if part["type"] == BUTTON]
        found = [part for part in buttons if label in (part.get("label"), (part.get("emoji") or {}).get("name"))]
        if not found or found[0].get("disabled"):
            raise Impossible(f"no button {label!r} to press; there are {[part.get('label') for part in buttons]}")
        data = {"component_type": BUTTON, "custom_id": found[0]["custom_id"], "id": found[0]["id"]}
        return self._use(COMPONENT, self._service.world.channels[message.channel_id], data, message.id)

    def select(self, message_id: str, custom_id: str, *values: str) -> Used:
        """Picks values in a select menu."""
        message = self._seen(message_id)
        found = [part for part in walk(message.components) if part.get("custom_id") == custom_id and part["type"] != BUTTON]
        if not found:
            raise Impossible(f"no menu {custom_id!r}")
        data = {"component_type": found[0]["type"], "custom_id": custom_id, "id": found[0]["id"], "values": list(values)}
        return self._use(COMPONENT, self._service.world.channels[message.channel_id], data, message.id)

    def submit(self, opened: Used, **values: Any) -> Used:
        """Sends the form that opened, filled in by the fields' labels or custom ids."""
        if opened.form is None:
            raise Impossible("no form is open")
        interaction = opened.interaction
        channel = self._service.world.channels[interaction.channel_id]
        return self._use(SUBMIT, channel, submitted(opened.form, values), interaction.source_message_id)

    def _use(self, type_: int, channel: Channel, data: Json, source_id: str | None = None) -> Used:
        return Used(self._service.start_interaction(type_, self.id, channel, data, source_id), self._service)

    def _usable(self, channel: Channel, name: str, type_: int) -> Json:
        self._must(channel, Permission.USE_APPLICATION_COMMANDS)
        world = self._service.world
        guild = world.guild_of(channel)
        granted = world.permissions(self.id, channel)
        return find_command(world.commands, name, type_, granted=granted, in_guild=guild is not None)

    # what this person can see ------------------------------------------------------------------------------------------------

    def sees(self, channel: Channel) -> list[Message]:
        """The messages of the channel that this person sees, in order."""
        world = self._service.world
        if not world.sees(self.id, channel):
            return []
        here = [message for message in world.messages.values() if message.channel_id == channel.id and not message.is_deleted]
        return [message for message in here if message.visible_to in (None, self.id)]

    def _seen(self, message_id: str) -> Message:
        message = self._service.world.messages.get(message_id)
        if not message or message.is_deleted or message.visible_to not in (None, self.id):
            raise Impossible(f"{self.user.name} sees no message {message_id}")
        self._must(self._service.world.channels[message.channel_id], Permission.VIEW_CHANNEL)
        return message

    def _own(self, message_id: str) -> Message:
        message = self._seen(message_id)
        if message.author_id != self.id:
            raise Impossible("that is somebody else's message")
        return message

    def _message(self, channel: Channel, text: str) -> Message:
        return Message(self._service.world.new_id(), channel.id, self.id, text, time.time())

    def _must(self, channel: Channel, permission: Permission) -> None:
        if not self._service.may(self.id, channel, permission):
            raise Impossible(f"{self.user.name} lacks {permission.name} in {channel.name}")
