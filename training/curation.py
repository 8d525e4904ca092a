"""Decides what is learned (pure): rated exchanges become rows, or are rejected with a reason that is counted.

Tone is learned, facts are not: a target says what its passages say, in the words of people who may say so. Knows neither the
bot nor the sentences of any language; which of a target's sentences no quote supports is told by a function.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from typing import Any

import regex

from training.examples import Preference, PromptCompletion, RatedExchange

Unsupported = Callable[[str, Sequence[str], str], Sequence[str]]
"""(target, quotes, question) -> the sentences of the target that no quote supports, as they stand in it."""

STAFF_WEIGHT = 2  # a member of staff counts as two people, in approvals and among contradicting targets
MIN_PHRASE_QUESTIONS = 3  # a sentence without facts is part of the voice when it recurs in the answers to so many
MAX_PHRASE_WORDS = 14
DUPLICATE_SIMILARITY = 0.8  # Jaccard, of the words of the questions and of those of the targets
LARGE_SHARE = 0.25  # of all rows: a topic above it, and above a number of rows, is told
LARGE_TOPIC_ROWS = 8
REFUSAL_SHARE = 0.1

_SPACES = regex.compile(r"[^\S\n]+")
_WORD = regex.compile(r"[\p{L}\p{N}]+")
_ADDRESS = regex.compile(r"(?:https?://|www\.)[^\s)\]>\"']+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w&])#[\p{L}][\w-]*", regex.I)
_NUMBER = regex.compile(r"\d+(?:[.,:/]\d+)*")
_NUMBER_WORD = regex.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|half|twice|hundred|thousand)\b", regex.I
)
_NEGATION = regex.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|without|cannot|forbidden|prohibited)\b|\w+n['’]t\b", regex.I
)
_PLACEHOLDER = regex.compile(r"\[(?:name|e-mail|phone|card|iban|secret)\]")
_REFUSAL = regex.compile(
    r"\b(?:don['’]t know|do not know|can(?:no|['’])t (?:help|say)|no idea|not sure|found nothing)\b", regex.I
)


class Reason(StrEnum):
    """Why a rated exchange gives no row."""

    NO_QUOTES = "no_quotes"
    PLAIN_QUOTES = "plain_quotes"
    NOT_CONFIRMED = "not_confirmed"
    DISPUTED = "disputed"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    FOREIGN_ADDRESS = "foreign_address"
    MASKED_FACT = "masked_fact"
    UNSUPPORTED = "unsupported"
    CONTRADICTING = "contradicting"
    OUTVOTED = "outvoted"
    NEAR_DUPLICATE = "near_duplicate"
    ONE_PERSON = "one_person"


MEANINGS: Mapping[Reason, str] = {
    Reason.NO_QUOTES: "nothing was quoted, so there is nothing to word",
    Reason.PLAIN_QUOTES: "the answer was the quotes themselves, which teach no voice",
    Reason.NOT_CONFIRMED: "neither two people nor one of support found it helpful",
    Reason.DISPUTED: "as many people, or support, found it not helpful",
    Reason.EMPTY: "the answer is empty",
    Reason.TOO_LONG: "the answer is longer than a wording may be",
    Reason.FOREIGN_ADDRESS: "it names an address that the cited documents do not",
    Reason.MASKED_FACT: "it names a person, number or secret that the passages do not",
    Reason.UNSUPPORTED: "it says what the passages do not say",
    Reason.CONTRADICTING: "another answer to the same question contradicts it",
    Reason.OUTVOTED: "most people approved another answer to the same question",
    Reason.NEAR_DUPLICATE: "it is nearly the same as another row",
    Reason.ONE_PERSON: "it rests on one person who has had their share of rows",
}


@dataclass(frozen=True)
class Limits:
    """What one person may move, and what a target may be. `share_of_member` and the rows are of all candidates.

    Support and admins are trusted to say what is right, up to `max_rows_of_person`; the share would leave a team with two of
    them with a tenth of its rows. What an admin vouches for row by row (`timbre feedback import --approve`) rests on nobody.
    """

    min_people: int = 2
    share_of_member: float = 0.05
    max_rows_of_person: int = 20
    max_target_words: int = 90  # one wording has 120 tokens


@dataclass(frozen=True)
class Rejection:
    """An exchange that gives no row."""

    exchange: str
    reason: Reason
    question: str


@dataclass(frozen=True)
class Curated:
    """Rows in the order of their questions. `phrases` are sentences without facts that belong to the voice."""

    completions: Sequence[PromptCompletion]
    preferences: Sequence[Preference]
    rejected: Sequence[Rejection]
    phrases: Sequence[str]
    imbalances: Sequence[str]
    limits: Limits

    @property
    def counts(self) -> dict[str, int]:
        """Rows by origin."""
        return dict(sorted(Counter(row.origin for row in self.completions).items()))

    @property
    def rejected_counts(self) -> dict[str, int]:
        return dict(sorted(Counter(str(rejection.reason) for rejection in self.rejected).items()))

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self.limits)


@dataclass(frozen=True)
class _Candidate:
    exchange: RatedExchange
    target: str
    is_correction: bool
    backers: Sequence[str]
    staff: frozenset[str]
    unsupported: Sequence[str] = ()

    @property
    def question(self) -> str:
        return normal_question(self.exchange.question)

    @property
    def weight(self) -> int:
        return (
            sum(STAFF_WEIGHT if backer in self.staff else 1 for backer in self.backers) + STAFF_WEIGHT * self.exchange.is_vouched
        )

    @property
    def rank(self) -> tuple[bool, int, Any, str]:
        """Which of two that say the same is kept: the higher one."""
        return self.is_correction, self.weight, self.exchange.asked_at, self.exchange.id


def curate(
    exchanges: Iterable[RatedExchange],
    seeds: Sequence[PromptCompletion],
    unsupported: Unsupported,
    style_phrases: Collection[str] = (),
    limits: Limits = Limits(),
) -> Curated:
    """What is learned of the exchanges, beside the `seeds`, which a style guide gives and nobody has to confirm.

    `style_phrases` are sentences that the style guide lets every answer say.
    """
    listed = sorted(exchanges, key=lambda exchange: (exchange.asked_at, exchange.id))
    questions = {exchange.id: exchange.question for exchange in listed}
    rejected: list[Rejection] = []

    def passed(candidates: Sequence[_Candidate], reasons: Mapping[str, Reason]) -> list[_Candidate]:
        rejected.extend(Rejection(key, reason, questions[key]) for key, reason in reasons.items())
        return [candidate for candidate in candidates if candidate.exchange.id not in reasons]

    refused = {exchange.id: reason for exchange in listed if (reason := _refusal(exchange, limits))}
    candidates = passed([_candidate(exchange) for exchange in listed], refused)
    candidates = passed(candidates, {one.exchange.id: reason for one in candidates if (reason := _flaw(one, limits))})
    candidates = [
        replace(one, unsupported=list(unsupported(one.target, one.exchange.quotes, one.exchange.question))) for one in candidates
    ]
    phrases = {plain(phrase) for phrase in style_phrases} | _recurring(candidates)
    candidates = passed(
        candidates, {one.exchange.id: Reason.UNSUPPORTED for one in candidates if not _is_supported(one, phrases)}
    )
    candidates = passed(candidates, _contradictions(candidates))
    candidates = passed(candidates, _duplicates(candidates))
    candidates = passed(candidates, _over_their_share(candidates, limits))
    candidates.sort(key=lambda one: (one.question, one.exchange.id))
    rows = [*seeds, *map(_completion, candidates)]
    said = [one.target for one in candidates] + [seed.completion for seed in seeds]
    return Curated(
        completions=rows,
        preferences=[_preference(one) for one in candidates if _has_preference(one)],
        rejected=sorted(rejected, key=lambda rejection: rejection.exchange),
        phrases=sorted(
            {plain(phrase) for phrase in style_phrases} | {p for p in phrases if any(p in plain(text) for text in said)}
        ),
        imbalances=_imbalances(listed, candidates, rows),
        limits=limits,
    )


def refusals(curated: Curated, min_rows: int) -> list[str]:
    """Why no dataset can be made of it, in plain words; empty when one can."""
    rows = len(curated.completions)
    if rows >= min_rows:
        return []
    counted = ", ".join(f"{count} because {MEANINGS[Reason(reason)]}" for reason, count in curated.rejected_counts.items())
    left_out = f" Left out: {counted}." if counted else ""
    few = "There is 1 row" if rows == 1 else f"There are {rows} rows"
    none = f"{few}, and at least {min_rows} are needed" if rows else "There is nothing to learn from yet"
    return [f"{none}: approve corrections, rate answers, import feedback or write examples into the style guide.{left_out}"]


def normal_question(text: str) -> str:
    """What makes two questions the same one: their words, whatever their case and punctuation."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def plain(text: str) -> str:
    """The text without surplus white space."""
    return "\n".join(_SPACES.sub(" ", line).strip() for line in text.strip().splitlines())


def states_a_fact(sentence: str) -> bool:
    """Whether it may be wrong of something: numbers, addresses, denials, or too long to be a mere phrase."""
    patterns = (_NUMBER, _NUMBER_WORD, _ADDRESS, _NEGATION, _PLACEHOLDER)
    return any(pattern.search(sentence) for pattern in patterns) or len(_WORD.findall(sentence)) > MAX_PHRASE_WORDS


def _refusal(exchange: RatedExchange, limits: Limits) -> Reason | None:
    """Why nobody's word stands behind the exchange."""
    if not exchange.quotes or not exchange.prompt:
        return Reason.NO_QUOTES
    if exchange.correction:
        return None
    helpful = [rating for rating in exchange.ratings if rating.is_helpful]
    against = [rating for rating in exchange.ratings if not rating.is_helpful]
    has_staff = any(rating.is_staff for rating in helpful)
    if against and (len(against) >= len(helpful) or (any(rating.is_staff for rating in against) and not has_staff)):
        return Reason.DISPUTED
    if not helpful or not (has_staff or exchange.is_vouched or len(_people(helpful)) >= limits.min_people):
        return Reason.NOT_CONFIRMED
    return None if exchange.was_worded else Reason.PLAIN_QUOTES


def _people(ratings: Iterable[Any]) -> list[str]:
    return sorted({rating.rater for rating in ratings})


def _candidate(exchange: RatedExchange) -> _Candidate:
    helpful = [rating for rating in exchange.ratings if rating.is_helpful]
    staff = frozenset(rating.rater for rating in helpful if rating.is_staff)
    if exchange.correction:
        return _Candidate(exchange, plain(exchange.correction), True, [exchange.author], frozenset([exchange.author]))
    return _Candidate(exchange, plain(exchange.answer), False, _people(helpful), staff)


def _flaw(one: _Candidate, limits: Limits) -> Reason | None:
    """What is wrong with the target as it stands."""
    length = len(_WORD.findall(one.target))
    if not length:
        return Reason.EMPTY
    if length > limits.max_target_words:
        return Reason.TOO_LONG
    said = "\n".join(one.exchange.quotes)
    if not _addresses(one.target) <= _addresses(said) | _addresses(" ".join(one.exchange.cited_urls)):
        return Reason.FOREIGN_ADDRESS
    is_masked = not set(_PLACEHOLDER.findall(one.target)) <= set(_PLACEHOLDER.findall(said))
    return Reason.MASKED_FACT if is_masked else None


def _addresses(text: str) -> set[str]:
    return {found.rstrip(".,;:!?/").casefold() for found in _ADDRESS.findall(text)}


def _recurring(candidates: Sequence[_Candidate]) -> set[str]:
    """Sentences without facts that the approved answers to several questions share."""
    questions: dict[str, set[str]] = defaultdict(set)
    for one in candidates:
        for sentence in one.unsupported:
            questions[plain(sentence)].add(one.question)
    return {said for said, asked in questions.items() if len(asked) >= MIN_PHRASE_QUESTIONS and not states_a_fact(said)}


def _is_supported(one: _Candidate, phrases: Collection[str]) -> bool:
    """Whether all but phrases is supported, and there is something beside phrases."""
    rest = one.target
    for sentence in one.unsupported:
        rest = rest.replace(sentence, "")
    return all(plain(sentence) in phrases for sentence in one.unsupported) and bool(_WORD.search(rest))


def _contradictions(candidates: Sequence[_Candidate]) -> dict[str, Reason]:
    """Of answers to the same question that contradict each other, those of a clear majority stay; without one, none does."""
    reasons: dict[str, Reason] = {}
    for group in _grouped(candidates, lambda one: one.question):
        if not any(_contradict(one, other) for one, other in combinations(group, 2)):
            continue
        best = max(group, key=lambda one: (_weight_of(one, group), one.rank))
        losers = [one for one in group if _contradict(one, best)]
        is_clear = _joint_weight(losers) * 2 <= _weight_of(best, group)
        for one in losers if is_clear else group:
            reasons[one.exchange.id] = Reason.OUTVOTED if is_clear else Reason.CONTRADICTING
    return reasons


def _weight_of(one: _Candidate, group: Sequence[_Candidate]) -> int:
    """The weight of all who approved it, or what does not contradict it."""
    return _joint_weight([other for other in group if not _contradict(one, other)])


def _joint_weight(candidates: Sequence[_Candidate]) -> int:
    """Each person counts once, however many rows they back."""
    staff = {person for one in candidates for person in one.staff}
    people = {person for one in candidates for person in one.backers}
    vouched = any(one.exchange.is_vouched for one in candidates)
    return len(people) + (STAFF_WEIGHT - 1) * len(staff & people) + STAFF_WEIGHT * vouched


def _contradict(one: _Candidate, other: _Candidate) -> bool:
    """Whether neither only says more than the other."""
    for facts in (_numbers, _addresses):
        ours, theirs = facts(one.target), facts(other.target)
        if not (ours <= theirs or theirs <= ours):
            return True
    return (
        bool(_NEGATION.search(one.target)) != bool(_NEGATION.search(other.target)) and _similarity(one.target, other.target) > 0.5
    )


def _numbers(text: str) -> set[str]:
    bare = _ADDRESS.sub(" ", text)
    return {found.rstrip(".,:/").replace(",", "") for found in _NUMBER.findall(bare)} | {
        found.casefold() for found in _NUMBER_WORD.findall(bare)
    }


def _duplicates(candidates: Sequence[_Candidate]) -> dict[str, Reason]:
    """All but the best of those that ask the same, or nearly the same with nearly the same answer and the same numbers."""
    reasons: dict[str, Reason] = {}
    for group in _grouped(candidates, lambda one: one.question):
        for one in sorted(group, key=lambda one: one.rank)[:-1]:
            reasons[one.exchange.id] = Reason.NEAR_DUPLICATE
    left = [one for one in candidates if one.exchange.id not in reasons]
    often = Counter(word for one in left for word in _word_set(one.question))
    kept: dict[tuple[str, str], list[_Candidate]] = defaultdict(list)
    for one in sorted(left, key=lambda one: one.rank, reverse=True):
        numbers = " ".join(sorted(_numbers(one.target)))
        places = [(numbers, word) for word in _telling_words(one, often)]
        if any(_is_near(one, other) for place in places for other in kept[place]):
            reasons[one.exchange.id] = Reason.NEAR_DUPLICATE
        else:
            for place in places:
                kept[place].append(one)
    return reasons


def _telling_words(one: _Candidate, often: Mapping[str, int]) -> list[str]:
    """Rare words of the question, of which any that is near it shares one: Chaudhuri et al. 2006, the prefix filter."""
    words = sorted(_word_set(one.question), key=lambda word: (often[word], word))
    return words[: len(words) - math.ceil(DUPLICATE_SIMILARITY * len(words)) + 1]


def _grouped(candidates: Iterable[_Candidate], key: Callable[[_Candidate], str]) -> list[list[_Candidate]]:
    groups: dict[str, list[_Candidate]] = defaultdict(list)
    for one in candidates:
        groups[key(one)].append(one)
    return list(groups.values())


def _is_near(one: _Candidate, other: _Candidate) -> bool:
    return (
        _similarity(one.question, other.question) >= DUPLICATE_SIMILARITY
        and _similarity(one.target, other.target) >= DUPLICATE_SIMILARITY
    )


def _similarity(one: str, other: str) -> float:
    """Jaccard of the sets of words, 0..1."""
    ours, theirs = _word_set(one), _word_set(other)
    return len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0


@lru_cache(maxsize=1 << 14)
def _word_set(text: str) -> frozenset[str]:
    return frozenset(normal_question(text).split())


def _over_their_share(candidates: Sequence[_Candidate], limits: Limits) -> dict[str, Reason]:
    """Those that rest on people who have had their share: the newest rows of each person count first."""
    of_member = max(1, min(limits.max_rows_of_person, math.floor(limits.share_of_member * len(candidates))))
    rows: Counter[str] = Counter()
    reasons: dict[str, Reason] = {}
    for one in sorted(candidates, key=lambda one: (one.exchange.asked_at, one.exchange.id), reverse=True):
        free = [
            person for person in one.backers if rows[person] < (limits.max_rows_of_person if person in one.staff else of_member)
        ]
        has_enough = bool(one.staff.intersection(free)) or len(free) >= limits.min_people
        if has_enough or one.exchange.is_vouched:
            rows.update(one.backers)
        else:
            reasons[one.exchange.id] = Reason.ONE_PERSON
    return reasons


def _completion(one: _Candidate) -> PromptCompletion:
    exchange = one.exchange
    return PromptCompletion(
        prompt=exchange.prompt,
        completion=one.target,
        exchange=exchange.id,
        origin="correction" if one.is_correction else "answer",
        topic=exchange.topic,
        raters=tuple(one.backers),
        question=exchange.question,
    )


def _has_preference(one: _Candidate) -> bool:
    said = plain(one.exchange.answer)
    return one.is_correction and bool(said) and normal_question(said) != normal_question(one.target)


def _preference(one: _Candidate) -> Preference:
    exchange = one.exchange
    return Preference(
        exchange.prompt, one.target, plain(exchange.answer), exchange.id, tuple(one.backers), question=exchange.question
    )


def _imbalances(
    exchanges: Sequence[RatedExchange], candidates: Sequence[_Candidate], rows: Sequence[PromptCompletion]
) -> list[str]:
    """What a reader of the dataset should know of its balance, a sentence each."""
    found = [
        f"{count} of {len(rows)} rows are of {topic}."
        for topic, count in Counter(row.topic for row in rows if row.topic).most_common()
        if count > LARGE_SHARE * len(rows) and count >= LARGE_TOPIC_ROWS
    ]
    readers = Counter(", ".join(sorted(one.exchange.audience)) for one in candidates)
    found += [
        f"{count} of {len(candidates)} rows are from documents that only {groups} may read."
        for groups, count in readers.most_common()
        if groups != "everyone" and count > LARGE_SHARE * len(candidates)
    ]
    refused = sum(bool(_REFUSAL.search(row.completion)) for row in rows)
    if refused > REFUSAL_SHARE * len(rows):
        found.append(f"{refused} of {len(rows)} rows say that they do not know; answers would learn to.")
    verdicts = [rating.is_helpful for exchange in exchanges for rating in exchange.ratings]
    if verdicts and len(set(verdicts)) == 1 and not any(exchange.correction for exchange in exchanges):
        found.append(
            f"All {len(verdicts)} verdicts say {'helpful' if verdicts[0] else 'not helpful'}, and nothing was corrected."
        )
    return found
