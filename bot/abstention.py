"""Decides whether what was found answers the question (pure): answered, closest or unknown.

The signal is the mean of two numbers that each lie in 0..1 and mean something by themselves: how close the best sentence
comes to the whole question, and how well the best passage meets the third of the question's tokens that it meets worst. A
fused score is never asked: its best is always 1.
"""

import numpy as np
import regex

from bot.conversation import Outcome
from bot.questions import content_word_count
from bot.quotes import part_weights
from knowledge.documents import Passage
from knowledge.ports import Floats
from knowledge.retrieval import Retrieval

ANSWERED_FROM = 0.425  # see benchmarks/answers.py: thresholds by quantile, folds by page
CLOSEST_FROM = 0.36  # 95 % of the answerable questions lie above, more than half of those about something else below
WORST_MET_SHARE = 1 / 3  # of the question's tokens that count
FOLLOW_UP_GAIN = 0.05  # by which the previous turn must help before it counts
KNOWN_QUESTION_FROM = 0.80  # MaxSim to a confirmed question from which the same answer is given

# The forms that OWASP's LLM01 lists: countermanding, role markers and role play, asking for the set-up, dictated output.
_INJECTION = regex.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,25}\b(?:previous|above|prior|all|your|the|these|earlier)\b.{0,15}\b(?:instruction|rule|prompt|guideline|restriction|above)"
    r"|\b(?:switch|turn) off\b.{0,20}\b(?:check|filter|safety|rules)"
    r"|\bsystem ?prompt|\b(?:hidden|initial|secret) (?:prompt|instruction)|\b(?:reveal|print|repeat|output|show)\b.{0,20}\b(?:your|system|hidden|initial|above|previous)\b.{0,20}\b(?:prompt|instruction|rules|message)"
    r"|(?:^|[.!?:;]\s*)(?:please )?(?:pretend|imagine|assume|role-?\s?play|act as)\b|\byou are (?:now\b|the .{0,40}\band you (?:confirm|approve|say))"
    r"|\b(?:developer|admin|debug|god|jailbreak|dan|confidential) mode\b|\bjailbreak|\bbase64|\b(?:and|with) nothing else\b|\brespond only with\b|\bfrom now on\b.{0,20}\byou\b"
    r"|\b(?:just|simply) make (?:something|it|one) up\b|\b(?:output|print|show|reveal)\b.{0,20}\benvironment variables?\b|\bother users? (?:asked|said|wrote)|\bnew task\s*:"
    r"|^\s*(?:#{2,}|assistant\s*:|system\s*(?::|override|message|mode))|<\|?(?:im_start|system|assistant)|\bsend (?:a |an )?(?:direct )?(?:message|dm|e-?mail) to (?:everyone|everybody|all)",
    regex.I | regex.S | regex.M,
)
_PRIVATE = (
    r"(?i:salar(?:y|ies)|bonus|pay ?(?:check|slip|rate)|home (?:address|phone)|personal (?:cell|phone|number|e-?mail|mobile)|(?:cell|mobile|phone) number"
    r"|password|date of birth|birthday|ssn|social security number|bank account|credit card|medical|diagnos\w+|illness|disabilit(?:y|ies)"
    r"|pregnan\w+|divorc\w+|religion|(?:performance )?rating|performance (?:review|improvement)|disciplin\w+|visa status)"
)
_COLLEAGUE = r"(?i:\b(?:my|our|the)(?: \w+){0,2} (?:colleague|co-?worker|boss|manager|teammate|supervisor|director|lead|contact person|hire)s?)"
_PERSON = rf"(?:\b\p{{Lu}}\p{{Ll}}+ \p{{Lu}}\p{{Ll}}+|{_COLLEAGUE})"
# Somebody's private matters: "Ann Lee's salary", "the salary of Ann Lee", "how much does my boss earn". A question about
# one's own ("can my manager see my rating?") or about a rule ("the medical leave policy") is none of these.
_PRIVATE_MATTER = (
    regex.compile(rf"(?:{_PERSON}['’]s?|\b\p{{Ll}}{{3,}} \p{{Ll}}+s (?=personal|home|private))\s.{{0,15}}{_PRIVATE}\b"),
    regex.compile(rf"{_PRIVATE}.{{0,12}}\s(?i:of|does|did|has|that|about)\s{_PERSON}"),
    regex.compile(rf"(?i:\b(?:how much|what) (?:do|does|did))\s{_PERSON}.{{0,40}}\b(?i:earn|make|get paid)\W*$|(?i:\bwhere (?:do|does|did))\s{_PERSON} (?i:live)\b"),
    regex.compile(r"\b(?:which|who)\b.{0,20}\b(?:colleague|teammate|people|coworker)s?\b.{0,20}\b(?:on|has|have|had|took|with) (?:a |an )?(?:performance improvement|medical|sick)", regex.I),
)  # fmt: skip


def signal(retrieval: Retrieval) -> float:
    """How sure it is that the passages answer the query, 0..1; 0 when there are none."""
    if not retrieval.passages:
        return 0.0
    closest = max((float(p.unit_cosines.max()) for p in retrieval.passages[:10] if len(p.unit_cosines)), default=0.0)
    return (max(closest, 0.0) + _worst_met(retrieval.passages[0], retrieval.token_weights)) / 2


def is_follow_up(by_itself: Retrieval, after_previous_turn: Retrieval, start: int) -> bool:
    """Whether the question, which starts at `start`, needs the turn before it: then its own words are met better with it.

    On the handbook this finds 11 of 12 follow-ups and takes 3 of 100 changes of topic for one (benchmarks/answers.py);
    joining always, as most systems do, answers changes of topic from the passages of the topic before.
    """
    if not by_itself.passages or not after_previous_turn.passages:
        return bool(after_previous_turn.passages)
    if content_word_count(by_itself.query) == 0:
        return True  # "And for those?" asks nothing by itself
    own = part_weights(after_previous_turn, (start, len(after_previous_turn.query)))
    met_with = _worst_met(after_previous_turn.passages[0], own)
    return met_with >= _worst_met(by_itself.passages[0], by_itself.token_weights) + FOLLOW_UP_GAIN


def _worst_met(passage: Passage, weights: Floats) -> float:
    """Mean best cosine of the tokens that count and that the passage meets worst, 0..1."""
    met = np.sort(passage.match.max(axis=1)[weights > 0])
    count = max(1, round(len(met) * WORST_MET_SHARE))
    return max(float(met[:count].mean()), 0.0) if len(met) else 0.0


def decide(retrieval: Retrieval, question: str) -> tuple[Outcome, float]:
    """The outcome and the signal behind it.

    A question that was confirmed before, or that a standard answer was written for, is answered when it is met well enough,
    and never unknown when it leads to the best passage;
    an attempt at instructions, or at a person's private matters, is unknown whatever was found.
    """
    value = signal(retrieval)
    if is_off_limits(question):
        return Outcome.UNKNOWN, value
    if any(passage.known_match >= KNOWN_QUESTION_FROM for passage in retrieval.passages):
        return Outcome.ANSWERED, max(value, ANSWERED_FROM)
    if value >= ANSWERED_FROM:
        return Outcome.ANSWERED, value
    leads_somewhere = value >= CLOSEST_FROM or bool(retrieval.passages and retrieval.passages[0].found_by)
    return (Outcome.CLOSEST if leads_somewhere else Outcome.UNKNOWN), value


def is_off_limits(question: str) -> bool:
    """Whether the text gives instructions to the assistant or asks for a named person's private matters."""
    return any(pattern.search(question) for pattern in (_INJECTION, *_PRIVATE_MATTER))
