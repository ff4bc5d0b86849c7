"""Connections to the PostgreSQL that keeps an index."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import Composed

from model.errors import VectorIndexError
from retrieval.index.location import is_remote

_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")
_DEFAULT_NAME = "aisle"
#: What a URL may set otherwise, in seconds: a host that is silent is given up.
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_MAX_CONNECTIONS = 16

Connection = psycopg.Connection[Any]
_Result = TypeVar("_Result")


def reason(error: BaseException) -> str:
    """Return the text of an error in one line."""
    return " ".join(str(error).split())


class Database:
    """Connections to one database, opened when they are needed and kept for those who come next. Thread-safe.

    Attributes:
        name: of the index.
    Raises:
        VectorIndexError: the URL is none.
    """

    def __init__(self, url: str):
        address, _, name = url.partition("#")
        self.name = name or _DEFAULT_NAME
        try:
            settings: dict[str, Any] = {**_PATIENCE, **conninfo_to_dict(address)}
        except psycopg.ProgrammingError:  # its text holds the password
            settings = {}
        if not settings or not is_remote(url) or not _NAME.fullmatch(self.name):
            raise VectorIndexError(
                "expected postgresql://user:password@host:port/database#NAME, NAME of up to 40 letters, digits and _,"
                " found another URL; write special characters of the password as %XX"
            )
        self._settings = make_conninfo(**settings)
        self._place = "{}:{}/{}".format(*(settings.get(key) or "" for key in ("host", "port", "dbname")))
        self._idle: list[Connection] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_MAX_CONNECTIONS)

    def __str__(self) -> str:
        return f"index {self.name!r} in {self._place}"

    def rows(self, query: Composed, values: Sequence[Any] = ()) -> list[Any]:
        """Answer one question; see `run`."""
        return self.run(lambda connection: connection.execute(query, values, binary=True).fetchall())

    def run(self, work: Callable[[Connection], _Result], fresh: bool = False) -> _Result:
        """Do it in one transaction, and once more where a kept connection was lost before the transaction could end.

        Raises:
            VectorIndexError: the database cannot be reached or refuses; nothing has changed.
        """
        is_done = False
        with self.connection(fresh) as connection:
            try:
                with connection.transaction():
                    result = work(connection)
                    is_done = True
                return result
            except psycopg.Error as error:
                if fresh or is_done or not connection.closed:
                    raise self._refusal(error, is_unsure=is_done and connection.closed) from error
        return self.run(work, fresh=True)

    @contextmanager
    def connection(self, fresh: bool = False) -> Iterator[Connection]:
        """Lend a connection.

        Args:
            fresh: a new one; those that are kept go, as what one has lost the others have lost, too.
        """
        with self._places:
            connection = self._take(fresh)
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Convert psycopg's errors to one with a sentence."""
        try:
            yield
        except psycopg.Error as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Close the connections; those that are lent are closed when they come back."""
        with self._lock:
            self._is_closed = True
        self._close_idle()

    def _take(self, fresh: bool) -> Connection:
        if fresh:
            self._close_idle()
        with self._lock:
            if self._is_closed:
                raise VectorIndexError(f"{self} was closed; open it again")
            if self._idle:
                return self._idle.pop()
        try:
            return psycopg.connect(self._settings, autocommit=True, prepare_threshold=None, client_encoding="utf8")
        except psycopg.Error as error:
            raise VectorIndexError(
                f"{self}: expected a PostgreSQL, found none that lets this user in ({reason(error)});"
                " start it, or correct the URL"
            ) from error

    def _give_back(self, connection: Connection) -> None:
        is_usable = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if is_usable and not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _refusal(self, error: psycopg.Error, is_unsure: bool = False) -> VectorIndexError:
        if isinstance(error, errors.UndefinedTable):
            return VectorIndexError(f"{self}: expected an index, found none; make it with python -m retrieval build")
        if is_unsure:
            return VectorIndexError(
                f"{self}: expected the end of a transaction, found a lost connection ({reason(error)}): whether the"
                " change was kept is unknown; repeat it"
            )
        remedy = "correct what was sent" if isinstance(error, errors.DataError) else "look at the server's log"
        if isinstance(error, errors.DiskFull):
            remedy = "free space, then repeat it"
        return VectorIndexError(
            f"{self}: expected an answer, found {type(error).__name__} ({reason(error)}), and nothing has changed;"
            f" {remedy}"
        )
