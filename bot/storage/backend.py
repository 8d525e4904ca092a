"""What differs between the two databases, so that nothing above `Database` knows which one it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError


class IsTaken(Exception):
    """Another process holds the ingestion lock."""


class Backend(Protocol):
    """One kind of database.

    A transaction of `readers` sees one consistent state and waits for nobody; transactions of `writers` come one after the
    other, each seeing all that the ones before have committed, so that numbers given out in them are committed in order.
    """

    @property
    def is_fair(self) -> bool:
        """Whether writers that wait go on in the order in which they came."""

    @property
    def engine(self) -> Engine: ...

    @property
    def readers(self) -> Engine: ...

    @property
    def writers(self) -> Engine: ...

    def describe(self, connection: Connection) -> str:
        """Kind and version, and what else an administrator wants to know."""

    def obstacle(self, connection: Connection) -> str:
        """What keeps this program from using it, found at once, to complete "It cannot be used: ..."; empty when nothing does."""

    def damage(self, connection: Connection) -> str:
        """What a thorough check finds broken; empty when all is well."""

    def reason(self, err: DBAPIError) -> str | None:
        """What is wrong with the world, without a full stop and without secrets; None when the mistake is in our statement."""

    def ingestion_lock(self, wait: bool) -> AbstractContextManager[Callable[[], bool]]:
        """Held by one process at a time and freed when it dies; without `wait` it raises IsTaken.

        Gives what tells whether it is still held: a server that is restarted forgets its locks while their holders live on.
        """
