"""Folders that are whole or absent: datasets and releases, written once and never changed. Knows nothing of what is in them.

A folder is made as a hidden sibling, its files are synced, `manifest.json` with their hashes is written last, and it is renamed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.errors import FolderCorrupt

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
_READ_BYTES = 1 << 20

Write = Callable[[Path], Mapping[str, Any]]


def publish(target: Path, write: Write) -> None:
    """Makes the folder of what `write` puts into a temporary one; it returns the manifest, to which the hashes are added.

    A folder that stands there whole is left as it is; one that is corrupt is replaced. Whatever `write` raises is passed on,
    OSError too, and leaves nothing. Unfinished folders of writers that died are removed. Safe in several processes at once.
    """
    parent = target.parent
    parent.mkdir(parents=True, exist_ok=True)
    with _unfinished(target) as folder:
        manifest = dict(write(folder))
        manifest["files"] = {name: _sha256(folder / name) for name in _file_names(folder)}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
        _sync_below(folder)
        with locked(parent):
            if not is_whole(target):
                _move_away(target, parent)
                folder.rename(target)
                sync(parent)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, once every file that it names has its hash. Raises FolderCorrupt with what is wrong."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise FolderCorrupt(folder, f"{MANIFEST} is missing or broken") from err
    for name, expected in files.items():
        try:
            is_right = _sha256(folder / name) == expected
        except OSError as err:
            raise FolderCorrupt(folder, f"{name} cannot be read") from err
        if not is_right:
            raise FolderCorrupt(folder, f"{name} is not what was written")
    return dict(manifest)


def is_whole(folder: Path) -> bool:
    """Whether the folder is there and every file has its hash."""
    try:
        read_manifest(folder)
    except FolderCorrupt:
        return False
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder against other processes and threads that lock it; ends with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Waits until the disk holds the file, or the names in the folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A new hidden folder, locked as long as its writer lives: that is how others tell it from a leftover."""
    with locked(target.parent):
        _sweep(target.parent)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=UNFINISHED, dir=target.parent))
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # gone already where it was renamed
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for leftover in parent.glob(f".*{UNFINISHED}"):
        descriptor = os.open(leftover, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(leftover)
        except BlockingIOError:
            pass  # its writer lives
        finally:
            os.close(descriptor)


def _move_away(corrupt: Path, parent: Path) -> None:
    if corrupt.exists():
        away = Path(tempfile.mkdtemp(prefix=f".{corrupt.name}.", suffix=UNFINISHED, dir=parent))
        corrupt.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def _file_names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _sync_below(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
