"""The SQL database: a SQLite file by default, Postgres by its address, migrated by Alembic. Hands out sessions."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import Session

from bot.errors import CommandRejected, DatabaseUnavailable
from bot.storage.address import without_passwords
from bot.storage.backend import Backend, IsTaken
from bot.storage.postgres import PostgresBackend
from bot.storage.sqlite import SqliteBackend
from knowledge.extras import missing_extra

MIGRATIONS = Path(__file__).parent / "migrations"
TURN_TIMEOUT_S = 30
POSTGRES = ("postgres", "postgresql")
ADDRESS_EXAMPLE = "postgresql://user:password@host:5432/name, with special characters percent-encoded"


class Database:
    """Sessions on the database at `url`; SQLite files are opened with `key` when there is one.

    Raises DatabaseUnavailable when it cannot be opened, is not ours or the key is wrong.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = _parsed(url)
        self._backend = _backend(self.url, key)
        self._ingesting = threading.local()
        self._turn = threading.Lock()  # of this process's writers, where the database lets them sleep and overtake each other

    @property
    def name(self) -> str:
        """The address without its password."""
        return _name(self.url)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one consistent state, which waits for nobody."""
        with self._translated(), Session(self._backend.readers) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at its end, or rolls back when the block raises; writers wait for each other."""
        with self._translated():
            self._check_ingestion_lock()
            turn = nullcontext() if self._backend.is_fair else self._in_turn()
            with turn, Session(self._backend.writers, expire_on_commit=False) as session, session.begin():
                yield session

    @contextmanager
    def ingesting(self, wait: bool = False) -> Iterator[None]:
        """The right to write the index: one process at a time has it, on whichever machine; it is freed when that process dies.

        Raises CommandRejected when another one is at work, unless told to wait for it. Where the lock is lost because the
        server was restarted, the next `writing` of this thread raises DatabaseUnavailable.
        """
        try:
            with self._translated(), self._backend.ingestion_lock(wait) as is_held:
                self._ingesting.is_held = is_held
                try:
                    yield
                finally:
                    del self._ingesting.is_held
        except IsTaken as err:
            raise CommandRejected("Another ingestion is running here; wait until it has finished.") from err

    def migrate(self) -> None:
        """Brings the schema to the newest revision; does nothing when it is there.

        Raises DatabaseUnavailable when the server is too old, or when a newer Timbre has been here.
        """
        with self._translated():
            with self._backend.engine.connect() as connection:
                obstacle = self._backend.obstacle(connection) or _made_by_newer(connection)
                is_newest = _revision(connection) == newest_revision()
            if obstacle:
                raise DatabaseUnavailable(self.name, obstacle)
            if not is_newest:
                with self._backend.writers.begin() as connection:
                    command.upgrade(_alembic_config(connection), "head")

    def downgrade(self, revision: str) -> None:
        """Takes the schema back to `revision`; "base" removes every table."""
        with self._translated(), self._backend.writers.begin() as connection:
            command.downgrade(_alembic_config(connection), revision)

    def examine(self) -> tuple[str, str]:
        """(kind, version and schema; what a thorough check finds broken, empty when all is well)."""
        with self._translated(), self._backend.engine.connect() as connection:
            description = f"{self._backend.describe(connection)}, schema {_revision(connection)}"
            return description, self._backend.damage(connection)

    @property
    def writers(self) -> Engine:
        """For libraries that bring tables of their own; their errors are not translated."""
        return self._backend.writers

    def connect(self) -> Connection:
        """A bare connection, for checks."""
        return self._backend.engine.connect()

    def close(self) -> None:
        self._backend.engine.dispose()

    def _check_ingestion_lock(self) -> None:
        is_held: Callable[[], bool] | None = getattr(self._ingesting, "is_held", None)
        if is_held and not is_held():
            raise DatabaseUnavailable(self.name, "the server was restarted while the index was being written; try again")

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=TURN_TIMEOUT_S):
            raise DatabaseUnavailable(self.name, f"something has been writing for {TURN_TIMEOUT_S} seconds; try again")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as err:
            reason = self._backend.reason(err)
            if reason is None:
                raise  # a broken constraint or statement is a mistake of ours, not of the world
            raise DatabaseUnavailable(self.name, reason) from err


def newest_revision() -> str | None:
    return _scripts().get_current_head()


def sqlite_url(path: Path) -> str:
    return str(URL.create("sqlite", database=str(path)))


def _name(url: URL) -> str:
    return without_passwords(url.render_as_string(hide_password=True))


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as err:  # ValueError: a port that is no number, often a part of the password
        raise DatabaseUnavailable("that TIMBRE_DATABASE_URL names", f"it is no address; write {ADDRESS_EXAMPLE}") from err


def _backend(url: URL, key: str | None) -> Backend:
    kind = url.drivername.partition("+")[0]
    if kind == "sqlite":
        return SqliteBackend(url, key)
    if kind not in POSTGRES:
        raise DatabaseUnavailable(_name(url), f"{kind} is not supported; write {ADDRESS_EXAMPLE}")
    try:
        return PostgresBackend(url)
    except ImportError as err:
        raise DatabaseUnavailable(_name(url), missing_extra("Postgres", "postgres")) from err


def _made_by_newer(connection: Connection) -> str:
    current = _revision(connection)
    is_known = current is None or current in {script.revision for script in _scripts().walk_revisions()}
    return "" if is_known else f"a newer Timbre has made it (schema {current}); install that version or a later one"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config
