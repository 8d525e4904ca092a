"""What holds for every file, however broken: it is refused with a sentence, or becomes a document that all that follows can use.

Knows nothing of any fuzzer.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from knowledge.catalogue import text_hash
from knowledge.chunking import chunk_document
from knowledge.documents import Chunk, ParsedDocument
from knowledge.errors import ParseFailed
from knowledge.parsing import parse
from knowledge.terms import grams, stems

CHARS_A_TOKEN = 4  # about what the real tokenizer makes of English, without its cost


def check(data: bytes, location: str) -> None:
    """Raises AssertionError for a broken promise, and whatever a parser lets through.

    Running out of memory or stack is told by the sandbox in a sentence, so it breaks no promise.
    """
    try:
        document = parse(data, location)
    except ParseFailed as err:
        assert err.reason.endswith("."), err.reason
        return
    except (MemoryError, RecursionError):
        return
    check_document(document)
    check_chunks(document, chunk_document(document, count_tokens))


def count_tokens(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) + len(text) // CHARS_A_TOKEN for text in texts]


def check_document(document: ParsedDocument) -> None:
    """A title, sections with text, and nothing that no database or pipe takes."""
    assert document.title.strip() and document.sections
    json.dumps(asdict(document), ensure_ascii=False).encode()
    assert "\x00" not in "".join(_strings(document))
    for section in document.sections:
        assert section.blocks and all(block.text.strip() for block in section.blocks)


def check_chunks(document: ParsedDocument, chunks: Sequence[Chunk]) -> None:
    """Units that lie in their chunk one after the other, hold all of the document's text, and terms that survive storage."""
    for chunk in chunks:
        edges = [edge for unit in chunk.units for edge in (unit.start, unit.end)]
        assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= len(chunk.text)
        assert all(chunk.text[unit.start : unit.end].strip() for unit in chunk.units)
        for terms in (stems(chunk.indexed_text), grams(chunk.indexed_text)):
            assert " ".join(terms).split() == terms
        assert text_hash(chunk)
    quotable = (chunk.text[unit.start : unit.end] for chunk in chunks for unit in chunk.units)
    written = (block.text for section in document.sections for block in section.blocks)
    assert _without_space(quotable) == _without_space(written)


def _strings(document: ParsedDocument) -> Iterable[str]:
    yield from (document.title, *document.keywords)
    for section in document.sections:
        yield from (*section.heading_path, section.anchor)
        for block in section.blocks:
            yield from (block.text, block.lead_in)


def _without_space(texts: Iterable[str]) -> str:
    return "".join("".join(texts).split())
