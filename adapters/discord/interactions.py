"""What people do with commands, menus, buttons and forms. All of it works on messages from before a restart."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord

from adapters.controls import decode
from adapters.discord import commands
from adapters.discord.answering import Answer, Answering, Start
from adapters.discord.delivery import Post, handle_of
from adapters.discord.directory import Directory
from adapters.discord.inbound import PLATFORM, read_form, read_menu, readable
from adapters.discord.rest import Rest
from bot.errors import DatabaseUnavailable, DeliveryRefused, PlatformUnavailable
from bot.messages import (
    Addressed,
    Click,
    Command,
    Control,
    IncomingMessage,
    MessageRef,
    Notice,
    Person,
    Place,
    Response,
    Submission,
)

if TYPE_CHECKING:
    from bot.front_desk import FrontDesk

logger = logging.getLogger(__name__)

OUTDATED = Notice("This button is from another version of me and does nothing any more.", is_problem=True)
IN_PRIVATE = Notice("I answer you in our direct messages.")
NOT_SAVED = Notice("I could not save this. Please try again in a moment.", is_problem=True)
SLOWLY = Notice("I am slow at the moment. My answer will stand here; if it does not, please ask me again.")
NOT_NOW = Notice("Discord did not answer me. Please try again in a moment.", is_problem=True)


class Interactions:
    """Hands them to the front desk; `patience_s` is how long a person waits without a sign."""

    def __init__(self, rest: Rest, directory: Directory, post: Post, front_desk: "FrontDesk", patience_s: float) -> None:
        self._rest = rest
        self._directory = directory
        self._post = post
        self._front_desk = front_desk
        self._patience_s = patience_s

    async def handle(self, interaction: discord.Interaction) -> None:
        """Does what was asked, and shows what came of it."""
        answering = Answering(self._rest, self._post, interaction, self._patience_s)
        data: Any = interaction.data
        match interaction.type:
            case discord.InteractionType.autocomplete:
                await self._complete(answering, interaction, data)
            case discord.InteractionType.application_command if data["name"] == commands.ASK:
                await self._ask(answering, interaction, data)
            case discord.InteractionType.application_command if data["type"] == commands.MESSAGE_MENU:
                await answering.give(self._careful(self._menu(interaction, data)))
            case discord.InteractionType.application_command if data["name"] == commands.HELP:
                await answering.give(self._careful(self._start(answering, interaction)))
            case discord.InteractionType.application_command:
                await answering.give(self._careful(self._command(answering, interaction, data)))
            case discord.InteractionType.component:
                await answering.give(self._careful(self._click(answering, interaction, data)))
            case discord.InteractionType.modal_submit:
                await answering.give(self._careful(self._submit(interaction, data)))

    async def _careful(self, work: Awaitable[Answer]) -> Answer:
        """The front desk answers whatever happens; finding out who asks may fail."""
        try:
            return await work
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.warning("An interaction could not be handled: %s", err)
            return NOT_NOW

    async def _click(self, answering: Answering, interaction: discord.Interaction, data: Any) -> Response:
        found = decode(data["custom_id"])
        if found is None or interaction.message is None:
            return OUTDATED
        person, place = await self._who_and_where(interaction)
        click = Click(person, MessageRef(place, str(interaction.message.id)), *found)
        if click.control is Control.ASK and interaction.guild_id is not None:
            return await self._asked_in_private(click, answering, interaction.user.id)
        return await self._front_desk.click(click, answering.say)

    async def _asked_in_private(self, click: Click, answering: Answering, user: int) -> Response:
        """What somebody asks by a button is between them and the bot, wherever the button is."""
        private = Place(PLATFORM, click.person.workspace.rpartition(":")[2], str(await self._post.dm_channel(user)))
        moved = replace(click, message=MessageRef(private, click.message.id))
        return await self._front_desk.click(moved, answering.say) or IN_PRIVATE

    async def _submit(self, interaction: discord.Interaction, data: Any) -> Response:
        found = decode(data["custom_id"])
        if found is None:
            return OUTDATED
        person, place = await self._who_and_where(interaction)
        return await self._front_desk.submit(Submission(person, place, *found, read_form(data)))

    async def _command(self, answering: Answering, interaction: discord.Interaction, data: Any) -> Response:
        person, place = await self._who_and_where(interaction)
        return await self._front_desk.command(Command(person, place, commands.words_of(data, place.workspace)), answering.say)

    async def _start(self, answering: Answering, interaction: discord.Interaction) -> Answer:
        """The start page, which other platforms have a tab for, and the words of all commands."""
        person, place = await self._who_and_where(interaction)
        home = await self._front_desk.home(person)
        return Start(home, await self._front_desk.command(Command(person, place, commands.HELP), answering.say))

    async def _menu(self, interaction: discord.Interaction, data: Any) -> Response:
        person, place = await self._who_and_where(interaction)
        chosen = read_menu(data, place)
        if chosen.entry == commands.FLAG:
            return await self._front_desk.flag(person, chosen.ref)
        return await self._front_desk.capture(person, chosen.ref, chosen.text)

    async def _complete(self, answering: Answering, interaction: discord.Interaction, data: Any) -> None:
        words, before = commands.unfinished_words_of(data)
        try:
            person, _ = await self._who_and_where(interaction)
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.debug("Words are not completed: %s", err)
            return
        await answering.choose(commands.choices(await self._front_desk.complete(person, words), before))

    async def _ask(self, answering: Answering, interaction: discord.Interaction, data: Any) -> None:
        """The answer comes as a delivery, in place of the sign that it is being made.

        That sign is given once the question is stored, so that a process that dies leaves none standing for nothing. Where
        storing takes long, words are shown that stay true if nothing follows.
        """
        with self._post.first_response(interaction.token):
            receiving = asyncio.ensure_future(self._careful(self._received(interaction, data)))
            await asyncio.wait({receiving}, timeout=self._patience_s)
            if not receiving.done():
                await answering.defer(SLOWLY)
            problem = await receiving
            if problem is None:
                await answering.defer()
        if problem:
            await answering.show(problem)

    async def _received(self, interaction: discord.Interaction, data: Any) -> Response:
        person, place = await self._who_and_where(interaction)
        message = IncomingMessage(
            place=place,
            id=str(interaction.id),
            author=person,
            text=readable(commands.asked(data), {}),
            addressed=Addressed.COMMAND,
            sent_at=interaction.created_at,
            handle=handle_of(interaction),
            is_threaded=False,
        )
        try:
            await self._front_desk.receive(message)
        except DatabaseUnavailable as err:
            logger.error("A question is not stored: %s", err)
            return NOT_SAVED
        return None

    async def _who_and_where(self, interaction: discord.Interaction) -> tuple[Person, Place]:
        """Raises PlatformUnavailable, DeliveryRefused."""
        person = await self._directory.person(interaction.user)
        here = await self._directory.whereabouts(interaction.channel_id or 0, interaction.channel)
        return person, here.place(person.workspace.rpartition(":")[2])
