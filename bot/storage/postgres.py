"""Postgres as the database, through psycopg 3: one server that several machines may share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from bot.storage.backend import IsTaken

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 30
MIN_VERSION = (14, 0)  # the oldest that Postgres' authors maintain
DEAD_PEER_S = {"idle": 30, "interval": 10, "count": 3}  # a machine that vanished frees its locks after a minute, not two hours

LOCKS = 0x54494D42  # "TIMB", which sets our advisory locks apart from those of others in the same database
WRITING = 1
INGESTING = 2

INSUFFICIENT_PRIVILEGE, READ_ONLY, DISK_FULL, LOCK_NOT_AVAILABLE = "42501", "25006", "53100", "55P03"
LOST = "the connection was lost; it is made anew by itself, so try again"

CONNECTION_FAILURES = (  # what libpq, psycopg and the server say, and what to do about it
    (("failed to resolve host", "could not translate host name"), "its host is unknown; correct TIMBRE_DATABASE_URL"),
    (("Connection refused",), "nothing listens at that host and port; start Postgres there or correct TIMBRE_DATABASE_URL"),
    (("timeout expired",), "the host does not answer; check its address and firewalls"),
    (("authentication failed", "no password supplied"), "user or password is wrong; correct TIMBRE_DATABASE_URL"),
    (("no pg_hba.conf entry",), "the server does not let this user in from this machine; add it to the server's pg_hba.conf"),
    (
        ("too many clients", "connection slots are reserved", "too many connections"),
        "the server has no connection left; raise its max_connections",
    ),
    (("is starting up", "is shutting down", "in recovery mode"), "the server is starting or stopping; try again in a moment"),
)


class PostgresBackend:
    """A Backend over a server. Raises ImportError when psycopg is not installed."""

    is_fair = True

    def __init__(self, url: URL) -> None:
        self._url = url
        keepalives = {f"keepalives_{name}": value for name, value in DEAD_PEER_S.items()}
        self.engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,  # a server that was restarted is found again
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "timbre", **keepalives},
        )
        event.listen(self.engine, "connect", _prepare)
        self.readers = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.writers = self.engine.execution_options(isolation_level="READ COMMITTED", timbre_writes=True)
        event.listen(self.engine, "begin", _begin)

    def describe(self, connection: Connection) -> str:
        return f"Postgres {connection.exec_driver_sql('SHOW server_version').scalar_one()}"

    def obstacle(self, connection: Connection) -> str:
        if (connection.dialect.server_version_info or ()) >= MIN_VERSION:
            return ""
        return f"the server is {self.describe(connection)}, and Timbre needs Postgres {MIN_VERSION[0]} or newer"

    def damage(self, connection: Connection) -> str:
        return ""  # a server looks after its own files

    def reason(self, err: DBAPIError) -> str | None:
        error: Any = err.orig  # a psycopg.Error
        message = error.diag.message_primary or " ".join(str(error).split())  # other fields repeat the statement
        state = error.sqlstate
        if state == INSUFFICIENT_PRIVILEGE:
            return f"{message}; its owner can allow it with `GRANT ALL ON SCHEMA public TO {self._user}`"
        if state == READ_ONLY:
            return "the server may only be read, so it is a standby; name the primary in TIMBRE_DATABASE_URL"
        if state == DISK_FULL:
            return "the server's disk is full; free some space and try again"
        if state == LOCK_NOT_AVAILABLE:
            return f"another process has been writing for {LOCK_TIMEOUT_S} seconds; try again"
        if not isinstance(err, OperationalError) and not err.connection_invalidated:
            return None
        return self._connection_failure(message) or (LOST if err.connection_invalidated else message)

    @contextmanager
    def ingestion_lock(self, wait: bool) -> Iterator[Callable[[], bool]]:
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            function = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
            if connection.exec_driver_sql(f"SELECT {function}({LOCKS}, {INGESTING})").scalar() is False:
                raise IsTaken
            try:
                yield lambda: _is_alive(connection)
            finally:
                if _is_alive(connection):  # a lost connection has freed it
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCKS}, {INGESTING})")

    @property
    def _user(self) -> str:
        return self._url.username or "its user"

    def _connection_failure(self, message: str) -> str | None:
        if "does not exist" in message and f'database "{self._url.database}"' in message:
            return f"the server has no database of that name; make it with `createdb {self._url.database}`"
        return next((told for words, told in CONNECTION_FAILURES if any(word in message for word in words)), None)


def _prepare(connection: Any, _: Any) -> None:
    """Of every new connection: times are UTC, and the server notices within a minute when this machine has vanished."""
    settings = {"TimeZone": "UTC"} | {f"tcp_keepalives_{name}": str(value) for name, value in DEAD_PEER_S.items()}
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    connection.commit()


def _begin(connection: Connection) -> None:
    """Writers wait for each other, as SQLite's do; the lock ends with the transaction."""
    if connection.get_execution_options().get("timbre_writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITING})")


def _is_alive(connection: Connection) -> bool:
    try:
        return not connection.invalidated and connection.exec_driver_sql("SELECT 1").scalar() == 1
    except DBAPIError:
        return False
