"""Brings sources into the catalogue and the index: only what changed, document by document, able to go on after a kill.

For each document: parse, chunk, embed what is new, store (one transaction); then, a group at a time, put into the index and mark
as indexed. A run that ends in between leaves documents `stored`; the next run starts by finishing those. While the index's server
is away, a run waits for it.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from knowledge.bulk import BulkEmbedder, Embeddings
from knowledge.catalogue import STANDARD_ANSWERS, STANDARD_ANSWERS_PLACE, Catalogue, DocumentStatus, Source, text_hash
from knowledge.chunking import chunk_document
from knowledge.documents import Audience, Block, Chunk, ChunkId, DocumentId, DocumentState, ParsedDocument, Section
from knowledge.errors import IndexAway, ParseFailed, SourceUnreadable
from knowledge.files import FileEntry, Place
from knowledge.parsing import PARSER_VERSION
from knowledge.parsing.sandbox import ParsingSandbox
from knowledge.ports import ChunkIndex, Embedder, GenerationId

logger = logging.getLogger(__name__)

GROUP_FILES = 64  # files parsed while the texts of the group before are being embedded
INDEXED_TOGETHER = 64  # documents that one call puts into the index
AWAY_PAUSE_S = 0.5  # between two tries while the index is away

Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, how many there are; 0 when nobody knows)."""


@dataclass(frozen=True)
class Plan:
    """What reading a source again would do."""

    added: Sequence[FileEntry]
    changed: Sequence[FileEntry]
    unchanged: int
    deleted: Sequence[DocumentStatus]
    ignored: int


@dataclass
class IngestReport:
    """What a run did. `embedded` counts texts that went through the model; `failures` are (location, reason)."""

    source: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    ignored: int = 0
    chunks: int = 0
    embedded: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Parsed:
    file: FileEntry
    content_hash: str
    document: ParsedDocument
    chunks: Sequence[Chunk]


class Ingestion:
    """Writes catalogue and index. One at a time per database: the caller holds the lock."""

    def __init__(
        self,
        catalogue: Catalogue,
        index: ChunkIndex,
        embedder: Embedder,
        bulk: Callable[[], BulkEmbedder],
        sandbox: Callable[[], ParsingSandbox],
        max_file_bytes: int,
    ) -> None:
        self._catalogue = catalogue
        self._index = index
        self._embedder = embedder
        self._bulk = bulk
        self._sandbox = sandbox
        self._max_file_bytes = max_file_bytes

    def plan(self, place: str, known: dict[str, DocumentStatus]) -> Plan:
        """Compares the place with the catalogue, without changing anything. Raises SourceUnreadable."""
        root = Place(place)
        listing = root.list()
        if not listing.files:
            raise SourceUnreadable(place, f"it holds no file that can be read ({listing.ignored} of other kinds)")
        added, changed, unchanged = [], [], 0
        for file in listing.files:
            before = known.get(file.location)
            if before is None or before.state == "deleted":
                added.append(file)
            elif before.parser_version != self._parser_version(before.state) or self._hash(root, file) != before.content_hash:
                changed.append(file)
            else:
                unchanged += 1
        present = {file.location for file in listing.files}
        deleted = [status for location, status in known.items() if location not in present and status.state != "deleted"]
        return Plan(added, changed, unchanged, deleted, listing.ignored)

    def ingest(self, name: str, place: str, audience: Audience, progress: Progress) -> IngestReport:
        """Reads a source, new or known, and brings catalogue and index up to date with it. Raises SourceUnreadable."""
        known = next((s for s in self._catalogue.sources() if s.name == name), None)
        documents = self._catalogue.documents(known.id) if known else {}
        try:
            plan = self.plan(place, documents)
        except SourceUnreadable as err:
            if known:
                self._catalogue.mark_read(known.id, str(err))
            raise
        source = self._catalogue.put_source(name, place, audience)
        generation = self._ready_generation(progress)
        report = IngestReport(name, len(plan.added), len(plan.changed), plan.unchanged, len(plan.deleted), plan.ignored)
        self._apply_audience(audience, documents.values())
        self._catalogue.mark_deleted([status.id for status in plan.deleted])
        self._read_files(source, [*plan.added, *plan.changed], generation, report, progress)
        self._finish_waiting(generation, progress)
        self._catalogue.mark_read(source.id)
        report.failures += [(d.location, d.error) for d in self._catalogue.documents(source.id).values() if d.state == "failed"]
        return report

    def forget(self, source: Source, progress: Progress) -> int:
        """Removes a source with all its documents from catalogue and index; how many documents there were."""
        documents = self._catalogue.documents(source.id).values()
        self._catalogue.mark_deleted([document.id for document in documents])
        generation = self._patiently(self._index.live_generation, progress)
        if generation is not None:
            self._finish_waiting(generation, progress)
        else:
            self._catalogue.mark_indexed([document.id for document in documents])
        self._catalogue.remove_source(source.id)
        self._catalogue.drop_unused_embeddings()
        return len(documents)

    def rebuild(self, progress: Progress) -> int:
        """Builds a new generation from the catalogue beside the live one and swaps; the number of chunks.

        Parses nothing, and embeds only texts that this embedder has not seen.
        """
        self._embed_missing(progress)
        generation = self._patiently(self._index.create_generation, progress)
        documents = self._catalogue.all_documents()
        for start in range(0, len(documents), INDEXED_TOGETHER):
            part = documents[start : start + INDEXED_TOGETHER]
            self._patiently(partial(self._replace, generation, part), progress)
            progress("building the index", start + len(part), len(documents))
        self._patiently(partial(self._index.activate, generation), progress)
        self._catalogue.mark_indexed(self._catalogue.waiting())
        self._catalogue.drop_unused_embeddings()
        return self._patiently(partial(self._index.count, generation), progress)

    def finish(self) -> int:
        """Puts into the live index what an outage or a kill has left behind; how many documents. Raises IndexAway."""
        generation, waiting = self._index.live_generation(), self._catalogue.waiting()
        if generation is None or not waiting:
            return 0
        self._replace(generation, waiting)
        self._catalogue.mark_indexed(waiting)
        return len(waiting)

    def add_standard_answer(self, key: str, question: str, answer: str, audience: Audience) -> ChunkId:
        """Makes an approved correction findable at once; `key` names it, and the same key replaces it.

        While the index is away it is findable in the copy that is searched then; the index gets it with the next `finish`.
        """
        source = self._catalogue.put_source(STANDARD_ANSWERS, STANDARD_ANSWERS_PLACE, frozenset())
        blocks = tuple(Block("paragraph", part) for part in answer.splitlines() if part.strip())
        document = ParsedDocument(question, (Section((), "", blocks),))
        chunks = chunk_document(document, self._embedder.count_tokens)
        texts = {text_hash(chunk): chunk.indexed_text for chunk in chunks}
        missing = self._catalogue.missing_embeddings(list(texts))
        with self._bulk() as bulk:
            embeddings = bulk.submit({digest: texts[digest] for digest in missing}).result()
        content_hash = hashlib.sha256(f"{question}\n{answer}".encode()).hexdigest()
        document_id = self._catalogue.store(source, key, question, content_hash, PARSER_VERSION, chunks, embeddings, audience)
        try:
            if self._index.live_generation() is None:
                self._build_first(lambda *_: None)
            self.finish()
        except IndexAway:
            logger.warning("the index is away; standard answer %s waits for it", key)
        first = min(entry.chunk_id for entry in self._catalogue.entries(document_id))
        self._catalogue.add_known_question(first, question, "standard", key)
        return first

    def _ready_generation(self, progress: Progress) -> GenerationId:
        """The live generation, with what an interrupted run left behind finished; a new one where there is none."""
        generation = self._patiently(self._index.live_generation, progress) or self._build_first(progress)
        self._finish_waiting(generation, progress)
        return generation

    def _build_first(self, progress: Progress) -> GenerationId:
        self.rebuild(progress)
        generation = self._index.live_generation()
        assert generation is not None
        return generation

    def _embed_missing(self, progress: Progress) -> None:
        texts = self._catalogue.texts_without_embedding()
        keys = list(texts)
        with self._bulk() as bulk:
            for start in range(0, len(keys), 512):
                part = keys[start : start + 512]
                self._catalogue.add_embeddings(bulk.submit({key: texts[key] for key in part}).result())
                progress("embedding", start + len(part), len(keys))

    def _finish_waiting(self, generation: GenerationId, progress: Progress) -> None:
        self._put_into_index(generation, self._catalogue.waiting(), progress)

    def _patiently(self, work: Callable[[], Result], progress: Progress) -> Result:
        """The result of `work`, done again when the index's server was away and is back."""
        while True:
            try:
                return work()
            except IndexAway as err:
                self._await_index(err, progress)

    def _await_index(self, err: IndexAway, progress: Progress) -> None:
        generation = GenerationId(0)  # none has this number: the smallest thing to ask for
        while True:
            progress(f"waiting for the index at {err.url} (nothing is lost by stopping)", 0, 0)
            time.sleep(AWAY_PAUSE_S)
            with suppress(IndexAway):
                self._index.count(generation)
                return

    def _put_into_index(self, generation: GenerationId, document_ids: Sequence[DocumentId], progress: Progress) -> None:
        for start in range(0, len(document_ids), INDEXED_TOGETHER):
            part = document_ids[start : start + INDEXED_TOGETHER]
            self._patiently(partial(self._replace, generation, part), progress)
            self._catalogue.mark_indexed(part)

    def _replace(self, generation: GenerationId, document_ids: Sequence[DocumentId]) -> None:
        self._index.replace_documents(generation, {i: self._catalogue.entries(i) for i in document_ids})

    def _apply_audience(self, audience: Audience, documents: Iterable[DocumentStatus]) -> None:
        other = [d.id for d in documents if d.audience != audience and d.state in ("indexed", "stored")]
        self._catalogue.change_audience(other, audience)

    def _read_files(
        self, source: Source, files: Sequence[FileEntry], generation: GenerationId, report: IngestReport, progress: Progress
    ) -> None:
        """Parses one group of files while the texts of the group before are embedded in worker processes."""
        place, done = Place(source.place), 0
        if files:
            progress(f"reading {source.name}", 0, len(files))

        def store(parsed: list[_Parsed], running: Embeddings) -> None:
            nonlocal done
            stored = []
            for document_id in self._store(source, parsed, running, report):
                stored.append(document_id)
                done += 1
                progress(f"reading {source.name}", done, len(files))
            self._put_into_index(generation, stored, progress)

        waiting: tuple[list[_Parsed], Embeddings] | None = None
        with self._sandbox() as sandbox, self._bulk() as bulk:
            for group in _groups(files):
                parsed = list(self._parse(source, place, group, sandbox))
                done += len(group) - len(parsed)
                running = (parsed, bulk.submit(self._new_texts(parsed)))
                if waiting:
                    store(*waiting)
                waiting = running
            if waiting:
                store(*waiting)

    def _parse(self, source: Source, place: Place, files: Sequence[FileEntry], sandbox: ParsingSandbox) -> Iterator[_Parsed]:
        """The files that could be read; the others are recorded with their reason."""
        for file in files:
            digest = ""
            try:
                data = self._read(place, file)
                digest = hashlib.sha256(data).hexdigest()
                document = sandbox.parse(data, file.location)
            except ParseFailed as err:
                version = self._parser_version("failed")
                self._catalogue.mark_failed(source, file.location, digest, version, err.reason)
            else:
                yield _Parsed(file, digest, document, chunk_document(document, self._embedder.count_tokens))

    def _parser_version(self, state: DocumentState) -> str:
        """What a document of this state would be recorded with today; for a failed one with the limits, which may be why."""
        return f"{PARSER_VERSION} within {self._sandbox().limits}" if state == "failed" else PARSER_VERSION

    def _read(self, place: Place, file: FileEntry) -> bytes:
        """The file's bytes. Raises ParseFailed when it must not or cannot be read."""
        if file.refusal:
            raise ParseFailed(file.refusal)
        if file.size_bytes > self._max_file_bytes:
            size, limit = file.size_bytes / 2**20, self._max_file_bytes / 2**20
            raise ParseFailed(f"It has {size:.0f} MiB, more than TIMBRE_INGESTION__MAX_FILE_MB allows ({limit:.0f}).")
        try:
            return place.read(file.location)
        except OSError as err:
            raise ParseFailed(f"It cannot be read: {err}.") from err

    def _hash(self, place: Place, file: FileEntry) -> str:
        """The content's hash; empty, as for a file that failed before it was read, when it must not or cannot be read."""
        try:
            return hashlib.sha256(self._read(place, file)).hexdigest()
        except ParseFailed:
            return ""

    def _new_texts(self, parsed: Sequence[_Parsed]) -> dict[str, str]:
        texts = {text_hash(chunk): chunk.indexed_text for entry in parsed for chunk in entry.chunks}
        missing = self._catalogue.missing_embeddings(list(texts))
        return {digest: text for digest, text in texts.items() if digest in missing}

    def _store(
        self, source: Source, parsed: Sequence[_Parsed], running: Embeddings, report: IngestReport
    ) -> Iterator[DocumentId]:
        embeddings = running.result()
        known: set[str] = set()
        for entry in parsed:
            hashes = {text_hash(chunk) for chunk in entry.chunks} - known
            own = {digest: embeddings[digest] for digest in hashes if digest in embeddings}
            title, location = entry.document.title, entry.file.location
            yield self._catalogue.store(source, location, title, entry.content_hash, PARSER_VERSION, entry.chunks, own)
            known |= hashes
            report.chunks += len(entry.chunks)
            report.embedded += len(own)


def _groups(files: Sequence[FileEntry]) -> Iterator[Sequence[FileEntry]]:
    return (files[start : start + GROUP_FILES] for start in range(0, len(files), GROUP_FILES))
