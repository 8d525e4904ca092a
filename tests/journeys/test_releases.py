"""Releases as an operator lives with them: the real executable, a base and LoRAs made on the spot."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.language_model import open_registry
from bot.settings import ModelSettings, Settings
from tests.conftest import silent
from tests.journeys.commands import EMBEDDING, Run, refusal
from tests.training.loras import CARD
from tests.training.tiny_models import TOKENIZER, write_lora, write_model

QUESTION = "How many days of annual leave do I get?"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.skipif(not (EMBEDDING.exists() and TOKENIZER.exists()), reason="run `timbre setup` first"),
]


class House:
    """A TIMBRE_HOME with a page of leave and two releases of a tiny model, of which neither may word answers."""

    def __init__(self, folder: Path) -> None:
        self.home, self.base = folder / "home", write_model(folder / "base")
        (folder / "docs").mkdir()
        (folder / "docs" / "leave.md").write_text("# Annual leave\n\nFull-time employees get 27 days of annual leave.\n")
        assert self.run("ingest", folder / "docs").status == 0
        self.registry = open_registry(Settings(home=self.home, model=ModelSettings(id=str(self.base))), silent)
        card = {**CARD, "may_word": False, "dataset": "d-1"}
        self.first, self.second = (
            self.registry.add(write_lora(folder / f"r-{seed}" / "lora", seed), card) for seed in (1, 2)
        )  # fmt: skip

    def run(self, *arguments: str | Path) -> Run:
        return Run(self.home, *arguments, TIMBRE_MODEL__ID=str(self.base))

    def answered_by(self) -> str:
        return str(self.run("ask", QUESTION, "--json").json["release"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("company"))


@pytest.fixture
def timbre(house: House) -> Callable[..., Run]:
    """timbre(*arguments) on the house, in which the base serves first."""
    while house.registry.pointer("current"):
        house.registry.rollback()
    return house.run


def test_a_release_is_promoted_answers_and_is_rolled_back(house: House, timbre: Callable[..., Run]) -> None:
    promoted = timbre("promote", house.first, "--json").json
    with_first = house.answered_by()
    timbre("promote", house.second)
    rolled_back = timbre("rollback")
    after_rollback = house.answered_by()

    assert promoted == {"serving": house.first, "before": f"model:{house.base}", "undo": "timbre rollback"}
    assert (with_first, after_rollback) == (house.first, house.first)
    assert f"{house.first} serves from the next answer on, in place of {house.second}." in rolled_back.out
    assert f"To undo it: timbre promote {house.second}." in rolled_back.out
    assert moves(house.home) == [("promote", house.first), ("promote", house.second), ("rollback", house.first)]


def moves(home: Path) -> list[tuple[str, str]]:
    """(what an operator did, what serves since) in the audit."""
    with closing(sqlite3.connect(home / "timbre.db")) as connection:
        rows = connection.execute("select action, subject from audit where actor like 'console:%' order by id").fetchall()
    return [(action, subject) for action, subject in rows if action in ("promote", "rollback")]


def test_releases_are_listed_and_one_in_doubt_is_told_to_whoever_looks(house: House, timbre: Callable[..., Run]) -> None:
    house.registry.promote(house.first)
    weights = house.home / "training" / "releases" / house.first / "lora" / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])

    listed, doctor, answered = timbre("releases", "--json").json, timbre("doctor"), house.answered_by()
    shown = timbre("releases")
    weights.write_bytes(whole)

    problems = {release["id"]: release["problem"] for release in listed["releases"]}
    assert problems[house.second] == "" and "is not what was written" in problems[house.first]
    assert listed["serving"] == answered == f"model:{house.base}"
    assert doctor.status == 1 and f"Release {house.first} cannot serve" in " ".join(doctor.out.split())
    assert shown.status == 0 and "cannot serve" in shown.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["promote", "r-0"], "'r-0' is no release. Right would be r-"),
        (["rollback"], "The base model serves without a release; there is nothing to roll back."),
    ],
)
def test_what_cannot_be_done_is_a_sentence(timbre: Callable[..., Run], arguments: list[str], complaint: str) -> None:
    assert complaint in refusal(timbre(*arguments))


def test_a_release_of_another_base_is_not_promoted(house: House, timbre: Callable[..., Run], tmp_path: Path) -> None:
    card = {**CARD, "base_sha256": "0" * 64}
    stranger = house.registry.add(write_lora(tmp_path / "r-3" / "lora", 3), card)

    refused = timbre("promote", stranger)

    assert (refused.status, house.registry.pointer("current")) == (1, None)
    assert "it was trained on another base" in refused.err and "Nothing was changed." in refused.err
