"""The words after `/timbre`: which commands there are, what was meant by wrong ones, and how a beginning may go on (pure)."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from unicodedata import category

from bot import channels
from bot.errors import CommandRejected
from bot.people import Role, is_person_id
from bot.spelling import listed, nearest
from bot.storage.address import without_passwords
from knowledge.documents import Audience, normalise_audience

MAX_COMPLETIONS = 25  # Discord shows no more
MAX_COMPLETION_CHARS = 100  # Discord refuses longer ones
_QUOTES = str.maketrans("“”„«»", '"""""')
_WORD = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class Verb:
    """A command: its words, what may follow them (empty: nothing), the role that it takes, and what it does."""

    words: str
    arguments: str
    needs: Role
    meaning: str


@dataclass(frozen=True)
class Request:
    """A command with what followed its words."""

    verb: Verb
    arguments: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """What the audit keeps of the arguments."""
        return without_passwords(" ".join(self.arguments))


@dataclass(frozen=True)
class NewSource:
    """What `add source` names. Without name or audience they are chosen as by `timbre ingest`."""

    place: str
    name: str | None
    audience: Audience | None


VERBS = (
    Verb("help", "", Role.MEMBER, "these words"),
    Verb("who-am-i", "", Role.MEMBER, "your id, your role and your groups"),
    Verb("mine", "", Role.MEMBER, "your last questions"),
    Verb("status", "", Role.MEMBER, "whether all is well"),
    Verb("training opt-out", "", Role.MEMBER, "learn nothing from what you ask and say"),
    Verb("training opt-in", "", Role.MEMBER, "learn from it again"),
    Verb("queue", "", Role.SUPPORT, "proposed corrections, to approve, edit or reject"),
    Verb("sources", "", Role.SUPPORT, "where the documents come from, and which could not be read"),
    Verb("reindex", "[SOURCE ...]", Role.ADMIN, "read sources again, or all, and build a new index"),
    Verb("add source", "PLACE [as NAME] [for GROUP, ...]", Role.ADMIN, "read a folder of the server or a URL"),
    Verb("forget source", "NAME", Role.ADMIN, "remove a source and all that was read from it"),
    Verb("releases", "", Role.ADMIN, "the voices that were trained, and which answers"),
    Verb("promote", "RELEASE", Role.ADMIN, "let one answer from the next question on"),
    Verb("rollback", "", Role.ADMIN, "bring back what answered before"),
    Verb("train now", "", Role.ADMIN, "train a voice on the current dataset"),
    Verb("train forecast", "", Role.ADMIN, "how long that would take, and what it would cost"),
    Verb("train status", "", Role.ADMIN, "how the training goes, or how the last one went"),
    Verb(
        "here", "[answers mentions|questions|unanswered after N minutes] [sources NAME ...|all] [private|public] "
        "[quiet 18:00-08:00|never] [reset]", Role.ADMIN, "how I behave in this channel (quiet hours are UTC)",
    ),
    Verb("roles list", "", Role.ADMIN, "who is support or admin"),
    Verb("roles grant", "PERSON support|admin", Role.ADMIN, "give a role"),
    Verb("roles revoke", "PERSON", Role.ADMIN, "take it away"),
    Verb("groups list", "", Role.ADMIN, "who is in which group"),
    Verb("groups add", "PERSON GROUP", Role.ADMIN, "let a person read what is for a group"),
    Verb("groups remove", "PERSON GROUP", Role.ADMIN, "no longer"),
)  # fmt: skip
_BY_WORDS = {verb.words: verb for verb in VERBS}
_IN_SHORT = {
    "": "help",
    "roles": "roles list",
    "groups": "groups list",
    "train": "train status",
}  # said alone, a word that begins others


def parse(text: str) -> Request:
    """What was asked for. Raises CommandRejected with the nearest right words for wrong ones."""
    words = split(text)
    whole = " ".join(words).lower()
    words = split(_IN_SHORT.get(whole, "")) or words
    for length in (2, 1):
        verb = _BY_WORDS.get(" ".join(words[:length]).lower())
        if verb:
            return _checked(Request(verb, tuple(words[length:])))
    near = nearest(" ".join(words[:2]), _BY_WORDS) or nearest(words[0], _BY_WORDS)
    meant = f"Did you mean {listed([f'`/timbre {name}`' for name in near], 'or')}?" if near else "`/timbre help` lists all."
    raise CommandRejected(f"I do not know {' '.join(words[:2])!r}. {meant}")


def _checked(request: Request) -> Request:
    verb = request.verb
    if request.arguments and not verb.arguments:
        raise CommandRejected(f"Nothing can follow `/timbre {verb.words}`.")
    if not request.arguments and verb.arguments and not verb.arguments.startswith("["):
        raise CommandRejected(f"Something is missing: `/timbre {verb.words} {verb.arguments}`.")
    return request


def split(text: str) -> list[str]:
    """Words, of which those in quotation marks of any kind are one, without characters that no person types."""
    plain = "".join(sign for sign in text if category(sign) not in ("Cc", "Cs") or sign.isspace())
    return [inside or word for inside, word in _WORD.findall(plain.translate(_QUOTES)) if inside or word]


def quoted(word: str) -> str:
    """The word as `split` takes it for one."""
    return f'"{word}"' if re.search(r"\s", word) else word


def two(request: Request) -> tuple[str, str]:
    """The arguments of a command that takes two. Raises CommandRejected for any other number."""
    if len(request.arguments) != 2:
        raise CommandRejected(f"Write `/timbre {request.verb.words} {request.verb.arguments}`.")
    return request.arguments[0], request.arguments[1]


def new_source(arguments: Sequence[str]) -> NewSource:
    """From `PLACE [as NAME] [for GROUP, ...]`, in which the place may hold spaces. Raises CommandRejected."""
    parts: dict[str, list[str]] = {"": []}
    part = ""
    for word in arguments:
        if word.lower() in ("as", "for") and parts[""]:
            part = word.lower()
            parts[part] = []
        else:
            parts[part].append(word)
    place, name, groups = (" ".join(parts[key]) if key in parts else None for key in ("", "as", "for"))
    audience = normalise_audience(groups.split(",")) if groups is not None else None
    if not place or name == "" or audience == frozenset():
        raise CommandRejected("Write `/timbre add source PLACE [as NAME] [for GROUP, ...]`.")
    if "://" not in place and not place.startswith(("/", "~")):
        raise CommandRejected(
            f"{place!r} is no full path on the server and no URL, such as /srv/handbook or s3://bucket/handbook."
        )
    return NewSource(place, name, audience)


def help_text(role: Role) -> str:
    """What the role may say, as Markdown."""
    lines = [f"- `{_usage(verb)}`: {verb.meaning}" for verb in VERBS if role.includes(verb.needs)]
    asking = "Mention me, write to me directly or use `/ask` to ask a question; I answer from the documents, with citations."
    return "\n".join([asking, "", *lines])


def _usage(verb: Verb) -> str:
    return f"/timbre {verb.words} {verb.arguments}".rstrip()


def completions(
    text: str, role: Role, sources: Collection[str], groups: Collection[str], releases: Collection[str] = ()
) -> list[str]:
    """Whole commands that the role may give and that begin like the text, or look like it."""
    typed = text.lstrip().lower()
    possible = [
        words
        for verb, words in _possible(text, sources, groups, releases)
        if role.includes(_BY_WORDS[verb].needs) and len(words) <= MAX_COMPLETION_CHARS
    ]
    found = [words for words in possible if words.lower().startswith(typed)]
    return (found or nearest(typed, possible, MAX_COMPLETIONS))[:MAX_COMPLETIONS]


def _possible(
    text: str, sources: Collection[str], groups: Collection[str], releases: Collection[str]
) -> Iterator[tuple[str, str]]:
    """(words of the verb, whole command)."""
    words = split(text)
    person = words[2] if len(words) > 2 and is_person_id(words[2]) else ""
    yield from ((verb, verb) for verb in _BY_WORDS)
    yield from (("here", example) for example in channels.EXAMPLES)
    yield from (("promote", f"promote {release}") for release in releases)
    for source in map(quoted, sources):
        yield from (
            ("here", f"here sources {source}"),
            ("reindex", f"reindex {source}"),
            ("forget source", f"forget source {source}"),
        )
    if person:
        yield from (("roles grant", f"roles grant {person} {role}") for role in (Role.SUPPORT, Role.ADMIN))
        for verb in ("groups add", "groups remove"):
            yield from ((verb, f"{verb} {person} {quoted(group)}") for group in groups)
