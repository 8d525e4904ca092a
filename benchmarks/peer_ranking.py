"""What the peers' retrieval scripts share: pages and queries in, for each set-up the pages that it ranks and the seconds.

Knows nothing of Timbre's code and of no peer. A script of a peer calls `run` with its name of splitters and its way to build
searches; each line that it prints is one set-up:
`{"setup": "256 tokens, dist_based_score", "chunks": 1600, "pages": [["leave.md", ...], ...], "seconds": [0.02, ...]}`,
with `pages` and `seconds` in the order of the queries, which are a JSON list of strings.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

PAGES = 10  # of each query; beyond, no figure looks
HITS = 100  # of each leg, as many as Timbre's: they hold at least 10 pages
SUFFIXES = [".md", ".txt", ".html"]
WARM_UP = 5  # queries before the clock counts

Search = Callable[[str], Iterable[str]]
"""Gives the page of every chunk found for a query, best chunk first."""
Build = Callable[[Path, str], tuple[int, Mapping[str, Search]]]
"""Indexes a folder with one of the splitters: the number of chunks, and a search for each mode of fusion."""


def run(description: str | None, splitters: Iterable[str], build: Build) -> None:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of pages")
    parser.add_argument("--queries", type=Path, required=True, help="JSON list of queries")
    arguments = parser.parse_args()
    queries = json.loads(arguments.queries.read_text(encoding="utf-8"))
    for splitter in splitters:
        chunks, searches = build(arguments.corpus, splitter)
        for mode, search in searches.items():
            print(f"({splitter}, {mode}: {chunks} chunks)", file=sys.stderr)
            row = {"setup": f"{splitter}, {mode}", "chunks": chunks, **_ranked(queries, search)}
            print(json.dumps(row), flush=True)


def pages(folder: Path) -> list[tuple[str, str]]:
    """(location, text as it stands) of every page, for peers that read files as text."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    return [(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")) for path in files]


def _ranked(queries: Sequence[str], search: Search) -> dict[str, object]:
    for query in queries[:WARM_UP]:
        list(search(query))
    found, seconds = [], []
    for query in queries:
        started = time.perf_counter()
        hits = list(search(query))
        seconds.append(round(time.perf_counter() - started, 5))
        found.append(list(dict.fromkeys(hits))[:PAGES])
    return {"pages": found, "seconds": seconds}
