"""A release: LoRA weights, the card that says where they come from and what they may do, and the report. Immutable.

    r-0123456789ab/  lora/adapter_model.safetensors  lora/adapter_config.json  card.json  CARD.md  manifest.json  (report.html)

Its id is a hash of weights, configuration and card. Knows nothing of which release serves.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NewType

from training.errors import FolderCorrupt, ReleaseUnusable
from training.folders import publish, read_manifest
from training.report import card_text
from training.retirement import why_retired
from training.tensors import Tensor, is_finite, read_tensors

ReleaseId = NewType("ReleaseId", str)

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"  # peft's names
ROLLBACK = "timbre rollback"
_ID = re.compile(r"r-[0-9a-f]{12}")
_NOT_HASHED = ("id", "created_at", "rollback")  # of the card: the same content has the same id whenever it is added
_PAIR = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


@dataclass(frozen=True)
class ModelRelease:
    """A release whose folder was checked. `card` is what `card.json` holds."""

    id: ReleaseId
    folder: Path
    card: Mapping[str, Any]

    @property
    def lora_dir(self) -> Path:
        return self.folder / "lora"

    @property
    def base(self) -> str:
        """The name of the base model, as the settings have it."""
        return str(self.card["base"])

    @property
    def may_word(self) -> bool:
        """Whether its evaluation allows it to word answers."""
        return bool(self.card["may_word"])

    @property
    def phrases(self) -> Sequence[str]:
        """Sentences of its voice that state no fact."""
        return [str(phrase) for phrase in self.card["phrases"]]


def add_release(folder: Path, lora_dir: Path, card: Mapping[str, Any], beside: Sequence[Path] = ()) -> ReleaseId:
    """The id under which the release stands in `folder` now, whole; content that stands there already is not written again.

    `lora_dir` is as peft saves it. The card has at least `base`, `base_sha256`, `phrases` and `may_word`. `beside` are files to
    keep with it, such as the report. Raises ReleaseUnusable when the weights are broken, OSError when they cannot be written.
    """
    missing = {"base", "base_sha256", "phrases", "may_word"} - set(card)
    assert not missing, f"a card without {missing}"
    config = _config(lora_dir, str(card["base"]))
    found = _id(lora_dir / WEIGHTS, config, card)
    publish(folder / found, partial(_write, found, lora_dir, config, card, beside))
    return found


def read_card(folder: Path) -> dict[str, Any]:
    """What the card says, unchecked. Raises ReleaseUnusable when there is none."""
    try:
        return dict(json.loads((folder / "card.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as err:
        raise ReleaseUnusable(folder.name, "its card is missing or broken") from err


def read_release(folder: Path, base_sha256: str) -> ModelRelease:
    """The release, checked: hashes, the id, the base, the shapes of the LoRA and that its values are finite.

    Raises ReleaseUnusable with what is wrong.
    """
    if not _ID.fullmatch(folder.name) or not folder.is_dir():
        raise ReleaseUnusable(folder.name, "there is no such release")
    if why := why_retired(folder):
        raise ReleaseUnusable(folder.name, f"it was retired: {why}")
    try:
        read_manifest(folder)
    except FolderCorrupt as err:
        raise ReleaseUnusable(folder.name, err.what) from err
    release = ModelRelease(ReleaseId(folder.name), folder, read_card(folder))
    _check_card(release, base_sha256)
    _check_lora(release)
    return release


def _write(
    release: ReleaseId, lora_dir: Path, config: str, card: Mapping[str, Any], beside: Sequence[Path], folder: Path
) -> Mapping[str, Any]:
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    whole = {**card, "id": release, "created_at": created_at, "rollback": ROLLBACK}
    (folder / "lora").mkdir()
    shutil.copyfile(lora_dir / WEIGHTS, folder / "lora" / WEIGHTS)
    (folder / "lora" / CONFIG).write_text(config)
    (folder / "card.json").write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "CARD.md").write_text(card_text(whole), "utf-8")
    for file in beside:
        shutil.copyfile(file, folder / file.name)
    return {"id": release, "created_at": created_at}


def _config(lora_dir: Path, base: str) -> str:
    """peft's configuration with the base's name in place of where it stood on the machine that trained."""
    try:
        config = dict(json.loads((lora_dir / CONFIG).read_text()))
    except (OSError, ValueError, TypeError) as err:
        raise ReleaseUnusable(str(lora_dir), f"{CONFIG} is missing or broken") from err
    return json.dumps({**config, "base_model_name_or_path": base}, indent=2, sort_keys=True) + "\n"


def _id(weights: Path, config: str, card: Mapping[str, Any]) -> ReleaseId:
    hashed = {name: value for name, value in card.items() if name not in _NOT_HASHED}
    digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode())
    digest.update(config.encode())
    try:
        digest.update(weights.read_bytes())
    except OSError as err:
        raise ReleaseUnusable(str(weights.parent), f"{WEIGHTS} cannot be read") from err
    return ReleaseId(f"r-{digest.hexdigest()[:12]}")


def _check_card(release: ModelRelease, base_sha256: str) -> None:
    card = release.card
    try:
        is_itself = _id(release.lora_dir / WEIGHTS, (release.lora_dir / CONFIG).read_text(), card) == release.id
    except OSError:
        is_itself = False
    if not is_itself:
        raise ReleaseUnusable(release.id, "its content is not what its id says")
    is_complete = isinstance(card.get("phrases"), list) and isinstance(card.get("may_word"), bool) and "base" in card
    if not is_complete:
        raise ReleaseUnusable(release.id, "its card is missing or broken")
    if card.get("base_sha256") != base_sha256:
        raise ReleaseUnusable(release.id, f"it was trained on another base than the {release.base} that is here")


def _check_lora(release: ModelRelease) -> None:
    try:
        rank = int(json.loads((release.lora_dir / CONFIG).read_text())["r"])
        tensors = read_tensors(release.lora_dir / WEIGHTS)
        if not tensors or not all(_is_half_of_pair(name, tensors, rank) for name in tensors):
            raise ReleaseUnusable(release.id, "its weights are not those of a LoRA")
        if not all(map(is_finite, tensors.values())):
            raise ReleaseUnusable(release.id, "its weights hold values that are no finite numbers")
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ReleaseUnusable(release.id, f"its weights cannot be read ({err})") from err


def _is_half_of_pair(name: str, tensors: Mapping[str, Tensor], rank: int) -> bool:
    """Whether it is A (rank, in) or B (out, rank) of a module, of which the other half is there too."""
    match = _PAIR.fullmatch(name)
    if match is None or len(tensors[name].shape) != 2:
        return False
    side, other = ("A", "B") if match["side"] == "A" else ("B", "A")
    return tensors[name].shape[0 if side == "A" else 1] == rank and f"{match['module']}.lora_{other}.weight" in tensors
