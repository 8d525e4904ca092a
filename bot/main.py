"""The composition root: the one file that puts the parts together. Everything may be replaced by keyword for tests."""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bot.at_once import AtOnce
from bot.commands import Commands
from bot.engine import AnswerEngine
from bot.errors import CommandRejected, DatabaseUnavailable, SettingsInvalid
from bot.escalations import Escalations
from bot.feedback import AddStandardAnswer, FeedbackService
from bot.front_desk import FrontDesk, Services
from bot.home import HomePages
from bot.inbox import Inbox
from bot.knowledge_parts import Knowledge
from bot.language_model import open_language_model
from bot.memory import PlatformMemory
from bot.messages import Delivery, PersonId
from bot.outbox import Outbox
from bot.people import OperatorsRoleBook, RoleBook
from bot.ports import ChatPlatform, LanguageModel, ModelIdentity
from bot.releases import Releases, ReleaseWatch, open_releases
from bot.responding import Responder
from bot.review import ReviewQueue
from bot.serving import Server, readiness
from bot.settings import Settings
from bot.sharing import Sharing
from bot.status import read_status, state_lines
from bot.storage.channels import ChannelStore
from bot.storage.database import Database, sqlite_url
from bot.storage.escalations import EscalationStore
from bot.storage.exchanges import ExchangeStore
from bot.storage.intake import IntakeStore
from bot.storage.people import PeopleStore
from bot.storage.review import ReviewStore
from bot.storage.training import TrainingStore
from bot.streaming import Drafts
from bot.training_runs import TrainingRuns
from bot.verdicts import Verdicts, emoji_verdicts
from bot.visibility import visibility
from bot.voice import Voice, read_voice
from bot.weights import Notify, embedder_loader
from bot.wording import QuoteWorder, WordingPermission, may_word
from knowledge.bulk import BulkEmbedder
from knowledge.catalogue import Catalogue
from knowledge.documents import Audience, ChunkId
from knowledge.extras import Extra, missing_extra
from knowledge.ingestion import Ingestion
from knowledge.labels import LABELS_VERSION
from knowledge.parsing.sandbox import ParsingSandbox
from knowledge.ports import ChunkIndex, Embedder
from knowledge.retrieval import HybridRetriever
from knowledge.stores.embedded import EmbeddedIndex
from knowledge.stores.fallback import FallbackIndex
from knowledge.stores.rows import IndexRows
from knowledge.terms import TERMS_VERSION

if TYPE_CHECKING:
    from rich.console import Console as Screen

    from adapters.console.connection import ConsolePlatform
    from bot.doctor import Finding

NO_PLATFORM = (
    "There is nothing to serve: set TIMBRE_SLACK__BOT_TOKEN and TIMBRE_SLACK__APP_TOKEN, or TIMBRE_DISCORD__TOKEN; the README "
    "says where to get them."
)
OpenPlatforms = Callable[[Settings, Database, FrontDesk], Mapping[str, ChatPlatform]]


def open_home(settings: Settings) -> None:
    """Makes TIMBRE_HOME, for its owner only. Raises SettingsInvalid when it cannot be written to."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as err:
        raise SettingsInvalid(f"The data folder {settings.home} cannot be made ({err.strerror}); set TIMBRE_HOME.") from err
    if not os.access(settings.home, os.W_OK | os.X_OK):
        raise SettingsInvalid(f"The data folder {settings.home} may not be written to; set TIMBRE_HOME to one that may.")


def open_database(settings: Settings) -> Database:
    """The database, at the newest schema."""
    open_home(settings)
    url = settings.database_url or sqlite_url(settings.home / "timbre.db")
    database = Database(url, settings.database_key.get_secret_value() or None)
    try:
        database.migrate()
    except DatabaseUnavailable:
        database.close()
        raise
    return database


def build_knowledge(settings: Settings, database: Database, notify: Notify, embedder: Embedder | None = None) -> Knowledge:
    """Knowledge on the database; `embedder` in place of the one that the settings name."""
    load = partial(_given, embedder) if embedder else embedder_loader(settings, notify)
    embedder = embedder or load()
    catalogue = Catalogue(database, embedder.name, embedder.dimensions)
    indexes = _open_indexes(settings, database, embedder)
    index, *copies = indexes.values()
    for copy in copies:
        index = FallbackIndex(index, copy, lambda: _finish(database, ingestion))
    ingestion = Ingestion(
        catalogue,
        index,
        embedder,
        partial(BulkEmbedder, embedder, partial(load, threads=1), settings.embedding.workers),
        partial(ParsingSandbox, settings.ingestion.parser_memory_mb * 2**20, settings.ingestion.parser_cpu_s),
        settings.ingestion.max_file_mb * 2**20,
    )
    return Knowledge(database, embedder, catalogue, index, indexes, ingestion, HybridRetriever(catalogue, index, embedder))


def _open_indexes(settings: Settings, database: Database, embedder: Embedder) -> dict[str, ChunkIndex]:
    """The index that the settings name and, behind one on a server, the copy that is searched while that is away."""
    analysis = f"{embedder.name}|terms-{TERMS_VERSION}|labels-{LABELS_VERSION}"
    if settings.index.kind == "embedded":
        return {"embedded index": EmbeddedIndex(database, IndexRows(analysis, embedder.dimensions))}
    with _needing("TIMBRE_INDEX__KIND=weaviate", "weaviate"):
        from knowledge.stores.weaviate import LAYOUT_VERSION, WeaviateIndex
    rows = IndexRows(f"{analysis}|weaviate-{LAYOUT_VERSION}-{settings.index.name}", embedder.dimensions)
    return {
        f"Weaviate at {settings.index.url}": WeaviateIndex(database, rows, settings.index),
        "copy in the database": EmbeddedIndex(database, rows),
    }


def _finish(database: Database, ingestion: Ingestion) -> None:
    """Brings the index up to date with what was written while it was away, unless an ingestion is at work and does so."""
    with suppress(CommandRejected), database.ingesting():
        ingestion.finish()


def _given(embedder: Embedder, threads: int = 1) -> Embedder:
    return embedder


@dataclass(frozen=True)
class Timbre:
    """The whole product, put together: what the command line and every platform use."""

    settings: Settings
    database: Database
    knowledge: Knowledge
    exchanges: ExchangeStore
    engine: AnswerEngine
    feedback: FeedbackService
    voice: Voice
    language_model: LanguageModel
    worder: QuoteWorder
    releases: Releases
    training_runs: TrainingRuns

    async def close(self) -> None:
        await self.language_model.close()
        self.knowledge.index.close()
        self.database.close()


def build(
    settings: Settings,
    notify: Notify,
    *,
    embedder: Embedder | None = None,
    language_model: LanguageModel | None = None,
    wording: str | None = None,
) -> Timbre:
    """Everything, ready to answer.

    `embedder` and `language_model` stand in for those that the settings name, `wording` for TIMBRE_ANSWER__WORDING.
    """
    database = open_database(settings)
    knowledge = build_knowledge(settings, database, notify, embedder)
    exchanges = ExchangeStore(database)
    voice = read_voice(settings.answer.voice)
    model = language_model or open_language_model(settings, notify)
    permission = partial(_wording_permission, wording or settings.answer.wording, exchanges)
    worder = QuoteWorder(model, knowledge.embedder, voice, settings.model, permission)
    engine = AnswerEngine(
        knowledge.retriever,
        exchanges,
        voice,
        worder,
        knowledge.catalogue.headings,
        max_quotes=settings.answer.max_quotes,
        ask_whom=settings.answer.ask_whom,
    )
    feedback = FeedbackService(exchanges, knowledge.catalogue, _standard_answers(database, knowledge.ingestion))
    releases = open_releases(settings, exchanges, notify, model)
    training_runs = TrainingRuns(settings, notify)
    return Timbre(settings, database, knowledge, exchanges, engine, feedback, voice, model, worder, releases, training_runs)


def _wording_permission(mode: str, exchanges: ExchangeStore, identity: ModelIdentity) -> WordingPermission:
    return may_word(mode, identity, exchanges.wording_evaluation(identity.release) if identity.may_word is None else None)


@contextmanager
def opened_knowledge(settings: Settings, notify: Notify) -> Iterator[Knowledge]:
    """Knowledge alone, for commands that talk to no model; the database is closed at the end."""
    database = open_database(settings)
    with closing(database):
        knowledge = build_knowledge(settings, database, notify)
        with closing(knowledge.index):
            yield knowledge


def build_server(timbre: Timbre, notify: Notify, open_platforms: OpenPlatforms | None = None) -> Server:
    """What `timbre serve` runs: all that answers people, and the platforms that have tokens, or those that are given.

    Raises SettingsInvalid when there is no platform.
    """
    settings, database = timbre.settings, timbre.database
    platforms: dict[str, ChatPlatform] = {}
    max_late = timedelta(hours=settings.chat.max_late_h)
    intake = IntakeStore(database)
    roles = RoleBook(PeopleStore(database), settings.chat.first_admin)
    outbox = Outbox(intake, platforms, max_late)
    responder, services = _services(timbre, platforms, roles, intake, outbox.put)
    inbox = Inbox(intake, responder.respond, responder.give_up, outbox.wake, settings.chat.workers)
    front_desk = FrontDesk(services, inbox.put, max_late)
    platforms |= (open_platforms or _open_platforms)(settings, database, front_desk)
    if not platforms:
        raise SettingsInvalid(NO_PLATFORM)
    watch = ReleaseWatch(timbre.language_model.alert, roles.all_admins, outbox.put)
    return Server(platforms, inbox, outbox, front_desk, watch, settings.chat, notify)


def build_console(timbre: Timbre, audience: Audience, name: str, screen: "Screen | None" = None) -> "ConsolePlatform":
    """The interactive chat of the account `name`, who reads what is for `audience`. `screen` stands in for standard output."""
    from adapters.console.connection import ConsolePlatform
    from adapters.console.inbound import seat_of

    settings, platforms, seat = timbre.settings, dict[str, ChatPlatform](), seat_of(name, uuid4().hex[:12])
    roles = OperatorsRoleBook(PeopleStore(timbre.database), settings.chat.first_admin, seat.person.id, audience)
    at_once = AtOnce(timbre.exchanges, platforms)
    responder, services = _services(timbre, platforms, roles, at_once, at_once.deliver, is_attended=True)
    front_desk = FrontDesk(services, partial(at_once.answer, responder.respond), timedelta(hours=settings.chat.max_late_h))
    platform = ConsolePlatform(front_desk, seat, at_once.exchange, screen)
    platforms[platform.name] = platform
    return platform


def _services(
    timbre: Timbre,
    platforms: Mapping[str, ChatPlatform],
    roles: RoleBook,
    drafts: Drafts,
    put: Callable[[Delivery], Awaitable[None]],
    *,
    is_attended: bool = False,
) -> tuple[Responder, Services]:
    """What answers people on these platforms, and does what they ask for. `put` sends what is said to them."""
    settings, database, exchanges, feedback = timbre.settings, timbre.database, timbre.exchanges, timbre.feedback
    names = partial(_name_of, platforms)
    intake, channels = IntakeStore(database), ChannelStore(database)
    may_see = visibility(roles.is_staff, intake.is_posted)
    review = ReviewQueue(ReviewStore(database), exchanges, feedback, put, names)
    escalations = Escalations(
        EscalationStore(database), feedback, may_see, roles.is_staff, intake.is_posted, roles.staff, put, names
    )
    status = partial(
        read_status, timbre.knowledge, exchanges, partial(readiness, platforms), intake.counts, timbre.releases.standing
    )
    homes = HomePages(
        timbre.engine.suggestions,
        exchanges,
        review,
        escalations,
        timbre.voice,
        roles.groups_of,
        partial(state_lines, status),
        names,
    )
    responder = Responder(
        timbre.engine,
        exchanges,
        drafts,
        roles,
        channels,
        platforms,
        settings.chat,
        settings.answer.ask_whom,
        worder=timbre.worder,
        is_escalated=escalations.is_open_in,
        is_attended=is_attended,
    )
    emoji = emoji_verdicts(settings.chat.helpful_emoji, settings.chat.not_helpful_emoji)
    services = Services(
        intake=intake,
        exchanges=exchanges,
        roles=roles,
        channels=channels,
        verdicts=Verdicts(feedback, review, roles.is_staff, may_see, emoji),
        review=review,
        escalations=escalations,
        sharing=Sharing(timbre.engine, exchanges, roles, platforms, put),
        commands=Commands(
            roles,
            channels,
            TrainingStore(database),
            timbre.knowledge,
            timbre.releases,
            timbre.training_runs,
            status,
            homes.mine,
            homes.queue,
            names,
            put,
        ),
        homes=homes,
        platforms=platforms,
        put=put,
    )
    return responder, services


def _open_platforms(settings: Settings, database: Database, front_desk: FrontDesk) -> dict[str, ChatPlatform]:
    """Those that have tokens. Raises SettingsInvalid when the packages of one are not installed."""
    platforms: dict[str, ChatPlatform] = {}
    if settings.slack.is_wanted:
        with _needing("Slack", "slack"):
            from adapters.slack.connection import SlackPlatform
        platforms["slack"] = SlackPlatform(settings.slack, database, front_desk)
    if settings.discord.is_wanted:
        with _needing("Discord", "discord"):
            from adapters.discord.connection import DiscordPlatform
        platforms["discord"] = DiscordPlatform(settings.discord, front_desk)
    return platforms


@contextmanager
def _needing(what: str, extra: Extra) -> Iterator[None]:
    """Says how to install what an import lacks."""
    try:
        yield
    except ImportError as err:
        raise SettingsInvalid(f"{missing_extra(what, extra)} ({err}).") from err


def slack_manifest(public_url: str) -> dict[str, Any]:
    """What Slack makes an app of; for HTTP mode with the address where Slack finds it, else empty."""
    with _needing("Slack", "slack"):
        from adapters.slack import manifest
    return manifest.slack_manifest(public_url)


async def discord_invitation(settings: Settings) -> str:
    """The link that adds the bot to a server, with exactly the permissions that it needs. Raises BotError."""
    with _needing("Discord", "discord"):
        from adapters.discord import setting_up
    return await setting_up.invitation(settings.discord)


async def sync_discord(settings: Settings, database: Database, force: bool) -> bool:
    """Registers the commands where they have changed, or in any case; whether it did. Raises BotError."""
    with _needing("Discord", "discord"):
        from adapters.discord import setting_up
    return await setting_up.sync(settings.discord, PlatformMemory(IntakeStore(database)), force)


def examine_platforms(settings: Settings) -> "Iterator[Finding]":
    """What is wrong with the set-up of the platforms that have tokens. Raises SettingsInvalid where packages are missing."""
    if settings.slack.is_wanted:
        with _needing("Slack", "slack"):
            from adapters.slack.checks import check as check_slack
        yield from check_slack(settings.slack)
    if settings.discord.is_wanted:
        with _needing("Discord", "discord"):
            from adapters.discord.setting_up import check as check_discord
        yield from check_discord(settings.discord)


async def _name_of(platforms: Mapping[str, ChatPlatform], person: PersonId) -> str:
    platform = platforms.get(person.partition(":")[0])
    return await platform.name_of(person) if platform else person


def _standard_answers(database: Database, ingestion: Ingestion) -> AddStandardAnswer:
    def add(key: str, question: str, answer: str, audience: Audience) -> ChunkId:
        with database.ingesting(wait=True):
            return ingestion.add_standard_answer(key, question, answer, audience)

    return add
