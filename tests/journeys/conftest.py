"""Fixtures of journeys on chat platforms."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.intranet import FOR_HR, PAGES, index_pages, intranet


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(a database with the pages, to be copied, the address that they stand at)."""
    folder, home = tmp_path_factory.mktemp("intranet"), tmp_path_factory.mktemp("home")
    for file, text in (PAGES | FOR_HR).items():
        (folder / file).write_text(text)
    with intranet(folder) as address:
        index_pages(home, address)
        yield home / "timbre.db", address
