"""A company in the local Slack with the whole product at work in it, put together as `timbre serve` does it.

People act through the local Slack alone; what came of it is read from what they see and from the database.
"""

import asyncio
import html
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlmodel import SQLModel, select

from adapters.slack.manifest import slack_manifest
from bot.catching_up import CONNECTED
from bot.main import Timbre, build, build_server
from bot.messages import PersonId
from bot.people import Role, RoleBook
from bot.ports import LanguageModel
from bot.settings import ChatSettings, Settings, SlackSettings
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from bot.storage.tables import ExchangeRow
from tests.adapters.slack.blocks import elements
from tests.adapters.slack.deliveries import Patience
from tests.adapters.slack.office import Office, furnish
from tests.adapters.slack.persons import Person
from tests.adapters.slack.server import SlackServer
from tests.adapters.slack.state import Message, View
from tests.conftest import silent
from tests.fakes import HashingEmbedder
from tests.journeys.intranet import FOR_HR, PAGES, indexed_pages

PATIENCE = Patience(retries_s=(0.01, 0.02, 0.03), keeps_for_s=0.0)
"""What happens while nobody listens is not sent later, so that it has to be fetched."""
WITHIN_S = 20.0
Row = TypeVar("Row", bound=SQLModel)
T = TypeVar("T")

LEAVE = "How many days of annual leave do full-time employees get?"
BICYCLE = "Where can I park my bicycle?"
PAY = "What is the pay band of engineers?"
NETWORK = "What is the guest network called?"
NEARLY = "Where do bicycles park in summer?"
NEVER_HEARD = "Who feeds the office elephant on the moon?"

ATTACK = (
    "<!channel> <!here> <!everyone> <@U2> <!subteam^S1> @everyone @here [the portal](https://evil.example/a?q=secret) "
    "<https://evil.example/b|portal> https://evil.example/c ![x](https://evil.example/d.png) www.evil.example/e"
)
"""What pings or leads away where it is not made plain."""
NETWORK_PAGE = f"# Guest network\n\nThe guest network is called Tarnwick-Visitors {html.escape(ATTACK)}\n"


@dataclass
class Company:
    """`desk` is a public channel without guests, with Ana, Ben, Carla, Dora and the app.

    Carla is support, Dora the first admin, the others are members.
    """

    office: Office
    dora: Person
    desk: str
    intranet: str
    timbre: Timbre
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slack: SlackServer = self.office.slack
        self.ana, self.ben, self.carla, self.guest = self.office.ana, self.office.ben, self.office.carla, self.office.guest
        self.roles = RoleBook(PeopleStore(self.timbre.database), self.timbre.settings.chat.first_admin)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The bot serving, from its start to its orderly end."""
        server = build_server(self.timbre, self.notes.append)
        running = asyncio.create_task(server.run())
        try:
            await eventually(lambda: server.platforms["slack"].is_connected or running.done())
            yield
        finally:
            if not running.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await running

    # -- people

    async def ask(self, text: str = LEAVE, person: Person | None = None, channel: str = "") -> Message:
        """Somebody, by default Ana, mentions the bot; its answer."""
        channel = channel or self.desk
        ts = await (person or self.ana).say(channel, f"{self.slack.mention} {text}")
        answer = await self.slack.answer_to(channel, ts, within_s=WITHIN_S)
        await self.settled()
        return answer

    async def settled(self) -> None:
        """Once everything that came in is done, and everything that was to go out is out."""
        counts = IntakeStore(self.timbre.database).counts
        await eventually(lambda: not self.slack.deliveries.open)
        await eventually(lambda: not any(count for state, count in counts().items() if state.endswith("waiting")))

    async def private(self, person: Person, before: int = 0) -> Message:
        """The newest message that only this person sees, when there are more of them than `before`."""
        await self.slack.until(lambda: len(person.ephemerals()) > before, within_s=WITHIN_S)
        return person.ephemerals()[-1]

    async def told(self, person: Person, before: int = 0) -> Message:
        """The newest message of the bot in its direct conversation with the person, when there are more than `before`."""
        await self.slack.until(lambda: len(self.direct(person)) > before, within_s=WITHIN_S)
        return self.direct(person)[-1]

    def direct(self, person: Person) -> list[Message]:
        return self.said(person.direct_channel)

    async def home(self, person: Person) -> View:
        """The start page as it is after opening it."""
        published = len(self.slack.calls_of("views.publish"))
        await person.open_home()
        await self.slack.until(lambda: len(self.slack.calls_of("views.publish")) > published, within_s=WITHIN_S)
        assert person.home
        return person.home

    async def command(self, person: Person, words: str, channel: str = "") -> str:
        """What the person alone reads after `/timbre WORDS`."""
        before = len(person.ephemerals())
        await person.slash("/timbre", words, channel or self.desk)
        return self.seen(await self.private(person, before))

    # -- what people see, and what is kept

    def seen(self, shown: Message | View) -> str:
        if isinstance(shown, View):
            shown = Message(channel="", ts="", user="", team="", blocks=shown.body["blocks"])
        return self.slack.visible_text(shown)

    def said(self, channel: str) -> list[Message]:
        """What the bot wrote there for everybody, threads included, oldest first."""
        return [message for message in self.slack.world.messages(channel) if self._is_ours(message)]

    def in_thread(self, message: Message) -> list[Message]:
        """What the bot wrote in the thread that the message stands in, oldest first."""
        replies = self.slack.world.replies(message.channel, message.root_ts)
        return [found for ts in replies if self._is_ours(found := self.slack.message(message.channel, ts))]

    @property
    def recalls_connection(self) -> bool:
        """Whether the database says when messages last reached the bot."""
        return IntakeStore(self.timbre.database).recall("slack", CONNECTED) is not None

    def _is_ours(self, message: Message) -> bool:
        return message.app_id == self.slack.app.id

    def rows(self, kind: type[Row]) -> Sequence[Row]:
        with self.timbre.database.reading() as session:
            return session.exec(select(kind)).all()

    def exchange(self, question: str) -> ExchangeRow:
        """The newest with that question."""
        return max((row for row in self.rows(ExchangeRow) if row.question == question), key=lambda row: row.asked_at)


def labels(where: Message | View) -> list[str]:
    """The words on everything that can be pressed, in order."""
    return [label for label, _, _ in _buttons(where)]


async def press(person: Person, where: Message | View, label: str) -> None:
    """The person presses the first button with these words."""
    found = [(action_id, value) for words, action_id, value in _buttons(where) if words == label]
    assert found, f"{label} is not among {labels(where)}"
    await person.click(where, *found[0])


async def eventually(holds: Callable[[], T], within_s: float = WITHIN_S) -> T:
    """The first true value; TimeoutError otherwise. For what the local Slack cannot tell, such as rows."""
    async with asyncio.timeout(within_s):
        while not (found := holds()):
            await asyncio.sleep(0.01)
        return found


def _buttons(where: Message | View) -> Iterator[tuple[str, str, str | None]]:
    """(words, action id, value that tells elements with one action id apart)."""
    blocks = where.body["blocks"] if isinstance(where, View) else where.blocks
    for _, element in elements(blocks):
        if element["type"] == "feedback_buttons":
            for which in ("positive_button", "negative_button"):
                yield element[which]["text"]["text"], element["action_id"], element[which]["value"]
        elif "text" in element:
            yield element["text"]["text"], element["action_id"], element.get("value")


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(a database with the pages, to be copied, the address that they stand at)."""
    with indexed_pages(tmp_path_factory.mktemp("intranet"), PAGES | {"network.md": NETWORK_PAGE}, FOR_HR) as found:
        yield found


@asynccontextmanager
async def company_of(
    indexed: tuple[Path, str], home: Path, language_model: LanguageModel | None = None, **chat: Any
) -> AsyncIterator[Company]:
    """A company of one's own; AssertionError at the end where the bot broke a rule of Slack's."""
    file, address = indexed
    home.mkdir()
    shutil.copyfile(file, home / "timbre.db")
    async with SlackServer(manifest=slack_manifest(), patience=PATIENCE) as slack:
        office = furnish(slack)
        dora = slack.add_person("Dora Dahl", id="U5")
        desk = slack.add_channel("helpdesk", office.ana, office.ben, office.carla, dora, id="C3")
        settings = Settings(
            chat=ChatSettings(first_admin=f"slack:T1:{dora.id}", **chat),
            slack=SlackSettings.model_validate(
                {
                    "bot_token": slack.bot_token,
                    "app_token": slack.app_token,
                    "api_url": slack.api_url,
                    "support_group": office.support,
                }
            ),
        ).model_copy(update={"home": home})
        wording = "model" if language_model else None
        timbre = build(settings, silent, embedder=HashingEmbedder(), language_model=language_model, wording=wording)
        company = Company(office, dora, desk, address, timbre)
        company.roles.grant(PersonId(f"slack:T1:{office.carla.id}"), Role.SUPPORT, "test")
        try:
            yield company
        finally:
            await timbre.close()
    assert slack.problems == []
