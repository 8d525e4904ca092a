"""What verdicts and corrections do to the answers that follow."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import col, select

from bot.conversation import Exchange, ExchangeId, Feedback, Outcome, Question, Verdict
from bot.errors import CommandRejected
from bot.main import Timbre
from bot.storage.tables import AuditRow, FeedbackRow
from knowledge.documents import Audience
from tests.bot.conftest import ALL, ingest

pytestmark = pytest.mark.both_databases

QUESTION = "How many days of annual leave do full-time employees get?"
PARAPHRASE = "How many vacation days does annual leave give full-time employees?"
CORRECTION = "Since May it is 30 days. Ask Ann about the rest."


async def ask(timbre: Timbre, text: str = QUESTION, audience: Audience = ALL) -> Exchange:
    return await timbre.engine.answer(Question(text, audience, asked_by="ann"))


async def rate(timbre: Timbre, exchange: Exchange, verdict: Verdict, by: str = "ann", reason: str = "") -> None:
    await timbre.feedback.record(Feedback(exchange.id, verdict, by, reason))


def verdicts(timbre: Timbre) -> list[tuple[str, str, str]]:
    with timbre.database.reading() as session:
        rows = session.exec(select(FeedbackRow).order_by(col(FeedbackRow.given_by))).all()
        return [(row.given_by, row.verdict, row.reason) for row in rows]


def audited(timbre: Timbre) -> list[tuple[str, str, str]]:
    with timbre.database.reading() as session:
        rows = session.exec(select(AuditRow).order_by(col(AuditRow.id))).all()
        return [(row.actor, row.action, str(row.details.get("verdict", ""))) for row in rows]


def known(timbre: Timbre) -> list[tuple[str, str]]:
    return [(question.question, question.kind) for question in timbre.knowledge.catalogue.known_questions()]


async def test_the_later_verdict_of_a_person_wins_and_the_audit_keeps_both(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await rate(handbook, exchange, Verdict.HELPFUL)
    await rate(handbook, exchange, Verdict.NOT_HELPFUL, reason="outdated")

    assert verdicts(handbook) == [("ann", "not_helpful", "outdated")]
    assert audited(handbook) == [("ann", "feedback", "helpful"), ("ann", "feedback", "not_helpful")]
    assert handbook.exchanges.verdict_counts() == {"not_helpful": 1}


async def test_each_person_has_a_verdict(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await rate(handbook, exchange, Verdict.HELPFUL)
    await rate(handbook, exchange, Verdict.NOT_HELPFUL, by="bob")

    assert verdicts(handbook) == [("ann", "helpful", ""), ("bob", "not_helpful", "")]


async def test_helpful_makes_the_question_known_once(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await rate(handbook, exchange, Verdict.HELPFUL)
    await rate(handbook, exchange, Verdict.HELPFUL)

    assert known(handbook) == [(QUESTION, "confirmed")]


async def test_a_paraphrase_is_found_by_the_confirmed_question(handbook: Timbre) -> None:
    await rate(handbook, await ask(handbook), Verdict.HELPFUL)

    exchange = await ask(handbook, PARAPHRASE)

    assert exchange.passages[0].found_by == QUESTION
    assert exchange.answer.citations[0].quote.passage.document.location == "leave.md"


async def test_not_helpful_takes_the_known_question_back(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await rate(handbook, exchange, Verdict.HELPFUL)
    await rate(handbook, exchange, Verdict.NOT_HELPFUL)

    assert known(handbook) == []


async def test_an_unanswered_question_that_is_rated_helpful_is_not_learned(handbook: Timbre) -> None:
    exchange = await ask(handbook, "Which vaccine protects against malaria?")

    await rate(handbook, exchange, Verdict.HELPFUL)

    assert (verdicts(handbook), known(handbook)) == ([("ann", "helpful", "")], [])


async def test_a_correction_is_found_at_once_and_wins(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    answer = await handbook.feedback.correct(exchange.id, f"  {CORRECTION}\n", "bob")

    after = await ask(handbook)
    assert (answer.question, answer.answer, answer.approved_by) == (QUESTION, CORRECTION, "bob")
    assert after.answer.outcome is Outcome.ANSWERED
    assert after.answer.citations[0].quote.text == CORRECTION
    assert after.answer.citations[0].quote.passage.document.is_standard_answer


async def test_a_correction_answers_a_question_that_nothing_answered(handbook: Timbre) -> None:
    question = "Which vaccine protects against malaria?"
    exchange = await ask(handbook, question)

    await handbook.feedback.correct(exchange.id, "None does fully; ask the ship's doctor.", "bob")

    after = await ask(handbook, question)
    assert (exchange.answer.outcome, after.answer.outcome) == (Outcome.UNKNOWN, Outcome.ANSWERED)
    assert after.answer.text == "> None does fully; ask the ship's doctor. [1]"


async def test_a_correction_is_audited_and_counts_as_not_helpful(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await handbook.feedback.correct(exchange.id, CORRECTION, "bob")

    assert verdicts(handbook) == [("bob", "not_helpful", "")]
    assert audited(handbook) == [("bob", "feedback", "not_helpful"), ("bob", "standard_answer", "")]
    (stored,) = handbook.exchanges.standard_answers().values()
    assert (stored.exchange_id, stored.answer, stored.approved_by) == (exchange.id, CORRECTION, "bob")


async def test_a_second_correction_of_an_exchange_replaces_the_first(handbook: Timbre) -> None:
    exchange = await ask(handbook)

    await handbook.feedback.correct(exchange.id, CORRECTION, "bob")
    await handbook.feedback.correct(exchange.id, "It is 31 days now.", "ann")

    after = await ask(handbook)
    assert after.answer.citations[0].quote.text == "It is 31 days now."
    assert CORRECTION not in after.answer.text
    assert known(handbook) == [(QUESTION, "standard")]


async def test_the_correction_of_a_correction_replaces_it(handbook: Timbre) -> None:
    await handbook.feedback.correct((await ask(handbook)).id, CORRECTION, "bob")
    second = await ask(handbook)  # the same question again, answered by the correction

    await handbook.feedback.correct(second.id, "It is 31 days now.", "ann")

    after = await ask(handbook)
    assert after.answer.citations[0].quote.text == "It is 31 days now."
    assert CORRECTION not in after.answer.text


@pytest.mark.slow
async def test_a_correction_is_for_those_who_could_read_what_it_corrects(timbre: Timbre, write: Callable[..., Path]) -> None:
    ingest(timbre, write({"leave.md": "# Leave\n\nFull-time employees get 27 days of annual leave."}, "secret"), "hr")
    ingest(timbre, write({"parking.md": "# Parking\n\nBicycles park in the shed."}, "sales"), "sales")
    exchange = await ask(timbre, audience=frozenset({"hr", "sales", "everyone"}))

    await timbre.feedback.correct(exchange.id, CORRECTION, "bob")

    for_hr = await ask(timbre, audience=frozenset({"hr", "everyone"}))
    for_sales = await ask(timbre, audience=frozenset({"sales", "everyone"}))
    assert for_hr.answer.citations[0].quote.text == CORRECTION
    assert "30" not in for_sales.answer.text
    assert all(not passage.document.is_standard_answer for passage in for_sales.passages)


@pytest.mark.slow
async def test_a_correction_keeps_its_readers_when_the_document_has_changed_since(
    timbre: Timbre, write: Callable[..., Path]
) -> None:
    # An operator, who reads everything, asks; the document is read again before the correction is written.
    leave = "# Leave\n\nFull-time employees get 27 days of annual leave."
    folder = write({"leave.md": leave}, "secret")
    ingest(timbre, folder, "hr")
    ingest(timbre, write({"parking.md": "# Parking\n\nBicycles park in the shed."}, "sales"), "sales")
    exchange = await ask(timbre, audience=frozenset({"hr", "sales", "everyone"}))
    write({"leave.md": f"{leave} Ask Ann."}, "secret")
    ingest(timbre, folder, "hr")

    await timbre.feedback.correct(exchange.id, CORRECTION, "bob")

    for_sales = await ask(timbre, audience=frozenset({"sales", "everyone"}))
    assert all(not passage.document.is_standard_answer for passage in for_sales.passages)


@pytest.mark.slow
async def test_a_correction_of_nothing_is_for_the_groups_that_asked(timbre: Timbre, write: Callable[..., Path]) -> None:
    ingest(timbre, write({"parking.md": "# Parking\n\nBicycles park in the shed."}, "open"))
    question = "Which vaccine protects against malaria?"
    exchange = await ask(timbre, question, frozenset({"hr", "everyone"}))

    await timbre.feedback.correct(exchange.id, "None does.", "bob")

    outcomes = [(await ask(timbre, question, frozenset(groups))).answer.outcome for groups in ({"hr"}, {"everyone"})]
    assert outcomes == [Outcome.ANSWERED, Outcome.UNKNOWN]


async def test_small_talk_is_neither_rated_nor_corrected(handbook: Timbre) -> None:
    exchange = await ask(handbook, "hi")

    for act in (rate(handbook, exchange, Verdict.HELPFUL), handbook.feedback.correct(exchange.id, CORRECTION, "bob")):
        with pytest.raises(CommandRejected, match="small talk"):
            await act

    assert (verdicts(handbook), handbook.exchanges.standard_answers()) == ([], {})


async def test_an_unknown_exchange_is_refused_by_its_id(handbook: Timbre) -> None:
    unknown = replace(await ask(handbook), id=ExchangeId("nope"))

    for act in (rate(handbook, unknown, Verdict.HELPFUL), handbook.feedback.correct(unknown.id, CORRECTION, "bob")):
        with pytest.raises(CommandRejected, match="no answer with the id nope"):
            await act


@pytest.mark.parametrize("text", ["", "  \n", "👍", "\0", "x" * 5000])
async def test_a_correction_that_says_nothing_or_too_much_is_refused_as_a_correction(handbook: Timbre, text: str) -> None:
    exchange = await ask(handbook)

    with pytest.raises(CommandRejected) as caught:
        await handbook.feedback.correct(exchange.id, text, "bob")

    assert "question" not in str(caught.value)
    assert verdicts(handbook) == []
