"""Checks a worded sentence against the quotes (pure): what no quote supports is not said.

Exact: numbers (digits and number words alike), dates, times, names, URLs, e-mail addresses, channel names and polarity. By
degree: the share of content words that the quotes hold, and the cosine to the closest quote. The exact checks catch a changed
number with AUROC .98 and an inserted negation with .99; a relation swapped between two true facts they cannot see
(research/retrieval.md, section 7), which is why the quotes stay visible under every wording.
"""

from collections.abc import Sequence

import regex

from knowledge.terms import STOP_WORDS, content_words, stems, words

MIN_COVERAGE = 0.6  # of the sentence's content words; rules plus this drop 59 to 68 of 100 free sentences of the base model
MIN_COSINE = 0.45
_ADDRESS = regex.compile(r"(?:https?://|www\.)[^\s)\]>\"']+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|#[\w-]+", regex.I)
_NUMBER = regex.compile(r"\d+(?:[.,:/]\d+)*")
_NAME = regex.compile(r"\b\p{Lu}[\p{L}\p{N}&'’-]*")
_NEGATION = regex.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot|unless|except|forbidden|prohibited)\b|\w+n['’]t\b", regex.I
)
_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_TENS = {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100"}
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_SMALL_NUMBERS)} | _TENS


def supporting_quote(sentence: str, quotes: Sequence[str], cosines: Sequence[float], question: str) -> int | None:
    """The position of the quote that supports the sentence; None when none does.

    `cosines` are the sentence's to each quote. Numbers, names and addresses may also come from the question, as far as the
    sentence only repeats what was asked about; numbers may not.
    """
    fitting = [i for i, quote in enumerate(quotes) if is_supported(sentence, quote, cosines[i], question)]
    return max(fitting, key=lambda i: (coverage(sentence, quotes[i]), cosines[i])) if fitting else None


def is_supported(sentence: str, quote: str, cosine: float, question: str) -> bool:
    """Whether the quote says what the sentence says, as far as rules can tell."""
    return (
        _numbers(sentence) <= _numbers(quote)
        and _addresses(sentence) <= _addresses(quote)
        and _names(sentence) <= _all_words(quote) | _all_words(question)
        and has_negation(sentence) == has_negation(_nearest(sentence, quote))
        and coverage(sentence, quote) >= MIN_COVERAGE
        and cosine >= MIN_COSINE
    )


def coverage(sentence: str, quote: str) -> float:
    """The share of the sentence's content stems that the quote holds, 0..1."""
    wanted = {stem for word in content_words(sentence) for stem in stems(word)}
    present = set(stems(quote))
    return len(wanted & present) / len(wanted) if wanted else 0.0


def has_negation(text: str) -> bool:
    return bool(_NEGATION.search(text))


def _nearest(sentence: str, quote: str) -> str:
    """The sentence of the quote that shares most words: the one whose polarity counts."""
    from knowledge.sentences import sentences

    return max(sentences(quote) or [quote], key=lambda part: coverage(sentence, part))


def _numbers(text: str) -> set[str]:
    bare = _ADDRESS.sub(" ", text)
    digits = {match.rstrip(".,:/").replace(",", "") for match in _NUMBER.findall(bare)}
    return digits | {_NUMBER_WORDS[word] for word in words(bare) if word in _NUMBER_WORDS and word != "one"}


def _addresses(text: str) -> set[str]:
    return {match.rstrip(".,;:!?").casefold() for match in _ADDRESS.findall(text)}


def _names(sentence: str) -> set[str]:
    """Capitalised words but for the one that opens the sentence."""
    return {word for name in _NAME.findall(sentence.strip().partition(" ")[2]) for word in words(name) if word not in STOP_WORDS}


def _all_words(text: str) -> set[str]:
    return set(words(text))
