"""Splits plain text into sentences with their positions. Rules, no model: the same for every language with such marks."""

import regex

_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof sr jr st vs etc e.g i.e eg ie a.m p.m u.s no nos fig al inc ltd co corp dept approx est ext
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun""".split()
)
_END = regex.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+\s++(?=[\p{Lu}\p{Lo}\p{N}\"'“‘(\[$€£#@*-])|[。！？।॥۔؟]+|\n+", regex.V1)
_LAST_WORD = regex.compile(r"(?<![\p{L}.])([\p{L}.]*\p{L})\.++[\"'”’)\]]*+\s*+$")
_LAST_WORD_CHARS = 40  # no abbreviation is longer; looking further back would take quadratic time


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence, without surrounding white space, in order; empty text has none."""
    spans, start = [], 0
    for match in _END.finditer(text):
        if _ends_in_abbreviation(text[max(start, match.start() - _LAST_WORD_CHARS) : match.end()]):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def sentences(text: str) -> list[str]:
    """The sentences of `text`, in order."""
    return [text[start:end] for start, end in sentence_spans(text)]


def _ends_in_abbreviation(piece: str) -> bool:
    last = _LAST_WORD.search(piece)
    if not last:
        return False
    word = last[1].casefold()
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and last[1].isupper())


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    stripped = piece.strip()
    if not stripped:
        return None
    offset = start + len(piece) - len(piece.lstrip())
    return offset, offset + len(stripped)
