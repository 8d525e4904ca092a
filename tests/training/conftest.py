"""Fixtures: a base that trains in a second, and a dataset."""

from pathlib import Path

import pytest

from tests.training.bases import MODEL, make_tiny_base, write_dataset


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Llama with the tokenizer of the built-in model."""
    if not MODEL.exists():
        pytest.skip("run `timbre setup` first")
    return make_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """24 rows to learn, 6 held out."""
    return write_dataset(tmp_path / "dataset")
