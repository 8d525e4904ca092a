"""Puts a dataset together: gathers what people said, has it curated, freezes it. The steps are pure or of other files."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from bot.errors import SettingsInvalid
from bot.main import Timbre
from bot.messages import Person, PersonId
from bot.people import RoleBook, is_person_id
from bot.rated_exchanges import ERASED, Policy, gather, style_rows, unsupported_sentences
from bot.storage.people import PeopleStore
from bot.storage.training import TrainingStore
from bot.training_home import datasets_dir, rater_key
from training.curation import Curated, curate, refusals
from training.datasets import DatasetVersion, Provenance, freeze
from training.errors import DatasetRefused
from training.privacy import KnownNames, masked

OPERATOR = "console:"  # who sits at the server is trusted with its data


@dataclass(frozen=True)
class Plan:
    """What a dataset would be made of. `problems` say why it cannot be; empty when it can."""

    curated: Curated
    excluded: Mapping[str, int]
    style_guide: str
    names: KnownNames
    problems: list[str]


def plan(timbre: Timbre) -> Plan:
    """What of all feedback would be learned, and why the rest would not. Writes nothing but the key of the hashes."""
    settings, store = timbre.settings, TrainingStore(timbre.database)
    names = KnownNames(store.names() | _further_names(settings.training.names))
    mask = partial(masked, names=names)
    policy = Policy(
        mask=mask,
        voice=timbre.voice,
        rater_key=rater_key(settings),
        is_staff=staff_check(RoleBook(PeopleStore(timbre.database), settings.chat.first_admin)),
        opted_out=store.opted_out(),
        private_channels=store.private_channels(),
        include_private=settings.training.include_private,
    )
    gathered = gather(store.rated(), store.imported(), policy)
    phrases = [mask(phrase) for phrase in timbre.voice.phrases]
    support = unsupported_sentences(timbre.knowledge.embedder)
    curated = curate(gathered.exchanges, style_rows(timbre.voice, mask), support, phrases)
    excluded = gathered.excluded + Counter({ERASED: store.erased_exchanges()})
    style_guide = hashlib.sha256(repr(asdict(timbre.voice)).encode()).hexdigest()
    return Plan(curated, excluded, style_guide, names, refusals(curated, settings.training.min_rows))


def build(timbre: Timbre, plan: Plan, now: datetime) -> tuple[DatasetVersion, bool]:
    """The frozen dataset, and whether it is new. Raises DatasetRefused."""
    if plan.problems:
        raise DatasetRefused(" ".join(plan.problems))
    training = timbre.settings.training
    settings = {"include_private": training.include_private, "min_rows": training.min_rows}
    provenance = Provenance(plan.excluded, settings, plan.style_guide, now)
    return freeze(datasets_dir(timbre.settings), plan.curated, provenance, training.held_out_share, plan.names)


def staff_check(roles: RoleBook) -> Callable[[str], bool]:
    """Whether a person is support or above; the operator is."""

    def is_staff(person: str) -> bool:
        if person.startswith(OPERATOR):
            return True
        return is_person_id(person) and roles.is_staff(Person(PersonId(person), "", is_member=True))

    return is_staff


def _further_names(path: Path | None) -> set[str]:
    if path is None:
        return set()
    try:
        lines = path.expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise SettingsInvalid(f"The file of names {path} (TIMBRE_TRAINING__NAMES) cannot be read: {err}.") from err
    return {line.strip() for line in lines if line.strip()}
