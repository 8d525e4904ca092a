"""Takes out of texts what must never be learned (pure): people's names and handles, addresses, numbers, keys and secrets.

Structured things are found by checksum or by named detectors, names because we know the people. Over-removal is cheap here,
since quotes and answer lose the same; what is measured of each detector stands in research/reliability.md, section 4.
"""

import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import regex
from phonenumbers import Leniency, PhoneNumberMatcher
from stdnum import iban, luhn

NAME, EMAIL, PHONE, CARD, IBAN, SECRET = "name", "e-mail", "phone", "card", "iban", "secret"
KINDS = (NAME, EMAIL, PHONE, CARD, IBAN, SECRET)
REGIONS = ("US", "GB")  # numbers without a country code look alike; POSSIBLE takes what may be dialled in either
MIN_PHONE_DIGITS = 7  # what is shorter is an extension or, far more often, an amount or a year
MIN_PART_CHARS = 3  # of a name; a shorter part says too little to be looked for on its own
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
_EMAIL = regex.compile(r"[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.[\p{L}]{2,}")
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
_ALSO_WORDS = frozenset(
    """will may mark grace rose hope art bill faith joy dawn eve sunny summer april june august jack rob sue pat drew chase frank
    grant guy max penny ray rich sky star ivy lily holly olive ruby amber page price day long short young king knight baker cook
    fisher brown black white green gray grey stone wood hill field banks bush church cross park rivers west north east south
    may can bird fox wolf swan reed mason carpenter taylor smith turner walker law love power sharp small strong swift best
    english french german the and for""".split()
)
"""Parts of names that are words as well: in small letters they are the word."""

Span = tuple[int, int]
FindSpans = Callable[[str], Iterable[Span]]


@dataclass(frozen=True)
class Finding:
    """Something of a kind in a row, which is counted from 1. What it is stands nowhere: it would be in the log then."""

    row: int
    kind: str


def _any_of(words: Collection[str], flags: int) -> "regex.Pattern[str] | None":
    """Longest first, so that a full name goes before its parts; an @ before it goes with it."""
    if not words:
        return None
    listed = "|".join(regex.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}])@?(?:{listed})(?![\p{{L}}\p{{N}}])", flags)


def _parts(name: str) -> list[str]:
    return [part for part in regex.split(r"[^\p{L}\p{N}'’]+", name) if len(part) >= MIN_PART_CHARS and not part.isdigit()]


def _forms(name: str) -> set[str]:
    """As written, and as typed without accents."""
    bare = "".join(sign for sign in unicodedata.normalize("NFD", name) if not unicodedata.combining(sign))
    return {name, unicodedata.normalize("NFC", bare)}


def _opens_sentence(text: str, match: "regex.Match[str]") -> bool:
    before = text[: match.start()].rstrip()
    return not before or before[-1] in ".!?:\n" or before[-1] in "\"'“‘(["


class KnownNames:
    """Finds people in texts by what is known of them: full names, their parts, handles. Cheap to ask, made once.

    A part of a name that is a word as well counts where it is written like a name within a sentence.
    """

    def __init__(self, names: Collection[str]) -> None:
        """`names` are display names, real names and handles, in any order; empty ones are passed over."""
        plain = {unicodedata.normalize("NFC", name).strip().lstrip("@") for name in names} - {""}
        whole = {form for name in plain for form in _forms(name) if len(name) >= MIN_PART_CHARS}
        parts = {form for name in plain for part in _parts(name) for form in _forms(part)}
        words = {part for part in parts | whole if part.casefold() in _ALSO_WORDS}
        self._anywhere = _any_of((whole | parts) - words, regex.I)
        self._as_names = _any_of({word.capitalize() for word in words} | {word.upper() for word in words}, 0)

    def spans(self, text: str) -> Iterator[Span]:
        yield from (match.span() for match in _MENTION.finditer(text))
        if self._anywhere:
            yield from (match.span() for match in self._anywhere.finditer(text))
        if self._as_names:
            yield from (match.span() for match in self._as_names.finditer(text) if not _opens_sentence(text, match))


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
