"""Exchanges and passages as JSON objects (pure): the contract of `--json` and `--batch`."""

from typing import Any

from bot.conversation import Citation, Exchange, Outcome
from knowledge.documents import Passage

SCORE_DIGITS = 4


def exchange_object(exchange: Exchange) -> dict[str, Any]:
    """The exchange as `timbre ask --json` prints it. For `closest`, the citations are the pages offered."""
    return {
        "outcome": str(exchange.answer.outcome),
        "text": exchange.answer.text,
        "citations": [citation_object(citation) for citation in exchange.answer.citations],
        "exchange_id": exchange.id,
        "release": exchange.release,
        "model": exchange.model,
        "signal": round(exchange.signal, SCORE_DIGITS),
        "wording": exchange.answer.wording,
        "reduced_search": exchange.is_reduced,
        "timings": {step: round(seconds, SCORE_DIGITS) for step, seconds in exchange.timings_s.items()},
    }


def error_object(text: str) -> dict[str, Any]:
    """The same shape for a question that could not be answered at all."""
    return {
        "outcome": str(Outcome.ERROR), "text": text, "citations": [], "exchange_id": None, "release": None, "model": None,
        "signal": 0.0, "wording": "", "reduced_search": False, "timings": {},
    }  # fmt: skip


def citation_object(citation: Citation) -> dict[str, Any]:
    passage = citation.quote.passage
    return {
        "number": citation.number,
        "document": passage.document.title,
        "source": passage.document.source,
        "location": passage.location,
        "address": passage.document.address,
        "heading": passage.chunk.heading,
        "quote": citation.quote.shown,
    }


def passage_object(passage: Passage) -> dict[str, Any]:
    return {
        "rank": passage.rank,
        "score": round(passage.score, SCORE_DIGITS),
        "document": passage.document.title,
        "source": passage.document.source,
        "location": passage.location,
        "heading": passage.chunk.heading,
        "text": passage.chunk.text,
    }
