"""Pages on the web that a company's documents consist of, and a database in which they are indexed already."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bot.main import build
from bot.settings import Settings
from bot.sources import Sources
from tests.conftest import silent
from tests.fakes import HashingEmbedder

PAGES = {
    "leave.md": "# Annual leave\n\n## How many days of annual leave do I get?\n\nFull-time employees get 27 days of annual leave "
    "each year. Unused days expire at the end of March.\n",
    "parking.md": "# Parking\n\n## Where can I park my bicycle?\n\nBicycles park in the harbour shed.\n",
}
FOR_HR = {"pay.md": "# Pay bands\n\nThe pay band of engineers is seven.\n"}


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@contextmanager
def intranet(folder: Path) -> Iterator[str]:
    """The folder on the web: its address, without a slash at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def indexed_pages(folder: Path, for_all: Mapping[str, str], for_hr: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """(a database in which each page is a source of its name, to be copied, the address at which they stand on the web)."""
    pages, home = folder / "pages", folder / "home"
    pages.mkdir()
    for file, text in {**for_all, **for_hr}.items():
        (pages / file).write_text(text)
    with intranet(pages) as address:
        timbre = build(Settings.model_construct(home=home), silent, embedder=HashingEmbedder())
        sources = Sources(timbre.knowledge)
        for file in [*for_all, *for_hr]:
            audience = frozenset({"hr"}) if file in for_hr else None
            sources.ingest(sources.describe(f"{address}/{file}", None, audience), lambda *_: None)
        timbre.knowledge.index.close()
        timbre.database.close()
        yield home / "timbre.db", address
