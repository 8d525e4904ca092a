"""Forgets a person: their exchanges, verdicts and imported rows, and whatever was trained on them is retired."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.messages import PersonId
from bot.rated_exchanges import hashed
from bot.storage.training import Erased, TrainingStore
from knowledge.catalogue import Catalogue
from training import datasets
from training.retirement import mark_retired

WHY = "it holds rows of a person whose data was erased"


@dataclass(frozen=True)
class Erasure:
    """What was deleted, and the datasets and releases that are retired for it."""

    erased: Erased
    datasets: Sequence[str]
    releases: Sequence[str]


def erase(
    person: PersonId, by: str, store: TrainingStore, catalogue: Catalogue, training: Path, rater_key: bytes, now: datetime
) -> Erasure:
    """Deletes what is known of the person. What was trained on them goes first, so that a second call finishes what a first
    one that died had begun."""
    touched = store.exchanges_of(person)
    imported = [f"import-{row.key}" for row in store.imported() if row.rated_by == person]
    held = [
        version
        for version in datasets.versions(training / "datasets")
        if version.holds([hashed(person, rater_key)], [*touched, *imported])
    ]
    releases = [folder for folder in _releases(training / "releases") if _dataset_of(folder) in {one.id for one in held}]
    for folder in releases:
        mark_retired(folder, WHY, now)
    for version in held:
        datasets.retire(version, WHY, now)
    for exchange in touched:
        catalogue.remove_known_question(origin=exchange)
    return Erasure(store.erase(person, by), [version.id for version in held], [folder.name for folder in releases])


def _releases(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("r-*/card.json"))


def _dataset_of(folder: Path) -> str:
    return str(json.loads((folder / "card.json").read_text("utf-8")).get("dataset", ""))
