"""The terminal as a chat platform: what a typed line means, and a whole conversation."""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console as Terminal
from sqlmodel import select

from adapters.console.connection import ConsolePlatform
from adapters.console.inbound import COMMANDS, Ask, Decide, Fix, Line, Order, Quit, Rate, Show, read_line, seat_of
from bot import printing
from bot.citations import answered, number
from bot.conversation import Exchange, ExchangeId, Question, ReleaseId, Verdict
from bot.errors import CommandRejected, DeliveryRefused
from bot.main import Timbre, build, build_console
from bot.messages import Delivery, DeliveryKey, PersonId, Place, Reply, ReplyKind, direct_place
from bot.replies import REDUCED_SEARCH
from bot.settings import Settings
from bot.storage.chat_tables import InboxRow, OutboxRow
from bot.storage.tables import ExchangeRow
from bot.voice import read_voice
from knowledge.documents import EVERYONE
from tests.adapters.discord.desks import RecordingDesk
from tests.bot.passages import a_quote
from tests.conftest import silent
from tests.fakes import HashingEmbedder, ScriptedModel

PAY = "# Pay bands\n\nThe pay band of engineers is seven.\n"
PAY_QUESTION = "What is the pay band of engineers?"
LEAVE = "# Annual leave\n\nFull-time employees get 27 days of annual leave. Dogs are welcome on Friday.\n"
QUESTION = "How many days of annual leave do full-time employees get?"
TRUE = "Full-time employees get 27 days of annual leave."


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("How many days?", Ask("How many days?")),
        ("what does /fix do?", Ask("what does /fix do?")),
        ("/good", Rate(Verdict.HELPFUL)),
        ("/bad", Rate(Verdict.NOT_HELPFUL)),
        ("/bad because", Rate(Verdict.NOT_HELPFUL)),
        ("/fix It is 30.", Fix("It is 30.")),
        ("/fix   It is 30.  ", Fix("It is 30.")),
        ("/timbre status", Order("status")),
        ("/timbre", Order("")),
        ("/yes", Decide(True)),
        ("/no", Decide(False)),
        ("/sources", Show("sources")),
        ("/why", Show("why")),
        ("/help", Show("help")),
        ("/quit", Quit()),
        ("/exit", Quit()),
    ],
)
def test_a_line_means_what_it_says(line: str, meaning: Line) -> None:
    assert read_line(line) == meaning


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("/godo", "There is no command /godo. Did you mean /good? /help lists them all."),
        ("/source", "Did you mean /sources?"),
        ("/fixx it is 30", "Did you mean /fix?"),
        ("/xyzzy", "There is no command /xyzzy. /help lists them all."),
        ("/", "There is no command /."),
        ("/fix", "Say what would have been right: /fix The right answer."),
        ("/fix  ", "Say what would have been right"),
    ],
)
def test_an_unknown_command_is_answered_with_the_right_one(line: str, complaint: str) -> None:
    with pytest.raises(CommandRejected) as caught:
        read_line(line)

    assert complaint in str(caught.value)


def test_every_command_of_the_help_exists() -> None:
    assert [read_line(command.replace("RIGHT ANSWER", "x")) for command in COMMANDS]


def test_the_name_of_an_account_becomes_an_id_of_three_parts() -> None:
    seat = seat_of("Ann O: Hara", "r1")

    assert (seat.person.id, seat.person.name, seat.person.workspace) == (
        "console:local:Ann-O-Hara",
        "Ann O: Hara",
        "console:local",
    )


class Conversation:
    """Types lines into the chat and returns what the terminal showed."""

    def __init__(self, timbre: Timbre, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
        self.timbre = timbre
        self.audience = frozenset({EVERYONE})
        self._terminal = terminal
        self._monkeypatch = monkeypatch

    async def type(self, *lines: str) -> str:
        reading, writing = os.pipe()
        with open(writing, "w") as typed:
            typed.write("".join(f"{line}\n" for line in lines))
        chat = build_console(self.timbre, self.audience, "ann", Terminal(file=self._terminal, width=200, highlight=False))
        start = len(self._terminal.getvalue())
        with open(reading) as keyboard:
            self._monkeypatch.setattr(sys, "stdin", keyboard)
            await chat.run()
        return " ".join(self._terminal.getvalue()[start:].split())


@pytest.fixture(scope="module")
def indexed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, home = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("home")
    (folder / "leave.md").write_text(LEAVE)
    (folder / "hr").mkdir()
    (folder / "hr" / "pay.md").write_text(PAY)
    built = build(Settings.model_construct(home=home), silent, embedder=HashingEmbedder())
    built.knowledge.ingestion.ingest("docs", str(folder / "leave.md"), frozenset({EVERYONE}), lambda *_: None)
    built.knowledge.ingestion.ingest("hr", str(folder / "hr"), frozenset({"hr"}), lambda *_: None)
    built.database.close()
    return home


@pytest.fixture
def terminal() -> io.StringIO:
    """What the terminal shows, 200 columns wide and without colours."""
    return io.StringIO()


@pytest.fixture
def converse(
    indexed_home: Path, settings: Settings, embedder: HashingEmbedder, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Conversation]]:
    """converse() starts a chat whose answers are quotes, converse("...") one whose model says that."""
    shutil.copytree(indexed_home, settings.home, dirs_exist_ok=True)
    built: list[Timbre] = []

    def start(*says: str) -> Conversation:
        model, wording = (ScriptedModel(*says), "model") if says else (None, None)
        built.append(build(settings, silent, embedder=embedder, language_model=model, wording=wording))
        return Conversation(built[-1], terminal, monkeypatch)

    yield start
    for timbre in built:
        timbre.database.close()


async def test_a_question_is_answered_with_quote_and_source(converse: Callable[..., Conversation]) -> None:
    shown = await converse().type(QUESTION)

    assert "● Answer" in shown and f"{TRUE} [1]" in shown
    assert "[1] Annual leave leave.md" in shown
    assert shown.endswith("Bye!")


async def test_a_correction_is_the_answer_from_then_on(converse: Callable[..., Conversation]) -> None:
    shown = await converse().type(QUESTION, "/fix It is 30 days since May.", QUESTION)

    confirmed, again = shown.split("● Answer")[1:]
    assert f"From now on the answer to “{QUESTION}” is yours." in confirmed
    assert "It is 30 days since May. [1]" in again
    assert "answered by support staff" in again


async def test_a_follow_up_is_understood(converse: Callable[..., Conversation]) -> None:
    shown = await converse().type(QUESTION, "And what about those", "/why")

    assert f"searched for: {QUESTION} And what about those" in shown


async def test_why_shows_query_passages_scores_and_that_no_model_was_asked(converse: Callable[..., Conversation]) -> None:
    shown = await converse().type(QUESTION, "/why")

    assert f"searched for: {QUESTION}" in shown
    assert "outcome answered, release base:SmolLM2-135M-Instruct" in shown
    assert "#1:" in shown and "no model was asked" in shown


async def test_a_wording_is_shown_once_above_its_quote(converse: Callable[..., Conversation]) -> None:
    shown = await converse(f"{TRUE} You get 99 cats.").type(QUESTION, "/why")

    before_why = shown.split("searched for:")[0]
    assert before_why.count(TRUE) == 2  # worded, and quoted beneath
    assert "99 cats" not in shown
    assert "system: You put quotes from company documents" in shown


async def test_ratings_and_sources_are_about_the_last_answer(converse: Callable[..., Conversation]) -> None:
    conversation = converse()

    shown = await conversation.type(QUESTION, "/sources", "/good", "/bad", "Which vaccine protects against malaria?", "/sources")

    assert shown.count("[1] Annual leave leave.md") == 2
    assert "Thank you! Questions like this one" in shown
    assert "tell me: /fix The right answer." in shown
    assert "The last answer cites no page." in shown
    assert conversation.timbre.exchanges.verdict_counts() == {"not_helpful": 1}


@pytest.mark.parametrize("command", ["/good", "/bad", "/why", "/sources", "/fix It is 30."])
async def test_before_the_first_question_there_is_nothing_to_rate(converse: Callable[..., Conversation], command: str) -> None:
    assert "Ask something first." in await converse().type(command)


@pytest.mark.parametrize("question", ["", "   "])
async def test_an_empty_line_is_passed_over(converse: Callable[..., Conversation], question: str) -> None:
    shown = await converse().type(question, "/quit", "never read")

    assert "empty" not in shown and shown.endswith("Bye!")


async def test_a_mistake_is_told_and_the_chat_goes_on(converse: Callable[..., Conversation]) -> None:
    shown = await converse().type("/godo", "🐬", "hi", "/good", "/help")

    assert "Did you mean /good?" in shown
    assert "I can only answer questions in words" in shown
    assert "That was small talk" in shown
    assert "Type a question, or:" in shown and "/fix RIGHT ANSWER say what would have been right" in shown


async def test_an_empty_index_is_told_and_the_chat_goes_on(
    timbre: Timbre, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown = await Conversation(timbre, terminal, monkeypatch).type(QUESTION, "hi")

    assert "timbre ingest" in shown and "Hello!" in shown
    assert ("(error" in shown, caplog.records) == (False, [])  # whoever asks reads it here, and in no log


async def test_only_those_groups_are_read_that_the_command_line_names(converse: Callable[..., Conversation]) -> None:
    conversation = converse()

    as_member = await conversation.type(PAY_QUESTION)
    conversation.audience = frozenset({EVERYONE, "hr"})
    as_hr = await conversation.type(PAY_QUESTION, "/timbre who-am-i")

    assert "seven" not in as_member and "seven. [1]" in as_hr
    assert "`" not in as_hr and "console:local:ann. Role: admin. Groups: everyone, hr." in as_hr


async def test_a_question_leaves_nothing_in_the_boxes_of_a_server_on_the_same_database(
    converse: Callable[..., Conversation],
) -> None:
    conversation = converse(TRUE)

    await conversation.type(QUESTION, "/good")

    with conversation.timbre.database.reading() as session:
        assert [session.exec(select(row)).all() for row in (InboxRow, OutboxRow)] == [[], []]
        (exchange,) = session.exec(select(ExchangeRow)).all()
    assert exchange.wording and exchange.conversation.startswith("console:local::")


async def test_one_run_is_one_conversation_and_the_next_is_another(converse: Callable[..., Conversation]) -> None:
    conversation = converse()

    await conversation.type(QUESTION)
    shown = await conversation.type("And what about those", "/why")

    assert "searched for: And what about those" in shown


async def test_a_person_at_the_terminal_may_ask_for_as_long_as_they_like(
    settings: Settings, converse: Callable[..., Conversation]
) -> None:
    settings.chat.max_turns = 2

    shown = await converse().type(*[QUESTION] * 4)

    assert shown.count(f"{TRUE} [1]") == 4


async def test_what_stands_after_timbre_is_done_as_on_every_platform(converse: Callable[..., Conversation]) -> None:
    shown = await converse().type(QUESTION, "/timbre status", "/timbre statsu", "/timbre mine", "/timbre queue", "/timbre here")

    assert "All is well. Timbre" in shown and "console connected" in shown
    assert "Did you mean `/timbre status`?" in shown
    assert f"{QUESTION} answered, less than a minute ago" in shown
    assert "Nothing waits." in shown
    assert "That is for channels" in shown


async def test_what_destroys_is_done_after_a_yes_and_asked_once(converse: Callable[..., Conversation]) -> None:
    conversation = converse()

    kept = await conversation.type("/timbre forget source docs", "/no", "/yes", QUESTION)
    forgotten = await conversation.type("/timbre forget source docs", "/yes", "/yes", QUESTION)

    assert "/yes Forget it /no Cancel Nothing was changed. Nothing waits for a yes or no." in kept and TRUE in kept
    assert "Forgot docs: 1 documents. Nothing waits for a yes or no." in forgotten and TRUE not in forgotten


async def test_what_is_for_somebody_else_is_not_shown_at_this_terminal(converse: Callable[..., Conversation]) -> None:
    conversation = converse()
    platform = build_console(conversation.timbre, conversation.audience, "ann")
    bob, elsewhere = PersonId("console:local:bob"), Place("console", "local", "", "another-run")
    reply = Reply(ReplyKind.NOTICE, "For Bob alone.")

    for place, to in ((direct_place(bob), bob), (elsewhere, None)):
        with pytest.raises(DeliveryRefused):
            await platform.deliver(Delivery(DeliveryKey("receipt"), place, reply, to=to))


async def test_once_closed_it_takes_no_line_in(terminal: io.StringIO) -> None:
    desk, lines = RecordingDesk(), iter(["one?", "two?", "three?"])

    async def next_line() -> str | None:
        if desk.messages:
            await platform.close()
        return next(lines)

    screen, seat = Terminal(file=terminal), seat_of("ann", "r1")
    platform = ConsolePlatform(desk, seat, lambda _: None, screen, next_line)  # type: ignore[arg-type]
    await platform.run()

    assert ([message.text for message in desk.messages], platform.is_connected) == (["one?"], False)


@pytest.mark.parametrize(
    "sentence",
    ["Write to <team>@tern.example.", "Press <Enter> twice.", "The file is called a_b_c and *.pdf or [draft] too.", "A&amp;B"],
)
def test_a_quote_is_shown_as_it_stands_in_the_document(sentence: str) -> None:
    shown = shown_exchange(sentence)

    assert sentence in shown
    assert REDUCED_SEARCH not in shown


def test_an_answer_from_reduced_search_says_so() -> None:
    assert REDUCED_SEARCH in shown_exchange("A sentence.", is_reduced=True)


def shown_exchange(sentence: str, is_reduced: bool = False) -> str:
    answer = answered(number([a_quote(sentence)]), "", read_voice(None))
    question = Question("What?", frozenset({EVERYONE}))
    exchange = Exchange(ExchangeId("e1"), question, "what", answer, [], [], 1.0, ReleaseId("base:m"), "m", is_reduced=is_reduced)
    shown = io.StringIO()
    Terminal(file=shown, width=200).print(printing.exchange_view(exchange))
    return shown.getvalue()


def test_names_with_brackets_are_no_markup() -> None:
    shown = io.StringIO()

    Terminal(file=shown, width=200).print(*printing.sources_view(number([a_quote("Text.", title="[red] plan", heading="[/b]")])))

    assert "[red] plan · [/b]" in shown.getvalue()
