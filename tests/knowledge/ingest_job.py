"""One ingestion in a process of its own, to be killed: python -m tests.knowledge.ingest_job DATABASE FOLDER.

Prints a line at every step; whoever reads them knows how far it has got.
"""

import sys
from pathlib import Path

from bot.storage.database import Database, sqlite_url
from knowledge.documents import EVERYONE
from knowledge.parsing.sandbox import ParsingSandbox
from tests.knowledge.library import Library


def main(database_path: str, folder: str) -> None:
    library = Library(Database(sqlite_url(Path(database_path))), sandbox=ParsingSandbox)
    print("started", flush=True)  # noqa: T201
    library.ingestion.ingest(
        "docs", folder, frozenset({EVERYONE}), lambda what, done, total: print(what, done, total, flush=True)  # noqa: T201
    )  # fmt: skip
    print("finished", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
