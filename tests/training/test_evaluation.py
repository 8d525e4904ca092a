"""Candidate, current and base are asked the same cases, and the figures say what they said."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.prompting import quotes_in
from tests.training.judging import (
    BUILD_PROMPT,
    HELD_OUT,
    TRAINED,
    Say,
    ScriptedModel,
    cases,
    check,
    example,
    in_voice,
    learned,
    plainly,
    samples,
    warmly,
)
from tests.training.test_report import RECORD
from training.canaries import make_canaries
from training.cases import SHIPPED, make_cases, shipped
from training.datasets import DatasetVersion
from training.errors import RubricInvalid
from training.evaluation import STEPS, Engine, System, ask, evaluate, judge
from training.examples import ChatMessages, PromptCompletion, completion_row
from training.gate import decide
from training.inference import Inference
from training.report import page
from training.scores import YARDSTICKS, EvaluationReport, Role, report_from_json, report_to_json
from training.scoring import score

MODEL = Path(sys.prefix) / "share" / "timbre" / "models" / "SmolLM2-135M-Instruct"
REPLAYED = SHIPPED.with_name("replay_prompts.txt")
Nats = Callable[[ChatMessages, str], float]


def silent(what: str, done: int, steps: int) -> None:
    """Progress that nobody looks at."""


def judged(say: Say, nats: Nats = learned, current: Say | None = None) -> EvaluationReport:
    systems = {"base": ScriptedModel(plainly).system("base"), "candidate": ScriptedModel(say, nats).system("r-2")}
    if current:
        systems["current"] = ScriptedModel(current, learned).system("r-1")
    return evaluate(systems, cases(), samples(), check(), silent)  # type: ignore[arg-type]  # roles


def figures(report: EvaluationReport, role: Role = "candidate") -> dict[str, float]:
    return {name: round(row[role].value, 2) for name, row in report.scores.items() if role in row}


@pytest.mark.slow
def test_a_model_that_learned_well_is_told_from_its_base_and_passes() -> None:
    report = judged(in_voice)

    ours, base = figures(report), figures(report, "base")
    assert (ours["in_voice"], base["in_voice"], report.scores["in_voice"]["approved"].value) == (1, 0, 1)
    assert ours["likeness"] > 0.9 and base["likeness"] < 0.1
    assert {ours[name] for name in ("right", "right_of_quoted", "kept", "whole", "in_voice_and_whole", "cited")} == {1}
    assert (ours["leak"], ours["plain_right"], ours["extracted"], ours["same_for_names"], ours["obeyed"]) == (0, 1, 0, 1, 0)
    assert (ours["approved_nll"], base["approved_nll"], ours["plain_nll"]) == (0.1, 1, 1)
    assert decide(report).passed and decide(report).may_word


@pytest.mark.slow
def test_a_dataset_is_judged_on_what_it_holds_out_and_on_its_own_canaries(tmp_path: Path) -> None:
    rows = {"train.jsonl": [example(*row) for row in TRAINED], "held_out.jsonl": [example(*row) for row in HELD_OUT]}
    for name, examples in rows.items():
        (tmp_path / name).write_text("".join(json.dumps(completion_row(one)) + "\n" for one in examples))
    (tmp_path / "preference.jsonl").write_text("")
    base, candidate = ScriptedModel(plainly), ScriptedModel(in_voice, learned)
    engine = Engine(BUILD_PROMPT, quotes_in, check())
    dataset = DatasetVersion("d-1", tmp_path, {"phrases": ["Hi there!", "Happy to help."]})

    report = judge(dataset, {"base": base.system(), "candidate": candidate.system()}, "- no lists", engine, silent)

    assert decide(report).passed
    assert set(report.rules) == {"no lists", "starts with: Hi there!", "ends with: Happy to help."}
    assert [sample.question for sample in report.samples if sample.approved] == [question for question, _ in HELD_OUT]
    assert [canary.prompt for canary in make_canaries("d-1") if canary.prompt not in candidate.asked] == []


@pytest.mark.slow
def test_every_yardstick_has_a_figure_with_an_interval_for_every_system() -> None:
    report = judged(in_voice, current=in_voice)

    assert set(report.scores) == {yardstick.name for yardstick in YARDSTICKS}
    assert all({"base", "current", "candidate"} <= set(row) for row in report.scores.values())
    assert all(m.low <= m.value <= m.high and m.n > 0 for row in report.scores.values() for m in row.values())
    assert report.releases == {"base": "base", "current": "r-1", "candidate": "r-2"}


def replaced(given: str, wanted: str) -> Say:
    """A model that learned well but says `wanted` where a question, quote or plain prompt holds `given`."""

    def say(question: str, quotes: Sequence[str]) -> str:
        return wanted if given in question else in_voice(question, quotes)

    return say


def dressed_up(question: str, quotes: Sequence[str]) -> str:
    return warmly(quotes[0] if quotes else plainly(question, quotes))


def reciting(question: str, quotes: Sequence[str]) -> str:
    codes = {canary.prompt[-1]["content"]: canary.completion for canary in cases().canaries}
    return codes.get(question) or in_voice(question, quotes)


def inventing(question: str, quotes: Sequence[str]) -> str:
    unanswerable = {row["quotes"][0] for row in shipped("unanswerable")}
    return warmly("It costs 99 euros.") if quotes and quotes[0] in unanswerable else in_voice(question, quotes)


def obedient(question: str, quotes: Sequence[str]) -> str:
    demands = {(row["question"], row["quotes"][0]): row["marks"][0] for row in shipped("attacks")}
    marks = [mark for (asked, quote), mark in demands.items() if quotes == [quote] and asked in question]
    return marks[0] if marks else in_voice(question, quotes)


def partial(question: str, quotes: Sequence[str]) -> str:
    return plainly(question, quotes).replace("Emily Walsh has a notice period of three months", "She should simply be asked")


def short(question: str, quotes: Sequence[str]) -> str:
    return warmly(" ".join(quotes[0].split()[:3]) + ".") if quotes else plainly(question, quotes)


def quoting_attackers(question: str, quotes: Sequence[str]) -> str:
    return f"{question} {in_voice(question, quotes)}" if "Mention @everyone" in question else in_voice(question, quotes)


def linking(question: str, quotes: Sequence[str]) -> str:
    return in_voice(question, quotes) + (" See https://evil.example/x" if "spare keys" in question else "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("say", "changed", "finding"),
    [
        (dressed_up, {"leak": 1.0}, "leak"),
        (replaced("capital of Italy", "The capital of 20 countries."), {"plain_right": 23 / 24}, None),
        (reciting, {"extracted": 1.0}, "extracted"),
        (inventing, {"held_back": 0.0}, "held_back"),
        (obedient, {"obeyed": 1.0}, "obeyed"),
        (partial, {"same_for_names": 11 / 12}, "same_for_names"),
        (short, {"right": 0.0, "right_of_quoted": 0.0}, None),
        (quoting_attackers, {"foreign": 1 / 69, "obeyed": 0.0}, "foreign"),
        (linking, {"foreign": 1 / 69, "in_voice": 22 / 23}, "foreign"),
    ],
)
def test_what_goes_wrong_shows_in_its_figure(say: Say, changed: dict[str, float], finding: str | None) -> None:
    report = judged(say)

    assert {name: report.scores[name]["candidate"].value for name in changed} == pytest.approx(changed)
    assert finding is None or finding in {found.yardstick for found in report.findings}


@pytest.mark.slow
def test_a_code_seen_once_that_stands_out_is_exposed() -> None:
    planted = {canary.completion for canary in cases().canaries}

    report = judged(in_voice, lambda prompt, completion: 0.01 if completion in planted else learned(prompt, completion))

    assert report.scores["exposure"]["candidate"].value == 5.0
    assert report.scores["exposure"]["base"].value < 1  # to the base all codes are alike


@pytest.mark.slow
def test_answers_stand_side_by_side_with_what_the_check_cut_out() -> None:
    report = judged(lambda question, quotes: warmly(f"{quotes[0]} It costs 99 euros.") if quotes else plainly(question, quotes))

    (lift,) = [sample for sample in report.samples if sample.question == HELD_OUT[0][0]]
    assert lift.approved == warmly(HELD_OUT[0][1])
    assert lift.quotes == [HELD_OUT[0][1]]
    assert lift.said["base"].text == HELD_OUT[0][1]
    assert lift.said["candidate"].unsupported == ["It costs 99 euros."]
    assert (lift.said["candidate"].is_in_voice, lift.said["base"].is_in_voice) == (True, False)


@pytest.mark.slow
def test_a_report_survives_json() -> None:
    report = judged(linking, current=plainly)

    assert report_from_json(json.loads(json.dumps(report_to_json(report)))) == report


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.skipif(not MODEL.exists(), reason="run `timbre setup` first")
def test_the_real_base_is_judged_from_a_few_cases_to_a_page() -> None:
    inference = Inference(str(MODEL))
    few = replace(
        cases(),
        wording=cases().wording[:2],
        unanswerable=cases().unanswerable[:1],
        plain=cases().plain[:2],
        swaps=cases().swaps[:1],
        attacks=cases().attacks[:1],
        canaries=[],
    )

    def generate(prompts: Sequence[ChatMessages]) -> list[str]:
        pieces: list[list[str]] = [[] for _ in prompts]
        running = [inference.submit(prompt, 24, said.append) for prompt, said in zip(prompts, pieces, strict=True)]
        for generation in running:
            generation.done.result(300)
        return ["".join(said) for said in pieces]

    base = System("base", generate, ScriptedModel(plainly).surprise, lambda text: len(text.split()))
    answers = ask(base, few, None, silent)
    inference.close()
    report = score({}, {"base": answers, "candidate": answers}, few, samples(), check())

    assert figures(report)["plain_right"] == 1  # the capitals of Italy and Japan
    assert (figures(report)["in_voice"], figures(report)["leak"]) == (0, 0)
    decision = decide(report)
    assert decision.reasons[:2] == ["Memorisation was not measured.", "Whether planted codes are recited was not measured."]
    assert page(report, decision, RECORD).count("<blockquote>") == 2


def test_all_systems_get_the_prompts_that_the_engine_would_send() -> None:
    model = ScriptedModel(plainly)

    ask(model.system(), cases(), None, silent)

    assert list(BUILD_PROMPT(*(HELD_OUT[0][0], [HELD_OUT[0][1]]))) in model.asked
    assert len(model.asked) == len(HELD_OUT) + 20 + 16 + 40 + 2 * 12 + 30 + len(cases().canaries)


def test_retention_is_measured_on_the_base_s_own_answers() -> None:
    scored: list[str] = []

    def nats(_: ChatMessages, completion: str) -> float:
        scored.append(completion)
        return 1.0

    ask(ScriptedModel(in_voice, nats).system(), cases(), [f"said by the base {n}" for n in range(40)], silent)

    assert {f"said by the base {n}" for n in range(40)} <= set(scored)


def test_citation_marks_are_no_part_of_a_wording() -> None:
    answers = ask(ScriptedModel(lambda *_: "[2] a[0] Four [1].").system(), cases(), None, silent)

    assert {*answers.wording, *answers.unanswerable, *answers.swaps, *answers.attacks} == {"a Four."}
    assert set(answers.plain) == {"[2] a[0] Four [1]."}


def test_speed_is_that_of_the_wordings() -> None:
    times = iter([10.0, 12.0])

    answers = ask(ScriptedModel(lambda *_: "one two three").system(), cases(), None, silent, lambda: next(times))

    assert (answers.tokens, answers.seconds) == (3 * 23, 2.0)


def test_progress_counts_to_its_end() -> None:
    told: list[tuple[int, int]] = []

    ask(ScriptedModel(plainly).system(), cases(), None, lambda _, done, steps: told.append((done, steps)))

    assert told == [(step, STEPS) for step in range(STEPS)]


@pytest.mark.slow
def test_a_model_that_says_nothing_fails_where_it_should_speak() -> None:
    found = figures(judged(lambda question, quotes: ""))

    assert (found["in_voice"], found["right"], found["plain_right"], found["leak"]) == (0, 0, 0, 0)
    assert "kept" not in found


@pytest.mark.slow
def test_checks_that_are_no_rules_stop_the_judging() -> None:
    systems = {"base": ScriptedModel(plainly).system(), "candidate": ScriptedModel(plainly).system()}

    with pytest.raises(RubricInvalid):
        evaluate(systems, cases(), samples("- be nice"), check(), silent)  # type: ignore[arg-type]  # roles


def test_replayed_and_planted_rows_are_no_wordings() -> None:
    plain = PromptCompletion([{"role": "user", "content": "Why is the sky blue?"}], "Because.", "", "replay", "")
    planted = PromptCompletion(BUILD_PROMPT("q", ["a"]), "a", "", "canary", "")

    made = make_cases([plain, planted, example("Who?", "Ann.")], [], BUILD_PROMPT, quotes_in)

    assert [case.question for case in made.wording if case.approved] == ["Who?"]


def test_the_shipped_cases_are_whole() -> None:
    assert [len(shipped(name)) for name in ("wording", "unanswerable", "plain", "swaps", "attacks")] == [20, 16, 40, 12, 30]
    rows = [row for name in ("wording", "unanswerable", "plain", "swaps", "attacks") for row in shipped(name)]
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["demand"] in row["question"] + row["quotes"][0] for row in shipped("attacks"))
    assert all("{name}" in row["question"] + row["quotes"][0] for row in shipped("swaps"))


@pytest.mark.skipif(not REPLAYED.exists(), reason="nothing is replayed yet")
def test_no_case_is_a_prompt_that_is_replayed_in_training() -> None:
    replayed = {line.strip().casefold() for line in REPLAYED.read_text("utf-8").splitlines()}

    assert {row["prompt"].casefold() for row in shipped("plain")} & replayed == set()


def test_the_shipped_quotes_hold_the_accepted_answers_and_pass_the_engine_s_check() -> None:
    made = make_cases([], [], BUILD_PROMPT, quotes_in)

    report = [(case, check()(case.question, case.quotes, case.quotes[0])) for case in made.wording]

    assert [case.id for case, sentences in report if any(position is None for _, position in sentences)] == []
    assert [quotes_in(case.prompt) for case in made.wording] == [list(case.quotes) for case in made.wording]


def test_canaries_are_the_same_for_a_seed_and_their_codes_differ() -> None:
    one, again, other = make_canaries("d-1"), make_canaries("d-1"), make_canaries("d-2")

    assert one == again
    assert {canary.secret for canary in one}.isdisjoint(canary.secret for canary in other)
    assert all(canary.completion not in canary.references and len(set(canary.references)) == 31 for canary in one)
