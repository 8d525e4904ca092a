"""The main job end to end on the sample handbook: ask, cite, admit, rate, correct. Stays open as a chat in a terminal.

Run by `make demo`. State lives in TIMBRE_HOME; a second run reads nothing again and starts in seconds.
"""

import asyncio
import sys
import time
from pathlib import Path

from rich.rule import Rule
from rich.text import Text

from bot.audiences import audience_at_terminal
from bot.conversation import Exchange, Feedback, Question, Verdict
from bot.main import Timbre, build, build_console
from bot.printing import console, exchange_view, notify, progress, report_view
from bot.settings import load
from bot.sources import Sources
from bot.terminal import account, operator
from knowledge.catalogue import STANDARD_ANSWERS

HANDBOOK = Path(__file__).parent / "handbook"
QUESTIONS = (
    "How many days of annual leave do I get?",
    "What is the daily allowance in Oslo?",
    "How windy may it get before we stop a sea trial?",
)
UNANSWERABLE = "Can I bring my dog to the office?"
OUTDATED = "What is the Wi-Fi network for guests called, and how do they get the code?"
CORRECTION = (
    "The guest network is now called Tarnwick-Visitors. There are no paper slips any more: "
    "guests scan the QR code on the reception desk."
)
PARAPHRASE = "My visitor needs the wifi, what is the guest network's name?"


async def main() -> None:
    started = time.perf_counter()
    timbre = build(load(), notify)
    person = operator()
    try:
        _read_handbook(timbre)
        await _tour(timbre, person)
        console.print(Text(f"\nThe tour took {time.perf_counter() - started:.1f} s.", style="dim"))
        if sys.stdin.isatty() and sys.stdout.isatty():
            console.print(Rule("Your turn"))
            audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)[1]
            await build_console(timbre, audience, account()).run()
    finally:
        await timbre.close()


def _read_handbook(timbre: Timbre) -> None:
    """Reads what changed since the last run, and forgets the corrections of an earlier tour."""
    console.print(Rule("1  Read the documents: the handbook of the fictional Tarnwick Instruments"))
    sources = Sources(timbre.knowledge)
    with progress() as on_progress:
        for source in timbre.knowledge.catalogue.sources():
            if source.name == STANDARD_ANSWERS:
                sources.forget(source, on_progress)
        report = sources.ingest(sources.describe(str(HANDBOOK), "handbook", None), on_progress)
    console.print(report_view(report))


async def _tour(timbre: Timbre, person: str) -> None:
    console.print(Rule("2  Ask: three answers, each with its page"))
    first, *_ = [await _ask(timbre, question, person) for question in QUESTIONS]
    console.print(Rule("3  Ask what no document answers"))
    await _ask(timbre, UNANSWERABLE, person)
    console.print(Rule("4  Rate an answer"))
    await timbre.feedback.record(Feedback(first.id, Verdict.HELPFUL, person))
    console.print(Text(f"/good → recorded for “{first.question.text}”; that question now leads to its passage", style="cyan"))
    console.print(Rule("5  Correct an answer that is out of date"))
    wrong = await _ask(timbre, OUTDATED, person)
    console.print(Text(f"/fix {CORRECTION}", style="cyan"))
    await timbre.feedback.correct(wrong.id, CORRECTION, person)
    console.print(Rule("6  The next person asks in other words and gets the correction"))
    corrected = await _ask(timbre, PARAPHRASE, person)
    assert "Tarnwick-Visitors" in corrected.answer.text, "the correction was not found"


async def _ask(timbre: Timbre, text: str, person: str) -> Exchange:
    console.print(Text(f"\n› {text}", style="bold"))
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    exchange = await timbre.engine.answer(Question(text, audience, asked_by=person))
    console.print(exchange_view(exchange))
    return exchange


if __name__ == "__main__":
    asyncio.run(main())
