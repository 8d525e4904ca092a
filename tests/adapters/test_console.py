"""The terminal as a chat platform: what a typed line means, and a whole conversation."""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console as Terminal

from adapters.console import connection
from adapters.console.inbound import COMMANDS, Ask, Fix, Line, Quit, Rate, Show, read_line
from bot import printing
from bot.citations import answered, number
from bot.conversation import Exchange, ExchangeId, Question, ReleaseId, Verdict
from bot.errors import CommandRejected
from bot.main import Timbre, build
from bot.replies import REDUCED_SEARCH
from bot.settings import Settings
from bot.voice import read_voice
from knowledge.documents import EVERYONE
from tests.bot.passages import a_quote
from tests.conftest import silent
from tests.fakes import HashingEmbedder, ScriptedModel

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


class Conversation:
    """Types lines into the chat and returns what the terminal showed."""

    def __init__(self, timbre: Timbre, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
        self.timbre = timbre
        self._terminal = terminal
        self._monkeypatch = monkeypatch

    async def type(self, *lines: str) -> str:
        reading, writing = os.pipe()
        with open(writing, "w") as typed:
            typed.write("".join(f"{line}\n" for line in lines))
        chat = connection.Console(self.timbre.engine, self.timbre.feedback, frozenset({EVERYONE}), "console:ann")
        start = len(self._terminal.getvalue())
        with open(reading) as keyboard:
            self._monkeypatch.setattr(sys, "stdin", keyboard)
            await chat.talk()
        return " ".join(self._terminal.getvalue()[start:].split())


@pytest.fixture(scope="module")
def indexed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, home = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("home")
    (folder / "leave.md").write_text(LEAVE)
    built = build(Settings.model_construct(home=home), silent, embedder=HashingEmbedder())
    built.knowledge.ingestion.ingest("docs", str(folder), frozenset({EVERYONE}), lambda *_: None)
    built.database.close()
    return home


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the terminal shows, 200 columns wide and without colours."""
    shown = io.StringIO()
    monkeypatch.setattr(connection, "console", Terminal(file=shown, width=200, highlight=False))
    return shown


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
    timbre: Timbre, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await Conversation(timbre, terminal, monkeypatch).type(QUESTION, "hi")

    assert "timbre ingest" in shown and "Hello!" in shown


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
