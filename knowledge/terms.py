"""Text to lexical terms: the one analysis that every index stores and every query goes through.

Two fields: *stems* (Snowball stems, of the language that a word's script suggests; bigrams for scripts written without spaces)
and *grams* (character 4-grams of words, which carry languages, typing errors and compounds that no stemmer knows).
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from unicodedata import normalize

import regex
import Stemmer

TERMS_VERSION = "2"
GRAM_CHARS = 4
MAX_QUERY_TERMS = 200  # more terms cost time and never changed a ranking (research: 140 terms rank like 3,000)

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"  # ー belongs to both kana, so to no script
_WORD = regex.compile(rf"[{_UNSPACED}]+|[\p{{L}}\p{{N}}\p{{M}}--{_UNSPACED}]+", regex.V1)
_IS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_APOSTROPHE = regex.compile(r"(?<=\p{L})['’ʼ](?=\p{L})")
_UNWRITTEN = regex.compile(r"[\p{Cf}\u0640\u064B-\u0652\u0670]+")
"""What is not part of a word's spelling: zero-width, bidirectional and soft hyphen signs, Arabic vowel marks and stretching."""
_LANGUAGES = {
    "russian": regex.compile(r"\p{Cyrillic}"),
    "arabic": regex.compile(r"\p{Arabic}"),
    "hindi": regex.compile(r"\p{Devanagari}"),
    "greek": regex.compile(r"\p{Greek}"),
    "armenian": regex.compile(r"\p{Armenian}"),
    "tamil": regex.compile(r"\p{Tamil}"),
}
"""The stemmer for a script; Latin and all others get the English one. Never wrong for a lookup: both sides use the same."""

STOP_WORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being but by can could did do does
    doing don down during each for from further get had has have having he her here hers him his how i if in into is it
    its itself just let me more most my myself no nor not now of off on once only or other our ours out over own
    please same she should so some such than that the their theirs them then there these they this those through to too
    under until up us very was we were what when where which while who whom whose why will with would you your yours
    im ive id dont cant doesnt isnt whats wheres hows theres s t re ve ll d m""".split()
)


def words(text: str) -> list[str]:
    """Case-folded words in reading order; a run of a script without spaces is one word."""
    folded = _APOSTROPHE.sub("", _UNWRITTEN.sub("", normalize("NFKC", text))).casefold()
    return _WORD.findall(folded)


def content_words(text: str) -> list[str]:
    """The words that carry meaning; all of them where nothing but stop words is there."""
    found = words(text)
    return [word for word in found if word not in STOP_WORDS] or found


def stems(text: str) -> list[str]:
    """The stem terms of a passage, in reading order, repeated as they occur."""
    return [stem for word in words(text) for stem in _stem_terms(word)]


def grams(text: str) -> list[str]:
    """The character-gram terms of a passage."""
    return [gram for word in words(text) for gram in _gram_terms(word)]


def query_stems(text: str) -> list[str]:
    """The stem terms of a question: without stop words, at most MAX_QUERY_TERMS."""
    return [stem for word in content_words(text) for stem in _stem_terms(word)][:MAX_QUERY_TERMS]


def query_grams(text: str) -> list[str]:
    """The character-gram terms of a question: without stop words, at most MAX_QUERY_TERMS."""
    return [gram for word in content_words(text) for gram in _gram_terms(word)][:MAX_QUERY_TERMS]


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)


def _language(word: str) -> str:
    return "english" if word.isascii() else next((name for name, script in _LANGUAGES.items() if script.match(word)), "english")


@lru_cache(maxsize=100_000)
def _stem_terms(word: str) -> tuple[str, ...]:
    if _IS_UNSPACED.match(word):
        return tuple(_slices(word, 2))
    return (_stemmer(_language(word)).stemWord(word),)


@lru_cache(maxsize=100_000)
def _gram_terms(word: str) -> tuple[str, ...]:
    if _IS_UNSPACED.match(word):
        return tuple(_slices(word, 2))
    return tuple(_slices(f"_{word}_", GRAM_CHARS))


def _slices(text: str, size: int) -> Iterable[str]:
    return (text[start : start + size] for start in range(max(1, len(text) - size + 1)))
