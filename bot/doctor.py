"""Checks that everything Timbre needs is there and says what to do about what is not."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from bot.errors import BotError
from bot.language_model import LocalLanguageModel, identity_of
from bot.main import examine_platforms, open_database, open_home, opened_knowledge
from bot.settings import Settings
from bot.storage.exchanges import ExchangeStore
from bot.voice import read_voice
from bot.weights import BUILT_IN_MODEL, models_dir
from bot.wording import may_word
from knowledge.errors import KnowledgeError
from training.registry import Serving
from training.weights import is_prepared

MIN_FREE_BYTES = 2**30
DO_AS_TOLD = "Do what the message says, then run `timbre doctor` again."


@dataclass(frozen=True)
class Finding:
    """One check. `remedy` says what to do; empty when all is well."""

    name: str
    is_well: bool
    fact: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings, in the order in which one thing needs the other; what comes after the database is no use without it."""
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("data folder", _home),
        ("disk", _disk),
        ("style guide", _voice),
        ("database", _database),
        ("embedding and index", _index),
        ("language model", _model),
        ("release", _release),
    )
    for name, check in checks:
        try:
            finding = check(settings)
        except (BotError, KnowledgeError) as err:
            finding = Finding(name, False, str(err), DO_AS_TOLD)
        yield finding
        if name == "database" and not finding.is_well:
            return
    try:
        yield from examine_platforms(settings)
    except BotError as err:
        yield Finding("chat platforms", False, str(err), DO_AS_TOLD)


def _home(settings: Settings) -> Finding:
    open_home(settings)
    return Finding("data folder", True, str(settings.home))


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.home).free
    is_well = free >= MIN_FREE_BYTES
    remedy = "" if is_well else "Free some space: indexing needs about 60 KB a passage, and a full disk stops everything."
    return Finding("disk", is_well, f"{free / 2**30:.1f} GiB free", remedy)


def _database(settings: Settings) -> Finding:
    with closing(open_database(settings)) as database:
        description, damage = database.examine()
    if damage:
        return Finding("database", False, f"{database.name} is damaged: {damage}", "Restore it from a backup.")
    return Finding("database", True, f"{database.name}, {description}")


def _voice(settings: Settings) -> Finding:
    read_voice(settings.answer.voice)
    return Finding("style guide", True, str(settings.answer.voice or "built in"))


def _index(settings: Settings) -> Finding:
    with opened_knowledge(settings, lambda _: None) as knowledge:
        generation = knowledge.index.live_generation()
        waiting = len(knowledge.catalogue.waiting())
        model = f"model {knowledge.embedder.name}"
        if generation is None:
            remedy = "Run `timbre ingest FOLDER`, or `timbre reindex` after a change of the index or the model."
            return Finding("embedding and index", False, f"{model}; nothing is indexed", remedy)
        summaries = knowledge.catalogue.summaries()
        held, wanted = knowledge.index.count(generation), sum(summary.chunks for summary in summaries)
        failed = sum(len(summary.failed) for summary in summaries)
        fact = f"{model}; {', '.join(knowledge.indexes)}: generation {generation} with {held} chunks"
    if waiting:
        return Finding("embedding and index", False, f"{fact}; {waiting} documents wait", "Run `timbre reindex`.")
    if held != wanted:
        return Finding("embedding and index", False, f"{fact}; the catalogue has {wanted}", "Run `timbre reindex`.")
    return Finding("embedding and index", True, f"{fact}{f'; {failed} files failed, see `timbre sources`' if failed else ''}")


def _release(settings: Settings) -> Finding:
    """The release that should serve is checked, and loaded where it may word answers."""
    if settings.model.url:
        return Finding("release", True, "none: the model is a server's")
    model = LocalLanguageModel(settings, lambda _: None)
    found = asyncio.run(_loaded(model, settings.answer.wording))
    serving = found.release.id if found.release else identity_of(settings).release
    remedy = "Run `timbre releases`; promote another, or `timbre rollback`." if found.alert else ""
    return Finding("release", not found.alert, found.alert or f"{serving} serves", remedy)


async def _loaded(model: LocalLanguageModel, mode: str) -> Serving:
    try:
        if may_word(mode, await model.serving(), None).is_allowed:
            await model.load()
        return model.standing()
    finally:
        await model.close()


def _model(settings: Settings) -> Finding:
    identity = identity_of(settings)
    with closing(open_database(settings)) as database:
        evaluation = ExchangeStore(database).wording_evaluation(identity.release)
    permission = may_word(settings.answer.wording, identity, evaluation)
    if not permission.is_allowed:
        return Finding("language model", True, f"{identity.model}: not asked, answers are quotes")
    if settings.model.url:
        return _server(settings, permission.warning)
    if settings.model.id == BUILT_IN_MODEL and not is_prepared(models_dir(settings) / BUILT_IN_MODEL):
        return Finding("language model", False, f"{identity.model} is not prepared", "Run `timbre setup`.")
    return Finding("language model", not permission.warning, identity.model, permission.warning)


def _server(settings: Settings, warning: str) -> Finding:
    import openai

    client = openai.OpenAI(
        base_url=settings.model.url, api_key=settings.model.api_key.get_secret_value() or "none", timeout=5, max_retries=0
    )
    try:
        names = [model.id for model in client.models.list()]
    except openai.OpenAIError as err:
        return Finding("language model", False, f"{settings.model.url}: {err}", "Start the server or correct TIMBRE_MODEL__URL.")
    if settings.model.id not in names:
        remedy = f"Set TIMBRE_MODEL__ID to one of: {', '.join(names)}."
        return Finding("language model", False, f"{settings.model.url} does not serve {settings.model.id}", remedy)
    return Finding("language model", not warning, f"{settings.model.id} at {settings.model.url}", warning)
