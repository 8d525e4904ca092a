"""What people live through on Discord, with the whole bot: discord.py and the local Discord between them and it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from sqlmodel import col, select

from adapters.discord.connection import DiscordPlatform
from bot.main import Timbre, build, build_server
from bot.messages import PersonId
from bot.people import Role
from bot.settings import Settings
from bot.sources import Sources
from bot.storage.intake import IntakeStore
from bot.storage.tables import FeedbackRow
from tests.adapters.discord.conftest import Acme
from tests.adapters.discord.desks import QUICK, discord_settings, until
from tests.adapters.discord.people import Person
from tests.adapters.discord.world import Channel, Message
from tests.conftest import silent
from tests.fakes import HashingEmbedder, ScriptedModel

pytestmark = pytest.mark.slow

QUESTION = "How many days of annual leave do employees get?"
NEVER_SEEN = "Who feeds the office elephant on the moon?"


@dataclass
class Company:
    """A server with people in it, and the bot with a handbook."""

    acme: Acme
    timbre: Timbre
    support_role: str
    notes: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The bot, serving."""
        before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        settings = discord_settings(self.acme.server, support_role=self.support_role)
        server = build_server(
            self.timbre, self.notes.append, lambda *given: {"discord": DiscordPlatform(settings, given[2], QUICK)}
        )
        running = asyncio.create_task(server.run())
        try:
            await until(lambda: server.readiness()["discord"] or running.done(), 10)
            await until(lambda: bool(self.acme.server.world.commands), 10)
            yield
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await running
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before

    def grant(self, person: Person, role: Role) -> None:
        from bot.people import RoleBook
        from bot.storage.people import PeopleStore

        RoleBook(PeopleStore(self.timbre.database), "").grant(self.id_of(person), role, "test")

    def id_of(self, person: Person) -> PersonId:
        return PersonId(f"discord:{self.acme.guild.id}:{person.id}")

    def mention(self, text: str) -> str:
        return f"<@{self.acme.server.world.bot.id}> {text}"

    async def asked(self, text: str = QUESTION, person: Person | None = None) -> tuple[Channel, Message]:
        """The thread of a question, and the answer to it."""
        message_id = (person or self.acme.ada).say(self.acme.general, self.mention(text))
        await until(lambda: self.acme.server.thread_of(message_id) is not None, 10)
        thread = self.acme.server.world.channels[message_id]
        answer = await self.answered(thread)
        await self.settled()
        return thread, answer

    async def settled(self) -> None:
        """Once everything that was to be sent is sent and noted."""
        intake = IntakeStore(self.timbre.database)
        async with asyncio.timeout(10):
            while (await asyncio.to_thread(intake.counts))["outbox waiting"]:
                await asyncio.sleep(0.005)

    async def answered(self, channel: Channel, known: int = 0) -> Message:
        """The bot's message number `known` there, once it is whole."""
        await until(lambda: len(self.said(channel)) > known, 10)
        await until(lambda: not self.said(channel)[known].content.endswith("…"), 10)
        return self.said(channel)[known]

    def said(self, channel: Channel) -> list[Message]:
        return [message for message in self.acme.server.bot_messages(channel) if message.interaction_id is None]

    def private(self, person: Person) -> list[str]:
        return [message.content for message in self.said(self.acme.server.world.dm_with(person.id))]

    def verdicts(self) -> list[tuple[str, str, str]]:
        with self.timbre.database.reading() as session:
            rows = session.exec(select(FeedbackRow).order_by(col(FeedbackRow.id))).all()
            return [(row.given_by.rpartition(":")[2], row.verdict, row.reason) for row in rows]


@pytest.fixture
def handbook(timbre: Timbre, write: Callable[..., Path]) -> Timbre:
    pages = {
        "leave.md": "# Leave\n\nAll employees get 25 days of annual leave each year.",
        "parking.md": "# Parking\n\n## Where can I park my bicycle?\n\nBicycles park in the harbour shed.",
    }
    secret = {"pay.md": "# Pay bands\n\nThe pay band of engineers is seven."}
    sources = Sources(timbre.knowledge)
    sources.ingest(sources.describe(str(write(pages)), None, None), lambda *_: None)
    sources.ingest(sources.describe(str(write(secret, "secret")), None, frozenset({"hr"})), lambda *_: None)
    return timbre


@pytest.fixture
def company(acme: Acme, handbook: Timbre) -> Company:
    return Company(acme, handbook, acme.server.add_role(acme.guild, "Support"))


async def test_a_mention_is_answered_in_a_thread_with_its_page_and_the_thread_goes_on(company: Company) -> None:
    async with company.open():
        thread, answer = await company.asked()
        company.acme.ada.say(thread, "Where can I park my bicycle?")
        second = await company.answered(thread, 1)

    assert "25 days" in answer.content
    assert "-# [1] Leave" in answer.content
    assert "harbour shed" in second.content
    assert company.acme.server.ledger().doubled == []


async def test_the_last_verdict_counts_and_why_is_asked_in_a_form(company: Company) -> None:
    ada = company.acme.ada
    async with company.open():
        _, answer = await company.asked()
        thanks = await ada.click(answer.id, "Helpful").outcome()
        opened = await ada.click(answer.id, "Not helpful").outcome()
        noted = await ada.submit(opened, reason="outdated", comment="That was last year.").outcome()

    assert (thanks.text, thanks.is_ephemeral) == ("Thank you!", True)
    assert noted.is_ephemeral and "Thank you" in noted.text
    assert company.verdicts()[-1] == (ada.id, "not_helpful", "outdated")


async def test_reactions_and_the_menu_are_verdicts_too(company: Company) -> None:
    ada, ben = company.acme.ada, company.acme.server.add_person("Ben", company.acme.guild)
    async with company.open():
        _, answer = await company.asked()
        ada.react(answer.id, "👍")
        await until(lambda: company.verdicts() == [(ada.id, "helpful", "")])
        opened = await ben.menu("Flag answer", answer.id).outcome()

    assert opened.form
    assert (ben.id, "not_helpful", "") in company.verdicts()


async def test_what_staff_reply_can_become_the_answer_and_who_flagged_hears_of_it(company: Company) -> None:
    ada, sue = company.acme.ada, company.acme.server.add_person("Sue", company.acme.guild)
    company.grant(sue, Role.SUPPORT)
    async with company.open():
        thread, answer = await company.asked(NEVER_SEEN)
        await ada.click(answer.id, "Not helpful").outcome()
        reply = sue.say(thread, "Nobody: the elephant feeds itself.")
        captured = await sue.menu("Use as correction", reply).outcome()
        approved = await sue.click(captured.messages[0].id, "Approve").outcome()
        await until(lambda: any("corrected by support" in text for text in company.private(ada)), 10)
        _, later = await company.asked(NEVER_SEEN)

    assert "review queue" in captured.text and "Approved" in approved.text
    assert "feeds itself" in later.content


async def test_a_person_is_called_once_and_the_question_is_listed_until_it_is_resolved(company: Company) -> None:
    ada, sue = company.acme.ada, company.acme.server.add_person("Sue", company.acme.guild)
    company.grant(sue, Role.SUPPORT)
    async with company.open():
        thread, answer = await company.asked(NEVER_SEEN)
        asked = await ada.click(answer.id, "Ask a person").outcome()
        call = await company.answered(thread, 1)
        listed = await sue.slash(company.acme.general, "queue").outcome()
        await until(lambda: "🙋" in answer.reactions)
        resolved = await sue.click(call.id, "Resolved").outcome()
        await until(lambda: "✅" in answer.reactions)
        empty = await sue.slash(company.acme.general, "queue").outcome()

    assert company.acme.server.pings(call).role_ids == (company.support_role,)
    assert asked.is_ephemeral and resolved.is_ephemeral
    assert "elephant" in listed.text and "elephant" not in empty.text
    assert [problem for problem in company.acme.server.problems if company.support_role not in problem] == []
    company.acme.server.problems.clear()


async def test_ask_is_for_the_eyes_of_one_until_it_is_shared(company: Company) -> None:
    ada, general = company.acme.ada, company.acme.general
    async with company.open():
        used = await ada.slash(general, "ask", text=QUESTION).outcome()
        assert "25 days" in used.text and used.is_ephemeral and general.message_ids == []

        shared = await ada.click(used.messages[-1].id, "Share").outcome()
        public = await company.answered(general)

    assert shared.text == "Shared."
    assert "Ada asked" in public.content and "25 days" in public.content


async def test_what_only_the_asker_may_read_is_never_said_in_the_channel(company: Company) -> None:
    ada = company.acme.ada
    company.acme.server.add_person("Ben", company.acme.guild)
    secret = "What is the pay band of engineers?"
    from bot.people import RoleBook
    from bot.storage.people import PeopleStore

    RoleBook(PeopleStore(company.timbre.database), "").add_to_group(company.id_of(ada), "hr", "test")
    async with company.open():
        thread, public = await company.asked(secret)
        await until(lambda: bool(company.private(ada)), 10)
        offer = company.said(company.acme.server.world.dm_with(ada.id))[0]
        shown = await ada.click(offer.id, "Show me").outcome()
        in_private = await ada.slash(company.acme.general, "ask", text=secret).outcome()
        ada.dm(secret)
        await until(lambda: any("seven" in text for text in company.private(ada)), 10)

    said_in_public = [message.content for message in company.said(thread) + company.said(company.acme.general)]
    assert "seven" not in "".join([public.content, *said_in_public])
    assert "seven" in shown.text and "seven" in in_private.text


async def test_a_suggested_question_is_answered_in_private_wherever_it_was_asked(company: Company) -> None:
    ada = company.acme.ada
    async with company.open():
        used = ada.slash(company.acme.general, "help")
        await until(lambda: any("Ask" in str(message.components) for message in used.messages), 10)
        button = next(message for message in used.messages if "Ask" in str(message.components))
        pressed = await ada.click(button.id, "Ask").outcome()
        await until(lambda: len(company.private(ada)) == 1, 10)

    assert "direct messages" in pressed.text
    assert company.acme.general.message_ids == []


async def test_a_first_direct_message_is_greeted_and_answered(company: Company) -> None:
    ada = company.acme.ada
    async with company.open():
        ada.dm(QUESTION)
        await until(lambda: len(company.private(ada)) == 2, 10)
        ada.dm("Where can I park my bicycle?")
        await until(lambda: len(company.private(ada)) == 3, 10)

    texts = "\n".join(company.private(ada))
    assert "Hello!" in texts and "25 days" in texts and "harbour shed" in texts
    assert texts.count("Hello!") == 1


async def test_commands_do_what_the_role_allows(company: Company) -> None:
    ada, sue, general = company.acme.ada, company.acme.server.add_person("Sue", company.acme.guild), company.acme.general
    company.grant(sue, Role.ADMIN)
    async with company.open():
        refused = await ada.slash(general, "timbre reindex").outcome()
        done = sue.slash(general, "timbre reindex", source="docs")
        await until(lambda: "unchanged" in done.text, 10)
        granted = await sue.slash(general, "timbre roles", action="grant", person=ada.id, role="support").outcome()
        who = await ada.slash(general, "timbre who-am-i").outcome()
        here = await sue.slash(general, "timbre here", settings="answers questions").outcome()
        listed = await sue.slash(general, "timbre sources").outcome()
        typed = await sue.autocomplete(general, "timbre here", "settings", "answers q").outcome()
        asking = await sue.slash(general, "timbre forget-source", name="docs").outcome()
        cancelled = await sue.click(asking.messages[-1].id, "Cancel").outcome()
        question = ada.say(general, QUESTION)
        await until(lambda: company.acme.server.thread_of(question) is not None, 10)

    assert "takes the role admin" in refused.text
    assert "Role: support" in who.text and granted.is_ephemeral
    assert "every question" in here.text
    assert "docs" in listed.text
    assert typed.choices == ["answers questions"]
    assert "Nothing was changed" in cancelled.text


async def test_what_was_asked_while_the_bot_was_away_is_answered_late_with_an_apology(company: Company) -> None:
    async with company.open():
        thread, _ = await company.asked()
        company.acme.ada.dm("hello")
        await until(lambda: len(company.private(company.acme.ada)) >= 2, 10)
    message_id = company.acme.ada.say(company.acme.general, company.mention("Where can I park my bicycle?"))
    company.acme.ada.say(thread, "And where can I park my bicycle?")
    company.acme.ada.dm("Where can I park my bicycle?")
    async with company.open():
        await until(lambda: company.acme.server.thread_of(message_id) is not None, 10)
        late = await company.answered(company.acme.server.world.channels[message_id])
        follow_up = await company.answered(thread, 1)
        await until(lambda: "harbour shed" in "".join(company.private(company.acme.ada)), 10)

    assert late.content.startswith("Sorry for the late answer") and "harbour shed" in late.content
    assert "harbour shed" in follow_up.content
    assert company.acme.server.ledger().doubled == []


async def test_an_answer_that_a_model_words_grows_and_says_nothing_that_pings(
    acme: Acme, settings: Settings, embedder: HashingEmbedder, write: Callable[..., Path]
) -> None:
    model = ScriptedModel(*["Employees get 25 days of annual leave, @everyone, see https://evil.example/x [1]."] * 3)
    timbre = build(settings, silent, embedder=embedder, language_model=model, wording="model")
    sources = Sources(timbre.knowledge)
    documents = write({"leave.md": "# Leave\n\nAll employees get 25 days of annual leave each year."})
    sources.ingest(sources.describe(str(documents), None, None), lambda *_: None)
    company = Company(acme, timbre, "")
    async with company.open():
        _, answer = await company.asked()

    assert "25 days" in answer.content
    assert not acme.server.pings(answer) and "@everyone" not in answer.content
    assert acme.server.links(answer) == []
    await timbre.close()
