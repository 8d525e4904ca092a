"""A parsed document to chunks by its structure: never across headings, blocks kept whole where they fit."""

from collections.abc import Callable, Iterable, Sequence

from knowledge.documents import Block, Chunk, ParsedDocument, Section, Unit
from knowledge.sentences import sentence_spans

MAX_CHUNK_TOKENS = 200  # of the model's 256, the rest is for the prefix; sections of the handbook have 110 on average
MAX_PREFIX_CHARS = 200
MAX_KEYWORD_CHARS = 120

CountTokens = Callable[[Sequence[str]], Sequence[int]]


def chunk_document(document: ParsedDocument, count_tokens: CountTokens) -> list[Chunk]:
    """The chunks of `document` in reading order; `count_tokens` is the embedder's."""
    pieces = [piece for section in document.sections for piece in _fit_blocks(section, count_tokens)]
    sizes = count_tokens([block.text for _, block in pieces])
    return [
        _chunk(document, section, blocks)
        for section, blocks in _pack([(section, block, size) for (section, block), size in zip(pieces, sizes, strict=True)])
    ]


def _fit_blocks(section: Section, count_tokens: CountTokens) -> list[tuple[Section, Block]]:
    """The section's blocks; one that is too long for a chunk is cut between sentences, or words where it must be."""
    sizes = count_tokens([block.text for block in section.blocks])
    fitting = []
    for block, size in zip(section.blocks, sizes, strict=True):
        texts = [block.text] if size <= MAX_CHUNK_TOKENS else _cut(block.text, count_tokens)
        fitting += [(section, Block(block.kind, text, block.lead_in)) for text in texts]
    return fitting


def _cut(text: str, count_tokens: CountTokens) -> list[str]:
    spans = sentence_spans(text)
    sizes = count_tokens([text[start:end] for start, end in spans])
    pieces: list[str] = []
    room = last = 0
    for (start, end), size in zip(spans, sizes, strict=True):
        gap, last, sentence = text[last:start], end, text[start:end]  # a line break in code, nothing in Chinese
        for part, part_size in [(sentence, size)] if size <= MAX_CHUNK_TOKENS else _cut_words(sentence, size):
            if pieces and part_size <= room:
                pieces[-1] += gap + part
                room -= part_size
            else:
                pieces.append(part)
                room = MAX_CHUNK_TOKENS - part_size
    return pieces


def _cut_words(sentence: str, tokens: int) -> list[tuple[str, int]]:
    """Equal parts at word ends; at characters for text without spaces."""
    parts = tokens // MAX_CHUNK_TOKENS + 1
    size = len(sentence) // parts + 1
    pieces, start = [], 0
    while start < len(sentence):
        end = min(start + size, len(sentence))
        space = sentence.rfind(" ", start, end) if end < len(sentence) else -1
        end = space if space > start else end
        pieces.append((sentence[start:end].strip(), tokens // parts))
        start = end
    return [(text, size) for text, size in pieces if text]


def _pack(pieces: Iterable[tuple[Section, Block, int]]) -> list[tuple[Section, list[Block]]]:
    """Neighbouring blocks of a section share a chunk until it is full."""
    packed: list[tuple[Section, list[Block]]] = []
    room = 0
    for section, block, size in pieces:
        if packed and packed[-1][0] is section and size <= room:
            packed[-1][1].append(block)
        else:
            packed.append((section, [block]))
            room = MAX_CHUNK_TOKENS
        room -= size
    return packed


def _chunk(document: ParsedDocument, section: Section, blocks: Sequence[Block]) -> Chunk:
    text, units = "", []
    for number, block in enumerate(blocks):
        text += "\n" if text else ""
        text += "- " if block.kind in ("item", "row") else ""
        units += _units(block, number, len(text))
        text += block.text
    return Chunk(text, _prefix(document, section), section.heading_path, section.anchor, tuple(units))


def _units(block: Block, number: int, offset: int) -> list[Unit]:
    """A table row stays whole, since its cells explain each other; everything else is quoted by the sentence."""
    spans = [(0, len(block.text))] if block.kind == "row" else sentence_spans(block.text)
    return [Unit(offset + start, offset + end, number, block.kind, block.lead_in) for start, end in spans]


def _prefix(document: ParsedDocument, section: Section) -> str:
    path = " > ".join((document.title, *section.heading_path))[:MAX_PREFIX_CHARS]
    keywords = ", ".join(document.keywords)[:MAX_KEYWORD_CHARS]
    return f"{path}\n{keywords}" if keywords else path
