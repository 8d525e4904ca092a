"""Lists and reads the files of a place: a folder, a file or any fsspec URL. Never reads outside of it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import BadZipFile

import fsspec
from fsspec import AbstractFileSystem

from knowledge.errors import SourceUnreadable
from knowledge.extras import Extra, missing_extra
from knowledge.parsing import is_supported

EXTRAS: dict[str, Extra] = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "github": "github"}
PACKAGES = {"abfs": "adlfs", "az": "adlfs", "sftp": "paramiko"}  # addresses that work, but are not worth an extra of ours


@dataclass(frozen=True)
class FileEntry:
    """A file of a place. `refusal` says why it must not be read; empty when it may."""

    location: str
    size_bytes: int
    refusal: str = ""


@dataclass(frozen=True)
class Listing:
    """The supported files of a place, sorted by location, and how many others were passed over."""

    files: list[FileEntry]
    ignored: int


def normalise_place(place: str) -> str:
    """An absolute path for what is on this machine, the URL unchanged for the rest."""
    return place if is_url(place) else str(Path(place).expanduser().absolute())


def is_url(place: str) -> bool:
    return "://" in place


def default_name(place: str) -> str:
    """A source name from a place: its last folder or file name."""
    path = urlsplit(place.split("::")[-1]).path if is_url(place) else place
    return Path(path.rstrip("/")).stem or "documents"


class Place:
    """Where a source's files are. Raises SourceUnreadable when it cannot be reached or listed."""

    def __init__(self, place: str) -> None:
        self.place = place
        try:
            self._fs, root = fsspec.core.url_to_fs(place)
        except ImportError as err:
            raise SourceUnreadable(place, _what_it_needs(place)) from err
        except (ValueError, OSError, BadZipFile) as err:
            raise SourceUnreadable(place, f"{err}") from err
        self._root = str(root)

    def list(self) -> Listing:
        """The place's files. Hidden files and folders, and files of other kinds, count as ignored."""
        try:
            entries = list(self._entries())
        except FileNotFoundError as err:
            raise SourceUnreadable(self.place, "there is no such file or folder") from err
        except (OSError, ValueError) as err:
            raise SourceUnreadable(self.place, f"{err}") from err
        wanted = [entry for entry in entries if is_supported(entry.location) and not _is_hidden(entry.location)]
        return Listing(sorted(wanted, key=lambda entry: entry.location), len(entries) - len(wanted))

    def read(self, location: str) -> bytes:
        """The file's bytes. Raises OSError."""
        path = self._root if location == self._single_location() else f"{self._root.rstrip('/')}/{location}"
        data: bytes = self._fs.cat_file(path)
        return data

    def _entries(self) -> Iterator[FileEntry]:
        if self._fs.isfile(self._root):
            yield FileEntry(self._single_location(), int(self._fs.size(self._root) or 0))
        elif _is_local(self._fs):
            yield from _local_entries(Path(self._root))
        else:
            yield from self._remote_entries()

    def _remote_entries(self) -> Iterator[FileEntry]:
        found = self._fs.find(self._root, detail=True)
        if not found and not self._fs.exists(self._root):
            raise FileNotFoundError(self._root)
        for path, info in found.items():
            location = str(path)[len(self._root) :].lstrip("/")
            refusal = "Its path leads outside of the source." if ".." in location.split("/") else ""
            yield FileEntry(location, int(info.get("size") or 0), refusal)

    def _single_location(self) -> str:
        return self._root.rstrip("/").rsplit("/", 1)[-1]


def _local_entries(root: Path) -> Iterator[FileEntry]:
    """Files below `root`; a link is followed only when it stays inside."""
    if not root.is_dir():
        raise FileNotFoundError(root)
    inside = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and not Path(folder, name).is_symlink()]
        for name in names:
            path = Path(folder, name)
            target = path.resolve()
            location = path.relative_to(root).as_posix()
            if (shown := location.encode("utf-8", "replace").decode()) != location:
                yield FileEntry(shown, 0, "Its name is no Unicode text; rename it.")
            elif not target.is_relative_to(inside):
                yield FileEntry(location, 0, "It is a link that leads outside of the source.")
            elif target.is_file():
                yield FileEntry(location, target.stat().st_size)
            else:
                yield FileEntry(location, 0, "It is no regular file.")


def _is_local(fs: AbstractFileSystem) -> bool:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return "file" in protocols


def _is_hidden(location: str) -> bool:
    return any(part.startswith(".") for part in location.split("/"))


def _what_it_needs(place: str) -> str:
    """Of a chain such as zip://::s3://bucket/a.zip the last link is the one that is far away."""
    scheme = place.split("::")[-1].split("://")[0]
    if extra := EXTRAS.get(scheme):
        return f"{missing_extra('this kind of address', extra)}."
    return f"this kind of address needs `pip install {PACKAGES.get(scheme, 'the package that fsspec names for it')}`."
