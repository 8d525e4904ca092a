"""How a document is cut: never across headings, blocks whole where they fit, quotes addressable."""

from collections.abc import Sequence

import pytest

from knowledge.chunking import MAX_CHUNK_TOKENS, MAX_KEYWORD_CHARS, MAX_PREFIX_CHARS, chunk_document
from knowledge.documents import Block, BlockKind, Chunk, ParsedDocument, Section
from knowledge.sentences import sentences


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def count_characters(texts: Sequence[str]) -> list[int]:
    """Every character is a token, as in scripts that the model does not know."""
    return [len(text.replace(" ", "")) for text in texts]


def paragraph(words: int, name: str = "w") -> Block:
    """One sentence of so many words."""
    return Block("paragraph", " ".join([name.capitalize(), *[name] * (words - 1)]) + ".")


def document(*sections: Sequence[Block]) -> ParsedDocument:
    made = (Section((f"H{n}",), f"h{n}", tuple(blocks)) for n, blocks in enumerate(sections, 1))
    return ParsedDocument("Title", tuple(made))


def quotes(chunk: Chunk) -> list[str]:
    return [chunk.text[unit.start : unit.end] for unit in chunk.units]


def test_no_chunk_crosses_a_heading() -> None:
    chunks = chunk_document(document([paragraph(3)], [paragraph(4)]), count_words)

    assert [(chunk.heading_path, chunk.anchor, len(chunk.text.split())) for chunk in chunks] == [
        (("H1",), "h1", 3),
        (("H2",), "h2", 4),
    ]


def test_sections_of_the_same_name_stay_apart() -> None:
    section = Section(("H",), "h", (paragraph(3),))

    chunks = chunk_document(ParsedDocument("T", (section, Section(("H",), "h", (paragraph(4),)))), count_words)

    assert len(chunks) == 2


def test_neighbouring_blocks_share_a_chunk_until_it_is_full() -> None:
    sizes = [120, 80, 1, 150, 60]

    chunks = chunk_document(document([paragraph(size) for size in sizes]), count_words)

    assert [len(chunk.text.split()) for chunk in chunks] == [200, 151, 60]


def test_a_block_that_fits_is_never_cut() -> None:
    blocks = [Block("paragraph", " ".join(["One two three four."] * 40)) for _ in range(5)]

    chunks = chunk_document(document(blocks), count_words)

    assert [chunk.text for chunk in chunks] == [block.text for block in blocks]


def test_a_long_block_is_cut_between_sentences() -> None:
    block = Block("paragraph", " ".join(f"Sentence {n} has exactly seven words here." for n in range(100)))

    chunks = chunk_document(document([block]), count_words)

    assert all(count_words([chunk.text])[0] <= MAX_CHUNK_TOKENS for chunk in chunks)
    assert [quote for chunk in chunks for quote in quotes(chunk)] == sentences(block.text)
    assert len(chunks) == 4


def test_a_long_sentence_is_cut_between_words() -> None:
    text = "Start " + "word " * 500 + "end."

    chunks = chunk_document(document([Block("paragraph", text)]), count_words)

    assert " ".join(chunk.text for chunk in chunks).split() == text.split()
    assert all(count_words([chunk.text])[0] <= MAX_CHUNK_TOKENS for chunk in chunks)


def test_text_without_spaces_is_cut_between_characters() -> None:
    text = "これはとても長い文章です" * 100

    chunks = chunk_document(document([Block("paragraph", text)]), count_characters)

    assert "".join(chunk.text for chunk in chunks) == text
    assert all(len(chunk.text) <= MAX_CHUNK_TOKENS for chunk in chunks)


def test_long_text_of_a_script_without_spaces_keeps_its_characters() -> None:
    text = "これは文です。" * 100

    chunks = chunk_document(document([Block("paragraph", text)]), count_characters)

    assert "".join(chunk.text for chunk in chunks) == text


def test_long_code_keeps_its_lines() -> None:
    code = "\n".join(f"  run step {n} --now" for n in range(100))

    chunks = chunk_document(document([Block("code", code)]), count_words)

    assert [line.strip() for chunk in chunks for line in chunk.text.splitlines()] == [line.strip() for line in code.splitlines()]


def test_the_parts_of_a_long_item_keep_kind_and_lead_in() -> None:
    block = Block("item", " ".join(f"Sentence {n} goes on here." for n in range(100)), "You need:")

    chunks = chunk_document(document([block]), count_words)

    assert len(chunks) > 1
    assert {(unit.kind, unit.lead_in) for chunk in chunks for unit in chunk.units} == {("item", "You need:")}


def test_units_are_the_sentences_with_their_block_and_kind() -> None:
    blocks = [
        Block("paragraph", "First here. Second there."),
        Block("item", "An item. With two.", "Lead-in:"),
        Block("row", "A: 1. B; C: D. E", "Rates:"),
        Block("code", "cd /x\nmake"),
    ]

    chunk = chunk_document(document(blocks), count_words)[0]

    assert chunk.text == "First here. Second there.\n- An item. With two.\n- A: 1. B; C: D. E\ncd /x\nmake"
    assert [(quote, u.block, u.kind, u.lead_in) for quote, u in zip(quotes(chunk), chunk.units, strict=True)] == [
        ("First here.", 0, "paragraph", ""),
        ("Second there.", 0, "paragraph", ""),
        ("An item.", 1, "item", "Lead-in:"),
        ("With two.", 1, "item", "Lead-in:"),
        ("A: 1. B; C: D. E", 2, "row", "Rates:"),
        ("cd /x", 3, "code", ""),
        ("make", 3, "code", ""),
    ]


@pytest.mark.parametrize("kind", ["paragraph", "item", "code"])
def test_every_word_can_be_quoted(kind: BlockKind) -> None:
    blocks = [Block(kind, " ".join(f"Sentence {i} of block {n}." for i in range(n * 9))) for n in range(1, 12)]

    chunks = chunk_document(document(blocks), count_words)

    quoted = " ".join(quote for chunk in chunks for quote in quotes(chunk))
    assert quoted.split() == " ".join(block.text for block in blocks).split()


def test_the_prefix_says_where_the_text_stands_and_is_no_part_of_it() -> None:
    parsed = ParsedDocument("Leave", (Section(("Sick", "Note"), "note", (paragraph(3),)),), ("holiday", "PTO"))

    chunk = chunk_document(parsed, count_words)[0]

    assert chunk.prefix == "Leave > Sick > Note\nholiday, PTO"
    assert chunk.indexed_text == f"{chunk.prefix}\n{chunk.text}"
    assert "Leave" not in chunk.text
    assert chunk.heading == "Sick > Note"


def test_a_long_prefix_is_cut() -> None:
    parsed = ParsedDocument("T" * 500, (Section(("H" * 500,), "", (paragraph(3),)),), ("k" * 500,))

    chunk = chunk_document(parsed, count_words)[0]

    assert len(chunk.prefix) <= MAX_PREFIX_CHARS + 1 + MAX_KEYWORD_CHARS


def test_a_document_without_sections_has_no_chunks() -> None:
    assert chunk_document(ParsedDocument("Empty", ()), count_words) == []
