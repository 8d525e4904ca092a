"""Which release serves. The pointers `current`, `canary` and `previous` are files beside the releases, and move atomically.

Whatever is wrong with the current release, something answers: the previous one, else the base model, and an alert says why.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training.errors import ModelUnavailable, NothingToRollBack, ReleaseUnusable
from training.folders import locked, sync
from training.releases import ModelRelease, ReleaseId, add_release, read_card, read_release
from training.retirement import RETIRED

Pointer = Literal["current", "canary", "previous"]
BASE = "base"
"""What a pointer holds, and what people are told, where no release serves."""


@dataclass(frozen=True)
class Serving:
    """What answers: a release, or the base model (None). `alert` says what should have answered and why not; empty: nothing."""

    release: ModelRelease | None
    alert: str


@dataclass(frozen=True)
class Move:
    """What a pointer moved between; None is the base model."""

    before: ReleaseId | None
    after: ReleaseId | None


@dataclass(frozen=True)
class Listed:
    """A release as it stands in the folder: what its card says, and why it cannot serve (empty: it can)."""

    id: ReleaseId
    card: Mapping[str, Any]
    problem: str


class ReleaseRegistry:
    """The releases in a folder. Safe for several processes and threads at once, and against being killed at any moment.

    `base_sha256` tells which base model is here (`training.weights.base_sha256`); it is asked when a release is checked.
    """

    def __init__(self, folder: Path, base_sha256: Callable[[], str]) -> None:
        self._folder = folder
        self._base_sha256 = base_sha256

    def add(self, lora_dir: Path, card: Mapping[str, Any], beside: Sequence[Path] = ()) -> ReleaseId:
        """See `training.releases.add_release`; the base is the one that is here where the card names no `base_sha256`."""
        base = {} if "base_sha256" in card else {"base_sha256": self._base_sha256()}
        return add_release(self._folder, lora_dir, {**card, **base}, beside)

    def get(self, release: str) -> ModelRelease:
        """Checked. Raises ReleaseUnusable, and ModelUnavailable when the base is not there."""
        return read_release(self._folder / release, self._base_sha256())

    def ids(self) -> list[ReleaseId]:
        """Of all that stand in the folder, in no order."""
        return [ReleaseId(path.name) for path in self._folder.glob("r-*") if path.is_dir()]

    def all(self) -> list[Listed]:
        """Every release, checked, the newest first."""
        return sorted(map(self._listed, self.ids()), key=lambda found: str(found.card.get("created_at", "")), reverse=True)

    def pointer(self, name: Pointer) -> ReleaseId | None:
        """What the pointer names, unchecked; None: the base model."""
        try:
            found = (self._folder / name).read_text(errors="replace").strip()
        except FileNotFoundError:
            return None
        return None if found in ("", BASE) else ReleaseId(found)

    def stamp(self) -> Sequence[object]:
        """Another one after every move of a pointer, also a move to where it was before, and after what serves was retired.

        Cheap: for every answer.
        """
        pointers: Sequence[Pointer] = ("current", "previous")
        retired = [self._folder / release / RETIRED for name in pointers if (release := self.pointer(name))]
        return [_stamp(path) for path in (*(self._folder / name for name in pointers), *retired)]

    def current(self, refused: Mapping[ReleaseId, str] | None = None) -> Serving:
        """What serves now, checked. `refused` are releases that were found wanting elsewhere, with the reasons."""
        problems: dict[ReleaseId, str] = {}
        for name in ("current", "previous"):
            wanted = self.pointer(name)
            if wanted is None or wanted in problems:
                break
            try:
                return Serving(self._accepted(wanted, refused or {}), _alert(problems.values(), wanted))
            except (ReleaseUnusable, ModelUnavailable) as err:
                problems[wanted] = str(err)
        return Serving(None, _alert(problems.values(), BASE))

    def promote(self, release: str) -> Move:
        """Lets the release serve from the next answer on. Raises ReleaseUnusable, and then nothing has moved."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder):
            found = self.get(release)
            before = self.pointer("current")
            if before != found.id:
                self._point("previous", before)
                self._point("current", found.id)
        return Move(before, found.id)

    def rollback(self) -> Move:
        """Lets serve what served before: the previous release, and where that is none or unusable the base model.

        Raises NothingToRollBack when the base model serves.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder):
            before = self.pointer("current")
            if before is None:
                raise NothingToRollBack
            after = self._usable_previous(before)
            self._point("current", after)
            self._point("previous", None)
        return Move(before, after)

    def _accepted(self, release: ReleaseId, refused: Mapping[ReleaseId, str]) -> ModelRelease:
        if release in refused:
            raise ReleaseUnusable(release, refused[release])
        return self.get(release)

    def _usable_previous(self, current: ReleaseId) -> ReleaseId | None:
        """A promotion that was killed half-way has left the current release as the previous one."""
        previous = self.pointer("previous")
        if previous in (None, current):
            return None
        try:
            return self.get(str(previous)).id
        except ReleaseUnusable:
            return None

    def _listed(self, release: ReleaseId) -> Listed:
        try:
            return Listed(release, self.get(release).card, "")
        except ReleaseUnusable as err:
            return Listed(release, _card_or_nothing(self._folder / release), err.why)

    def _point(self, name: Pointer, release: ReleaseId | None) -> None:
        """The folder is locked: one temporary file is enough, and one that was left behind is written over."""
        temporary = self._folder / ".pointer"
        with temporary.open("w") as file:
            file.write(f"{release or BASE}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / name)
        sync(self._folder)


def _card_or_nothing(folder: Path) -> Mapping[str, Any]:
    try:
        return read_card(folder)
    except ReleaseUnusable:
        return {}


def _stamp(file: Path) -> tuple[int, int, str]:
    try:
        stat = file.stat()
        return stat.st_ino, stat.st_mtime_ns, file.read_text(errors="replace")
    except FileNotFoundError:
        return 0, 0, ""


def _alert(problems: Collection[str], instead: str) -> str:
    if not problems:
        return ""
    serving = "the base model" if instead == BASE else f"release {instead}"
    return f"{' '.join(problems)} Until that is put right, {serving} answers; `timbre releases` lists all."
