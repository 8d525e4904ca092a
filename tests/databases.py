"""Postgres databases for tests: made in milliseconds as copies of one that is ready, dropped at the end."""

from itertools import count
from os import getpid

from sqlalchemy import create_engine, make_url, text

EMPTY = "template0"


class PostgresDatabases:
    """Databases on a server whose user may make them. Names hold the process's number, so that two test runs do not meet."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server).set(database="postgres")
        self._numbers = count(1)

    def new(self, template: str = EMPTY) -> str:
        """The URL of a new database, a copy of the one at the URL `template` (which nobody may be connected to)."""
        name = f"test_{getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template if template == EMPTY else make_url(template).database}")
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Runs a statement as the server's administrator, outside of any transaction."""
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()
