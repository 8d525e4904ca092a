"""The SQL database: encrypted SQLite through sqlcipher3 by default, migrated by Alembic. Hands out sessions."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlmodel import Session

from bot.errors import DatabaseUnavailable
from knowledge.extras import missing_extra

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 30.0
MIGRATIONS = Path(__file__).parent / "migrations"
MIN_SQLITE = (3, 51, 3)  # older ones can corrupt the WAL when several processes write


class Database:
    """Sessions on the database at `url`; SQLite files are opened with `key` when there is one.

    Raises DatabaseUnavailable when it cannot be opened, is not ours or the key is wrong.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        try:
            self.url = make_url(url)
            self._engine = _sqlite_engine(self.url, key) if self.url.get_backend_name() == "sqlite" else create_engine(url)
        except ArgumentError as err:
            raise DatabaseUnavailable("that TIMBRE_DATABASE_URL names", str(err)) from err
        except ImportError as err:
            raise DatabaseUnavailable("that TIMBRE_DATABASE_URL names", _missing_driver(self.url, err)) from err

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one consistent state, which waits for nobody."""
        with self._translated(), Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at its end, or rolls back when the block raises; writers wait for each other."""
        writer = self._engine.execution_options(timbre_writes=True)
        with self._translated(), Session(writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Brings the schema to the newest revision; does nothing when it is there."""
        with self._translated():
            with self._engine.connect() as connection:
                current = MigrationContext.configure(connection).get_current_revision()
            if current != newest_revision():
                with self._engine.execution_options(timbre_writes=True).begin() as connection:
                    command.upgrade(_alembic_config(connection), "head")

    def downgrade(self, revision: str) -> None:
        """Takes the schema back to `revision`; "base" removes every table."""
        with self._translated(), self._engine.execution_options(timbre_writes=True).begin() as connection:
            command.downgrade(_alembic_config(connection), revision)

    def connect(self) -> Connection:
        """A bare connection, for checks."""
        return self._engine.connect()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as err:
            if not isinstance(err, OperationalError) and type(err) is not DatabaseError:
                raise  # a broken constraint or statement is a mistake of ours, not of the world
            raise DatabaseUnavailable(self.url.render_as_string(hide_password=True), _reason(err)) from err


def newest_revision() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def sqlite_url(path: Path) -> str:
    return str(URL.create("sqlite", database=str(path)))


def _sqlite_engine(url: URL, key: str | None) -> Engine:
    path = url.database
    assert sqlcipher.sqlite_version_info >= MIN_SQLITE, "sqlcipher3 bundles a SQLite with the WAL fix"

    def open_connection() -> Any:
        connection = sqlcipher.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA cipher_log_level = NONE")  # our own error says what is wrong
        if key:
            connection.execute(f"PRAGMA key = '{_escaped(key)}'")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    engine = create_engine("sqlite://", creator=open_connection, module=sqlcipher, poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        """Writers take the lock at once: a transaction that reads first and then writes fails under WAL (SQLITE_BUSY)."""
        is_writer = connection.get_execution_options().get("timbre_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")

    return engine


def _escaped(key: str) -> str:
    return key.replace("'", "''")


def _alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _missing_driver(url: URL, err: ImportError) -> str:
    return missing_extra("Postgres", "postgres") if url.get_driver_name() == "psycopg" else str(err)


def _reason(err: DatabaseError) -> str:
    text = str(err.orig)
    if "file is not a database" in text or "file is encrypted" in text:
        return "it is no Timbre database, or TIMBRE_DATABASE_KEY is not the key that it was made with"
    if "unable to open" in text:
        return "the file cannot be opened; check that the folder exists and may be written to"
    if "readonly" in text:
        return "the file may not be written to; check its permissions"
    if "full" in text:
        return "the disk is full; free some space and try again"
    return text
