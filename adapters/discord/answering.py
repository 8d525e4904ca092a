"""Answers one interaction, for the eyes of its person: a first response within three seconds, the rest in its place."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import discord

from adapters.controls import decode
from adapters.discord.delivery import BAD_REQUEST, EXPIRED, FOLLOW_UPS, ORIGINAL, Post
from adapters.discord.inbound import typed_texts
from adapters.discord.rendering import (
    EPHEMERAL,
    Payload,
    as_edit,
    as_plain_text,
    render_errors,
    render_form,
    render_home,
    render_notice,
    render_reply,
)
from adapters.discord.rest import Refused, Rest
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import Button, Control, FieldErrors, Form, Home, Notice, Reply, Response

logger = logging.getLogger(__name__)

PATIENCE_S = 1.8  # Discord waits for three seconds, and the way there takes some
CALLBACK = "/interactions/{webhook_id}/{webhook_token}/callback"
MESSAGE, DEFERRED, DEFERRED_UPDATE, CHOICES, MODAL = 4, 5, 6, 8, 9
ALREADY_ACKNOWLEDGED = 40060
DONE = Notice("Done.")
ASK_AGAIN = Notice("That took me too long, and Discord has given up on it. Please try once more.")
FORM_READY = "This took a moment. Here is the form:"
OPEN_FORM = "Open the form"


@dataclass(frozen=True)
class Start:
    """What `/help` shows: the start page of the person, and what else they can do."""

    home: Home
    more: Response


Answer: TypeAlias = Response | Start


class Answering:
    """`patience_s` is how long a person waits without a sign."""

    def __init__(self, rest: Rest, post: Post, interaction: discord.Interaction, patience_s: float = PATIENCE_S) -> None:
        self._rest = rest
        self._post = post
        self._interaction = interaction
        self._patience_s = patience_s
        self._is_acknowledged = False
        self._turn = asyncio.Lock()

    async def give(self, work: Awaitable[Answer]) -> None:
        """Shows what the work comes to; where that takes long, that it is being worked on first."""
        working = asyncio.ensure_future(work)
        await asyncio.wait({working}, timeout=self._patience_s)
        if not working.done():
            await self.defer()
        await self.show(await working)

    async def show(self, response: Answer) -> None:
        try:
            async with self._turn:
                await self._show(response)
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.warning("A person did not see what came of interaction %s: %s", self._interaction.id, err)

    async def defer(self, notice: Notice | None = None) -> None:
        """Tells the person to wait, in the words of the notice if any, unless something has been shown already."""
        kind, data = (MESSAGE, render_notice(notice)[0]) if notice else (DEFERRED, {"flags": EPHEMERAL})
        async with self._turn:
            if not self._is_acknowledged:
                try:
                    await self._acknowledge(kind, data)
                except (PlatformUnavailable, DeliveryRefused) as err:
                    logger.info("Interaction %s could not be put off: %s", self._interaction.id, err)

    async def say(self, notice: Notice) -> None:
        """Shows how far a command has come, in place of what was shown before."""
        await self.defer()
        try:
            async with self._turn:
                await self._replace(render_notice(notice)[:1])
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.debug("Progress of interaction %s is not shown: %s", self._interaction.id, err)

    async def choose(self, words: Sequence[str]) -> None:
        """Answers autocomplete."""
        choices = [{"name": each, "value": each} for each in words]
        try:
            await self._acknowledge(CHOICES, {"choices": choices})
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.debug("Choices are not shown: %s", err)

    async def _show(self, response: Answer) -> None:
        try:
            if self._is_acknowledged:
                await self._show_later(response)
            else:
                await self._show_first(response)
        except Refused as err:
            await self._show_in_spite_of(err, response)

    async def _show_first(self, response: Answer) -> None:
        if isinstance(response, Form):
            await self._acknowledge(MODAL, render_form(response))
        elif response is None and self._interaction.message is not None:
            await self._acknowledge(DEFERRED_UPDATE, {})
        else:
            first, *rest = self._messages(response or DONE)
            await self._acknowledge(MESSAGE, first)
            await self._follow_up(rest)

    async def _show_in_spite_of(self, err: Refused, response: Answer) -> None:
        """Somebody was faster, it was too late, or Discord does not like what it looks like."""
        messages = self._messages(ASK_AGAIN if isinstance(response, Form) else response or DONE)
        if err.code == ALREADY_ACKNOWLEDGED:
            await self._show_later(response)
        elif err.code in EXPIRED:
            await self._post.dm(self._interaction.user.id, messages)
        elif err.status != BAD_REQUEST:
            raise err
        elif self._is_acknowledged:
            await self._replace([as_plain_text(message) for message in messages])
        else:
            await self._acknowledge(MESSAGE, as_plain_text(messages[0]))

    async def _show_later(self, response: Answer) -> None:
        """Only the first response can be a form: later, it is offered by a button."""
        if response is None:
            await self._rest.call("DELETE", ORIGINAL, self._ids)
            return
        if isinstance(response, Form):
            response = Notice(FORM_READY, [Button(response.control, response.subject, OPEN_FORM)])
        await self._replace(self._messages(response))

    def _messages(self, response: Notice | Reply | Form | FieldErrors | Start) -> list[Payload]:
        if isinstance(response, Start):
            more = response.more
            return [*render_home(response.home), *(render_notice(more) if isinstance(more, Notice) else [])]
        if isinstance(response, FieldErrors):
            data: Any = self._interaction.data
            control, subject = decode(data["custom_id"]) or (Control.CANCEL, "")
            return render_errors(control, subject, response.errors.values(), typed_texts(data).values())
        if isinstance(response, Reply):
            return [{**message, "flags": message["flags"] | EPHEMERAL} for message in render_reply(response)]
        assert isinstance(response, Notice)
        return render_notice(response)

    async def _replace(self, messages: Sequence[Payload]) -> None:
        await self._rest.call("PATCH", ORIGINAL, self._ids, as_edit(messages[0]))
        await self._follow_up(messages[1:])

    async def _follow_up(self, messages: Sequence[Payload]) -> None:
        for message in messages:
            await self._rest.call("POST", FOLLOW_UPS, self._ids, message)

    async def _acknowledge(self, kind: int, data: Payload) -> None:
        """The first response. Raises Refused where there has been one, or where it comes too late."""
        ids = {"webhook_id": str(self._interaction.id), "webhook_token": self._interaction.token}
        body: Payload = {"type": kind, "data": data} if data else {"type": kind}
        try:
            await self._rest.call("POST", CALLBACK, ids, body)
        except Refused as err:
            self._is_acknowledged = err.code == ALREADY_ACKNOWLEDGED
            raise
        self._is_acknowledged = True

    @property
    def _ids(self) -> dict[str, str]:
        return {"webhook_id": str(self._interaction.application_id), "webhook_token": self._interaction.token}
