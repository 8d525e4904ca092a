"""Takes out of texts what must never be learned (pure): people's names and handles, addresses, numbers, keys and secrets.

Structured things are found by checksum or by named detectors, names because we know the people. Over-removal is cheap here,
since quotes and answer lose the same; what is measured of each detector stands in research/reliability.md, section 4.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import regex
from phonenumbers import Leniency, PhoneNumberMatcher
from stdnum import iban, luhn

NAME, EMAIL, PHONE, CARD, IBAN, SECRET = "name", "e-mail", "phone", "card", "iban", "secret"
KINDS = (NAME, EMAIL, PHONE, CARD, IBAN, SECRET)
REGIONS = ("US", "GB")  # numbers without a country code look alike; POSSIBLE takes what may be dialled in either
MIN_PHONE_DIGITS = 7  # what is shorter is an extension or, far more often, an amount or a year
MIN_PART_CHARS = 3  # of a name; a shorter part says too little to be looked for on its own
MAX_GAP_CHARS = 3  # between the words of a name
MIN_PASSWORD_CHARS = 6
SECRET_DETECTORS = (
    "artifactory.ArtifactoryDetector aws.AWSKeyDetector azure_storage_key.AzureStorageKeyDetector basic_auth.BasicAuthDetector "
    "cloudant.CloudantDetector discord.DiscordBotTokenDetector github_token.GitHubTokenDetector "
    "gitlab_token.GitLabTokenDetector jwt.JwtTokenDetector mailchimp.MailchimpDetector npm.NpmDetector openai.OpenAIDetector "
    "pypi_token.PypiTokenDetector sendgrid.SendGridDetector slack.SlackDetector square_oauth.SquareOAuthDetector "
    "stripe.StripeDetector telegram_token.TelegramBotTokenDetector twilio.TwilioKeyDetector"
).split()
"""Of detect-secrets. Its entropy detectors flagged 200 of 200 harmless lines, these none, and 200 of 200 secrets."""

_PLACEHOLDER = regex.compile(rf"\[(?:{'|'.join(KINDS)})\]")
_EMAIL = regex.compile(r"(?<![\p{L}\p{N}._%+'-])[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.[\p{L}]{2,}")
_CARD = regex.compile(r"(?<!\d)\d(?:[ .-]?\d){12,18}(?!\d)")
_IBAN = regex.compile(r"(?<![\p{L}\p{N}])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![\p{L}\p{N}])", regex.I)
_IBAN_CHARS = range(15, 35)
_PRIVATE_KEY = regex.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END[^\n]*|\Z)", regex.DOTALL)
_PASSWORD = regex.compile(
    r"\b(?:password|passphrase|passcode|passwd|pwd|passwort|secret|token|api[ _-]?key)\b"
    r"\s*(?:is|=|:)+\s*[\"'`]?(?P<value>[^\s\"'`]+)",
    regex.I,
)
_DATES = regex.compile(
    r"(?:19|20)\d\d[-–/. ]+(?:19|20)\d\d|(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}\b|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d\b"
)
_MENTION = regex.compile(r"<[@!&]+[A-Za-z0-9]+(?:\|[^>\n]*)?>")
_WORD = regex.compile(r"[\p{L}\p{N}]+")
_ALSO_WORDS = frozenset(
    """will may can mark grace rose hope art bill faith joy sunny summer april june august chase grant guy max penny ray rich sky
    star ivy amber page price day long short young king knight baker cook fisher brown black white green gray grey stone wood
    hill field banks bush church cross park rivers west north east south bird fox wolf swan reed mason carpenter taylor turner
    walker law love power sharp small strong swift best english french german the and for""".split()
)
"""Parts of names that are words as well: in small letters they are the word."""

Span = tuple[int, int]
FindSpans = Callable[[str], Iterable[Span]]


@dataclass(frozen=True)
class Finding:
    """Something of a kind in a row, which is counted from 1. What it is stands nowhere: it would be in the log then."""

    row: int
    kind: str


def _parts(name: str) -> list[str]:
    return [part for part in regex.split(r"[^\p{L}\p{N}'’]+", name) if len(part) >= MIN_PART_CHARS and not part.isdigit()]


def _forms(name: str) -> set[str]:
    """As written, and as typed without accents."""
    bare = "".join(sign for sign in unicodedata.normalize("NFD", name) if not unicodedata.combining(sign))
    return {name, unicodedata.normalize("NFC", bare)}


def _tokens(name: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(name))


def _reads(found: "Sequence[regex.Match[str]]", tokens: Sequence[str], text: str) -> bool:
    """Whether the words are the tokens, with no more between them than stands within a name."""
    gaps = [text[one.end() : other.start()] for one, other in pairwise(found)]
    return tuple(word[0].casefold() for word in found) == tokens and all(
        len(gap) <= MAX_GAP_CHARS and "\n" not in gap for gap in gaps
    )


def _is_word(word: "regex.Match[str]", text: str) -> bool:
    """Whether it is written like any word: in small letters, or at the start of a sentence."""
    before = text[: word.start()].rstrip()
    return word[0].islower() or not before or before[-1] in ".!?:\n\"'“‘(["


class KnownNames:
    """Finds people in texts by what is known of them: full names, their parts, handles. Made once; tens of thousands do no harm.

    A part of a name that is a word as well counts where it is written like a name within a sentence.
    """

    def __init__(self, names: Collection[str]) -> None:
        """`names` are display names, real names and handles, in any order; empty ones are passed over."""
        plain = {unicodedata.normalize("NFC", name).strip() for name in names}
        known = {_tokens(form) for name in plain for part in (name, *_parts(name)) for form in _forms(part)}
        self._by_first: dict[str, list[Sequence[str]]] = defaultdict(list)
        for tokens in sorted(known, key=len, reverse=True):
            if sum(map(len, tokens)) >= MIN_PART_CHARS:
                self._by_first[tokens[0]].append(tokens)

    def spans(self, text: str) -> Iterator[Span]:
        yield from (match.span() for match in _MENTION.finditer(text))
        words = list(_WORD.finditer(text)) if self._by_first else []
        for position, word in enumerate(words):
            for tokens in self._by_first.get(word[0].casefold(), ()):
                found = words[position : position + len(tokens)]
                if _reads(found, tokens, text) and not (tokens[0] in _ALSO_WORDS and len(tokens) == 1 and _is_word(word, text)):
                    start = word.start() - (text[: word.start()].endswith("@"))
                    yield start, found[-1].end()
                    break


NOBODY = KnownNames(())


def masked(text: str, names: KnownNames = NOBODY) -> str:
    """The text with `[name]`, `[e-mail]`, `[phone]`, `[card]`, `[iban]` or `[secret]` in place of each such thing.

    Masking twice changes nothing, and `kinds_in` finds nothing in what was masked.
    """
    text = unicodedata.normalize("NFC", text)
    while (once := _masked_once(text, names)) != text:
        text = once
    return text


def kinds_in(text: str, names: KnownNames = NOBODY) -> list[str]:
    """The kinds of things that are still in the text, each once; what holds others counts instead of them."""
    found, text = [], unicodedata.normalize("NFC", text)
    for kind, find in _finders(names):
        once = _with_placeholders(text, kind, find)
        if once != text:
            found.append(kind)
            text = once
    return found


def scan(rows: Iterable[Mapping[str, Any]], names: KnownNames = NOBODY) -> list[Finding]:
    """What is left in rows of a dataset, whichever of their values holds it; empty when all is masked."""
    return [
        Finding(number, kind)
        for number, row in enumerate(rows, 1)
        for kind in dict.fromkeys(kind for text in _learned_texts(row) for kind in kinds_in(text, names))
    ]


def _learned_texts(row: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a row that a model reads or a person sees; ids and hashes are ours."""
    for key in ("prompt", "completion", "chosen", "rejected"):
        yield from (str(message.get("content", "")) for message in row.get(key, ()))
    yield str(row.get("question", ""))


def _masked_once(text: str, names: KnownNames) -> str:
    for kind, find in _finders(names):
        text = _with_placeholders(text, kind, find)
    return text


def _with_placeholders(text: str, kind: str, find: FindSpans) -> str:
    return "".join(
        piece if _PLACEHOLDER.fullmatch(piece) else _replaced(piece, find(piece), f"[{kind}]")
        for piece in _split_at_placeholders(text)
    )


def _finders(names: KnownNames) -> Sequence[tuple[str, FindSpans]]:
    """In the order of masking: what holds others comes before them."""
    return (
        (SECRET, _secrets),
        (EMAIL, lambda text: (match.span() for match in _EMAIL.finditer(text))),
        (IBAN, _ibans),
        (CARD, _cards),
        (NAME, names.spans),
        (PHONE, _phones),
    )


def _split_at_placeholders(text: str) -> Iterator[str]:
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        yield text[end : match.start()]
        yield match[0]
        end = match.end()
    yield text[end:]


def _replaced(text: str, spans: Iterable[Span], by: str) -> str:
    pieces, end = [], 0
    for first, last in sorted(spans, key=lambda span: (span[0], -span[1])):
        if first >= end:
            pieces += [text[end:first], by]
            end = last
    return "".join([*pieces, text[end:]])


def _secrets(text: str) -> Iterator[Span]:
    yield from (match.span() for match in _PRIVATE_KEY.finditer(text))
    for match in _PASSWORD.finditer(text):
        value = match["value"].rstrip(".,;!?)")
        if len(value) >= MIN_PASSWORD_CHARS and regex.search(r"\d", value) and regex.search(r"\p{L}", value):
            yield match.start("value"), match.start("value") + len(value)
    for line in text.splitlines():
        for secret in (found for detector in _detectors() for found in detector.analyze_string(line) if found.strip()):
            yield from (match.span() for match in regex.finditer(regex.escape(secret), text))


@cache
def _detectors() -> Sequence[Any]:
    from importlib import import_module  # each of them imports a web client, which is needed to build a dataset only

    paths = (path.split(".") for path in SECRET_DETECTORS)
    return [getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in paths]


def _cards(text: str) -> Iterator[Span]:
    return (match.span() for match in _CARD.finditer(text) if luhn.is_valid(regex.sub(r"\D", "", match[0])))


def _ibans(text: str) -> Iterator[Span]:
    """The longest valid beginning of what looks like one: the next word may look like its end."""
    for match in _IBAN.finditer(text):
        for end in range(match.end(), match.start() + _IBAN_CHARS.start - 1, -1):
            number = regex.sub(r"[ -]", "", text[match.start() : end]).upper()
            if len(number) in _IBAN_CHARS and iban.is_valid(number) and not text[end - 1].isspace():
                yield match.start(), end
                break


def _phones(text: str) -> Iterator[Span]:
    for region in REGIONS:
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.POSSIBLE):
            is_long = sum(map(str.isdigit, match.raw_string)) >= MIN_PHONE_DIGITS
            if is_long and not _DATES.match(match.raw_string):
                yield match.start, match.end
