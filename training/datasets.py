"""Dataset versions: immutable folders of rows, each with a manifest that says what is in it and where it came from.

`train.jsonl`, `held_out.jsonl` (never trained on) and `preference.jsonl` hold rows in trl's conversational form. A question is
on the same side in every version. Which version is current stands in a pointer file beside the folders. Knows no model.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.curation import Curated, normal_question
from training.errors import DatasetRefused, DatasetUnknown, FolderCorrupt
from training.examples import Preference, PromptCompletion, Row, completion_of, completion_row, preference_of, preference_row
from training.folders import MANIFEST, locked, publish, read_manifest, sync
from training.retirement import mark_retired, why_retired

if TYPE_CHECKING:
    from training.privacy import KnownNames

TRAIN, HELD_OUT, PREFERENCE = "train.jsonl", "held_out.jsonl", "preference.jsonl"
CURRENT = "current"
ID_CHARS = 12
MAX_NAMED_FINDINGS = 5


@dataclass(frozen=True)
class DatasetVersion:
    """One folder and its manifest. `why_retired` is empty while it may be used."""

    id: str
    folder: Path
    manifest: Mapping[str, Any]
    why_retired: str = ""

    def completions(self, name: str = TRAIN) -> list[PromptCompletion]:
        """The rows of `train.jsonl` or `held_out.jsonl`."""
        return [completion_of(row) for row in _read_rows(self.folder / name)]

    def preferences(self) -> list[Preference]:
        return [preference_of(row) for row in _read_rows(self.folder / PREFERENCE)]

    def holds(self, raters: Iterable[str], exchanges: Iterable[str]) -> bool:
        """Whether a row stems from one of the people (hashes) or exchanges."""
        return bool(set(self.manifest["raters"]) & set(raters) or set(self.manifest["exchanges"]) & set(exchanges))


@dataclass(frozen=True)
class Provenance:
    """What a version records of its making: exclusions by reason, settings, the hash of the style guide."""

    excluded: Mapping[str, int]
    settings: Mapping[str, Any]
    style_guide: str
    created_at: datetime


@dataclass(frozen=True)
class Difference:
    """What became of the rows between two versions, by their questions."""

    added: Sequence[str]
    removed: Sequence[str]
    reworded: Sequence[str]
    same: int


def freeze(
    root: Path, curated: Curated, provenance: Provenance, held_out_share: float, names: "KnownNames | None" = None
) -> tuple[DatasetVersion, bool]:
    """The version that holds these rows, made current; and whether it is new: the same rows and settings are the same one.

    Its parent is the version that was current. Raises DatasetRefused when anything that has to be masked is still in a row,
    or when the rows are those of a version that was retired.
    """
    files = _split(curated, held_out_share)
    _check_masked(files, names)
    settings = {**provenance.settings, **curated.settings, "held_out_share": held_out_share}
    key = _content_id(files, {**settings, "phrases": list(curated.phrases)})
    if why_retired(root / key):
        raise DatasetRefused(f"These are the rows of {key}, which was retired: {why_retired(root / key)}")
    is_new = not (root / key).exists()
    parent = pointer(root)
    manifest = _manifest(key, parent if parent != key else "", curated, files, settings, provenance)

    def write(folder: Path) -> Mapping[str, Any]:
        for name, rows in files.items():
            (folder / name).write_text(_lines(rows), "utf-8")
        return manifest

    publish(root / key, write)
    use(root, key)
    return read(root, key), is_new


def read(root: Path, key: str) -> DatasetVersion:
    """The version, once all its files have their hashes. Raises DatasetUnknown, or FolderCorrupt."""
    folder = root / key
    if not (folder / MANIFEST).is_file() or key.startswith("."):
        raise DatasetUnknown(f"There is no dataset {key!r}; `timbre dataset list` names them.")
    if why := why_retired(folder):
        raise DatasetUnknown(f"The dataset {key} was retired: {why}")
    return DatasetVersion(key, folder, read_manifest(folder))


def versions(root: Path) -> list[DatasetVersion]:
    """All, the retired ones too, oldest first; their rows are not checked. Raises FolderCorrupt for a manifest that is none."""
    found = [
        DatasetVersion(path.parent.name, path.parent, _unchecked_manifest(path), why_retired(path.parent))
        for path in root.glob(f"d-*/{MANIFEST}")
    ]
    return sorted(found, key=lambda version: (version.manifest["created_at"], version.id))


def current(root: Path) -> DatasetVersion | None:
    """The version that the next training takes; none where none was built, or it was retired."""
    key = pointer(root)
    return read(root, key) if key and not why_retired(root / key) else None


def pointer(root: Path) -> str:
    """The id of the current version; empty when there is none."""
    path = root / CURRENT
    return path.read_text("utf-8").strip() if path.exists() else ""


def use(root: Path, key: str) -> None:
    """Makes the version current: the next training takes it, and the next version names it as its parent.

    Raises DatasetUnknown, or FolderCorrupt.
    """
    read(root, key)
    _replace(root / CURRENT, f"{key}\n")


def diff(old: DatasetVersion, new: DatasetVersion) -> Difference:
    """Rows of both sides; a question whose answer changed is reworded."""
    before, after = _answers(old), _answers(new)
    both = before.keys() & after.keys()
    return Difference(
        added=[after[key][0] for key in sorted(after.keys() - before.keys())],
        removed=[before[key][0] for key in sorted(before.keys() - after.keys())],
        reworded=[after[key][0] for key in sorted(both) if before[key][1] != after[key][1]],
        same=sum(before[key][1] == after[key][1] for key in both),
    )


def retire(version: DatasetVersion, why: str, at: datetime) -> None:
    """Takes the version out of use for good: its rows are deleted, its manifest stays. Doing it again changes nothing."""
    mark_retired(version.folder, why, at)
    for name in (TRAIN, HELD_OUT, PREFERENCE):
        (version.folder / name).unlink(missing_ok=True)
    sync(version.folder)


def is_held_out(question: str, share: float) -> bool:
    """On which side a question lies: for ever, as long as the share does not change."""
    digest = hashlib.sha256(normal_question(question).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _split(curated: Curated, share: float) -> dict[str, list[Row]]:
    """Preferences to held-out questions are left out: they would be trained on."""
    sides: dict[str, list[Row]] = {TRAIN: [], HELD_OUT: [], PREFERENCE: []}
    for row in curated.completions:
        sides[HELD_OUT if is_held_out(_question(row), share) else TRAIN].append(completion_row(row))
    sides[PREFERENCE] = [preference_row(row) for row in curated.preferences if not is_held_out(_question(row), share)]
    return sides


def _question(row: PromptCompletion | Preference) -> str:
    return row.question or (row.prompt[-1]["content"] if row.prompt else "")


def _check_masked(files: Mapping[str, Sequence[Row]], names: "KnownNames | None") -> None:
    from training.privacy import NOBODY, scan  # needs the extra `training`; reading and retiring a dataset does not

    found = [
        f"{name}, row {finding.row}: {finding.kind}" for name, rows in files.items() for finding in scan(rows, names or NOBODY)
    ]
    if found:
        more = f" and {len(found) - MAX_NAMED_FINDINGS} more" if len(found) > MAX_NAMED_FINDINGS else ""
        raise DatasetRefused(f"Something that has to be masked is left: {'; '.join(found[:MAX_NAMED_FINDINGS])}{more}.")


def _manifest(
    key: str,
    parent: str,
    curated: Curated,
    files: Mapping[str, Sequence[Row]],
    settings: Mapping[str, Any],
    provenance: Provenance,
) -> dict[str, Any]:
    return {
        "id": key,
        "created_at": provenance.created_at.isoformat(),
        "parent": parent,
        "counts": curated.counts,
        "held_out": len(files[HELD_OUT]),
        "preferences": len(files[PREFERENCE]),
        "rejected": curated.rejected_counts,
        "excluded": dict(sorted(provenance.excluded.items())),
        "imbalances": list(curated.imbalances),
        "settings": dict(settings),
        "exchanges": sorted({row.exchange for row in curated.completions if row.exchange}),
        "raters": dict(sorted(Counter(rater for row in curated.completions for rater in row.raters).items())),
        "phrases": list(curated.phrases),
        "style_guide": provenance.style_guide,
    }


def _content_id(files: Mapping[str, Sequence[Row]], settings: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, rows in sorted(files.items()):
        digest.update(f"\n{name}\n{_lines(rows)}".encode())
    return f"d-{digest.hexdigest()[:ID_CHARS]}"


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)


def _read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _unchecked_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text("utf-8"))
        return dict(manifest)
    except (ValueError, TypeError) as err:
        raise FolderCorrupt(path.parent, f"{MANIFEST} is broken") from err


def _answers(version: DatasetVersion) -> dict[str, tuple[str, str]]:
    """(question, completion) by what makes questions the same."""
    rows = [*version.completions(TRAIN), *version.completions(HELD_OUT)]
    return {normal_question(_question(row)): (_question(row), row.completion) for row in rows}


def _replace(path: Path, text: str) -> None:
    """Puts the text in place of what is there, at once or not at all."""
    with locked(path.parent):
        unfinished = path.with_name(f".{path.name}.new")
        unfinished.write_text(text, "utf-8")
        sync(unfinished)
        os.replace(unfinished, path)
        sync(path.parent)
