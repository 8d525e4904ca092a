"""Makes of stored exchanges what training may know of them (pure, given a masking function): the one gate of privacy.

Excluded and counted first: what was said in private, what only some may read, people who opted out. Then everything is masked.
"""

import hashlib
import hmac
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import regex

from bot import grounding
from bot.citations import without_marks
from bot.conversation import Verdict
from bot.prompting import messages_on, quotes_in
from bot.storage.training import ImportedFeedback, RatedRecord, StoredQuote
from bot.voice import Voice
from knowledge.documents import EVERYONE
from knowledge.ports import Embedder
from knowledge.sentences import sentences
from training.examples import PromptCompletion, RatedExchange, Rating

PRIVATE, RESTRICTED, OPTED_OUT, VERDICTS, STANDARD, ERASED = (
    "private", "restricted", "opted_out", "verdicts_of_opted_out", "standard_answer", "erased",
)  # fmt: skip
EXCLUSIONS = {
    PRIVATE: "asked in a private channel or directly",
    RESTRICTED: "made of documents that not everyone may read",
    OPTED_OUT: "asked or corrected by people who opted out",
    VERDICTS: "verdicts of people who opted out",
    STANDARD: "answered with an approved answer, which stands as it was written",
    ERASED: "erased",
}
PRIVATE_WORDS = frozenset({"dm", "direct", "private"})  # what an imported row may call a channel without a name
RATER_CHARS = 16
_URL = regex.compile(r"https?://[^\s)\]>\"']+")

Mask = Callable[[str], str]


@dataclass(frozen=True)
class Policy:
    """What decides who and what is kept out. `rater_key` makes hashes of people that nobody else can make."""

    mask: Mask
    voice: Voice
    rater_key: bytes
    is_staff: Callable[[str], bool]
    opted_out: Collection[str] = ()
    private_channels: Collection[str] = ()
    include_private: bool = False


@dataclass(frozen=True)
class Gathered:
    """What training may know, and how much it may not by reason."""

    exchanges: Sequence[RatedExchange]
    excluded: Counter[str] = field(default_factory=Counter)


def gather(records: Iterable[RatedRecord], imported: Iterable[ImportedFeedback], policy: Policy) -> Gathered:
    """The rated exchanges of the bot, and those that were brought along."""
    excluded: Counter[str] = Counter()
    exchanges: list[RatedExchange] = []
    for record in records:
        if reason := _why_not(record, policy):
            excluded[reason] += 1
            continue
        excluded[VERDICTS] += sum(feedback.given_by in policy.opted_out for feedback in record.feedback)
        exchanges.append(_of_record(record, policy))
    same_answer: dict[tuple[str, str], list[ImportedFeedback]] = defaultdict(list)
    for row in imported:
        if reason := _why_not_imported(row, policy):
            excluded[reason] += 1
        else:
            same_answer[row.question, row.answer].append(row)
    for rows in same_answer.values():
        exchanges += _of_imports(rows, policy)
    return Gathered(exchanges, +excluded)


def hashed(person: str, rater_key: bytes) -> str:
    """What stands for a person in training: the same for the same person, and no way back without the key."""
    return hmac.new(rater_key, person.encode(), hashlib.sha256).hexdigest()[:RATER_CHARS]


def style_rows(voice: Voice, mask: Mask) -> list[PromptCompletion]:
    """The examples of the style guide as rows: they seed the voice before there is feedback."""
    return [
        PromptCompletion(
            prompt=_prompt(mask(example.question), [mask(quote) for quote in example.quotes], voice),
            completion=mask(example.wording),
            exchange="",
            origin="style_guide",
            topic="",
            question=mask(example.question),
        )
        for example in voice.examples
    ]


def unsupported_sentences(embedder: Embedder) -> Callable[[str, Sequence[str], str], list[str]]:
    """Tells which sentences of a target no quote supports, by the check that every worded sentence passes."""

    def unsupported(target: str, quotes: Sequence[str], question: str) -> list[str]:
        return [sentence for sentence, position in supports(embedder, target, quotes, question) if position is None]

    return unsupported


def supports(embedder: Embedder, text: str, quotes: Sequence[str], question: str) -> list[tuple[str, int | None]]:
    """(sentence, position of the quote that supports it or None), in order."""
    said = sentences(text)
    if not said or not quotes:
        return [(sentence, None) for sentence in said]
    vectors = np.stack([embedding.vector for embedding in embedder.embed([*quotes, *said])])
    cosines = vectors[len(quotes) :] @ vectors[: len(quotes)].T  # (sentences, quotes)
    return [
        (sentence, grounding.supporting_quote(sentence, quotes, row.tolist(), question))
        for sentence, row in zip(said, cosines, strict=True)
    ]


def _why_not(record: RatedRecord, policy: Policy) -> str:
    if record.is_private and not policy.include_private:
        return PRIVATE
    authors = {record.asked_by, record.correction.author if record.correction else record.asked_by}
    return _why_not_these(authors, record.quotes, policy)


def _why_not_imported(row: ImportedFeedback, policy: Policy) -> str:
    is_private = row.channel.casefold() in PRIVATE_WORDS or row.channel in policy.private_channels
    if is_private and not policy.include_private:
        return PRIVATE
    return _why_not_these({row.rated_by}, row.quotes, policy)


def _why_not_these(people: Collection[str], quotes: Sequence[StoredQuote], policy: Policy) -> str:
    """A LoRA has no audience: what it learned it may say to anybody."""
    if set(people) & set(policy.opted_out):
        return OPTED_OUT
    if not policy.include_private and any(EVERYONE not in quote.audience for quote in quotes):
        return RESTRICTED
    return STANDARD if any(quote.is_standard_answer for quote in quotes[:1]) else ""


def _of_record(record: RatedRecord, policy: Policy) -> RatedExchange:
    mask = policy.mask
    sent = len(quotes_in(record.messages)) or len(record.quotes)  # the token budget may have had room for fewer
    shown = record.quotes[:sent]
    quotes = [mask(quote.text) for quote in shown]
    correction = record.correction
    return RatedExchange(
        id=record.id,
        question=mask(record.question),
        quotes=quotes,
        prompt=_prompt(mask(record.question), quotes, policy.voice),
        answer=mask(without_marks(record.wording)) or "\n".join(quotes),
        was_worded=bool(record.wording),
        correction=mask(without_marks(correction.text)) if correction else "",
        author=hashed(correction.author, policy.rater_key) if correction else "",
        ratings=[
            Rating(hashed(one.given_by, policy.rater_key), one.verdict is Verdict.HELPFUL, policy.is_staff(one.given_by))
            for one in record.feedback
            if one.given_by not in policy.opted_out
        ],
        outcome=record.outcome,
        topic=_page(shown),
        audience=shown[0].audience if shown else frozenset({EVERYONE}),
        asked_at=record.asked_at,
        cited_urls=_urls(shown, mask),
    )


def _of_imports(rows: Sequence[ImportedFeedback], policy: Policy) -> list[RatedExchange]:
    """What people say of one answer, as one exchange; as several where several corrections of it are approved."""
    approved = {row.correction: row for row in rows if row.correction and (row.is_vouched or policy.is_staff(row.rated_by))}
    ratings = [
        Rating(hashed(row.rated_by, policy.rater_key), row.verdict is Verdict.HELPFUL, policy.is_staff(row.rated_by))
        for row in rows
    ]
    is_vouched = any(row.is_vouched for row in rows)
    return [
        replace(_of_import(row, policy, has_correction=bool(approved)), ratings=ratings, is_vouched=is_vouched)
        for row in (list(approved.values()) or rows[:1])
    ]


def _of_import(row: ImportedFeedback, policy: Policy, has_correction: bool) -> RatedExchange:
    mask = policy.mask
    quotes = [mask(quote.text) for quote in row.quotes]
    return RatedExchange(
        id=f"import-{row.key}",
        question=mask(row.question),
        quotes=quotes,
        prompt=_prompt(mask(row.question), quotes, policy.voice),
        answer=mask(without_marks(row.answer)),
        was_worded=True,
        correction=mask(without_marks(row.correction)) if has_correction else "",
        author=hashed(row.rated_by, policy.rater_key) if has_correction else "",
        ratings=(),
        outcome=row.outcome,
        topic=_page(row.quotes),
        audience=row.quotes[0].audience if row.quotes else frozenset({EVERYONE}),
        asked_at=row.imported_at,
        cited_urls=_urls(row.quotes, mask),
    )


def _prompt(question: str, quotes: Sequence[str], voice: Voice) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages_on(question, quotes, voice)]


def _page(quotes: Sequence[StoredQuote]) -> str:
    """The document that was quoted first, without the place in it."""
    return quotes[0].location.partition("#")[0] if quotes else ""


def _urls(quotes: Sequence[StoredQuote], mask: Mask) -> list[str]:
    """The addresses in the passages that were quoted."""
    return sorted({found.rstrip(".,;:!?") for quote in quotes for found in _URL.findall(mask(quote.passage))})
