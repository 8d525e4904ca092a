"""Numbers the quotes and puts answers together (pure): Markdown with marks like [1] that point at citations."""

from collections.abc import Sequence

import regex

from bot.conversation import Answer, Citation, Outcome, Quote
from bot.voice import Voice

_FENCE = regex.compile(r"\s*(?:```|~~~)")
MARK = regex.compile(r"\s*\[\d{1,2}\]")
MAX_PAGES = 3


def number(quotes: Sequence[Quote]) -> list[Citation]:
    """The quotes as citations 1, 2, ..."""
    return [Citation(number, quote) for number, quote in enumerate(quotes, 1)]


def answered(citations: Sequence[Citation], wording: str, voice: Voice) -> Answer:
    """An answer of quotes; under the model's wording where there is one."""
    parts = [voice.opening, wording or voice.lead_in, *map(quoted, citations), voice.closing]
    return Answer(Outcome.ANSWERED, _join(parts), citations, wording=wording)


def closest(citations: Sequence[Citation], voice: Voice, ask_whom: str) -> Answer:
    """The best quote and the pages that may help, at most three pages in all, and whom to ask."""
    first, rest = citations[0], citations[1:MAX_PAGES]
    listed = [voice.pages, "\n".join(f"- {page_name(citation)} [{citation.number}]" for citation in rest)] if rest else []
    parts = [voice.not_sure, quoted(first), *listed, voice.ask.replace("{ask_whom}", ask_whom)]
    shown = [first, *rest]
    return Answer(Outcome.CLOSEST, _join(parts), shown, pages=[citation.quote.passage for citation in shown])


def unknown(voice: Voice, ask_whom: str, is_off_limits: bool) -> Answer:
    frame = voice.off_limits if is_off_limits else voice.unknown
    return Answer(Outcome.UNKNOWN, frame.replace("{ask_whom}", ask_whom))


def failed(text: str) -> Answer:
    return Answer(Outcome.ERROR, text)


def quoted(citation: Citation) -> str:
    """The quote as a Markdown block quote with its mark.

    Code of which a quote holds only a part has no fences, and no mark stands on a fence: what follows would be code too.
    """
    lines = citation.quote.shown.splitlines() or [""]
    fences = [line for line in lines if _FENCE.match(line)]
    if len(fences) % 2:
        lines = [line for line in lines if line not in fences] or [""]
    elif fences and lines[-1] == fences[-1]:
        lines = [*lines, ""]
    mark = f"[{citation.number}]"
    last = f"{lines[-1]} {mark}" if lines[-1] else mark
    return "\n".join(f"> {line}" for line in [*lines[:-1], last])


def page_name(citation: Citation) -> str:
    """Title and heading of the cited page."""
    passage = citation.quote.passage
    return f"{passage.document.title} ({passage.chunk.heading})" if passage.chunk.heading else passage.document.title


def without_marks(text: str) -> str:
    """The text without citation marks, which a model may repeat or invent."""
    return MARK.sub("", text)


def _join(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part.strip())
