"""Processes for the kill tests, put together as the command line does it but with the hashing embedder:

    python -m tests.journeys.kill_job ingest FOLDER | reindex | read PAGES | state

Each prints "started" when the parts are there, and a line of JSON at its end; `read` asks for one page after the other until it
gets a line. Which index they use, the settings of their environment say.
"""

import json
import random
import sys
from collections.abc import Iterator
from select import select

from bot.knowledge_parts import Knowledge
from bot.main import build_knowledge, open_database
from bot.settings import Settings, load
from bot.sources import Sources
from knowledge.documents import EVERYONE
from knowledge.retrieval import STALE_RETRIES, index_query
from tests.fakes import HashingEmbedder

ALL = frozenset({EVERYONE})


def main(task: str, *arguments: str) -> None:
    settings = load()
    database = open_database(settings)
    knowledge = build_knowledge(settings, database, lambda _: None, HashingEmbedder())
    sys.stdout.write("started\n")
    sys.stdout.flush()
    match task:
        case "read":
            result = read(knowledge, int(arguments[0]))
        case "state":
            result = state(knowledge)
        case _:
            result = write(task, settings, knowledge, *arguments)
    sys.stdout.write(json.dumps(result) + "\n")
    knowledge.index.close()
    database.close()


def write(task: str, settings: Settings, knowledge: Knowledge, *folder: str) -> dict[str, object]:
    """What the command `ingest` or `reindex` would report."""
    sources = Sources(knowledge)
    if task == "reindex":
        reports, problems, chunks = sources.reindex([], lambda *_: None)
        assert not problems
    else:
        reports, chunks = [sources.ingest(sources.describe(folder[0], "docs", None), lambda *_: None)], 0
    return {
        "touched": sum(report.added + report.changed + report.deleted for report in reports),
        "embedded": sum(report.embedded for report in reports),
        "failures": [failure for report in reports for failure in report.failures],
        "chunks": chunks,
    }


def read(knowledge: Knowledge, pages: int) -> dict[str, object]:
    """Asks until told to stop, and says what it saw that no reader may see."""
    rng, asked, wrong = random.Random(4), 0, []
    newest: dict[int, int] = {}
    while not select([sys.stdin], [], [], 0)[0]:
        page = rng.randrange(pages)
        seen = sorted(parts(knowledge, page))
        versions = {version for version, _, _ in seen}
        if seen and (len(versions) > 1 or [part for _, part, _ in seen] != list(range(seen[0][2]))):
            wrong.append(f"page {page} in pieces: {seen}")
        if seen and seen[0][0] < newest.get(page, 0):
            wrong.append(f"page {page} went back from version {newest[page]} to {seen[0][0]}")
        if not seen and page in newest:
            wrong.append(f"page {page} vanished")
        newest |= dict.fromkeys([page] if seen else [], max(versions, default=0))
        asked += 1
    return {"asked": asked, "pages": len(newest), "wrong": wrong[:20]}


def state(knowledge: Knowledge) -> dict[str, object]:
    """The files as the catalogue knows them, put together again, and how many chunks the catalogue and the index hold."""
    generation = knowledge.index.live_generation()
    documents = knowledge.catalogue.all_documents()
    entries = [entry for document in documents for entry in knowledge.catalogue.entries(document)]
    files: dict[str, str] = {}
    for document, chunk in knowledge.catalogue.chunks([entry.chunk_id for entry in entries]).values():
        before = files.setdefault(document.location, f"# {document.title}")
        files[document.location] = f"{before}\n\n## {chunk.heading}\n\n{chunk.text}"
    indexed = 0 if generation is None else knowledge.index.count(generation)
    waiting = len(knowledge.catalogue.waiting())
    return {"files": sorted(files.values()), "chunks": len(entries), "indexed": indexed, "waiting": waiting}


def parts(knowledge: Knowledge, page: int) -> Iterator[tuple[int, int, int]]:
    """(version, part, of) of everything that the index shows of the page: its chunks alone hold the word `page7`."""
    if knowledge.index.live_generation() is None:
        return
    for location, text in found(knowledge, f"page{page}"):
        assert location == f"page-{page}.md"
        words = text.split()
        yield int(words[2]), int(words[4]), int(words[6])


def found(knowledge: Knowledge, word: str) -> list[tuple[str, str]]:
    """(location, text) of the chunks with the word; searched for again when some were replaced before they were read."""
    embedding = knowledge.embedder.embed([word])[0]
    for _ in range(STALE_RETRIES):
        hits = knowledge.index.search(index_query(word, embedding, ALL)).stems
        chunks = knowledge.catalogue.chunks([hit.chunk_id for hit in hits])
        if len(chunks) == len(hits):
            break
    return [(document.location, chunk.text) for document, chunk in chunks.values()]


if __name__ == "__main__":
    main(*sys.argv[1:])
