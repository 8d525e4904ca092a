"""What people do with releases, in the terminal and in chat: list, promote, roll back; and how admins hear of one in doubt."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.conversation import ReleaseId
from bot.errors import CommandRejected, DatabaseUnavailable
from bot.language_model import LocalLanguageModel, identity_of, open_registry
from bot.messages import Delivery, PersonId, Reply, ReplyKind, direct_delivery
from bot.ports import LanguageModel
from bot.settings import Settings
from bot.spelling import right_word
from bot.storage.exchanges import ExchangeStore
from bot.weights import Notify
from training.errors import ModelUnavailable, NothingToRollBack, ReleaseUnusable
from training.registry import Listed, Move, ReleaseRegistry, Serving
from training.releases import ModelRelease

logger = logging.getLogger(__name__)

WATCH_EVERY_S = 30.0

Record = Callable[[str, str, str, dict[str, Any]], None]
"""Writes (actor, action, subject, details) into the audit."""


@dataclass(frozen=True)
class Standing:
    """What serves, what a rollback would bring back, and what is wrong (empty: nothing). By id; the base by its name."""

    serving: str
    previous: str
    alert: str


@dataclass(frozen=True)
class Change:
    """What serves after a command, in place of what, and the command that undoes it."""

    serving: str
    before: str
    undo: str

    @property
    def text(self) -> str:
        """Markdown."""
        if self.serving == self.before:
            return f"`{self.serving}` serves already."
        return f"`{self.serving}` serves from the next answer on, in place of `{self.before}`. To undo it: `{self.undo}`."


class Releases:
    """Moves the pointers of the registry and records who did. Safe for threads; what it does takes up to some seconds.

    `base` is what the base model is called, `try_out` loads a release and lets it say something, `now` is what serves.
    """

    def __init__(
        self,
        registry: ReleaseRegistry,
        base: str,
        try_out: Callable[[ModelRelease], None],
        now: Callable[[], Serving],
        record: Record,
    ) -> None:
        self._registry = registry
        self._base = base
        self._try_out = try_out
        self._now = now
        self._record = record

    def all(self) -> Sequence[Listed]:
        """Every release, checked, the newest first."""
        return self._registry.all()

    def ids(self) -> Sequence[str]:
        """Of all, unchecked, in order."""
        return sorted(self._registry.ids())

    def standing(self) -> Standing:
        found = self._now()
        serving = found.release.id if found.release else self._base
        return Standing(serving, self._registry.pointer("previous") or self._base, found.alert)

    def known(self, word: str) -> ReleaseId:
        """The release that was meant. Raises CommandRejected with the nearest ones."""
        return ReleaseId(right_word(word, self._registry.ids(), "release"))

    def promote(self, word: str, by: str) -> Change:
        """Lets the release serve, once it was loaded and has said something. Raises CommandRejected; nothing has changed then."""
        release = self.known(word)
        try:
            self._try_out(self._registry.get(release))
            move = self._registry.promote(release)
        except (ReleaseUnusable, ModelUnavailable) as err:
            raise CommandRejected(f"{err} Nothing was changed.") from err
        return self._changed("promote", move, by)

    def rollback(self, by: str) -> Change:
        """Lets serve what served before. Raises CommandRejected when no release serves."""
        try:
            move = self._registry.rollback()
        except NothingToRollBack as err:
            raise CommandRejected(str(err)) from err
        return self._changed("rollback", move, by)

    def _changed(self, action: str, move: Move, by: str) -> Change:
        before, after = move.before or self._base, move.after or self._base
        self._record(by, action, after, {"before": before})
        undo = "timbre rollback" if action == "promote" else f"timbre promote {before}"
        return Change(after, before, undo)


def open_releases(settings: Settings, exchanges: ExchangeStore, notify: Notify, model: LanguageModel) -> Releases:
    """Releases for the model that answers; on a server's model none can be promoted."""
    registry, base = open_registry(settings, notify), identity_of(settings).release
    if isinstance(model, LocalLanguageModel):
        return Releases(registry, base, model.try_out, model.standing, exchanges.audit)
    return Releases(registry, base, _refuse, lambda: Serving(None, ""), exchanges.audit)


def _refuse(release: ModelRelease) -> None:
    raise CommandRejected("Releases serve the model of this process; TIMBRE_MODEL__URL names a server's.")


def release_line(found: Listed, standing: Standing) -> str:
    """A release with what its card says, for people (pure)."""
    card = found.card
    made = f"{str(card.get('created_at', 'unknown'))[:16].replace('T', ' ')} UTC"
    marks = [word for word, id in (("serves", standing.serving), ("previous", standing.previous)) if id == found.id]
    words = "words answers" if card.get("may_word") else "does not word answers"
    facts = [*marks, f"made {made}", f"dataset {card.get('dataset', 'unknown')}", words]
    return f"`{found.id}`: {', '.join(facts)}" + (f"; CANNOT SERVE: {found.problem}" if found.problem else "")


def standing_lines(standing: Standing) -> list[str]:
    """What serves, for people (pure)."""
    return [f"`{standing.serving}` serves; a rollback brings back `{standing.previous}`.", *filter(None, [standing.alert])]


class ReleaseWatch:
    """Tells the admins when a release does not serve that should, once a day each."""

    def __init__(
        self,
        alert: Callable[[], Awaitable[str]],
        admins: Callable[[], Sequence[PersonId]],
        put: Callable[[Delivery], Awaitable[None]],
        pause_s: float = WATCH_EVERY_S,
    ) -> None:
        self._alert = alert
        self._admins = admins
        self._put = put
        self._pause_s = pause_s

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseUnavailable as err:
                logger.warning("Admins could not be told of a release: %s", err)
            await asyncio.sleep(self._pause_s)

    async def look(self) -> None:
        """Tells them now, where there is something to tell. Raises DatabaseUnavailable."""
        if alert := await self._alert():
            told = f"release:{datetime.now(UTC):%Y-%m-%d}:{hashlib.sha256(alert.encode()).hexdigest()[:12]}"
            for admin in await asyncio.to_thread(self._admins):
                reply = Reply(ReplyKind.NOTICE, alert)
                await self._put(direct_delivery(f"{told}:{admin}", admin, reply))


def change_object(change: Change) -> Mapping[str, str]:
    """For `--json`."""
    return {"serving": change.serving, "before": change.before, "undo": change.undo}
