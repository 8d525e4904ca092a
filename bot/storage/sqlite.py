"""SQLite as the database: one file, encrypted through sqlcipher3 where there is a key. The default."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from bot.storage.backend import IsTaken

BUSY_TIMEOUT_S = 30.0
MIN_SQLITE = (3, 51, 3)  # older ones can corrupt the WAL when several processes write


class SqliteBackend:
    """A Backend over a file; `key` encrypts it."""

    is_fair = False  # a writer that waits sleeps up to 100 ms between two looks, and whoever comes just then goes first

    def __init__(self, url: URL, key: str | None) -> None:
        assert sqlcipher.sqlite_version_info >= MIN_SQLITE, "sqlcipher3 bundles a SQLite with the WAL fix"
        self._path = Path(url.database or "")
        self._key = key
        self.engine = create_engine("sqlite://", creator=self._open, module=sqlcipher, poolclass=QueuePool)
        self.readers: Engine = self.engine
        self.writers: Engine = self.engine.execution_options(timbre_writes=True)
        event.listen(self.engine, "begin", _begin)

    def describe(self, connection: Connection) -> str:
        encryption = "encrypted" if self._key else "not encrypted (TIMBRE_DATABASE_KEY is not set)"
        return f"SQLite {sqlcipher.sqlite_version}, {encryption}"

    def obstacle(self, connection: Connection) -> str:
        return ""

    def damage(self, connection: Connection) -> str:
        found = str(connection.execute(text("PRAGMA quick_check")).scalar())
        return "" if found == "ok" else found

    def reason(self, err: DBAPIError) -> str | None:
        if not isinstance(err, OperationalError) and type(err) is not DatabaseError:
            return None
        message = str(err.orig)
        if "file is not a database" in message or "file is encrypted" in message:
            return "it is no Timbre database, or TIMBRE_DATABASE_KEY is not the key that it was made with"
        if "unable to open" in message:
            return "the file cannot be opened; check that the folder exists and may be written to"
        if "readonly" in message:
            return "the file may not be written to; check its permissions"
        if "malformed" in message:
            return "it is damaged; restore it from a backup, or move it away and ingest again"
        if "locked" in message:
            return f"another process has been writing to it for {BUSY_TIMEOUT_S:.0f} s; let it finish or end it, then try again"
        if "full" in message:
            return "the disk is full; free some space and try again"
        return message

    @contextmanager
    def ingestion_lock(self, wait: bool) -> Iterator[Callable[[], bool]]:
        with self._path.with_name(f"{self._path.name}.ingestion-lock").open("w") as file:
            try:
                flock(file, LOCK_EX if wait else LOCK_EX | LOCK_NB)
            except BlockingIOError as err:
                raise IsTaken from err
            yield lambda: True  # the kernel takes it from nobody who lives

    def _open(self) -> Any:
        connection = sqlcipher.connect(str(self._path), timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA cipher_log_level = NONE")  # our own error says what is wrong
        if self._key:
            connection.execute(f"PRAGMA key = '{_escaped(self._key)}'")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _begin(connection: Connection) -> None:
    """Writers take the lock at once: a transaction that reads first and then writes fails under WAL (SQLITE_BUSY)."""
    is_writer = connection.get_execution_options().get("timbre_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _escaped(key: str) -> str:
    return key.replace("'", "''")
