"""Fixtures of the knowledge tests: a library on a database of its own."""

import pytest

from bot.storage.database import Database
from tests.fakes import HashingEmbedder
from tests.knowledge.library import Library


@pytest.fixture
def library(database: Database, embedder: HashingEmbedder) -> Library:
    return Library(database, embedder)
