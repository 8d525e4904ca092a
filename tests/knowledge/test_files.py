"""Which files of a place are read, and that nothing outside of it is."""

import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from knowledge.errors import SourceUnreadable
from knowledge.files import Listing, Place, default_name, normalise_place

Write = Callable[..., Path]


def locations(listing: Listing) -> list[str]:
    return [file.location for file in listing.files]


def refusals(listing: Listing) -> dict[str, str]:
    return {file.location: file.refusal for file in listing.files if file.refusal}


def make_zip(path: Path, files: dict[str, str]) -> str:
    with zipfile.ZipFile(path, "w") as package:
        for name, content in files.items():
            package.writestr(name, content)
    return f"zip://::{path}"


def test_a_folder_lists_its_supported_files_in_order(write: Write) -> None:
    folder = write({"b.md": "bb", "a/z.txt": "x", "a/y.HTML": "x", "photo.png": "x", "Makefile": "x", "a/ü.md": "x"})

    listing = Place(str(folder)).list()

    assert locations(listing) == ["a/y.HTML", "a/z.txt", "a/ü.md", "b.md"]
    assert (listing.ignored, {file.location: file.size_bytes for file in listing.files}["b.md"]) == (2, 2)


def test_hidden_files_and_folders_are_ignored(write: Write) -> None:
    folder = write({"a.md": "x", ".hidden.md": "x", ".git/config.md": "x", "b/.cache/c.md": "x"})

    assert locations(Place(str(folder)).list()) == ["a.md"]


def test_files_are_read_by_their_location(write: Write) -> None:
    place = Place(str(write({"a.md": "one", "b/c d.md": "two", "b/ü#%20?.md": "three"})))

    assert [place.read(location) for location in locations(place.list())] == [b"one", b"two", b"three"]


def test_a_single_file_is_a_place(write: Write) -> None:
    place = Place(str(write({"a.md": "one", "b.md": "two"}) / "a.md"))

    listing = place.list()

    assert locations(listing) == ["a.md"]
    assert place.read("a.md") == b"one"


def test_a_link_out_of_the_folder_is_refused(write: Write, tmp_path: Path) -> None:
    folder = write({"a.md": "x"})
    (tmp_path / "secret.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "relative.md").symlink_to("../secret.md")

    listing = Place(str(folder)).list()

    assert locations(listing) == ["a.md", "link.md", "relative.md"]
    assert {location: "leads outside" in reason for location, reason in refusals(listing).items()} == {
        "link.md": True,
        "relative.md": True,
    }


def test_a_folder_whose_name_only_begins_like_the_place_is_outside(write: Write, tmp_path: Path) -> None:
    folder, neighbour = write({"a.md": "x"}, "docs"), write({"b.md": "x"}, "docs-private")
    (folder / "link.md").symlink_to(neighbour / "b.md")

    assert set(refusals(Place(str(folder)).list())) == {"link.md"}


def test_a_link_to_a_folder_is_not_followed(write: Write, tmp_path: Path) -> None:
    folder = write({"a.md": "x"})
    write({"b.md": "x"}, "other")
    (folder / "out").symlink_to(tmp_path / "other")
    (folder / "loop").symlink_to(folder)

    assert locations(Place(str(folder)).list()) == ["a.md"]


def test_a_link_within_the_folder_is_read(write: Write) -> None:
    folder = write({"a.md": "one"})
    (folder / "b.md").symlink_to("a.md")

    place = Place(str(folder))

    assert refusals(place.list()) == {}
    assert place.read("b.md") == b"one"


def test_a_broken_link_and_a_pipe_are_refused(write: Write) -> None:
    import os

    folder = write({"a.md": "x"})
    (folder / "gone.md").symlink_to("nowhere.md")
    os.mkfifo(folder / "pipe.md")

    assert set(refusals(Place(str(folder)).list())) == {"gone.md", "pipe.md"}


def test_a_place_that_is_a_link_itself_is_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(write({"a.md": "one"}))

    place = Place(str(tmp_path / "here"))

    assert (locations(place.list()), place.read("a.md")) == (["a.md"], b"one")


def test_a_name_that_is_no_unicode_is_refused_under_a_name_that_is(write: Write) -> None:
    import os

    folder = write({"a.md": "x"})
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.md"), "wb") as file:
        file.write(b"x")

    listing = Place(str(folder)).list()

    assert [location.encode() for location in locations(listing)] == [b"a.md", b"caf?.md"]
    assert "rename" in refusals(listing)["caf?.md"]


def test_a_zip_file_is_a_place(tmp_path: Path) -> None:
    place = Place(make_zip(tmp_path / "docs.zip", {"a.md": "one", "b/c.txt": "two", "d.png": "x", ".e/f.md": "x"}))

    listing = place.list()

    assert (locations(listing), listing.ignored) == (["a.md", "b/c.txt"], 2)
    assert [place.read(location) for location in locations(listing)] == [b"one", b"two"]


def test_a_zip_entry_that_leads_out_is_refused(tmp_path: Path) -> None:
    listing = Place(make_zip(tmp_path / "docs.zip", {"a.md": "x", "../evil.md": "x", "b/../../evil.md": "x"})).list()

    assert "a.md" in locations(listing)
    assert refusals(listing).keys() == set(locations(listing)) - {"a.md"}


def test_any_fsspec_address_is_a_place() -> None:
    files = fsspec.filesystem("memory")
    files.pipe({"/handbook/a.md": b"one", "/handbook/b/c.md": b"two"})

    place = Place("memory://handbook")

    assert (locations(place.list()), place.read("b/c.md")) == (["a.md", "b/c.md"], b"two")
    files.rm("/handbook", recursive=True)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("{here}/nowhere", "no such file or folder"),
        ("file://{here}/nowhere", "no such file or folder"),
        ("memory://nowhere", "no such file or folder"),
        ("zip://::{here}/nowhere.zip", "nowhere.zip"),
        ("zip://::{here}/broken.zip", "zip file"),
        ("carrier-pigeon://x", "carrier-pigeon"),
    ],
)
def test_a_place_that_cannot_be_reached_is_an_error_that_says_why(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "broken.zip").write_text("no zip")

    with pytest.raises(SourceUnreadable, match=reason):
        Place(place.format(here=tmp_path)).list()


@pytest.mark.parametrize(
    ("place", "module", "needed"),
    [
        ("s3://bucket/handbook", "s3fs", "'timbre-bot[s3]'"),
        ("zip://::s3://bucket/handbook.zip", "s3fs", "'timbre-bot[s3]'"),
        ("gs://bucket/handbook", "gcsfs", "'timbre-bot[gcs]'"),
        ("github://company:wiki@/", "requests", "'timbre-bot[github]'"),
        ("sftp://host/handbook", "paramiko", "paramiko"),
    ],
)
def test_a_place_whose_extra_is_not_installed_names_it(
    monkeypatch: pytest.MonkeyPatch, place: str, module: str, needed: str
) -> None:
    for name in ("github", "sftp"):  # fsspec's own modules may have imported theirs before
        monkeypatch.delitem(sys.modules, f"fsspec.implementations.{name}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(SourceUnreadable, match=re.escape(f"this kind of address needs `pip install {needed}`.")):
        Place(place)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/srv/handbook/", "handbook"),
        ("/srv/faq.md", "faq"),
        ("s3://bucket/docs/wiki", "wiki"),
        ("zip://::/srv/wiki.zip", "wiki"),
        ("/", "documents"),
    ],
)
def test_a_source_is_called_after_its_last_folder_or_file(place: str, name: str) -> None:
    assert default_name(place) == name


def test_a_path_becomes_absolute_and_a_url_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert normalise_place("docs") == str(tmp_path / "docs")
    assert normalise_place("s3://bucket/docs") == "s3://bucket/docs"
