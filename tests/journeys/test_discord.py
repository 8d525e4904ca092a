"""What people live through on Discord: the whole bot, discord.py and the local Discord between them and it.

One journey for each row of what a person experiences, and one for each thing that must never happen.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from adapters.discord import commands
from bot.main import build
from bot.settings import Settings
from bot.sources import Sources
from bot.storage.chat_tables import InboxRow
from bot.storage.tables import ExchangeRow
from knowledge.ports import Embedding
from tests.adapters.discord import faults
from tests.adapters.discord.call import Call
from tests.adapters.discord.people import Person, Used
from tests.adapters.discord.world import Message
from tests.conftest import SAMPLES, silent
from tests.fakes import HashingEmbedder, ScriptedModel
from tests.journeys.commands import EMBEDDING
from tests.journeys.discord_office import (
    BICYCLE,
    LEAVE,
    NEARLY,
    NEVER_HEARD,
    PAY,
    WITHIN_S,
    Company,
    company_of,
    eventually,
    labels,
)

pytestmark = pytest.mark.slow

WORDED = "Full-time employees get 27 days of annual leave each year."
ATTACKS = (
    "@everyone", "@here", "<@{ada}>", "<@!{ada}>", "<@&{role}>", "<#{channel}>", "</ask:1>", "<t:1:R>", "<id:customize>",
    "[the portal](https://evil.example/a?q=secret)", "![x](https://evil.example/b.png)", "<https://evil.example/c>",
    "https://evil.example/d", "hTTps://evil.example/e", "www.evil.example/f", "discord.gg/evil", "[page][1]\n\n[1]: https://evil.example/g",
    "||https://evil.example/h||", "`@everyone` @everyone", "\\@everyone", "[@everyone](https://evil.example/i)", "**@here**",
)  # fmt: skip
"""What pings or leads away where it is not made plain."""
ACTIVE = re.compile(r"@(?:everyone|here)|<(?:@[!&]?|#|t:)\d+|</\w|<id:|evil")


@pytest.fixture
async def company(indexed: tuple[Path, str], tmp_path: Path) -> AsyncIterator[Company]:
    async with company_of(indexed[0], tmp_path / "home") as found:
        yield found


@pytest.fixture(scope="session")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the sample handbook, embedded by the real model, to be copied."""
    home = tmp_path_factory.mktemp("handbook")
    timbre = build(Settings.model_construct(home=home), silent)
    sources = Sources(timbre.knowledge)
    sources.ingest(sources.describe(str(SAMPLES / "handbook"), "handbook", None), lambda *_: None)
    timbre.knowledge.index.close()
    timbre.database.close()
    return home / "timbre.db"


class PatientModel(ScriptedModel):
    """Says one sentence and the beginning of a second one, and the rest when it may `go` on."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.go = asyncio.Event()

    async def stream(self, messages: object, max_new_tokens: int, release: object) -> AsyncIterator[str]:
        beginning, _, rest = self.second.partition(" ")
        yield f"{self.first} {beginning} "
        await self.go.wait()
        yield rest


# asking ----------------------------------------------------------------------------------------------------------------------


async def test_a_mention_is_answered_in_a_thread_of_its_own_which_goes_on(company: Company) -> None:
    async with company.open(pace=None):
        thread, answer = await company.ask()
        company.ada.say(thread, BICYCLE)
        second = await company.answer_in(thread, 1)

    assert "27 days" in answer.content and "harbour shed" in second.content
    assert thread.name == LEAVE
    assert company.said(company.general) == []
    assert company.server.ledger().doubled == []


async def test_in_a_thread_the_asker_goes_on_asking_and_others_talk_undisturbed(company: Company) -> None:
    async with company.open():
        thread, _ = await company.ask()
        company.ben.say(thread, "I thought it was less.")
        company.ben.say(thread, BICYCLE)
        answer = await company.answer_in(thread, 1)

    assert "harbour shed" in answer.content
    assert len(company.said(thread)) == 2


async def test_a_direct_message_is_answered_in_place(company: Company) -> None:
    async with company.open():
        company.ada.dm(LEAVE)
        await company.told(company.ada, 1)

    answer, greeting = sorted(company.said(company.direct(company.ada)), key=lambda message: "27 days" not in message.content)
    assert "27 days" in answer.content and answer.replied_to
    assert greeting.content.startswith("Hello!")
    assert company.server.ledger().doubled == []


async def test_ask_is_answered_for_one_pair_of_eyes_until_it_is_shared(company: Company) -> None:
    ada, ben, general = company.ada, company.ben, company.general
    async with company.open():
        used = await company.use(ada.slash(general, "ask", text=LEAVE))
        assert "27 days" in used.text and used.is_ephemeral and ben.sees(general) == []

        shared = await company.use(ada.click(used.messages[-1].id, "Share"))
        public = await company.answer_in(general)

    assert (shared.text, shared.is_ephemeral) == ("Shared.", True)
    assert public in ben.sees(general)
    assert f"Ada asked: {LEAVE}" in public.content and "27 days" in public.content
    assert "Share" not in labels(public)


async def test_ask_is_kept_before_discord_hears_that_it_is_worked_on(company: Company) -> None:
    kept = list[list[str]]()

    def note(_: Call) -> bool:
        kept.append([row.message["text"] for row in company.rows(InboxRow)])
        return False

    company.server.faults.add(faults.Slow(0), "create_interaction_response", when=note)
    async with company.open():
        used = await company.use(company.ada.slash(company.general, "ask", text=LEAVE))

    assert kept == [[LEAVE]]
    assert "27 days" in used.text and company.server.bot_messages(company.direct(company.ada)) == []


async def test_what_not_all_in_the_channel_may_read_is_not_shared(company: Company) -> None:
    company.roles.add_to_group(company.id_of(company.ada), "hr", "test")
    async with company.open():
        used = await company.use(company.ada.slash(company.general, "ask", text=PAY))
        shared = await company.use(company.ada.click(used.messages[-1].id, "Share"))
        await company.settled()

    assert "seven" in used.text
    assert "not everybody here may read" in shared.text and shared.is_ephemeral
    assert company.said(company.general) == []


# while it works --------------------------------------------------------------------------------------------------------------


async def test_typing_is_shown_and_the_message_grows_while_a_model_words(company: Company) -> None:
    company.language_model = model = PatientModel(WORDED, "The annual leave of full-time employees is 27 days.")
    async with company.open():
        message_id = company.ada.say(company.general, company.mention(LEAVE))
        thread = await company.thread_of(message_id)
        await company.server.wait_until(lambda: is_growing(company.server.bot_messages(thread), "27 days"), WITHIN_S, "growth")
        (growing,) = company.server.bot_messages(thread)
        so_far = growing.content
        model.go.set()
        answer = await company.answer_in(thread)

    assert company.server.service.typing[0] in (company.general.id, thread.id)
    assert "The annual leave" not in so_far
    assert answer.id == growing.id and answer.edited_at
    assert "The annual leave of" in answer.content and not answer.content.endswith("…")
    assert labels(answer) == ["Helpful", "Not helpful", "Ask a person"]
    assert len(company.server.bot_messages(thread)) == 1


async def test_an_answer_whose_model_breaks_off_is_made_of_quotes(company: Company) -> None:
    company.language_model = model = ScriptedModel(WORDED)
    model.fails_after = True
    async with company.open():
        thread, answer = await company.ask()

    assert "> Full-time employees get 27 days" in answer.content
    assert len(company.server.bot_messages(thread)) == 1


def is_growing(messages: list[Message], words: str) -> bool:
    return bool(messages) and words in messages[0].content and messages[0].content.endswith("…")


# answers ---------------------------------------------------------------------------------------------------------------------


async def test_an_answer_quotes_its_page_links_it_and_offers_what_can_be_done(
    company: Company, indexed: tuple[Path, str]
) -> None:
    async with company.open():
        _, answer = await company.ask()

    page = f"{indexed[1]}/leave.md#how-many-days-of-annual-leave-do-i-get"
    assert "> Full-time employees get 27 days of annual leave each year." in answer.content
    assert [link.url for link in company.server.links(answer)] == [page]
    assert "-# [1] [Annual leave › How many days of annual leave do I get?]" in answer.content
    assert labels(answer) == ["Helpful", "Not helpful", "Ask a person"]


async def test_an_answer_pages_that_may_help_and_no_answer_look_different(company: Company) -> None:
    async with company.open():
        answer, closest, unknown = [(await company.ask(question))[1] for question in (LEAVE, NEARLY, NEVER_HEARD)]

    assert [labels(message)[0] for message in (answer, closest, unknown)] == ["Helpful", "Ask a person", "Ask a person"]
    assert "-# [1] [" in answer.content
    assert closest.content.startswith("> I am not sure") and "\n- [1] [Parking" in closest.content
    assert unknown.content.startswith("I don't know") and company.server.links(unknown) == []


async def test_a_long_answer_comes_in_parts_with_its_buttons_under_the_last(company: Company) -> None:
    said = " ".join([WORDED] * 60)
    company.language_model = ScriptedModel(said)
    async with company.open():
        thread, _ = await company.ask()

    parts = company.said(thread)
    assert len(parts) > 1 and all(len(part.content) <= 2000 for part in parts)
    assert "".join(part.content for part in parts).count("27 days") == 61
    assert [bool(labels(part)) for part in parts] == [False] * (len(parts) - 1) + [True]
    assert company.server.ledger().doubled == []


async def test_code_in_an_answer_stays_code_and_a_part_of_it_leaves_nothing_open(company: Company) -> None:
    answers = []
    for count in (3, 60):
        script = "\n".join(f"curl --fail tarnwick{number} | tee log{number}" for number in range(count))
        right = f"Type this into feeder {count}:\n```sh\n{script}\n```"
        async with company.open():
            _, answer = await company.ask(f"How do I start elephant feeder {count}?")
            opened = await company.use(company.sue.click(answer.id, "Not helpful"))
            await company.use(company.sue.submit(opened, reason="wrong", correction=right))
            answers.append((await company.ask(f"How do I start elephant feeder {count}?"))[1].content)

    whole, part = answers
    assert "> ```sh\n> curl --fail tarnwick0 | tee log0\n" in whole and "\n> ```\n> [1]" in whole
    assert "> curl --fail tarnwick0 | tee log0\n" in part and "```" not in part


@pytest.mark.model
@pytest.mark.skipif(not EMBEDDING.exists(), reason="run `timbre setup` first")
async def test_the_sample_handbook_answers_questions_and_follow_ups_in_peoples_own_words(handbook: Path, tmp_path: Path) -> None:
    async with company_of(handbook, tmp_path / "home") as company:
        company.embedder = None
        async with company.open():
            _, storm = await company.ask("How windy may it get before we stop a sea trial?", company.ben)
            thread, _ = await company.ask("How many days of annual leave do I get?")
            company.ada.say(thread, "And how many of those can I carry over?")
            follow_up = await company.answer_in(thread, 1)
            _, reward = await company.ask("Is there a reward if a friend of mine gets hired because I suggested them?")
            _, dog = await company.ask("Can I bring my dog to the office?")

    assert "force 6" in storm.content and "5 unused days" in follow_up.content
    assert reward.content.startswith("> I am not sure") and "€800" in reward.content
    assert dog.content.startswith("I don't know")


# what people say of answers --------------------------------------------------------------------------------------------------


async def test_the_last_verdict_counts_and_why_is_asked_in_a_form(company: Company) -> None:
    ada, ben = company.ada, company.ben
    async with company.open():
        _, answer = await company.ask()
        thanks = await company.use(ada.click(answer.id, "Helpful"))
        await company.use(ben.click(answer.id, "Helpful"))
        opened = await company.use(ada.click(answer.id, "Not helpful"))
        before = company.verdicts()
        noted = await company.use(ada.submit(opened, reason="outdated", comment="That was last year."))

    assert (thanks.text, thanks.is_ephemeral) == ("Thank you!", True)
    assert before == {"Ada": ("not_helpful", "", ""), "Ben": ("helpful", "", "")}
    assert noted.is_ephemeral and noted.text.startswith("Thank you!")
    assert company.verdicts()["Ada"] == ("not_helpful", "outdated", "That was last year.")


async def test_members_are_asked_for_reason_and_comment_and_staff_for_the_right_answer_too(company: Company) -> None:
    async with company.open():
        _, answer = await company.ask()
        of_ada = await company.use(company.ada.click(answer.id, "Not helpful"))
        of_sue = await company.use(company.sue.click(answer.id, "Not helpful"))

    assert fields(of_ada.form) == ["What is wrong?", "What else should we know?"]
    assert fields(of_sue.form) == [*fields(of_ada.form), "The right answer"]
    assert of_ada.form
    assert [option["value"] for option in of_ada.form["components"][0]["component"]["options"]] == [
        "wrong", "outdated", "incomplete", "tone", "should_not_be_shown",
    ]  # fmt: skip


async def test_the_right_answer_of_staff_is_given_at_once_and_who_flagged_hears_of_it(company: Company) -> None:
    async with company.open():
        _, answer = await company.ask()
        await company.use(company.ada.click(answer.id, "Not helpful"))
        opened = await company.use(company.sue.click(answer.id, "Not helpful"))
        right = "Everybody gets 31 days of annual leave since May."
        noted = await company.use(company.sue.submit(opened, reason="outdated", correction=right))
        receipt = await company.told(company.ada)
        _, later = await company.ask(person=company.ben)

    assert "From now on" in noted.text
    assert "corrected by support" in receipt.content and "31 days" in receipt.content
    assert "31 days" in later.content
    assert company.said(company.direct(company.sue)) == []


async def test_buttons_and_forms_work_on_after_a_restart(company: Company) -> None:
    async with company.open():
        _, answer = await company.ask()
        opened = await company.use(company.ada.click(answer.id, "Not helpful"))
    async with company.open():
        noted = await company.use(company.ada.submit(opened, reason="tone"))
        clicked = await company.use(company.ben.click(answer.id, "Helpful"))

    assert noted.text.startswith("Thank you!") and clicked.text == "Thank you!"
    assert company.verdicts() == {"Ada": ("not_helpful", "tone", ""), "Ben": ("helpful", "", "")}


async def test_any_answer_is_flagged_from_its_menu_and_nothing_else(company: Company) -> None:
    async with company.open():
        thread, answer = await company.ask()
        opened = await company.use(company.ben.menu("Flag answer", answer.id))
        await company.use(company.ben.submit(opened, reason="wrong"))
        refused = await company.use(company.ben.menu("Flag answer", thread.id))

    assert company.verdicts() == {"Ben": ("not_helpful", "wrong", "")}
    assert "no answer of mine" in refused.text and refused.is_ephemeral


async def test_reactions_are_verdicts_that_are_taken_back_with_them(company: Company) -> None:
    ada, ben = company.ada, company.ben
    async with company.open():
        _, answer = await company.ask()
        for emoji in ("👍🏽", "🎉"):
            ada.react(answer.id, emoji)
        ben.react(answer.id, "👎")
        await eventually(lambda: company.verdicts() == {"Ada": ("helpful", "", ""), "Ben": ("not_helpful", "", "")})
        ada.unreact(answer.id, "👍🏽")
        await eventually(lambda: set(company.verdicts()) == {"Ben"})
        ben.unreact(answer.id, "👎")
        await eventually(lambda: not company.verdicts())


def fields(form: dict[str, object] | None) -> list[str]:
    """The labels of the form's fields."""
    assert form
    components = form["components"]
    assert isinstance(components, list)
    return [component["label"] for component in components]


# people who know better ------------------------------------------------------------------------------------------------------


async def test_a_reply_of_staff_becomes_the_answer_with_one_click_and_an_approval(company: Company) -> None:
    ada, sue = company.ada, company.sue
    async with company.open():
        thread, answer = await company.ask(NEVER_HEARD)
        await company.use(ada.click(answer.id, "Not helpful"))
        sue.say(thread, "Nobody: the elephant feeds itself.")
        offer = await company.told(sue)
        captured = await company.use(sue.click(offer.id, "Use my reply as the answer"))
        approved = await company.use(sue.click(captured.messages[-1].id, "Approve"))
        receipt = await company.told(ada)
        _, later = await company.ask(NEVER_HEARD, company.ben)

    assert "review queue" in captured.text and captured.is_ephemeral
    assert "Approved" in approved.text
    assert "corrected by support" in receipt.content and "feeds itself" in receipt.content
    assert "feeds itself" in later.content
    assert len(company.said(thread)) == 1


async def test_a_reply_is_captured_from_its_menu_by_staff_alone(company: Company) -> None:
    async with company.open():
        thread, _ = await company.ask(NEVER_HEARD)
        reply = company.ben.say(thread, "Nobody: the elephant feeds itself.")
        refused = await company.use(company.ada.menu("Use as correction", reply))
        captured = await company.use(company.sue.menu("Use as correction", reply))
        listed = await company.use(company.sue.slash(company.general, "queue"))

    assert "takes the role support" in refused.text
    assert labels(captured.messages[-1]) == ["Approve", "Edit", "Reject"]
    assert "feeds itself" in listed.text
    assert ("capture", False) in company.tries(company.ada) and ("capture", True) in company.tries(company.sue)


async def test_a_person_is_called_once_and_the_question_is_listed_until_it_is_resolved(company: Company) -> None:
    ada, sue, general = company.ada, company.sue, company.general
    async with company.open():
        thread, answer = await company.ask(NEVER_HEARD)
        asked = await company.use(ada.click(answer.id, "Ask a person"))
        call = await company.answer_in(thread, 1)
        again = await company.use(company.ben.click(answer.id, "Ask a person"))
        listed = await company.use(sue.slash(general, "queue"))
        marked = list(answer.reactions)
        refused = await company.use(company.ben.click(call.id, "Resolved"))
        resolved = await company.use(sue.click(call.id, "Resolved"))
        empty = await company.use(sue.slash(general, "queue"))

    pings = company.server.pings(call)
    assert (pings.role_ids, pings.user_ids, pings.everyone) == ((company.support_role,), (), False)
    assert "Ada asks for a person's help" in call.content and NEVER_HEARD in call.content
    assert marked == ["🙋"] and list(answer.reactions) == ["✅"]
    assert asked.is_ephemeral and "already been asked" in again.text
    assert "elephant" in listed.text and "Nothing waits" in empty.text
    assert "Only support and the person who asked" in refused.text and resolved.text == "Resolved; thank you."
    assert len(company.said(thread)) == 2


async def test_about_a_private_answer_staff_are_written_to_directly(company: Company) -> None:
    async with company.open():
        used = await company.use(company.ada.slash(company.general, "ask", text=NEVER_HEARD))
        await company.use(company.ada.click(used.messages[-1].id, "Ask a person"))
        call = await company.told(company.sue)

    assert "elephant" in call.content and "asked privately" in call.content
    assert company.said(company.general) == []


async def test_who_proposed_a_correction_hears_when_it_is_rejected_and_what_is_edited_is_the_answer(company: Company) -> None:
    sue, dora, general = company.sue, company.dora, company.general
    async with company.open():
        thread, _ = await company.ask(NEVER_HEARD)
        for reply in ("The zoo feeds it.", "Dora feeds the office elephant."):
            await company.use(sue.menu("Use as correction", sue.say(thread, reply)))
        listed = await company.use(dora.slash(general, "queue"))
        await company.use(dora.click(listed.messages[-1].id, "Reject (1)"))
        opened = await company.use(dora.click(listed.messages[-1].id, "Edit (2)"))
        edited = await company.use(dora.submit(opened, answer="Dora feeds the office elephant at noon."))
        await company.settled()
        _, later = await company.ask(NEVER_HEARD)

    receipts = [message.content for message in company.said(company.direct(sue))]
    assert any("decided to keep the answer" in text and "The zoo" in text for text in receipts)
    assert any("Support approved it" in text for text in receipts)
    assert "Approved" in edited.text
    assert "at noon" in later.content


# start pages and first contact -----------------------------------------------------------------------------------------------


async def test_start_pages_show_what_the_role_may_see(company: Company) -> None:
    people = company.ada, company.sue, company.dora
    async with company.open():
        await company.ask()
        helps = [await company.use(person.slash(company.general, "help")) for person in people]
        mine = await company.use(company.ada.slash(company.general, "mine"))
        refused = await company.use(company.ada.slash(company.general, "queue"))
        queue = await company.use(company.sue.slash(company.general, "queue"))
        states = [await company.use(person.slash(company.general, "status")) for person in people]
        await company.settled()

    of_ada, of_sue, of_dora = (used.text for used in helps)
    assert "How to ask" in of_ada and LEAVE in of_ada
    assert "Corrections to review" not in of_ada and "Corrections to review" in of_sue
    assert "State" not in of_sue and "State" in of_dora
    assert LEAVE in mine.text and "answered" in mine.text
    assert "takes the role support" in refused.text and "Nothing waits" in queue.text
    assert all(state.text and state.is_ephemeral for state in states)
    assert company.said(company.general) == []


async def test_a_suggested_question_is_answered_in_private_wherever_it_was_asked(company: Company) -> None:
    ada = company.ada
    async with company.open():
        used = ada.slash(company.general, "help")
        await company.server.wait_until(
            lambda: any(labels(shown) == ["Ask"] for shown in used.messages), WITHIN_S, "a suggestion"
        )
        suggestion = next(shown for shown in used.messages if labels(shown) == ["Ask"])
        pressed = await company.use(ada.click(suggestion.id, "Ask"))
        answer = await company.told(ada)

    assert "direct messages" in pressed.text
    assert "27 days" in answer.content or "harbour shed" in answer.content
    assert company.said(company.general) == []


async def test_a_first_direct_message_is_greeted_with_questions_that_a_click_asks(company: Company) -> None:
    ada = company.ada
    async with company.open():
        ada.dm("hello")
        await company.server.wait_until(lambda: len(company.said(company.direct(ada))) > 1, WITHIN_S, "a greeting")
        await company.settled()
        greeting = next(message for message in company.said(company.direct(ada)) if labels(message))
        before = len(company.said(company.direct(ada)))
        await company.use(ada.click(greeting.id, labels(greeting)[0]))
        answer = await company.told(ada, before)
        ada.dm("hello again")
        await company.told(ada, before + 1)

    assert 1 <= len(labels(greeting)) <= 4
    assert "27 days" in answer.content or "harbour shed" in answer.content
    assert [message.id for message in company.said(company.direct(ada)) if message.content == greeting.content] == [greeting.id]


async def test_a_server_that_adds_the_bot_is_greeted_where_newcomers_are(company: Company) -> None:
    async with company.open():
        guild = company.server.add_guild("Beta", system_channel="welcome")
        channel = company.server.world.channels[guild.system_channel_id or ""]
        greeting = await company.answer_in(channel)

    assert greeting.content and 1 <= len(labels(greeting)) <= 4
    assert len(company.said(channel)) == 1


# administering ---------------------------------------------------------------------------------------------------------------


async def test_admins_add_list_and_forget_sources(company: Company, write: Callable[..., Path]) -> None:
    dora, general = company.dora, company.general
    folder = write({"canteen.md": "# Canteen\n\nThe canteen serves lunch at noon.\n"}, "canteen")
    async with company.open():
        added = await finished(company, dora.slash(general, "timbre add-source", place=str(folder), name="canteen"))
        _, found = await company.ask("When does the canteen serve lunch?")
        listed = await company.use(dora.slash(general, "timbre sources"))
        read = await finished(company, dora.slash(general, "timbre reindex", source="canteen"))
        wrong = await company.use(dora.slash(general, "timbre reindex", source="canten"))
        asking = await company.use(dora.slash(general, "timbre forget-source", name="canteen"))
        cancelled = await company.use(dora.click(asking.messages[-1].id, "Cancel"))
        again = await company.use(dora.slash(general, "timbre forget-source", name="canteen"))
        forgotten = await finished(company, dora.click(again.messages[-1].id, "Forget it"))
        used_up = await company.use(dora.click(again.messages[-1].id, "Forget it"))
        _, gone = await company.ask("When does the canteen serve lunch?")

    assert "1 new" in added.text and "noon" in found.content
    assert "`canteen`" in listed.text and "`leave`" in listed.text
    assert "1 unchanged" in read.text and "canteen" in wrong.text and "⚠️" in wrong.text
    assert asking.is_ephemeral and labels(asking.messages[-1]) == ["Forget it", "Cancel"]
    assert cancelled.text == "Nothing was changed."
    assert "1 documents" in forgotten.text and "used already" in used_up.text
    assert "noon" not in gone.content
    assert company.said(general) == []


async def test_a_long_command_tells_how_far_it_is_and_its_result_arrives_when_its_time_is_over(
    company: Company, write: Callable[..., Path]
) -> None:
    company.embedder = embedder = GatedEmbedder()
    folder = write({"canteen.md": "# Canteen\n\nThe canteen serves lunch at noon.\n"}, "canteen")
    async with company.open():
        embedder.gate.clear()
        used = company.dora.slash(company.general, "timbre add-source", place=str(folder))
        await company.server.wait_until(lambda: "Reading canteen" in used.text, WITHIN_S, "progress")
        so_far = used.text
        used.interaction.created_at -= 16 * 60
        embedder.gate.set()
        result = await company.told(company.dora)

    assert so_far == "Reading canteen: 0 of 1 files" and used.is_ephemeral
    assert "1 new" in result.content


async def test_roles_and_groups_are_given_in_chat_and_count_at_once(company: Company) -> None:
    ada, dora, general = company.ada, company.dora, company.general
    async with company.open():
        refused = await company.use(ada.slash(general, "queue"))
        await company.use(dora.slash(general, "timbre roles", action="grant", person=ada.id, role="support"))
        await company.use(dora.slash(general, "timbre groups", action="add", person=ada.id, group="hr"))
        who = await company.use(ada.slash(general, "timbre who-am-i"))
        allowed = await company.use(ada.slash(general, "queue"))
        private = await company.use(ada.slash(general, "ask", text=PAY))
        listed = await company.use(dora.slash(general, "timbre roles", action="list"))
        await company.use(dora.slash(general, "timbre roles", action="revoke", person=ada.id))
        again = await company.use(ada.slash(general, "queue"))

    assert "takes the role support" in refused.text and refused.text == again.text
    assert f"`{company.id_of(ada)}`" in who.text and "Role: support" in who.text and "hr" in who.text
    assert "Nothing waits" in allowed.text and "seven" in private.text
    assert "Ada" in listed.text and "Sue" in listed.text
    assert company.tries(ada)[:1] == [("queue", False)]


async def test_words_are_completed_for_those_who_may_say_them_and_wrong_ones_get_the_nearest(company: Company) -> None:
    ada, dora, general = company.ada, company.dora, company.general
    async with company.open():
        sources = await company.use(dora.autocomplete(general, "timbre reindex", "source", "lea"))
        settings = await company.use(dora.autocomplete(general, "timbre here", "settings", "answers q"))
        nothing = await company.use(ada.autocomplete(general, "timbre reindex", "source", "lea"))
        wrong = await company.use(dora.slash(general, "timbre here", settings="anwsers questions"))
        helped = await company.use(ada.slash(general, "timbre help"))

    assert sources.choices == ["leave"] and settings.choices == ["answers questions"] and nothing.choices == []
    assert "answers" in wrong.text and "⚠️" in wrong.text
    assert "who-am-i" in helped.text and "forget" not in helped.text


async def test_a_channel_is_told_what_to_answer_for_whom_and_from_what(company: Company) -> None:
    ada, dora, general = company.ada, company.dora, company.general
    async with company.open():
        ada.say(general, LEAVE)
        here = await company.use(dora.slash(general, "timbre here", settings="answers questions sources parking"))
        thread = await company.thread_of(ada.say(general, BICYCLE))
        public = await company.answer_in(thread)
        _, elsewhere = await company.ask(LEAVE)
        await company.use(dora.slash(general, "timbre here", settings="reset private"))
        ada.say(general, company.mention(BICYCLE))
        private = await company.told(ada)
        await company.use(dora.slash(general, "timbre here", settings="public answers questions quiet 00:00-23:59"))
        unasked = ada.say(general, LEAVE)
        _, asked = await company.ask(LEAVE)

    assert "every question" in here.text and "parking" in here.text
    assert "harbour shed" in public.content and "27 days" not in elsewhere.content
    assert "harbour shed" in private.content
    assert "27 days" in asked.content and company.server.thread_of(unasked) is None
    assert len(company.said(company.direct(ada))) == 1


async def test_the_role_counts_that_a_person_has_when_they_click(company: Company) -> None:
    sue, dora, general = company.sue, company.dora, company.general
    async with company.open():
        thread, _ = await company.ask(NEVER_HEARD)
        captured = await company.use(sue.menu("Use as correction", sue.say(thread, "The zoo feeds it.")))
        asking = await company.use(dora.slash(general, "timbre forget-source", name="leave"))
        company.roles.revoke(company.id_of(sue), "test")
        refused = await company.use(sue.click(captured.messages[-1].id, "Approve"))
    company.settings = company.settings.model_copy(
        update={"chat": company.settings.chat.model_copy(update={"first_admin": company.id_of(company.ben)})}
    )
    async with company.open():
        demoted = await company.use(dora.click(asking.messages[-1].id, "Forget it"))
        _, answer = await company.ask()

    assert "takes the role support" in refused.text and ("approve correction", False) in company.tries(sue)
    assert "⚠️" in demoted.text and "27 days" in answer.content


class GatedEmbedder(HashingEmbedder):
    """Embeds while its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()

    def embed(self, texts: Sequence[str]) -> list[Embedding]:
        assert self.gate.wait(WITHIN_S)
        return super().embed(texts)


async def finished(company: Company, used: Used) -> Used:
    """A command that takes its time, at its end."""
    await company.server.wait_until(lambda: bool(re.search(r"documents|chunks|readers", used.text)), WITHIN_S, "the result")
    return used


# who is answered -------------------------------------------------------------------------------------------------------------


async def test_bots_are_not_heard_and_who_is_no_member_is_told_so_alone(company: Company) -> None:
    server, guild, general = company.server, company.guild, company.general
    robot = server.add_person("Robot", guild, is_bot=True)
    newcomer = server.add_person("Newcomer", guild)
    guild.members[newcomer.id].is_pending = True
    stranger = server.add_person("Stranger")
    async with company.open():
        ignored = robot.say(general, company.mention(LEAVE))
        newcomer.say(general, company.mention(LEAVE))
        refusal = await company.told(newcomer)
        stranger.dm(LEAVE)
        refused = await company.told(stranger)
        thread, answer = await company.ask()
        used = await company.use(newcomer.click(answer.id, "Helpful"))
        newcomer.react(answer.id, "👍")
        command = await company.use(newcomer.slash(general, "timbre status"))
        robot.say(thread, LEAVE)
        _, last = await company.ask(BICYCLE)

    for text in (refusal.content, refused.content):
        assert "only help members" in text and "27 days" not in text
    assert "Only members" in used.text and "Only members" in command.text
    assert company.verdicts() == {}
    assert server.thread_of(ignored) is None and "harbour shed" in last.content
    assert len(company.said(thread)) == 1 and company.said(general) == []


async def test_what_only_the_asker_may_read_is_shown_to_them_alone(company: Company) -> None:
    ada = company.ada
    company.roles.add_to_group(company.id_of(ada), "hr", "test")
    async with company.open():
        thread, public = await company.ask(PAY)
        offer = await company.told(ada)
        shown = await company.use(ada.click(offer.id, "Show me"))

    assert "seven" not in public.content + offer.content
    assert "seven" in shown.text
    assert "seven" not in "".join(message.content for message in company.said(thread) + company.said(company.general))


async def test_in_a_closed_channel_the_answer_is_made_of_what_all_in_it_may_read(company: Company) -> None:
    ada, sue, guild = company.ada, company.sue, company.guild
    bot_role = guild.members[company.server.world.bot.id].role_ids[0]
    leads = company.server.add_channel(guild, "leads", only_for=[ada.id, sue.id, bot_role])
    for member in (ada.id, sue.id, guild.owner_id):
        company.roles.add_to_group(
            company.id_of(Person(company.server.world.users[member], company.server.service)), "hr", "test"
        )
    async with company.open():
        thread = await company.thread_of(ada.say(leads, company.mention(PAY)))
        answer = await company.answer_in(thread)
        company.roles.remove_from_group(company.id_of(sue), "hr", "test")
        thread = await company.thread_of(ada.say(leads, company.mention(PAY)))
        narrower = await company.answer_in(thread)

    assert "seven" in answer.content
    assert "seven" not in narrower.content


async def test_where_somebody_looks_on_who_is_no_member_the_answer_is_for_the_asker_alone(company: Company) -> None:
    ada, guild, server = company.ada, company.guild, company.server
    newcomer = server.add_person("Newcomer", guild)
    guild.members[newcomer.id].is_pending = True
    bot_role = guild.members[server.world.bot.id].role_ids[0]
    partners = server.add_channel(guild, "partners", only_for=[ada.id, newcomer.id, bot_role])
    async with company.open():
        question = ada.say(partners, company.mention(LEAVE))
        answer = await company.told(ada)

    assert "27 days" in answer.content
    assert company.said(partners) == [] and server.thread_of(question) is None
    assert all("27 days" not in message.content for message in newcomer.sees(partners))


# what never happens ----------------------------------------------------------------------------------------------------------


async def test_nothing_that_stands_in_documents_pings_or_leads_away(company: Company, write: Callable[..., Path]) -> None:
    hostile = attacks(company)
    pages = {
        f"page{number}.md": f"# Gate {number} {attack}\n\n## Which code opens gate {number}? {attack}\n\n"
        f"The code of gate {number} is tarnwick{number} {attack}\n"
        for number, attack in enumerate(hostile)
    }
    company.read(write(pages, "gates"))
    async with company.open():
        answers = [await company.ask(f"What is the code of gate {number}?") for number in range(len(hostile))]
        used = await company.use(company.ada.slash(company.general, "help"))

    assert sum(f"tarnwick{number}" in answer.content for number, (_, answer) in enumerate(answers)) > len(hostile) / 2
    assert used.messages
    assert_harmless(company)


async def test_a_model_that_obeys_attackers_pings_nobody_and_leads_nowhere(company: Company) -> None:
    hostile = attacks(company)
    company.language_model = ScriptedModel(*[f"Full-time employees get 27 days of annual leave {attack}." for attack in hostile])
    async with company.open():
        for _ in hostile:
            await company.ask()

    assert any("everyone" in row.wording for row in company.rows(ExchangeRow))
    assert_harmless(company)


async def test_nothing_that_people_write_is_repeated_with_an_effect(company: Company) -> None:
    hostile = " ".join(attacks(company))
    company.server.add_person(f"Eve {hostile}"[:80], company.guild)
    eve, sue, general = list(company.server._people.values())[-1], company.sue, company.general
    async with company.open():
        thread, answer = await company.ask(f"{LEAVE} {hostile}", eve)
        private = await company.use(eve.slash(general, "ask", text=f"{LEAVE} {hostile}"))
        await company.use(eve.click(private.messages[-1].id, "Share"))
        await company.use(eve.click(answer.id, "Ask a person"))
        await company.use(eve.click(answer.id, "Not helpful"))
        captured = await company.use(sue.menu("Use as correction", sue.say(thread, f"It is 28 days {hostile}")))
        await company.use(sue.slash(general, "queue"))
        await company.use(eve.slash(general, "mine"))
        await company.use(sue.click(captured.messages[-1].id, "Approve"))
        await company.told(eve)
        await company.use(company.dora.slash(general, "timbre forget-source", name=hostile[:100]))
        await company.settled()

    assert thread.name.startswith(LEAVE) and not ACTIVE.search(thread.name)
    calls = [message for message in company.said(thread) if company.server.pings(message)]
    assert [company.server.pings(call).role_ids for call in calls] == [(company.support_role,)]
    assert_harmless(company, besides=calls)


async def test_a_refused_message_arrives_as_its_words(company: Company) -> None:
    company.server.faults.add(faults.Refused(50035), "create_message", when=lambda call: bool(call.body.get("components")))
    async with company.open():
        _, answer = await company.ask()

    assert "Full-time employees get 27 days" in answer.content
    assert labels(answer) == [] and company.server.links(answer) == []


async def test_repeated_events_edits_and_the_bots_own_words_are_not_answered_again(company: Company) -> None:
    async with company.open():
        thread, answer = await company.ask()
        question = company.server.world.messages[thread.id]
        for _ in range(3):
            company.server.service.redeliver(question)
        company.server.service.redeliver(answer)
        company.ada.edit(question.id, company.mention(BICYCLE))
        _, last = await company.ask(BICYCLE, company.ben)

    assert "harbour shed" in last.content
    assert len(company.said(thread)) == 1
    assert len(company.rows(ExchangeRow)) == 2


async def test_what_was_asked_while_the_bot_was_away_is_answered_once_with_an_apology(company: Company) -> None:
    ada, ben = company.ada, company.ben
    async with company.open():
        thread, _ = await company.ask()
        ada.dm("hello")
        await company.told(ada, 1)
    question = ben.say(company.general, company.mention(BICYCLE))
    ada.say(thread, BICYCLE)
    ada.dm(BICYCLE)
    ben.say(company.general, "Nobody needs to answer this.")
    async with company.open():
        late = await company.answer_in(await company.thread_of(question))
        follow_up = await company.answer_in(thread, 1)
        private = await company.told(ada, 2)
    async with company.open():
        await company.settled()

    for answer in (late, follow_up, private):
        assert answer.content.startswith("Sorry for the late answer") and "harbour shed" in answer.content
    assert company.server.ledger().doubled == []
    assert [len(company.said(place)) for place in (thread, company.direct(ada), company.general)] == [2, 3, 0]


async def test_what_is_too_old_to_be_answered_is_told_to_the_admins(company: Company) -> None:
    async with company.open():
        await company.ask()
    question = company.ada.say(company.general, company.mention(BICYCLE))
    chat = company.settings.chat.model_copy(update={"max_late_h": 1e-6})
    company.settings = company.settings.model_copy(update={"chat": chat})
    async with company.open():
        report = await company.told(company.dora)

    assert "Ada" in report.content and BICYCLE in report.content
    assert company.server.thread_of(question) is None


async def test_commands_are_registered_only_when_they_have_changed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    registered = []
    for names in (commands.payload(), commands.payload(), commands.payload()[:-1]):
        monkeypatch.setattr(commands, "payload", lambda names=names: names)
        async with company.open():
            await company.ask()
        registered.append(company.server.calls["bulk_set_application_commands"])

    assert registered == [1, 1, 2]


def attacks(company: Company) -> list[str]:
    ids = {"ada": company.ada.id, "role": company.support_role, "channel": company.general.id}
    return [attack.format(**ids) for attack in ATTACKS]


def assert_harmless(company: Company, besides: Sequence[Message] = ()) -> None:
    """None of the bot's messages pings, or links anything but cited pages."""
    server = company.server
    messages = [message for message in server.bot_messages() if message not in besides]
    assert messages
    for message in messages:
        assert not server.pings(message), message.content
        assert not ACTIVE.search(message.content.replace("(link removed)", "")), message.content
    links = {link.url for message in server.bot_messages() for link in server.links(message)}
    assert all(re.match(r"http://127\.0\.0\.1:\d+/\w+\.md#|https://discord\.com/channels/", link) for link in links), links
