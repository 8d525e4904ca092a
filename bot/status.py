"""How Timbre is doing, in words: short for everybody, whole for admins."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from bot.knowledge_parts import Knowledge
from bot.people import Role
from bot.releases import Standing, standing_lines
from bot.storage.exchanges import ExchangeStore
from knowledge.catalogue import SourceSummary
from knowledge.errors import IndexUnavailable
from knowledge.extras import DISTRIBUTION
from knowledge.ports import GenerationId


@dataclass(frozen=True)
class Status:
    """`generation` is None where nothing is indexed; `index_problem` says why the index does not answer, empty when it does.

    `connections`: platform -> whether messages reach us; `counts`: what waits or was given up, by its name in words;
    `verdicts`: current verdicts by kind.
    """

    version: str
    generation: GenerationId | None
    chunks: int
    index_problem: str
    sources: Sequence[SourceSummary]
    connections: Mapping[str, bool]
    counts: Mapping[str, int]
    verdicts: Mapping[str, int]
    release: Standing


def read_status(
    knowledge: Knowledge,
    exchanges: ExchangeStore,
    connections: Callable[[], Mapping[str, bool]],
    counts: Callable[[], Mapping[str, int]],
    standing: Callable[[], Standing],
) -> Status:
    """How things are at this moment; an index that is away is a line of it, not an error."""
    generation, chunks, problem = None, 0, ""
    try:
        generation = knowledge.index.live_generation()
        chunks = knowledge.index.count(generation) if generation is not None else 0
    except IndexUnavailable as err:
        problem = str(err)
    return Status(
        version(DISTRIBUTION),
        generation,
        chunks,
        problem,
        knowledge.catalogue.summaries(),
        connections(),
        counts(),
        exchanges.verdict_counts(),
        standing(),
    )


async def state_lines(read: Callable[[], Status]) -> Sequence[str]:
    """How things are, line by line, for admins."""
    return status_text(await asyncio.to_thread(read), Role.ADMIN).splitlines()


def status_text(status: Status, role: Role) -> str:
    """Markdown (pure)."""
    if role is not Role.ADMIN:
        return f"{_health(status)} Timbre {status.version}."
    lines = [
        f"- index: {_index(status)}",
        *(_source(summary) for summary in status.sources if summary.failed or summary.source.error),
        *(f"- release: {line}" for line in standing_lines(status.release)),
        f"- platforms: {_listed({name: _connection(is_up) for name, is_up in status.connections.items()})}",
        f"- waiting: {_listed(status.counts)}",
        f"- verdicts: {_listed(status.verdicts)}",
    ]
    return "\n".join([f"{_health(status)} Timbre {status.version}, {len(status.sources)} sources.", *lines])


def _health(status: Status) -> str:
    if status.index_problem:
        return "The index does not answer; I search its copy meanwhile."
    if status.generation is None:
        return "I have read no documents yet."
    if status.release.alert:
        return "My newest voice cannot be used; I go on without it."
    return "All is well." if all(status.connections.values()) else "Not every platform is connected."


def _index(status: Status) -> str:
    if status.index_problem:
        return status.index_problem
    if status.generation is None:
        return "nothing is indexed yet"
    return f"generation {status.generation}, {status.chunks:,} chunks"


def _source(summary: SourceSummary) -> str:
    problems = [f"{len(summary.failed):,} failed"] if summary.failed else []
    problems += [summary.source.error] if summary.source.error else []
    return f"- source `{summary.source.name}`: {'; '.join(problems)} (`/timbre sources`)"


def _connection(is_up: bool) -> str:
    return "connected" if is_up else "not connected"


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"
