"""The stage of the demo on the local server that speaks Slack."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

from adapters.slack.manifest import slack_manifest
from bot.messages import PersonId
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.persons import Person
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Message

WITHIN_S = 20.0
T = TypeVar("T")


class SlackStage:
    """See samples/chat_demo.py. Everybody is a person of the local server, and acts as in Slack's own client."""

    platform = "Slack"
    channel = "#helpdesk"

    def __init__(self, slack: SlackServer) -> None:
        self._slack = slack
        self._people = {name: slack.add_person(name) for name in ("Ana", "Ben", "Carla")}
        self._channel = slack.add_channel("helpdesk", *self._people.values())
        carla = self._people["Carla"].id
        self._group = slack.world.add_user_group("support", team="T1", users=[carla]).id
        self.support = PersonId(f"slack:T1:{carla}")

    def environment(self) -> Mapping[str, str]:
        return self._slack.environment() | {"TIMBRE_SLACK__SUPPORT_GROUP": self._group}

    async def bot_arrived(self) -> None:
        await self._slack.until(lambda: self._slack.sockets.ready, within_s=60)

    async def ask(self, person: str, text: str) -> Message:
        ts = await self._people[person].say(self._channel, f"{self._slack.mention} {text}")
        return await self._slack.answer_to(self._channel, ts, within_s=WITHIN_S)

    async def follow_up(self, person: str, answer: Message, text: str) -> Message:
        ts = await self._people[person].say(self._channel, text, answer.thread_ts)
        return await self._slack.answer_to(self._channel, ts, within_s=WITHIN_S)

    async def ask_privately(self, person: str, text: str) -> Message:
        return await self._shown_to(person, lambda who: who.slash("/ask", text, self._channel))

    async def ask_a_person(self, person: str, answer: Message) -> Message:
        await self._press(self._people[person], answer, "ask_person")
        return await self._slack.answer_to(self._channel, answer.root_ts, count=2, within_s=WITHIN_S)

    async def say(self, person: str, answer: Message, text: str) -> None:
        await self._shown_to(person, lambda who: who.say(self._channel, text, answer.thread_ts))

    async def resolve(self, person: str, call: Message) -> None:
        await self._shown_to(person, lambda who: self._press(who, call, "resolved"))

    async def not_helpful(self, person: str, answer: Message, reason: str, right: str = "") -> Message:
        async def fill_in(who: Person) -> None:
            await self._press(who, answer, "not_helpful")
            await who.see_modal()
            await who.submit({"reason": reason} | ({"correction": right} if right else {}))

        return await self._shown_to(person, fill_in)

    async def receipt(self, person: str) -> Message:
        channel = self._people[person].direct_channel
        return (await self._until(lambda: self._slack.world.messages(channel)))[-1]

    def read(self, said: Message) -> str:
        return self._slack.visible_text(said)

    def transcript(self) -> str:
        directs = [person.direct_channel for person in self._people.values()]
        shown = [self._channel, *(channel for channel in directs if self._slack.world.messages(channel))]
        return "\n\n".join(self._slack.transcript(channel) for channel in shown)

    async def _press(self, who: Person, message: Message, control: str) -> None:
        """Presses the button for that control, one of the two that rate an answer too."""
        for _, element in elements(message.blocks):
            values = [element[which]["value"] for which in ("positive_button", "negative_button") if which in element]
            for value in values or [element["value"]]:
                if value.split(":")[1] == control:
                    await who.click(message, element["action_id"], value)

    async def _shown_to(self, person: str, act: Callable[[Person], Awaitable[object]]) -> Message:
        """What only they see, after what they do."""
        who = self._people[person]
        before = len(who.ephemerals())
        await act(who)
        await self._until(lambda: len(who.ephemerals()) > before)
        return who.ephemerals()[-1]

    async def _until(self, holds: Callable[[], T]) -> T:
        return await self._slack.until(holds, within_s=WITHIN_S)


@asynccontextmanager
async def open_stage() -> AsyncIterator[SlackStage]:
    async with SlackServer(manifest=slack_manifest()) as slack:
        yield SlackStage(slack)
