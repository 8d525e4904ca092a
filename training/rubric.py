"""The house voice as checks (pure): rules of the style guide or of the approved answers, and a likeness learned from these.

A style guide states rules under `## Checks`, one a line:

    - starts with: Hi there! | Hello!          one of them, as written
    - ends with: Happy to help.                one of them, as written
    - contains: thank you                      one of them, in any case
    - never: please note, utilize              none of them, as whole words, in any case
    - words at most: 60
    - sentences at most: 3
    - words per sentence at most: 25
    - no exclamation marks                     also: no emoji, no lists

Where it states none that would show the voice (the first three kinds), what recurs in the approved answers does. Nothing here
judges whether an answer is true.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.errors import RubricInvalid

FRAME_SHARE = 0.6  # of the approved answers that open (or close) with a phrase of the dataset, before it is a rule
LIKE = 0.5  # likeness from which a text is taken for one in the voice: the middle of a balanced classifier
MIN_TEXTS = 8  # of each side; a classifier of fewer learns their topics
GRAM_SIZES = (2, 4)  # characters; AUC 1.0 against plain, base and rude answers of unseen topics (research/training.md, section 3)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\ufe0f\U0001f000-\U0001faff]")
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " "})

Likeness = Callable[[Sequence[str]], Sequence[float]]
"""How much each text is like the approved answers, 0..1."""


@dataclass(frozen=True)
class Rule:
    """One check. `text` is how it reads in the style guide; `is_mark`: whether to keep it is to show the voice."""

    text: str
    is_mark: bool
    is_kept: Callable[[str], bool]


def parse_rules(section: str) -> list[Rule]:
    """The rules of a `## Checks` section. Raises RubricInvalid, which names the line and the rules that there are."""
    return [_rule(line) for line in map(str.strip, section.splitlines()) if line]


def _rule(line: str) -> Rule:
    text = line.removeprefix("-").strip()
    if line.startswith("-") and text.casefold() in _BARE:
        return Rule(text, False, _BARE[text.casefold()])
    name, _, value = (part.strip() for part in text.partition(":"))
    if line.startswith("-") and value and name.casefold() in _WITH_TEXTS:
        is_mark, separator, keeps = _WITH_TEXTS[name.casefold()]
        wanted = [_plain(part) for part in value.split(separator) if part.strip()]
        return Rule(text, is_mark, lambda answer: keeps(_plain(answer), wanted))
    if line.startswith("-") and value.isdecimal() and name.casefold() in _WITH_LIMIT:
        counted, limit = _WITH_LIMIT[name.casefold()], int(value)
        return Rule(text, False, lambda answer: counted(answer) <= limit)
    raise RubricInvalid(line, KNOWN_RULES)


def _contains_word(text: str, phrase: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(phrase.casefold())}(?!\w)", text.casefold()))


_WITH_TEXTS: dict[str, tuple[bool, str, Callable[[str, Sequence[str]], bool]]] = {
    "starts with": (True, "|", lambda answer, wanted: answer.startswith(tuple(wanted))),
    "ends with": (True, "|", lambda answer, wanted: answer.endswith(tuple(wanted))),
    "contains": (True, "|", lambda answer, wanted: any(text.casefold() in answer.casefold() for text in wanted)),
    "never": (False, ",", lambda answer, wanted: not any(_contains_word(answer, phrase) for phrase in wanted)),
}
_WITH_LIMIT: dict[str, Callable[[str], int]] = {
    "words at most": lambda answer: len(answer.split()),
    "sentences at most": lambda answer: len(_sentences(answer)),
    "words per sentence at most": lambda answer: max((len(sentence.split()) for sentence in _sentences(answer)), default=0),
}
_BARE: dict[str, Callable[[str], bool]] = {
    "no exclamation marks": lambda answer: "!" not in answer and "！" not in answer,
    "no emoji": lambda answer: not _EMOJI.search(answer),
    "no lists": lambda answer: not _LIST.search(answer),
}
KNOWN_RULES = (*(f"{name}: ..." for name in _WITH_TEXTS), *(f"{name}: NUMBER" for name in _WITH_LIMIT), *_BARE)


def recurring_rules(approved: Sequence[str], phrases: Sequence[str]) -> list[Rule]:
    """`starts with` and `ends with` for those of the phrases that most approved answers open or close with."""
    rules = []
    for name in ("starts with", "ends with"):
        _, _, keeps = _WITH_TEXTS[name]
        used = [phrase for phrase in phrases if any(keeps(_plain(text), [_plain(phrase)]) for text in approved)]
        framed = sum(keeps(_plain(text), [_plain(phrase) for phrase in used]) for text in approved)
        if used and framed >= FRAME_SHARE * len(approved):
            rules.append(_rule(f"- {name}: {' | '.join(used)}"))
    return rules


def learn_likeness(approved: Sequence[str], plain: Sequence[str]) -> Likeness | None:
    """Logistic regression on character grams that tells approved answers from plain ones; None where there are too few.

    It learns surface: a warm answer without the usual words is not found (research/training.md, section 3), so it never stands
    alone. The plain ones should answer the same questions, or else it learns topics.
    """
    if min(len(approved), len(plain)) < MIN_TEXTS:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Not normalised: on ten to thirty answers of either kind, plain text on new topics then gets .01 rather than .2 to .5.
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=GRAM_SIZES, sublinear_tf=True, norm=None, lowercase=False)
    model = make_pipeline(grams, LogisticRegression(class_weight="balanced", max_iter=1000))
    model.fit([*approved, *plain], [True] * len(approved) + [False] * len(plain))
    return lambda texts: [float(row[1]) for row in model.predict_proba(list(texts))] if texts else []


@dataclass(frozen=True)
class Rubric:
    """What is asked of an answer's voice. `likeness` is None where there were too few answers to learn it from."""

    rules: Sequence[Rule]
    likeness: Likeness | None

    def are_in_voice(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text keeps all the rules and, where none of them would show the voice, is like the approved answers."""
        kept = [bool(text.strip()) and all(rule.is_kept(text) for rule in self.rules) for text in texts]
        if self._marks or not self.likeness:
            return kept
        return [is_kept and like >= LIKE for is_kept, like in zip(kept, self.likeness(texts), strict=True)]

    def show_voice(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text shows any sign of the voice: by one mark of it, or by being like the approved answers."""
        likes = self.likeness(texts) if self.likeness else [0.0] * len(texts)
        marked = [any(rule.is_kept(text) for rule in self._marks) for text in texts]
        return [is_marked or like >= LIKE for is_marked, like in zip(marked, likes, strict=True)]

    @property
    def _marks(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.is_mark]


def make_rubric(checks: str, phrases: Sequence[str], approved: Sequence[str], plain: Sequence[str]) -> Rubric:
    """The rubric of a style guide's `checks` (may be empty) and of what the approved answers, beside plain ones, have in common.

    Raises RubricInvalid.
    """
    rules = parse_rules(checks)
    if not any(rule.is_mark for rule in rules):
        rules += recurring_rules(approved, phrases)
    return Rubric(rules, learn_likeness(approved, plain))


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


def _plain(text: str) -> str:
    return " ".join(text.translate(_TYPOGRAPHIC).split())
