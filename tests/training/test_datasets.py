"""Dataset versions are whole, immutable, comparable and can be gone back to."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.rated import exchange, exchanges, member, unsupported
from training import datasets
from training.curation import Curated, curate
from training.datasets import HELD_OUT, DatasetVersion, Provenance, freeze, is_held_out
from training.errors import DatasetRefused, DatasetUnknown, FolderCorrupt
from training.examples import PromptCompletion, RatedExchange
from training.privacy import KnownNames

MADE = Provenance({"opted_out": 2}, {"include_private": False}, "abc", datetime(2026, 11, 21, tzinfo=UTC))


def curated(rated: list[RatedExchange]) -> Curated:
    return curate(rated, [], unsupported, ["Hi there!"])


def frozen(root: Path, rated: list[RatedExchange]) -> DatasetVersion:
    return freeze(root, curated(rated), MADE, 0.3)[0]


def test_a_version_says_what_is_in_it_and_where_it_came_from(tmp_path: Path) -> None:
    corrected = exchange(3, correction="Look in room 13.", author="s", ratings=[member("a", False)])

    version = frozen(tmp_path, [*exchanges(3), corrected, exchange(9, ratings=[])])

    manifest = version.manifest
    assert version.id == version.folder.name == manifest["id"]
    assert manifest["counts"] == {"answer": 3, "correction": 1}
    assert manifest["rejected"] == {"not_confirmed": 1}
    assert manifest["excluded"] == {"opted_out": 2}
    assert manifest["exchanges"] == ["x0000", "x0001", "x0002", "x0003"]
    assert manifest["raters"] == {"s": 1, "support-1": 3}
    assert (manifest["parent"], manifest["phrases"], manifest["style_guide"]) == ("", ["Hi there!"], "abc")
    assert manifest["settings"]["held_out_share"] == 0.3
    assert set(manifest["files"]) == {"train.jsonl", "held_out.jsonl", "preference.jsonl"}


def test_rows_are_in_the_form_that_trl_takes_and_come_back_as_they_were(tmp_path: Path) -> None:
    result = curated(exchanges(6))

    version, _ = freeze(tmp_path, result, MADE, 0.3)

    rows = version.completions() + version.completions(HELD_OUT)
    assert sorted(rows, key=lambda row: row.exchange) == sorted(result.completions, key=lambda row: row.exchange)
    line = json.loads((version.folder / "train.jsonl").read_text().splitlines()[0])
    assert line["completion"] == [{"role": "assistant", "content": line["completion"][0]["content"]}]
    assert [message["role"] for message in line["prompt"]] == ["system", "user"]


def test_the_same_rows_are_the_same_version_and_nothing_is_written_twice(tmp_path: Path) -> None:
    first, is_new = freeze(tmp_path, curated(exchanges(5)), MADE, 0.3)
    later = replace(MADE, created_at=datetime(2027, 1, 1, tzinfo=UTC))

    second, is_new_again = freeze(tmp_path, curated(exchanges(5)[::-1]), later, 0.3)

    assert (is_new, is_new_again) == (True, False)
    assert second == first


def test_a_version_names_the_one_before_it_as_its_parent_and_an_older_one_can_be_gone_back_to(tmp_path: Path) -> None:
    first, second = frozen(tmp_path, exchanges(3)), frozen(tmp_path, exchanges(4))

    datasets.use(tmp_path, first.id)
    third = frozen(tmp_path, exchanges(5))

    assert second.manifest["parent"] == first.id
    assert third.manifest["parent"] == first.id
    assert datasets.current(tmp_path) == third
    assert {version.id for version in datasets.versions(tmp_path)} == {first.id, second.id, third.id}


def test_a_difference_names_questions(tmp_path: Path) -> None:
    old = frozen(tmp_path, exchanges(4))
    reworded = replace(exchange(1), answer="It is in room 11.")

    new = frozen(tmp_path, [exchange(0), reworded, exchange(3), exchange(7)])

    found = datasets.diff(old, new)
    assert (found.added, found.removed, found.reworded, found.same) == (
        [exchange(7).question],
        [exchange(2).question],
        [exchange(1).question],
        2,
    )


def test_preferences_to_held_out_questions_are_left_out(tmp_path: Path) -> None:
    rated = [
        replace(one, correction=f"Look in room {10 + n}.", author=f"s{n}", is_vouched=True) for n, one in enumerate(exchanges(40))
    ]

    version = frozen(tmp_path, rated)

    held_out = {row.question for row in version.completions(HELD_OUT)}
    assert held_out
    assert not held_out & {row.question for row in version.preferences()}
    assert len(version.preferences()) == 40 - len(held_out)


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_question_never_changes_side(question: str, one_share: float, other_share: float) -> None:
    low, high = sorted((one_share, other_share))

    assert (
        is_held_out(question, low) == is_held_out(f"  {question.upper().lower()}?", low) or question.upper().lower() != question
    )
    assert is_held_out(question, low) <= is_held_out(question, high)


def test_about_the_share_is_held_out() -> None:
    assert 100 < sum(is_held_out(f"question {n}", 0.15) for n in range(1000)) < 200


def test_what_was_not_masked_is_refused_by_row_and_kind_without_its_text(tmp_path: Path) -> None:
    result = curated([*exchanges(2), exchange(2, question="Where does Anna keep 4111 1111 1111 1111?")])

    with pytest.raises(DatasetRefused) as refused:
        freeze(tmp_path, result, MADE, 0.0, KnownNames(["Anna Lee"]))

    assert "train.jsonl, row 3: card; train.jsonl, row 3: name" in str(refused.value)
    assert "Anna" not in str(refused.value)
    assert "4111" not in str(refused.value)
    assert datasets.versions(tmp_path) == []


def test_a_version_that_was_changed_is_not_read(tmp_path: Path) -> None:
    version = frozen(tmp_path, exchanges(3))
    (version.folder / "train.jsonl").write_text("{}\n")

    with pytest.raises(FolderCorrupt):
        datasets.read(tmp_path, version.id)


def test_another_phrase_of_the_voice_is_another_version(tmp_path: Path) -> None:
    first = frozen(tmp_path, exchanges(3))

    second, is_new = freeze(tmp_path, curate(exchanges(3), [], unsupported, ["Hi there!", "Bye!"]), MADE, 0.3)

    assert is_new
    assert (first.manifest["phrases"], second.manifest["phrases"]) == (["Hi there!"], ["Bye!", "Hi there!"])


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    version = frozen(tmp_path, exchanges(3))
    (version.folder / "manifest.json").write_text("{")

    with pytest.raises(FolderCorrupt, match=r"manifest\.json is broken"):
        datasets.versions(tmp_path)


@pytest.mark.parametrize("key", ["d-000000000000", "", ".", "..", "../../etc"])
def test_a_version_that_is_not_there_is_unknown(tmp_path: Path, key: str) -> None:
    with pytest.raises(DatasetUnknown):
        datasets.read(tmp_path, key)


def test_a_retired_version_keeps_its_manifest_and_loses_its_rows(tmp_path: Path) -> None:
    version = frozen(tmp_path, exchanges(3))

    datasets.retire(version, "data was erased", datetime(2026, 11, 22, tzinfo=UTC))
    datasets.retire(datasets.versions(tmp_path)[0], "again", datetime(2026, 11, 23, tzinfo=UTC))

    assert [found.why_retired for found in datasets.versions(tmp_path)] == ["data was erased"]
    assert sorted(path.name for path in version.folder.iterdir()) == ["manifest.json", "retired.json"]
    assert datasets.current(tmp_path) is None
    with pytest.raises(DatasetUnknown, match="retired"):
        datasets.read(tmp_path, version.id)
    with pytest.raises(DatasetRefused, match="retired"):
        frozen(tmp_path, exchanges(3))


def test_a_version_knows_whose_rows_it_holds(tmp_path: Path) -> None:
    version = frozen(tmp_path, exchanges(3))

    assert version.holds(["support-1"], [])
    assert version.holds([], ["x0002"])
    assert not version.holds(["support-2"], ["x0009"])


def test_rows_of_a_style_guide_are_split_by_their_question_too(tmp_path: Path) -> None:
    rows = [PromptCompletion([{"role": "user", "content": f"q{n}"}], f"a{n}", "", "style_guide", "") for n in range(40)]

    version, _ = freeze(tmp_path, curate([], rows, unsupported), MADE, 0.3)

    assert 0 < version.manifest["held_out"] < 40
    assert version.manifest["counts"] == {"style_guide": 40}


_BUILD = """
import sys
from pathlib import Path
from tests.training.rated import exchanges
from tests.training.test_datasets import MADE, curated
from training.datasets import freeze
number = 0
results = {n: curated(exchanges(n, is_vouched=True)) for n in range(1, 30)}
print("ready", flush=True)
while True:
    number = number % 29 + 1
    freeze(Path(sys.argv[1]), results[number], MADE, 0.3)
"""


@pytest.mark.slow
def test_a_build_that_is_killed_at_any_moment_leaves_no_half_folder(tmp_path: Path) -> None:
    kills = int(os.environ.get("KILLS", "5"))
    for kill in range(kills):
        with subprocess.Popen([sys.executable, "-c", _BUILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as build:
            assert build.stdout
            assert build.stdout.readline() == "ready\n"
            seen = len(list(tmp_path.glob("d-*")))
            while len(list(tmp_path.glob("d-*"))) < min(29, seen + 1 + kill % 3):
                pass  # until it is at work
            build.send_signal(signal.SIGKILL)

        for version in datasets.versions(tmp_path):
            assert datasets.read(tmp_path, version.id) == version
        assert datasets.pointer(tmp_path) in {"", *(version.id for version in datasets.versions(tmp_path))}

    frozen(tmp_path, exchanges(30, is_vouched=True))
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} <= {".current.new"}
