"""How fast: indexing against the bare embedder, a quoted answer, start to ready, memory. One run, ratios where they matter.

python -m benchmarks.speed
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.corpora import handbook
from bot.conversation import Question
from bot.evaluation import quantile
from bot.main import Timbre, audience_of, build
from bot.settings import AnswerSettings, Settings
from bot.sources import Sources
from knowledge.catalogue import Catalogue

QUESTIONS = 100
STARTS = 5
INGEST = "--ingest"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        ingested = _in_child(home)
        timbre = _open(home)
        bare_s = _bare_embedding_s(timbre)
        chunks = ingested["chunks"]
        rate, bare = chunks / ingested["seconds"], chunks / bare_s
        print(f"chunks: {chunks:.0f}, cores: {os.cpu_count()}")
        print(f"indexing: {rate:.1f} chunks/s; bare embedder on the same texts: {bare:.1f} chunks/s; ratio {rate / bare:.2f}")
        print(f"peak memory of indexing: {ingested['peak_mb']:.0f} MB, of each helper process: {ingested['children_mb']:.0f} MB")
        seconds = asyncio.run(_answer_seconds(timbre))
        print(
            f"quoted answer: p50 {quantile(seconds, 0.5):.3f} s, p95 {quantile(seconds, 0.95):.3f} s ({len(seconds)} questions)"
        )
        print(f"peak memory of answering: {_peak_mb(resource.RUSAGE_SELF):.0f} MB")
        timbre.database.close()
        starts = sorted(_start_s(home) for _ in range(STARTS))
        print(f"start of the process to the first answer printed: median {quantile(starts, 0.5):.2f} s of {STARTS}")


def _open(home: Path) -> Timbre:
    return build(Settings(home=home, answer=AnswerSettings(wording="quote")), lambda step: print(step, file=sys.stderr))


def _in_child(home: Path) -> dict[str, float]:
    """Ingests in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.speed", INGEST, str(home)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(output)
    return result


def ingest(home: Path) -> None:
    """Ingests the handbook and prints seconds, chunks and peak memory as JSON."""
    timbre = _open(home)
    sources = Sources(timbre.knowledge)
    planned = sources.describe(str(handbook().folder), "handbook", None)
    started = time.perf_counter()
    report = sources.ingest(planned, lambda *_: None)
    seconds = time.perf_counter() - started
    peaks = {"peak_mb": _peak_mb(resource.RUSAGE_SELF), "children_mb": _peak_mb(resource.RUSAGE_CHILDREN)}
    print(json.dumps({"seconds": seconds, "chunks": report.chunks, **peaks}))


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
    _, audience = audience_of(timbre.knowledge.catalogue, None)
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


if __name__ == "__main__":
    if sys.argv[1:2] == [INGEST]:
        ingest(Path(sys.argv[2]))
    else:
        main()
