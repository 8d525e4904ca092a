"""One ingestion in a process of its own, to be killed: python -m tests.knowledge.ingest_job DATABASE FOLDER.

Prints a line at every step; whoever reads them knows how far it has got.
"""

import sys

from bot.storage.database import Database
from knowledge.documents import EVERYONE
from knowledge.parsing.sandbox import ParsingSandbox
from tests.knowledge.library import Library


def main(database_url: str, folder: str) -> None:
    library = Library(Database(database_url), sandbox=ParsingSandbox)
    print("started", flush=True)  # noqa: T201
    library.ingestion.ingest(
        "docs", folder, frozenset({EVERYONE}), lambda what, done, total: print(what, done, total, flush=True)  # noqa: T201
    )  # fmt: skip
    print("finished", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
