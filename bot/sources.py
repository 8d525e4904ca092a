"""Sources as an administrator sees them: add, read again, watch, forget. One writer at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import CommandRejected
from bot.knowledge_parts import Knowledge
from knowledge.catalogue import STANDARD_ANSWERS, Source, SourceSummary
from knowledge.documents import EVERYONE, Audience
from knowledge.errors import SourceUnreadable
from knowledge.files import default_name, is_url, normalise_place
from knowledge.ingestion import IngestReport, Progress
from knowledge.verification import Verification, verify


@dataclass(frozen=True)
class Planned:
    """A source to read: what it is called, where it is, who may read it."""

    name: str
    place: str
    audience: Audience


class Sources:
    """What the commands `ingest`, `reindex` and `forget` do."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def describe(self, place: str, name: str | None, audience: Audience | None) -> Planned:
        """Names the place: as told, as it was called before, or after its folder, with a number when that name is taken.

        Without an audience a known source keeps its own; a new one is for everyone.
        """
        place = normalise_place(place)
        known = {source.name: source for source in self._knowledge.catalogue.sources()}
        if name == STANDARD_ANSWERS:
            raise CommandRejected(f"The name {STANDARD_ANSWERS} is taken by corrections; choose another name.")
        if name in known and known[name].place != place:
            taken = f"{name} is the source at {known[name].place}"
            raise CommandRejected(f"{taken}; choose another name, or forget {name} first if the documents have moved.")
        found = known.get(name) if name else next((s for s in known.values() if s.place == place), None)
        chosen = name or (found.name if found else _free_name(default_name(place), known))
        kept = found.audience if found else frozenset({EVERYONE})
        return Planned(chosen, place, audience if audience is not None else kept)

    def plan_text(self, planned: Planned) -> str:
        """What reading the source would do, in words."""
        known = next((s for s in self._knowledge.catalogue.sources() if s.name == planned.name), None)
        documents = self._knowledge.catalogue.documents(known.id) if known else {}
        plan = self._knowledge.ingestion.plan(planned.place, documents)
        lines = [f"  + {file.location}" for file in plan.added] + [f"  ~ {file.location}" for file in plan.changed]
        lines += [f"  - {document.location}" for document in plan.deleted]
        counts = f"{len(plan.added)} new, {len(plan.changed)} changed, {plan.unchanged} unchanged, {len(plan.deleted)} deleted"
        readers = ", ".join(sorted(planned.audience))
        return "\n".join([f"{planned.name}: {counts} (for {readers}); nothing was done.", *lines])

    def ingest(self, planned: Planned, progress: Progress) -> IngestReport:
        with self._knowledge.database.ingesting():
            return self._knowledge.ingestion.ingest(planned.name, planned.place, planned.audience, progress)

    def reindex(self, names: Sequence[str], progress: Progress) -> tuple[list[IngestReport], list[str], int]:
        """Reads the named sources, or all, and rebuilds the index: reports, problems, number of chunks.

        A source that cannot be read is a problem, not an end. Raises UnknownSource.
        """
        catalogue = self._knowledge.catalogue
        chosen = [catalogue.source(name) for name in names] or catalogue.sources()
        reports, problems = [], []
        with self._knowledge.database.ingesting():
            for source in (source for source in chosen if source.name != STANDARD_ANSWERS):
                try:
                    reports.append(self._knowledge.ingestion.ingest(source.name, source.place, source.audience, progress))
                except SourceUnreadable as err:
                    problems.append(str(err))
            return reports, problems, self._knowledge.ingestion.rebuild(progress)

    def verify(self, progress: Progress) -> list[Verification]:
        """How the index, and the copy that stands in for it, differ from the catalogue. Raises IndexUnavailable."""
        catalogue = self._knowledge.catalogue
        with self._knowledge.database.ingesting():
            return [verify(name, index, catalogue, progress) for name, index in self._knowledge.indexes.items()]

    def forget(self, source: Source, progress: Progress) -> int:
        with self._knowledge.database.ingesting():
            return self._knowledge.ingestion.forget(source, progress)

    def watch(self, planned: Sequence[Planned], on_report: Callable[[IngestReport], None]) -> None:
        """Reads a source again whenever its folder changes, until interrupted. Raises CommandRejected for a URL."""
        from watchfiles import watch

        if any(is_url(one.place) for one in planned):
            raise CommandRejected("--watch follows folders of this machine only; run `timbre ingest` on a schedule for a URL.")
        for changes in watch(*(one.place for one in planned), raise_interrupt=False):
            touched = [Path(path) for _, path in changes]
            for one in planned:
                if any(path.is_relative_to(one.place) for path in touched):
                    on_report(self.ingest(one, lambda *_: None))


def summary_object(summary: SourceSummary) -> dict[str, Any]:
    """A source as `timbre sources --json` prints it."""
    source = summary.source
    return {
        "name": source.name,
        "place": source.place,
        "audience": sorted(source.audience),
        "documents": summary.documents,
        "chunks": summary.chunks,
        "read_at": source.read_at.isoformat() if source.read_at else None,
        "error": source.error,
        "failed": [{"location": document.location, "reason": document.error} for document in summary.failed],
    }


def _free_name(name: str, known: dict[str, Source]) -> str:
    candidates = [name, *(f"{name}-{number}" for number in range(2, len(known) + 3))]
    return next(candidate for candidate in candidates if candidate not in known and candidate != STANDARD_ANSWERS)
