"""Sends replies to where they belong: threads, channels, direct messages, or in place of an interaction's first response."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import discord

from adapters.discord.directory import Directory, user_id_of
from adapters.discord.rendering import (
    EPHEMERAL,
    MAX_CONTENT_CHARS,
    NOBODY,
    PLACEHOLDER,
    SUPPRESS_EMBEDS,
    Payload,
    as_edit,
    as_plain_text,
    render_reply,
    thread_name,
)
from adapters.discord.rest import Refused, Rest
from adapters.discord.streaming import GrowingMessage
from bot.errors import DeliveryRefused, PlatformUnavailable
from bot.messages import Delivery, DeliveryKey, IncomingMessage, Mark, MessageRef, PersonId, Place

logger = logging.getLogger(__name__)

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION = 10003, 10008, 10015, 10062
MISSING_ACCESS, INVALID_TOKEN, THREAD_ARCHIVED, THREAD_EXISTS = 50001, 50027, 50083, 160004
EXPIRED = (UNKNOWN_MESSAGE, UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION, INVALID_TOKEN)
BAD_REQUEST = 400
NONCE_CHARS = 25
HISTORY_LIMIT = 100
SEARCHED = timedelta(minutes=15)  # how far back a retry looks for a message that answers nothing
HANDLE_LIFE = timedelta(minutes=14)  # Discord takes an interaction's token for 15
MAX_REMEMBERED = 1000
MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = "/channels/{channel_id}/messages/{message_id}"
THREADS = MESSAGE + "/threads"
REACTION = MESSAGE + "/reactions/{emoji}/@me"
MARKS = {Mark.ESCALATED: "🙋", Mark.RESOLVED: "✅"}
FOLLOW_UPS = "/webhooks/{webhook_id}/{webhook_token}"
ORIGINAL = FOLLOW_UPS + "/messages/@original"


@dataclass(frozen=True)
class Spot:
    """Where messages go: a channel, thread or direct conversation, the first of them as a reply to `replies_to` if any."""

    channel: int
    replies_to: str = ""


def nonce(key: DeliveryKey, part: int) -> str:
    """The same for each try to send this part: Discord then gives the message that it has already."""
    return hashlib.sha256(f"{key}:{part}".encode()).hexdigest()[:NONCE_CHARS]


def message_id(answers: str) -> str:
    """The message; a question that was asked by a button bears the id of the message with the button, and more."""
    return answers.partition("-")[0]


def handle_of(interaction: discord.Interaction) -> dict[str, str]:
    """What it takes to answer an interaction later."""
    until = interaction.created_at + HANDLE_LIFE
    return {"application_id": str(interaction.application_id), "token": interaction.token, "until": until.isoformat()}


class Post:
    """Delivers. Threads that were made, and questions that name them, are kept in memory for a while."""

    def __init__(self, rest: Rest, directory: Directory, support_role: str, edit_pause_s: float) -> None:
        self._rest = rest
        self._directory = directory
        self._edit_pause_s = edit_pause_s
        self._support_role = support_role
        self._spots: OrderedDict[tuple[str, str], Spot] = OrderedDict()
        self._topics: OrderedDict[str, str] = OrderedDict()
        self._growing: OrderedDict[str, GrowingMessage] = OrderedDict()
        self._first_responses: dict[str, asyncio.Event] = {}

    def note_topic(self, message: IncomingMessage) -> None:
        """A thread for this message will be named after what it asks."""
        _remember(self._topics, message.id, message.text)

    @contextmanager
    def first_response(self, token: str) -> Iterator[None]:
        """Answers to the interaction wait for the end of the block, in which its first response is given."""
        given = self._first_responses[token] = asyncio.Event()
        try:
            yield
        finally:
            self._first_responses.pop(token, None)  # an interaction that Discord repeats may have taken it out
            given.set()

    async def deliver(self, delivery: Delivery, draft: str, is_retry: bool) -> Sequence[str]:
        """Raises PlatformUnavailable, DeliveryRefused."""
        messages = render_reply(delivery.reply, self._support_role)
        if delivery.to is None:
            return await self._send(delivery, await self._spot(delivery.place, delivery.answers), messages, draft, is_retry)
        if delivery.handle and await self._answered_in_private(delivery, messages):
            return []
        return await self._send_to(delivery.to, delivery, messages, is_retry)

    async def grow(
        self, key: DeliveryKey, message: IncomingMessage, on_posted: Callable[[str], Awaitable[None]]
    ) -> GrowingMessage:
        """Raises PlatformUnavailable, DeliveryRefused."""
        self.note_topic(message)
        spot = await self._spot(message.answer_place, message.id)
        draft = await self._post(spot, _draft(), nonce(key, 0))
        await on_posted(draft)
        stream = GrowingMessage(lambda text: self._edit(spot.channel, draft, _draft(text)), self._edit_pause_s)
        _remember(self._growing, draft, stream)
        return stream

    def working_in(self, message: IncomingMessage) -> int:
        """Where to show that an answer is being made: no thread is started for that."""
        known = self._spots.get((message.place.channel, message.id))
        return known.channel if known else int(message.place.thread or message.place.channel)

    async def dm(self, user: int, messages: Sequence[Payload]) -> None:
        """Raises PlatformUnavailable, DeliveryRefused."""
        spot = Spot(await self.dm_channel(user))
        for message in messages:
            await self._post(spot, {**message, "flags": message["flags"] & ~EPHEMERAL})

    async def send(self, channel: int, messages: Sequence[Payload]) -> None:
        """Raises PlatformUnavailable, DeliveryRefused."""
        for message in messages:
            await self._post_or_words(Spot(channel), message, "")

    async def mark(self, message: MessageRef, mark: Mark) -> None:
        """As a reaction of ours, in place of those for other marks."""
        where = {"channel_id": message.place.thread or message.place.channel, "message_id": message.id}
        try:
            await self._rest.call("PUT", REACTION, {**where, "emoji": MARKS[mark]})
            for other in set(Mark) - {mark}:
                await self._rest.call("DELETE", REACTION, {**where, "emoji": MARKS[other]})
        except (PlatformUnavailable, DeliveryRefused) as err:
            logger.info("Message %s bears no mark: %s", message.id, err)

    # where -------------------------------------------------------------------------------------------------------------------

    async def _spot(self, place: Place, answered: str) -> Spot:
        """In place, or the thread that hangs on the message that is answered; below that message where threads may not be."""
        answers = message_id(answered)
        if not place.thread:
            return Spot(int(place.channel), answers)
        if place.thread != answers:
            return Spot(int(place.thread), answers)
        if self._directory.has_thread(int(place.thread)):
            return Spot(int(place.thread))
        known = self._spots.get((place.channel, answers))
        if known is None:
            known = await self._thread_on(int(place.channel), answers)
            _remember(self._spots, (place.channel, answers), known)
        return known

    async def _thread_on(self, channel: int, message_id: str) -> Spot:
        """A thread has the id of the message that it hangs on."""
        name = thread_name(self._topics.get(message_id, ""))
        try:
            await self._rest.call("POST", THREADS, {"channel_id": channel, "message_id": message_id}, {"name": name})
        except Refused as err:
            if err.code in (UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, MISSING_ACCESS):
                raise
            if err.code != THREAD_EXISTS:
                logger.info("No thread in channel %s, the answer goes below the message: %s", channel, err)
                return Spot(channel, message_id)
        return Spot(int(message_id))

    async def dm_channel(self, user: int) -> int:
        """The direct conversation with that person. Raises PlatformUnavailable, DeliveryRefused."""
        made = await self._rest.call("POST", "/users/@me/channels", {}, {"recipient_id": str(user)})
        return int(made["id"])

    # sending -----------------------------------------------------------------------------------------------------------------

    async def _send(
        self, delivery: Delivery, spot: Spot, messages: Sequence[Payload], draft: str, is_retry: bool
    ) -> Sequence[str]:
        await self._stop_growing(draft)
        sent = await self._found(delivery, spot, messages) if is_retry else {}
        draft = draft or sent.pop(PLACEHOLDER, "")
        ids: list[str] = []
        for number, message in enumerate(messages):
            if number == 0 and draft and await self._replaced(spot, draft, message):
                ids.append(draft)
            elif known := sent.get(message["content"]):
                ids.append(known)
            else:
                ids.append(
                    await self._post_or_words(spot if number == 0 else Spot(spot.channel), message, nonce(delivery.key, number))
                )
        return ids

    async def _send_to(self, person: PersonId, delivery: Delivery, messages: Sequence[Payload], is_retry: bool) -> Sequence[str]:
        """In a direct message, with a link to what it is about where that stands elsewhere."""
        channel = await self.dm_channel(user_id_of(person))
        is_here = delivery.place.channel in ("", str(channel))
        if not is_here:
            last = messages[-1]
            link = "\n-# " + _link(delivery.place, message_id(delivery.answers))
            if len(last["content"]) + len(link) <= MAX_CONTENT_CHARS:
                last["content"] += link
        ids = await self._send(delivery, Spot(channel, message_id(delivery.answers) if is_here else ""), messages, "", is_retry)
        return ids if is_here else []

    async def _answered_in_private(self, delivery: Delivery, messages: Sequence[Payload]) -> bool:
        """False where the interaction cannot be answered, too late or for want of a first response."""
        handle = delivery.handle
        if given := self._first_responses.get(handle["token"]):
            await given.wait()
        if datetime.fromisoformat(handle["until"]) <= datetime.now(UTC):
            return False
        ids = {"webhook_id": handle["application_id"], "webhook_token": handle["token"]}
        first, *rest = [{**message, "flags": message["flags"] | EPHEMERAL} for message in messages]
        try:
            await self._accepted("PATCH", ORIGINAL, as_edit(first), ids)
            for message in rest:
                await self._accepted("POST", FOLLOW_UPS, message, ids)
        except Refused as err:
            if err.code in EXPIRED:
                return False
            raise
        return True

    async def _stop_growing(self, draft: str) -> None:
        if stream := self._growing.pop(draft, None):
            await stream.finish()

    async def _found(self, delivery: Delivery, spot: Spot, messages: Sequence[Payload]) -> dict[str, str]:
        """What of it stands there already, by its text; a message that was growing when its stream broke off, by PLACEHOLDER."""
        me = (await self._rest.client()).user
        after = message_id(delivery.answers) or str(discord.utils.time_snowflake(datetime.now(UTC) - SEARCHED))
        query = {"after": after, "limit": HISTORY_LIMIT}
        found = await self._rest.call("GET", MESSAGES, {"channel_id": spot.channel}, query=query)
        ours = [each for each in found if me and each["author"]["id"] == str(me.id) and _is_reply_to(each, spot)]
        texts = {message["content"] for message in messages}
        known = {each["content"]: each["id"] for each in ours if each["content"] in texts}
        broken_off = [each["id"] for each in ours if each["content"].endswith(PLACEHOLDER) and each["content"] not in texts]
        return known | ({PLACEHOLDER: broken_off[0]} if broken_off else {})

    async def _replaced(self, spot: Spot, draft: str, message: Payload) -> bool:
        """False where the draft is gone, or its thread must be opened again by a new message."""
        try:
            await self._edit(spot.channel, draft, message)
        except Refused as err:
            if err.code in (UNKNOWN_MESSAGE, THREAD_ARCHIVED):
                return False
            if err.status != BAD_REQUEST:
                raise
            await self._edit(spot.channel, draft, as_plain_text(message))
        return True

    async def _post_or_words(self, spot: Spot, message: Payload, with_nonce: str) -> str:
        try:
            return await self._post(spot, message, with_nonce)
        except Refused as err:
            if err.status != BAD_REQUEST:
                raise
            logger.warning("Discord refuses a message, its words alone are sent: %s", err)
            return await self._post(spot, as_plain_text(message), with_nonce)

    async def _post(self, spot: Spot, message: Payload, with_nonce: str = "") -> str:
        body: Payload = dict(message)
        if with_nonce:
            body |= {"nonce": with_nonce, "enforce_nonce": True}
        if spot.replies_to:
            body["message_reference"] = {"message_id": spot.replies_to, "fail_if_not_exists": False}
        posted = await self._rest.call("POST", MESSAGES, {"channel_id": spot.channel}, body)
        if posted["content"] != message["content"]:  # an earlier try with this nonce, such as a draft
            await self._edit(spot.channel, posted["id"], message)
        return str(posted["id"])

    async def _edit(self, channel: int, message_id: str, message: Payload) -> None:
        await self._rest.call("PATCH", MESSAGE, {"channel_id": channel, "message_id": message_id}, message)

    async def _accepted(self, method: str, path: str, message: Payload, ids: dict[str, str]) -> Any:
        try:
            return await self._rest.call(method, path, ids, message)
        except Refused as err:
            if err.status != BAD_REQUEST or err.code in EXPIRED:
                raise
            return await self._rest.call(method, path, ids, as_plain_text(message))


def _draft(text: str = PLACEHOLDER) -> Payload:
    return {"content": text, "flags": SUPPRESS_EMBEDS, "allowed_mentions": NOBODY}


def _is_reply_to(message: Payload, spot: Spot) -> bool:
    """In a conversation with many questions, the same words may answer another one."""
    reference = message.get("message_reference") or {}
    return not spot.replies_to or reference.get("message_id") in (None, spot.replies_to)


def _link(place: Place, message_id: str) -> str:
    channel = place.channel if place.thread in ("", message_id) else place.thread
    parts = [place.workspace, channel, message_id]
    return "https://discord.com/channels/" + "/".join(part for part in parts if part)


def _remember(known: "OrderedDict[Any, Any]", key: Any, value: Any) -> None:
    known[key] = value
    while len(known) > MAX_REMEMBERED:
        known.popitem(last=False)
