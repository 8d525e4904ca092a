"""Which release serves: pointers that move whole, checks before anything serves, and what stands in for a broken release."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from tests.training.loras import CARD, WIDTH, open_registry, write_base, write_lora
from training.errors import NothingToRollBack, ReleaseUnusable
from training.registry import Move, ReleaseRegistry
from training.releases import ReleaseId
from training.retirement import mark_retired

KILLS = int(os.environ.get("KILLS", "5"))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_base(tmp_path / "base")
    return tmp_path


@pytest.fixture
def registry(home: Path) -> ReleaseRegistry:
    return open_registry(home)


@pytest.fixture
def first(registry: ReleaseRegistry, home: Path) -> ReleaseId:
    return registry.add(write_lora(home / "first", 1), CARD)


@pytest.fixture
def second(registry: ReleaseRegistry, home: Path) -> ReleaseId:
    return registry.add(write_lora(home / "second", 2), CARD)


def serving(registry: ReleaseRegistry) -> str:
    release = registry.current().release
    return release.id if release else "base"


def release_folder(home: Path, release: str) -> Path:
    return home / "releases" / release


def test_the_base_serves_without_releases(registry: ReleaseRegistry) -> None:
    found = registry.current()

    assert (found.release, found.alert) == (None, "")
    assert registry.all() == []


def test_a_release_keeps_its_card_for_programs_and_for_people(registry: ReleaseRegistry, first: ReleaseId, home: Path) -> None:
    release = registry.get(first)

    assert (release.base, release.may_word, release.phrases) == ("tiny", True, ["Hi there!"])
    assert release.card["rollback"] == "timbre rollback"
    assert f"# Release {first}" in (release.folder / "CARD.md").read_text()
    assert "95 % (76 % to 99 %)" in (release.folder / "CARD.md").read_text()
    assert "/somewhere/else" not in (release.lora_dir / "adapter_config.json").read_text()


def test_the_same_content_has_the_same_id_and_is_written_once(registry: ReleaseRegistry, first: ReleaseId, home: Path) -> None:
    again = registry.add(write_lora(home / "first", 1), CARD)
    with_another_card = registry.add(home / "first", {**CARD, "may_word": False})

    assert again == first != with_another_card
    assert set(registry.ids()) == {first, with_another_card}


def test_files_beside_are_kept(registry: ReleaseRegistry, home: Path) -> None:
    (home / "report.html").write_text("<p>")

    release = registry.get(registry.add(write_lora(home / "lora"), CARD, [home / "report.html"]))

    assert (release.folder / "report.html").read_text() == "<p>"


def test_a_promoted_release_serves_and_a_rollback_brings_back_what_served_before(
    registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId
) -> None:
    steps: list[Callable[[], Move]] = [
        partial(registry.promote, first),
        partial(registry.promote, second),
        registry.rollback,
        registry.rollback,
    ]
    served, moves = [serving(registry)], []

    for step in steps:
        moves.append(step())
        served.append(serving(registry))

    assert served == ["base", first, second, first, "base"]
    assert moves == [Move(None, first), Move(first, second), Move(second, first), Move(first, None)]


def test_another_process_sees_the_move_at_once(registry: ReleaseRegistry, first: ReleaseId, home: Path) -> None:
    other = open_registry(home)
    before = other.stamp()

    registry.promote(first)

    assert serving(other) == first
    assert other.stamp() != before
    assert other.stamp() == other.stamp()


def test_a_pointer_that_moved_there_and_back_is_seen_to_have_moved(
    registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId
) -> None:
    registry.promote(first)
    before = registry.stamp()

    registry.promote(second)
    registry.rollback()

    assert registry.pointer("current") == first
    assert registry.stamp() != before


def test_promoting_what_serves_keeps_the_way_back(registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId) -> None:
    registry.promote(first)
    registry.promote(second)

    registry.promote(second)

    assert registry.pointer("previous") == first


def test_the_base_cannot_be_rolled_back(registry: ReleaseRegistry) -> None:
    with pytest.raises(NothingToRollBack, match="nothing to roll back"):
        registry.rollback()


def test_a_rollback_past_a_missing_previous_release_reaches_the_base(
    registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId, home: Path
) -> None:
    registry.promote(first)
    registry.promote(second)
    release_folder(home, first).rename(home / "gone")

    move = registry.rollback()

    assert (move.after, serving(registry)) == (None, "base")


def damage_weights(home: Path, release: str) -> None:
    file = release_folder(home, release) / "lora" / "adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def cut_weights(home: Path, release: str) -> None:
    file = release_folder(home, release) / "lora" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def lose_card(home: Path, release: str) -> None:
    (release_folder(home, release) / "card.json").unlink()


def forge_card(home: Path, release: str) -> None:
    """With a manifest to match: only the id knows."""
    file = release_folder(home, release) / "card.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "phrases": ["Dogs may fly."]}))
    manifest = release_folder(home, release) / "manifest.json"
    whole = json.loads(manifest.read_text())
    del whole["files"]["card.json"]
    manifest.write_text(json.dumps(whole))


def change_base(home: Path, release: str) -> None:
    write_base(home / "base", 3.0)


def lose_release(home: Path, release: str) -> None:
    release_folder(home, release).rename(home / "gone")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (damage_weights, "lora/adapter_model.safetensors is not what was written"),
        (cut_weights, "lora/adapter_model.safetensors is not what was written"),
        (lose_card, "card.json cannot be read"),
        (forge_card, "its content is not what its id says"),
        (change_base, "it was trained on another base than the tiny that is here"),
        (lose_release, "there is no such release"),
    ],
)
def test_a_release_in_doubt_neither_serves_nor_can_be_promoted(
    registry: ReleaseRegistry, first: ReleaseId, home: Path, harm: Callable[[Path, str], None], why: str
) -> None:
    registry.promote(first)

    harm(home, first)

    found = registry.current()
    assert found.release is None
    assert found.alert.startswith(f"Release {first} cannot serve: {why}.")
    assert "the base model answers" in found.alert
    with pytest.raises(ReleaseUnusable, match=why):
        registry.promote(first)


def test_a_retired_release_serves_no_more(registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId, home: Path) -> None:
    registry.promote(first)
    registry.promote(second)
    before = registry.stamp()

    mark_retired(release_folder(home, second), "somebody's data had to go", datetime.now(UTC))

    assert serving(registry) == first
    assert "somebody's data had to go" in registry.current().alert
    assert registry.stamp() != before


def test_the_previous_release_stands_in_for_a_broken_one(
    registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId, home: Path
) -> None:
    registry.promote(first)
    registry.promote(second)

    damage_weights(home, second)

    found = registry.current()
    assert found.release and found.release.id == first
    assert f"release {first} answers" in found.alert
    assert {listed.id: bool(listed.problem) for listed in registry.all()} == {first: False, second: True}


def test_a_release_that_was_refused_where_it_was_loaded_does_not_serve(
    registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId
) -> None:
    registry.promote(first)
    registry.promote(second)

    found = registry.current({second: "its smoke answer is empty"})

    assert found.release and found.release.id == first
    assert "its smoke answer is empty" in found.alert


def test_a_pointer_to_nonsense_is_told_and_the_base_serves(registry: ReleaseRegistry, first: ReleaseId, home: Path) -> None:
    registry.promote(first)
    (home / "releases" / "current").write_bytes(b"\xff../../etc")

    found = registry.current()

    assert found.release is None
    assert "there is no such release" in found.alert


def test_a_repaired_release_serves_again(registry: ReleaseRegistry, first: ReleaseId, home: Path) -> None:
    registry.promote(first)
    damage_weights(home, first)

    assert registry.add(write_lora(home / "first", 1), CARD) == first

    assert serving(registry) == first


@pytest.mark.parametrize(
    ("tensors", "why"),
    [
        ({"lora_A": np.full((2, WIDTH), np.nan, np.float32)}, "no finite numbers"),
        ({"lora_B": np.full((WIDTH, 2), np.inf, np.float16)}, "no finite numbers"),
        ({"lora_A": np.ones((3, WIDTH), np.float32)}, "not those of a LoRA"),
        ({"lora_B": None}, "not those of a LoRA"),
        ({"lora_A": None, "lora_B": None}, "not those of a LoRA"),
        ({"bias": np.ones((2, WIDTH), np.float32)}, "not those of a LoRA"),
        ({"lora_A": np.ones((2, WIDTH), np.int64)}, "cannot be read"),
    ],
)
def test_weights_that_cannot_serve_are_refused(registry: ReleaseRegistry, home: Path, tensors: dict[str, Any], why: str) -> None:
    release = registry.add(write_lora(home / "lora", **tensors), CARD)

    with pytest.raises(ReleaseUnusable, match=why):
        registry.promote(release)

    assert registry.pointer("current") is None


def test_brain_floats_are_checked_too(registry: ReleaseRegistry, home: Path) -> None:
    lora = write_lora(home / "lora", lora_A=np.full((2, WIDTH), 1.0, np.float16))
    file = lora / "adapter_model.safetensors"
    good, infinite = np.array([0x3F80], "<u2").tobytes(), np.array([0x7F80], "<u2").tobytes()
    as_brain = file.read_bytes().replace(b'"F16"', b'"BF16"', 1)
    header = int.from_bytes(as_brain[:8], "little") + 1
    content = header.to_bytes(8, "little") + as_brain[8:].replace(np.float16(1).tobytes(), good)

    file.write_bytes(content)
    healthy = registry.add(lora, CARD)
    file.write_bytes(content.replace(good, infinite, 1))
    ill = registry.add(lora, CARD)

    registry.promote(healthy)
    with pytest.raises(ReleaseUnusable, match="no finite numbers"):
        registry.promote(ill)


def test_the_same_base_saved_by_others_is_the_same_base(registry: ReleaseRegistry, first: ReleaseId, home: Path) -> None:
    from safetensors.numpy import load_file, save_file

    file = home / "base" / "model.safetensors"
    save_file(load_file(file), file, metadata={"saved_by": "another version"})

    registry.promote(first)

    assert serving(registry) == first


def test_promotions_at_once_leave_pointers_that_fit(registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId) -> None:
    promotions = [Thread(target=registry.promote, args=(release,)) for release in [first, second] * 5]

    for promotion in promotions:
        promotion.start()
    for promotion in promotions:
        promotion.join(20)

    assert {registry.pointer("current"), registry.pointer("previous")} == {first, second}


@pytest.mark.slow
def test_a_promotion_killed_at_any_moment_leaves_a_release_that_serves(
    registry: ReleaseRegistry, first: ReleaseId, second: ReleaseId, home: Path
) -> None:
    rng = random.Random(2)
    registry.promote(first)
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.training.promote_job", str(home), first, second]
        job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert job.stdout
        assert job.stdout.readline() == "started\n"
        time.sleep(rng.uniform(0, 0.1))  # the moment of the kill is what is tested
        job.kill()
        job.wait()
        job.stdout.close()

        found = registry.current()
        assert found.alert == ""
        assert serving(registry) in (first, second, "base")
        assert all(not listed.problem for listed in registry.all())

    registry.promote(second)

    assert serving(registry) == second
