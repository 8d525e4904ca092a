"""How fast: indexing against the bare embedder, a quoted answer, start to ready, memory; wording against bare `generate`,
eight askers at once and the event loop meanwhile; retrieval at 1k, 10k and 100k chunks. Ratios where they matter, both sides
in the same run.

    python -m benchmarks.speed [--only PART ...] [--sizes N ...] [--questions N]

The parts are indexing, wording, askers, lag and retrieval. Results go to benchmarks/results/speed.json; parts that do not run
keep what stands there, and `measured` says when each was.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import growth, results
from benchmarks.corpora import handbook, squad
from bot.audiences import audience_at_terminal
from bot.conversation import Question
from bot.evaluation import quantile
from bot.main import Timbre, build
from bot.settings import AnswerSettings, ModelSettings, Settings
from bot.sources import Sources
from knowledge.catalogue import Catalogue
from knowledge.errors import KnowledgeError

PARTS = ("indexing", "wording", "askers", "lag", "retrieval")
PACKAGES = ("torch", "transformers")
QUESTIONS = 100
WORDED = 10  # questions that the model words, each REPEATS times; an hour on a slow machine is enough
STARTS = 5
GENERATION_TIMEOUT_S = 600  # a machine that is busy must not turn a wording into quotes
INGEST = "--ingest"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help="leave the other parts out")
    parser.add_argument("--sizes", nargs="+", type=int, default=growth.SIZES, metavar="N", help="chunks, of retrieval")
    parser.add_argument("--questions", type=int, default=WORDED, metavar="N", help="of wording")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        ingested = _in_child(home)
        found: dict[str, Any] = {"indexing": measure_indexing(home, ingested)} if "indexing" in options.only else {}
        if {"wording", "askers", "lag"} & set(options.only):
            found |= asyncio.run(measure_wording(home, options.only, options.questions))
        if "retrieval" in options.only:
            found["retrieval"] = measure_retrieval(home, Path(folder), options.sizes)
    write(found)
    show(found)


def write(found: Mapping[str, Any]) -> None:
    """Puts the parts measured now in place of those in the file."""
    file = results.RESULTS / "speed.json"
    old = json.loads(file.read_text()) if file.exists() else {}
    measured = old.get("measured", {}) | dict.fromkeys(found, date.today().isoformat())
    parts = {part: old[part] for part in PARTS if part in old}
    results.write("speed", {"measured": measured, **parts, **found}, {package: version(package) for package in PACKAGES})


def show(measured: Mapping[str, Any]) -> None:
    """One table a part: a line for each figure, a column for each index and size."""
    for part, found in measured.items():
        columns = found if isinstance(found, list) else [found]
        table = Table(title=part, show_header=False)
        for key in columns[0]:
            table.add_row(key, *(_shown(column[key]) for column in columns))
        Console().print(table)


def _shown(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


# Indexing, quoted answers, start


def measure_indexing(home: Path, ingested: dict[str, float]) -> dict[str, float]:
    """How the handbook was indexed in `home`, next to the bare embedder; quoted answers; start."""
    timbre = _open(home)
    bare_s = _bare_embedding_s(timbre)
    seconds = asyncio.run(_answer_seconds(timbre))
    peak_mb = _peak_mb(resource.RUSAGE_SELF)
    timbre.database.close()
    starts = sorted(_start_s(home) for _ in range(STARTS))
    rate, bare = ingested["chunks"] / ingested["seconds"], ingested["chunks"] / bare_s
    return {
        "chunks": ingested["chunks"],
        "chunks_per_s": rate,
        "bare_embedder_chunks_per_s": bare,
        "ratio": rate / bare,
        "peak_mb": ingested["peak_mb"],
        "helper_peak_mb": ingested["children_mb"],
        "quoted_answer_p50_s": quantile(seconds, 0.5),
        "quoted_answer_p95_s": quantile(seconds, 0.95),
        "answering_peak_mb": peak_mb,
        "start_to_first_answer_p50_s": quantile(starts, 0.5),
    }


def _open(home: Path) -> Timbre:
    return build(Settings(home=home, answer=AnswerSettings(wording="quote")), _tell)


def _tell(step: str) -> None:
    print(step, file=sys.stderr, flush=True)


def _in_child(home: Path) -> dict[str, float]:
    """Ingests in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.speed", INGEST, str(home)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(output)
    return result


def ingest(home: Path) -> None:
    """Ingests the handbook and prints seconds, chunks and peak memory as JSON."""
    timbre = _open(home)
    started = time.perf_counter()
    chunks = _ingest(timbre, handbook().folder, "handbook")
    seconds = time.perf_counter() - started
    peaks = {"peak_mb": _peak_mb(resource.RUSAGE_SELF), "children_mb": _peak_mb(resource.RUSAGE_CHILDREN)}
    print(json.dumps({"seconds": seconds, "chunks": chunks, **peaks}))


def _ingest(timbre: Timbre, folder: Path, name: str) -> int:
    sources = Sources(timbre.knowledge)
    return sources.ingest(sources.describe(str(folder), name, None), lambda *_: None).chunks


def _bare_embedding_s(timbre: Timbre) -> float:
    """Seconds that the embedder alone needs for the indexed texts of all chunks, in one process on all cores."""
    catalogue: Catalogue = timbre.knowledge.catalogue
    entries = [entry for document in catalogue.all_documents() for entry in catalogue.entries(document)]
    found = catalogue.chunks([entry.chunk_id for entry in entries])
    texts = [chunk.indexed_text for _, chunk in found.values()]
    started = time.perf_counter()
    timbre.knowledge.embedder.embed(texts)
    return time.perf_counter() - started


async def _answer_seconds(timbre: Timbre) -> list[float]:
    _, audience = audience_at_terminal(timbre.knowledge.catalogue.groups(), None)
    cases = handbook().cases[: QUESTIONS + 1]
    exchanges = [await timbre.engine.answer(Question(case.question, audience)) for case in cases]
    return sorted(exchange.timings_s["total"] for exchange in exchanges[1:])


def _start_s(home: Path) -> float:
    command = [str(Path(sys.executable).with_name("timbre")), "ask", "How many credit hours can I have accrued?"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TIMBRE_HOME": str(home)})
    return time.perf_counter() - started


def _peak_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


# Wording and askers


async def measure_wording(home: Path, parts: Sequence[str], questions: int) -> dict[str, Any]:
    """What the language model does; torch is loaded here, so that it weighs on no other part's memory."""
    from benchmarks import wording

    settings = Settings(home=home, answer=AnswerSettings(wording="model"), model=ModelSettings(timeout_s=GENERATION_TIMEOUT_S))
    timbre = build(settings, _tell)
    bare = wording.Bare(timbre)
    worded = await wording.worded_questions(timbre, max(questions, wording.ASKERS))
    found: dict[str, Any] = {}
    if "wording" in parts:
        found["wording"] = asdict(await wording.overhead(timbre, bare, worded[:questions]))
    if "askers" in parts:
        found["askers"] = asdict(await wording.throughput(timbre, bare, worded))
    if "lag" in parts:
        found["lag"] = asdict(await wording.lag(timbre, worded))
    await timbre.close()
    return found


# Retrieval


def measure_retrieval(home: Path, folder: Path, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Every index at every size; an index whose server is not there is left out and said so."""
    timbre = _open(home)
    corpora = (handbook(), squad(folder / "squad"))
    _ingest(timbre, corpora[1].folder, corpora[1].name)
    questions = [case.question for corpus in corpora for case in corpus.cases]
    embedded = timbre.knowledge.embedder.embed(questions)
    asked = [growth.Asked(question, found.vector) for question, found in zip(questions, embedded, strict=True)]
    made = growth.MadeChunks(timbre.knowledge)
    timbre.database.close()
    rows = []
    for name in growth.INDEXES:
        for size in sizes:
            _tell(f"retrieval on {name} at {size:,} chunks")
            try:
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    rows.append(asdict(growth.measure(name, Path(place), made, size, asked)))
            except KnowledgeError as err:
                _tell(f"LEFT OUT, {name}: {err}")
                break
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == [INGEST]:
        ingest(Path(sys.argv[2]))
    else:
        main(sys.argv[1:])
