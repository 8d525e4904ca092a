"""Brings sources into the catalogue and the index: only what changed, document by document, able to go on after a kill.

For each document: parse, chunk, embed what is new, store (one transaction), put into the index, mark as indexed. A run that
ends in between leaves documents `stored`; the next run starts by finishing those.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from knowledge.bulk import BulkEmbedder, Embeddings
from knowledge.catalogue import STANDARD_ANSWERS, STANDARD_ANSWERS_PLACE, Catalogue, DocumentStatus, Source, text_hash
from knowledge.chunking import chunk_document
from knowledge.documents import Audience, Block, Chunk, ChunkId, DocumentId, ParsedDocument, Section
from knowledge.errors import ParseFailed, SourceUnreadable
from knowledge.files import FileEntry, Place
from knowledge.parsing import PARSER_VERSION
from knowledge.parsing.sandbox import ParsingSandbox
from knowledge.ports import ChunkIndex, Embedder, GenerationId

logger = logging.getLogger(__name__)

GROUP_FILES = 64  # files parsed while the texts of the group before are being embedded

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, how many there are)."""


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
            elif before.parser_version != PARSER_VERSION or self._hash(root, file) != before.content_hash:
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
        self._finish_waiting(generation)
        self._catalogue.mark_read(source.id)
        report.failures += [(d.location, d.error) for d in self._catalogue.documents(source.id).values() if d.state == "failed"]
        return report

    def forget(self, source: Source) -> int:
        """Removes a source with all its documents from catalogue and index; how many documents there were."""
        documents = self._catalogue.documents(source.id).values()
        self._catalogue.mark_deleted([document.id for document in documents])
        generation = self._index.live_generation()
        if generation is not None:
            self._finish_waiting(generation)
        else:
            for document in documents:
                self._catalogue.mark_indexed(document.id)
        self._catalogue.remove_source(source.id)
        self._catalogue.drop_unused_embeddings()
        return len(documents)

    def rebuild(self, progress: Progress) -> int:
        """Builds a new generation from the catalogue beside the live one and swaps; the number of chunks.

        Parses nothing, and embeds only texts that this embedder has not seen.
        """
        self._embed_missing(progress)
        generation = self._index.create_generation()
        documents = self._catalogue.all_documents()
        for done, document_id in enumerate(documents, 1):
            self._index.replace_document(generation, document_id, self._catalogue.entries(document_id))
            progress("building the index", done, len(documents))
        self._index.activate(generation)
        for document_id in self._catalogue.waiting():
            self._catalogue.mark_indexed(document_id)
        self._catalogue.drop_unused_embeddings()
        return self._index.count(generation)

    def add_standard_answer(self, key: str, question: str, answer: str, audience: Audience) -> ChunkId:
        """Makes an approved correction findable at once; `key` names it, and the same key replaces it."""
        generation = self._ready_generation(lambda *_: None)
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
        self._put_into_index(generation, document_id)
        first = min(entry.chunk_id for entry in self._catalogue.entries(document_id))
        self._catalogue.add_known_question(first, question, "standard", key)
        return first

    def _ready_generation(self, progress: Progress) -> GenerationId:
        """The live generation, with what an interrupted run left behind finished; a new one where there is none."""
        generation = self._index.live_generation()
        if generation is None:
            self.rebuild(progress)
            generation = self._index.live_generation()
            assert generation is not None
        self._finish_waiting(generation)
        return generation

    def _embed_missing(self, progress: Progress) -> None:
        texts = self._catalogue.texts_without_embedding()
        keys = list(texts)
        with self._bulk() as bulk:
            for start in range(0, len(keys), 512):
                part = keys[start : start + 512]
                self._catalogue.add_embeddings(bulk.submit({key: texts[key] for key in part}).result())
                progress("embedding", start + len(part), len(keys))

    def _finish_waiting(self, generation: GenerationId) -> None:
        for document_id in self._catalogue.waiting():
            self._put_into_index(generation, document_id)

    def _put_into_index(self, generation: GenerationId, document_id: DocumentId) -> None:
        self._index.replace_document(generation, document_id, self._catalogue.entries(document_id))
        self._catalogue.mark_indexed(document_id)

    def _apply_audience(self, audience: Audience, documents: Iterable[DocumentStatus]) -> None:
        other = [d.id for d in documents if d.audience != audience and d.state in ("indexed", "stored")]
        self._catalogue.change_audience(other, audience)

    def _read_files(
        self, source: Source, files: Sequence[FileEntry], generation: GenerationId, report: IngestReport, progress: Progress
    ) -> None:
        """Parses one group of files while the texts of the group before are embedded in worker processes."""
        place, done = Place(source.place), 0

        def store(parsed: list[_Parsed], running: Embeddings) -> None:
            nonlocal done
            for stored in self._store(source, parsed, running, generation, report):
                done += stored
                progress("indexing", done, len(files))

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
                self._catalogue.mark_failed(source, file.location, digest, PARSER_VERSION, err.reason)
            except OSError as err:
                self._catalogue.mark_failed(source, file.location, "", PARSER_VERSION, f"It cannot be read: {err}.")
            else:
                yield _Parsed(file, digest, document, chunk_document(document, self._embedder.count_tokens))

    def _read(self, place: Place, file: FileEntry) -> bytes:
        if file.refusal:
            raise ParseFailed(file.refusal)
        if file.size_bytes > self._max_file_bytes:
            size, limit = file.size_bytes / 2**20, self._max_file_bytes / 2**20
            raise ParseFailed(f"It has {size:.0f} MiB, more than TIMBRE_INGESTION__MAX_FILE_MB allows ({limit:.0f}).")
        return place.read(file.location)

    def _hash(self, place: Place, file: FileEntry) -> str:
        """The content's hash; empty, as for a file that failed before it was read, when it must not or cannot be read."""
        try:
            return hashlib.sha256(self._read(place, file)).hexdigest()
        except (ParseFailed, OSError):
            return ""

    def _new_texts(self, parsed: Sequence[_Parsed]) -> dict[str, str]:
        texts = {text_hash(chunk): chunk.indexed_text for entry in parsed for chunk in entry.chunks}
        missing = self._catalogue.missing_embeddings(list(texts))
        return {digest: text for digest, text in texts.items() if digest in missing}

    def _store(
        self, source: Source, parsed: Sequence[_Parsed], running: Embeddings, generation: GenerationId, report: IngestReport
    ) -> Iterator[int]:
        """Stores and indexes document by document; yields 1 after each."""
        embeddings = running.result()
        stored: set[str] = set()
        for entry in parsed:
            hashes = {text_hash(chunk) for chunk in entry.chunks} - stored
            own = {digest: embeddings[digest] for digest in hashes if digest in embeddings}
            title, location = entry.document.title, entry.file.location
            document_id = self._catalogue.store(source, location, title, entry.content_hash, PARSER_VERSION, entry.chunks, own)
            stored |= hashes
            self._put_into_index(generation, document_id)
            report.chunks += len(entry.chunks)
            report.embedded += len(own)
            yield 1


def _groups(files: Sequence[FileEntry]) -> Iterator[Sequence[FileEntry]]:
    return (files[start : start + GROUP_FILES] for start in range(0, len(files), GROUP_FILES))
