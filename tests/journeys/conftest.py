"""Fixtures of journeys on chat platforms."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.intranet import FOR_HR, PAGES, indexed_pages


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(a database with the pages, to be copied, the address that they stand at)."""
    with indexed_pages(tmp_path_factory.mktemp("intranet"), PAGES, FOR_HR) as found:
        yield found
