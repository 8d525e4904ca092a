"""What training may know: who and what is kept out, what is masked, what is imported, and what is erased."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from bot.conversation import Exchange, ExchangeId, Feedback, Question, Verdict
from bot.dataset_building import build, plan, staff_check
from bot.erasure import Erasure, erase
from bot.errors import CommandRejected, SettingsInvalid
from bot.feedback_files import ImportReport, exported, import_feedback, read_feedback
from bot.main import Timbre
from bot.messages import Addressed, IncomingMessage, Person, PersonId, Place
from bot.people import Role, RoleBook
from bot.prompting import build_messages
from bot.rated_exchanges import Gathered, Policy, gather, hashed, style_rows
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from bot.storage.training import TrainingStore
from bot.training_home import datasets_dir, rater_key, training_dir
from bot.voice import VoiceExample, read_voice
from tests.bot.conftest import ALL, Worded, ingest
from training import datasets
from training.examples import RatedExchange, Rating
from training.privacy import KnownNames, masked

QUESTION = "How many days of annual leave do full-time employees get?"
WORDING = "Full-time employees get 27 days of annual leave."
NOW = datetime(2026, 11, 21, tzinfo=UTC)
ANN, BEN, SUE = PersonId("slack:T1:U1"), PersonId("slack:T1:U2"), PersonId("slack:T1:U3")
KEY = b"key"
PLACE = Place("slack", "T1", "C1")


def store_of(timbre: Timbre) -> TrainingStore:
    return TrainingStore(timbre.database)


def policy_of(timbre: Timbre, **changes: object) -> Policy:
    policy = Policy(mask=masked, voice=timbre.voice, rater_key=KEY, is_staff=lambda person: person == SUE)
    return replace(policy, **changes)  # type: ignore[arg-type]


def gathered(timbre: Timbre, **changes: object) -> Gathered:
    store = store_of(timbre)
    return gather(store.rated(), store.imported(), policy_of(timbre, **changes))


async def asked(timbre: Timbre, text: str = QUESTION, by: str = ANN, **how: object) -> Exchange:
    audience = ALL | frozenset({"hr"})
    question = Question(text, audience, asked_by=by, **how)  # type: ignore[arg-type]
    return await timbre.engine.answer(question)


async def rate(timbre: Timbre, exchange: Exchange, by: str = BEN, verdict: Verdict = Verdict.HELPFUL) -> None:
    await timbre.feedback.record(Feedback(exchange.id, verdict, by))


def only(found: Gathered) -> RatedExchange:
    [one] = found.exchanges
    return one


async def test_a_rated_exchange_holds_what_the_engine_sent_and_what_the_model_made_of_it(worded: Worded) -> None:
    worded.says(WORDING)
    exchange = await asked(worded.timbre)
    await rate(worded.timbre, exchange)
    await rate(worded.timbre, exchange, SUE, Verdict.NOT_HELPFUL)

    one = only(gathered(worded.timbre))

    assert one.prompt == [dict(message) for message in worded.model.prompts[0]]
    assert one.prompt == build_messages(QUESTION, exchange.quotes, worded.timbre.voice)
    assert (one.answer, one.was_worded, one.outcome) == (WORDING, True, "answered")
    assert one.quotes == [quote.shown for quote in exchange.quotes]
    assert one.topic.endswith("leave.md")
    assert one.audience == ALL
    assert one.ratings == [Rating(hashed(BEN, KEY), True, False), Rating(hashed(SUE, KEY), False, True)]


async def test_where_no_model_words_the_prompt_is_what_it_would_be_sent(handbook: Timbre) -> None:
    exchange = await asked(handbook)
    await rate(handbook, exchange)

    one = only(gathered(handbook))

    assert one.prompt == build_messages(QUESTION, exchange.quotes, handbook.voice)
    assert (one.answer, one.was_worded) == ("\n".join(quote.shown for quote in exchange.quotes), False)


@pytest.mark.both_databases
async def test_an_approved_correction_is_known_with_its_author_and_without_marks(handbook: Timbre) -> None:
    exchange = await asked(handbook)
    await handbook.feedback.correct(exchange.id, "You get 27 days [1].", SUE)

    one = only(gathered(handbook))

    assert (one.correction, one.author) == ("You get 27 days.", hashed(SUE, KEY))


async def test_nobody_who_is_hashed_can_be_told_without_the_key(handbook: Timbre) -> None:
    await rate(handbook, await asked(handbook))

    one = only(gathered(handbook))

    assert not any(person in repr(one) for person in (ANN, BEN, "U1", "U2"))
    assert hashed(BEN, KEY) != hashed(BEN, b"another")


async def test_what_was_asked_in_private_is_kept_out_unless_it_is_allowed(handbook: Timbre) -> None:
    await rate(handbook, await asked(handbook, is_private=True))

    kept_out = gathered(handbook)

    assert (kept_out.exchanges, kept_out.excluded) == ([], {"private": 1})
    assert len(gathered(handbook, include_private=True).exchanges) == 1


async def test_what_only_some_may_read_is_kept_out_since_a_model_has_no_readers(handbook: Timbre, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "raises.md").write_text("# Raises\n\nThe raise budget for next year is 4 percent.\n")
    ingest(handbook, tmp_path / "secret", "hr")
    await rate(handbook, await asked(handbook, "What is the raise budget for next year?"))

    assert gathered(handbook).excluded == {"restricted": 1}


@pytest.mark.both_databases
@pytest.mark.parametrize("person", [ANN, SUE])
async def test_exchanges_of_who_opted_out_are_kept_out_whether_they_asked_or_corrected(
    handbook: Timbre, person: PersonId
) -> None:
    exchange = await asked(handbook)
    await handbook.feedback.correct(exchange.id, "You get 27 days.", SUE)

    assert gathered(handbook, opted_out={person}).excluded == {"opted_out": 1}


async def test_verdicts_of_who_opted_out_do_not_count(handbook: Timbre) -> None:
    exchange = await asked(handbook)
    await rate(handbook, exchange)
    await rate(handbook, exchange, SUE)

    found = gathered(handbook, opted_out={BEN})

    assert [rating.rater for rating in only(found).ratings] == [hashed(SUE, KEY)]
    assert found.excluded == {"verdicts_of_opted_out": 1}


async def test_an_approved_answer_is_given_as_it_stands_and_teaches_no_wording(handbook: Timbre) -> None:
    await handbook.feedback.correct((await asked(handbook)).id, "You get 30 days now.", SUE)
    await rate(handbook, await asked(handbook), BEN)

    assert gathered(handbook).excluded == {"standard_answer": 1}


async def test_people_who_wrote_to_us_are_not_named_in_any_text(handbook: Timbre) -> None:
    message = IncomingMessage(PLACE, "1", Person(ANN, "Anna Lindqvist", True), "hi", Addressed.MENTION, NOW)
    IntakeStore(handbook.database).put_message(message, NOW, NOW)
    exchange = await asked(handbook, "Anna asks: how many days of annual leave do full-time employees get?")
    await handbook.feedback.correct(exchange.id, "Lindqvist gets 27 days, mail anna@acme.example.", SUE)

    names = KnownNames(store_of(handbook).names())
    one = only(gathered(handbook, mask=partial(masked, names=names)))

    assert one.question.startswith("[name] asks")
    assert "Anna" not in one.prompt[1]["content"]
    assert one.correction == "[name] gets 27 days, mail [e-mail]."


def test_staff_are_the_operator_and_who_was_given_the_role(handbook: Timbre) -> None:
    roles = RoleBook(PeopleStore(handbook.database), "")
    roles.grant(SUE, Role.SUPPORT, "test")

    is_staff = staff_check(roles)

    assert [is_staff(person) for person in (SUE, ANN, "console:root", "sue@acme.example")] == [True, False, True, False]


def test_the_key_is_made_once_and_for_its_owner_only(handbook: Timbre) -> None:
    key = rater_key(handbook.settings)

    path = training_dir(handbook.settings) / "rater.key"
    assert (rater_key(handbook.settings), len(key)) == (key, 32)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["rater.key"]


# The style guide

GUIDE = """# Ours

Warm.

## Phrases

- Ahoy!
Fair winds.

## Examples

Question: How many days?
Quote: You get 27 days
  per year.
Quote: Part-timers get a share.
Wording: Ahoy! 27 days.

- **Question:** When is payday?
- **Quote:** On the 26th.
- **Wording:** On the 26th!

## Checks

- starts with "Ahoy!"
"""


def test_a_style_guide_has_examples_phrases_and_checks(tmp_path: Path) -> None:
    (tmp_path / "voice.md").write_text(GUIDE)

    voice = read_voice(tmp_path / "voice.md")

    assert voice.examples == [
        VoiceExample("How many days?", ["You get 27 days per year.", "Part-timers get a share."], "Ahoy! 27 days."),
        VoiceExample("When is payday?", ["On the 26th."], "On the 26th!"),
    ]
    assert (voice.phrases, voice.checks) == (["Ahoy!", "Fair winds."], '- starts with "Ahoy!"')
    assert read_voice(None).examples == ()


def test_examples_are_rows_with_the_prompt_of_the_engine(tmp_path: Path) -> None:
    (tmp_path / "voice.md").write_text(GUIDE)
    voice = read_voice(tmp_path / "voice.md")

    row = style_rows(voice, masked)[0]

    assert "Warm." in row.prompt[0]["content"]
    assert "[2] <<<Part-timers get a share.>>>" in row.prompt[1]["content"]
    assert (row.origin, row.question, row.completion) == ("style_guide", "How many days?", "Ahoy! 27 days.")


@pytest.mark.parametrize(
    "block", ["Question: a\nWording: b", "Quote: a\nWording: b", "Just text", "Question: a\nQuote: b\nWording:"]
)
def test_an_example_that_lacks_something_is_refused_with_how_it_is_written(tmp_path: Path, block: str) -> None:
    (tmp_path / "voice.md").write_text(f"# Ours\n\n## Examples\n\n{block}\n")

    with pytest.raises(SettingsInvalid, match=r"an example that cannot be read.*`Wording: \.\.\.`"):
        read_voice(tmp_path / "voice.md")


# Files


def file_of(folder: Path, *rows: object) -> Path:
    path = folder / "feedback.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def row(question: str = QUESTION, answer: str = f"Hi there! {WORDING}", **fields: object) -> dict[str, object]:
    return {"question": question, "answer": answer, "verdict": "helpful", "rated_by": "ann@acme.example", **fields}


async def imported(timbre: Timbre, folder: Path, *rows: object, approve: bool = False) -> ImportReport:
    lines, embedder = read_feedback(file_of(folder, *rows)), timbre.knowledge.embedder
    return await import_feedback(
        lines, timbre.engine, embedder, store_of(timbre), ALL, "console:op", approve, NOW, lambda *_: None
    )


async def test_imported_rows_get_passages_and_marks_as_a_live_question_would(handbook: Timbre, tmp_path: Path) -> None:
    report = await imported(handbook, tmp_path, row(correction=WORDING, verdict="not_helpful", channel="general"), approve=True)

    [stored] = store_of(handbook).imported()
    one = only(gathered(handbook))
    assert (report.imported, report.unchanged, report.rejected) == (1, 0, {})
    assert (stored.answer, stored.correction) == (f"Hi there! {WORDING} [1]", f"{WORDING} [1]")
    assert (one.answer, one.correction, one.is_vouched) == (f"Hi there! {WORDING}", WORDING, True)
    assert WORDING in one.quotes[0]
    assert one.topic.endswith("leave.md")
    assert store_of(handbook).rated() == []  # no answer of the bot


@pytest.mark.both_databases
async def test_importing_a_file_twice_changes_nothing_and_a_later_verdict_replaces_the_earlier(
    handbook: Timbre, tmp_path: Path
) -> None:
    first = await imported(handbook, tmp_path, row(), row(), row(rated_by="ben"))
    stored = store_of(handbook).imported()

    again = await imported(handbook, tmp_path, row(), row(rated_by="ben"))
    same = store_of(handbook).imported()
    later = await imported(handbook, tmp_path, row(verdict="not_helpful"), approve=True)

    assert [(report.imported, report.unchanged) for report in (first, again, later)] == [(2, 0), (0, 2), (1, 0)]
    assert same == stored
    assert sorted((one.verdict, one.is_vouched) for one in store_of(handbook).imported()) == [
        ("helpful", False),
        ("not_helpful", True),
    ]


async def test_rows_that_no_document_answers_are_left_out_by_line(handbook: Timbre, tmp_path: Path) -> None:
    report = await imported(handbook, tmp_path, row(), row("Who won the 1974 chess olympiad in Nice?"))

    assert report.imported == 1
    assert report.rejected == {"no document that may be used answers the question": [2]}


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{", "is no JSON"),
        ([], 'needs a "question" (text)'),
        ({"question": QUESTION}, 'needs a "answer" (text)'),
        (row(answer=" "), 'needs a "answer" (text)'),
        (row(verdict="good"), '"verdict" must be "helpful" or "not_helpful", not \'good\''),
        (row(rated_by=7), 'needs a "rated_by" (text)'),
        (row(correction=["x"]), '"correction" must be text'),
        (row(corection="x"), "has the unknown field 'corection'; did you mean 'correction'?"),
        (row(zzz="x"), "has the unknown field 'zzz'; known are question, answer"),
        (row(question="???"), '"question" cannot be used: I can only answer questions in words'),
        (row(question="word " * 9999), '"question" cannot be used: Your question has'),
    ],
)
async def test_a_bad_line_is_named_and_nothing_is_imported(handbook: Timbre, tmp_path: Path, bad: object, sentence: str) -> None:
    with pytest.raises(CommandRejected) as refused:
        await imported(handbook, tmp_path, row(), bad, row("Where can I park my bicycle?"))

    assert f"{tmp_path / 'feedback.jsonl'}, line 2" in str(refused.value)
    assert sentence in str(refused.value)
    assert store_of(handbook).imported() == []


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_feedback_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.jsonl").write_text(content)

    with pytest.raises(CommandRejected, match="holds no feedback"):
        read_feedback(tmp_path / "empty.jsonl")


async def test_what_was_exported_can_be_imported_and_private_things_are_not_exported(handbook: Timbre, tmp_path: Path) -> None:
    public, private, of_cy = (
        await asked(handbook),
        await asked(handbook, is_private=True),
        await asked(handbook, by="slack:T1:CY"),
    )
    for exchange in (public, private, of_cy):
        await rate(handbook, exchange)
    await imported(handbook, tmp_path, row(reason="tone", channel="general"))

    rows = list(exported(store_of(handbook).rated(), store_of(handbook).imported(), {"slack:T1:CY"}, include_private=False))

    assert [one["rated_by"] for one in rows] == [BEN, "ann@acme.example"]
    assert rows[1] == row(reason="tone", channel="general")
    assert len(read_feedback(file_of(tmp_path, *rows))) == 2


async def test_imported_rows_of_private_channels_are_kept_out(handbook: Timbre, tmp_path: Path) -> None:
    await imported(handbook, tmp_path, row(channel="DM"), row(channel="C9", rated_by="b"), row(channel="C1", rated_by="c"))

    assert gathered(handbook, private_channels={"C9"}).excluded == {"private": 2}


@pytest.mark.parametrize(("approve", "rated_by", "is_approved"), [(False, "ann", False), (True, "ann", True), (False, SUE, True)])
async def test_an_imported_correction_counts_where_an_admin_vouches_or_support_wrote_it(
    handbook: Timbre, tmp_path: Path, approve: bool, rated_by: str, is_approved: bool
) -> None:
    await imported(handbook, tmp_path, row(correction=WORDING, verdict="not_helpful", rated_by=rated_by), approve=approve)

    assert bool(only(gathered(handbook)).correction) == is_approved


async def test_what_several_people_say_of_an_imported_answer_counts_together(handbook: Timbre, tmp_path: Path) -> None:
    await imported(handbook, tmp_path, row(rated_by="ann"), row(rated_by="ben"), row(rated_by="cy", answer="27 days."))

    found = gathered(handbook).exchanges

    assert sorted(len(one.ratings) for one in found) == [1, 2]


async def test_corrections_of_an_imported_answer_that_differ_are_all_known(handbook: Timbre, tmp_path: Path) -> None:
    corrections = [row(verdict="not_helpful", rated_by=f"r{n}", correction=f"You get 2{n} days.") for n in (6, 7)]
    await imported(handbook, tmp_path, *corrections, approve=True)

    assert sorted(one.correction for one in gathered(handbook).exchanges) == ["You get 26 days.", "You get 27 days."]


async def test_a_correction_that_was_changed_is_imported_again(handbook: Timbre, tmp_path: Path) -> None:
    await imported(handbook, tmp_path, row(correction="27 days."))

    report = await imported(handbook, tmp_path, row(correction="It is 27 days."))

    assert report.imported == 1
    assert store_of(handbook).imported()[0].correction.startswith("It is 27 days.")


# Building and erasing


async def built_of(timbre: Timbre, people: Sequence[str]) -> str:
    """A dataset of two rows; each was approved by one of the people."""
    timbre.settings.training.min_rows = 1
    for asking, by in zip((QUESTION, "Where can I park my bicycle?"), people, strict=True):
        exchange = await asked(timbre, asking, by="slack:T1:U9")
        await timbre.feedback.correct(exchange.id, exchange.quotes[0].text, by)
    version, _ = build(timbre, plan(timbre), NOW)
    return version.id


async def test_a_dataset_is_built_of_what_is_stored(handbook: Timbre) -> None:
    key = await built_of(handbook, [ANN, SUE])

    version = datasets.read(datasets_dir(handbook.settings), key)
    assert version.manifest["counts"] == {"correction": 2}
    assert set(version.manifest["raters"]) == {hashed(person, rater_key(handbook.settings)) for person in (ANN, SUE)}


def erased(timbre: Timbre, person: PersonId) -> Erasure:
    folder, key = training_dir(timbre.settings), rater_key(timbre.settings)
    return erase(person, "console:op", store_of(timbre), timbre.knowledge.catalogue, folder, key, NOW)


async def test_erasing_a_person_retires_what_was_trained_on_them(handbook: Timbre) -> None:
    key = await built_of(handbook, [ANN, SUE])
    release = training_dir(handbook.settings) / "releases" / "r-0123456789ab"
    for folder, dataset in ((release, key), (release.with_name("r-other"), "d-other")):
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(json.dumps({"dataset": dataset}))

    done = erased(handbook, ANN)

    assert (done.datasets, done.releases) == ([key], ["r-0123456789ab"])
    assert json.loads((release / "retired.json").read_text())["why"].startswith("it holds rows of a person")
    assert erased(handbook, SUE).datasets == [key]
    assert erased(handbook, BEN).datasets == []


@pytest.mark.both_databases
async def test_erasing_a_person_leaves_nothing_that_they_asked_or_said(handbook: Timbre, tmp_path: Path) -> None:
    secret = "How many days of annual leave do full-time employees get before my xylophone surgery?"
    message = IncomingMessage(PLACE, "1", Person(ANN, "Anna Lindqvist", True), secret, Addressed.MENTION, NOW)
    IntakeStore(handbook.database).put_message(message, NOW, NOW)
    mine = await asked(handbook, secret, conversation="thread")
    other = await asked(handbook, by=BEN, conversation="thread")
    await rate(handbook, mine, BEN)
    await rate(handbook, other, ANN)
    await imported(handbook, tmp_path, row(rated_by=ANN), row(rated_by="b"))

    done = erased(handbook, ANN).erased

    assert (done.exchanges, done.verdicts, done.imported) == ([mine.id], 1, 1)
    assert handbook.exchanges.get(mine.id) is None
    assert handbook.exchanges.get(other.id) is not None
    assert handbook.exchanges.verdict_counts() == {}
    assert [one.rated_by for one in store_of(handbook).imported()] == ["b"]
    kept = IntakeStore(handbook.database).message(message.key)
    assert kept is not None
    assert (kept.text, kept.author.name) == ("", "")
    assert store_of(handbook).names() == set()
    assert gathered(handbook).excluded == {}
    assert plan(handbook).excluded == {"erased": 1}
    with handbook.database.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = [repr(tuple(found)) for table in tables for found in connection.execute(text(f'SELECT * FROM "{table}"'))]
    assert not any("xylophone" in found for found in rows)


@pytest.mark.both_databases
async def test_an_approved_answer_stays_when_who_asked_is_erased(handbook: Timbre) -> None:
    exchange = await asked(handbook)
    await handbook.feedback.correct(exchange.id, "You get 30 days now.", SUE)

    done = erased(handbook, ANN).erased

    stored = handbook.exchanges.get(ExchangeId(exchange.id))
    assert done.exchanges == [exchange.id]
    assert stored is not None
    assert (stored.asked_by, stored.question) == ("erased", "")
    assert "30 days" in (await asked(handbook, by=BEN)).answer.text


async def test_too_few_rows_make_no_dataset(handbook: Timbre) -> None:
    await rate(handbook, await asked(handbook))

    planned = plan(handbook)

    assert len(planned.problems) == 1
    assert planned.problems[0].startswith("There is nothing to learn from yet")
