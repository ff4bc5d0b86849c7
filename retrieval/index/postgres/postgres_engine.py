"""An index in tables of a PostgreSQL with pgvector.

Its URL is postgresql://user:password@host:port/database#NAME; NAME begins the names of the tables, so that several
indexes live in one database, and is 'aisle' where it is left out.
"""

import logging
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from psycopg import errors
from psycopg.types.json import Json

from model.errors import VectorIndexError
from retrieval.index.description import IndexDescription, IndexEngineName
from retrieval.index.engine import NO_FILTER, SpaceStatistics
from retrieval.index.filter import ProductFilter
from retrieval.index.postgres import tables as sql
from retrieval.index.postgres.database import Connection, Database, reason
from retrieval.index.postgres.tables import ATTRIBUTES, Tables
from retrieval.index.record import Attributes, Hit, IndexRecord, Space

_OLDEST_PGVECTOR = (0, 8)
#: Numbers of a vector in a graph of pgvector.
_MOST_DIMS = 4000
#: Where so few products meet a condition, each is compared: quicker than a graph, and nothing is missed.
_COMPARED_ROWS = 10_000
#: Times as many candidates are kept where a condition drops some of them.
_CANDIDATES_OF_FILTERS = 4
_RECALL_QUERIES = 200
_RECALL_AT = 10
_PRICE = ATTRIBUTES.index("price")
#: Length and an unused number before the numbers of a halfvec.
_HEAD = struct.Struct(">HH")

_log = logging.getLogger("aisle.index")


class PostgresEngine:
    """The engine `postgres`; see `retrieval.index.engine.IndexEngine`. Made by `create` and `open`."""

    name: IndexEngineName = "postgres"

    def __init__(self, database: Database, description: IndexDescription, search: dict[str, Any]):
        self.description = description
        self._database = database
        self._search = search
        self._spaces = tuple(description.dims)
        self._tables = Tables(database.name, self._spaces)

    @classmethod
    def create(cls, url: str, description: IndexDescription) -> "PostgresEngine":
        """Make the tables of a new, empty index in place of one that is there, in one transaction.

        Raises:
            VectorIndexError: the database cannot be reached, has no pgvector, or refuses; nothing has changed.
        """
        too_long = [space for space, dim in description.dims.items() if dim > _MOST_DIMS]
        if too_long:
            raise VectorIndexError(f"expected up to {_MOST_DIMS} numbers in a vector, found more in {too_long[0]!r}")

        def make(connection: Connection) -> None:
            connection.execute(sql.TAKE_TURN, (database.name,))
            _require_pgvector(connection, str(database))
            *statements, keep_description = engine._tables.creation(description.dims)
            for statement in statements:
                connection.execute(statement)
            connection.execute(keep_description, (Json(description.to_dict()),))

        with _opened(url) as database:
            engine = cls(database, description, {})
            database.run(make)
            return engine

    @classmethod
    def open(cls, url: str) -> "PostgresEngine":
        """Open an index.

        Raises:
            VectorIndexError: there is none, it is damaged or of another format, or its database cannot be reached.
        """
        with _opened(url) as database:
            rows = database.rows(Tables(database.name).description())
            values, search = rows[0] if rows else (None, {})
            return cls(database, IndexDescription.from_dict(values, str(database)), search)

    def __len__(self) -> int:
        return self._counts()[0]

    def finish_bulk(self, on_progress: Callable[[int], object] | None = None) -> None:
        """Build what a search needs after many records were inserted, and measure its recall.

        Args:
            on_progress: called with the number of products that were put into a graph since the last call.
        """
        for space, count in zip(self._spaces, self._counts()[1:], strict=True):
            self._build_graph(space, count)
            if on_progress is not None:
                on_progress(count)
        self._database.run(lambda connection: [connection.execute(s) for s in self._tables.filter_indexes()])
        self._search = {space: self._fitted_search(space) for space in self._spaces}
        self._database.run(lambda connection: connection.execute(self._tables.keep_search(), (Json(self._search),)))

    def upsert(self, records: Sequence[IndexRecord]) -> None:
        """See `IndexEngine`."""
        latest: dict[str, IndexRecord] = {}
        for record in records:
            self._check(record)
            latest.pop(record.product_id, None)  # the last counts, in its place
            latest[record.product_id] = record

        def write(connection: Connection) -> None:
            connection.execute(sql.TAKE_TURN, (self._database.name,))
            connection.execute(self._tables.incoming())
            with connection.cursor() as cursor, cursor.copy(self._tables.copy()) as copy:
                for record in latest.values():
                    copy.write_row(_record_row(record, self._spaces))
            connection.execute(self._tables.merge())

        if latest:
            self._database.run(write)

    def delete(self, product_ids: Sequence[str]) -> int:
        """See `IndexEngine`."""

        def remove(connection: Connection) -> int:
            connection.execute(sql.TAKE_TURN, (self._database.name,))
            return connection.execute(self._tables.deletion(), (sql.storable(product_ids),)).rowcount

        return self._database.run(remove)

    def get(self, product_ids: Sequence[str]) -> list[IndexRecord | None]:
        """See `IndexEngine`."""
        rows = self._database.rows(self._tables.by_ids(), (sql.storable(product_ids),))
        found = {row[0]: _record_of(row, self._spaces) for row in rows}
        return [found.get(product_id) for product_id in product_ids]

    def search(
        self, space: Space, vectors: np.ndarray, k: int, condition: ProductFilter = NO_FILTER
    ) -> list[list[Hit]]:
        """See `IndexEngine`."""
        if space not in self._spaces:
            raise VectorIndexError(f"expected a space of {', '.join(self._spaces)}, found {space!r}")
        if vectors.shape[1:] != (self.description.dims[space],):
            raise VectorIndexError(
                f"expected {self.description.dims[space]} numbers in {space!r}, found {vectors.shape}"
            )
        rows = self._database.run(lambda connection: self._found(connection, space, vectors, k, condition))
        return [[_hit(row) for row in nearest] for nearest in rows]

    def scan(self) -> Iterator[IndexRecord]:
        """See `IndexEngine`."""
        with (
            self._database.connection(fresh=True) as connection,
            self._database.refusals(),
            connection.transaction(),
        ):
            connection.execute(self._tables.scan())
            while rows := connection.execute(sql.NEXT_OF_SCAN, binary=True).fetchall():
                yield from (_record_of(row, self._spaces) for row in rows)

    def statistics(self) -> dict[Space, SpaceStatistics]:
        """See `IndexEngine`."""
        recalls = {space: search["recall"] for space, search in self._search.items()}
        return {
            space: SpaceStatistics(self.description.dims[space], count, recalls.get(space, 1.0))
            for space, count in zip(self._spaces, self._counts()[1:], strict=True)
        }

    def close(self) -> None:
        """See `IndexEngine`."""
        self._database.close()

    def _counts(self) -> list[int]:
        """Products, and vectors by space."""
        return list(self._database.rows(self._tables.counts())[0])

    def _check(self, record: IndexRecord) -> None:
        for space, vector in record.vectors.items():
            dim = self.description.dims.get(space)
            if dim is None or vector.shape != (dim,) or not np.isfinite(vector).all():
                expected = f"{dim} finite numbers" if dim else f"vectors of {', '.join(self._spaces)} only"
                raise VectorIndexError(
                    f"product {record.product_id!r}: expected {expected} in the space {space!r}, found {vector.shape};"
                    " embed it with the bundle of the index"
                )

    def _found(
        self, connection: Connection, space: Space, vectors: np.ndarray, k: int, condition: ProductFilter
    ) -> list[list[Any]]:
        """Rows of `Tables.nearest` for each vector; a graph that gives too few is not believed."""
        if space not in self._search or self._are_few(connection, k, condition):
            return self._nearest(connection, space, vectors, k, condition)
        candidates = self._search[space]["candidates"] * (1 if condition.is_empty else _CANDIDATES_OF_FILTERS)
        rows = self._nearest(connection, space, vectors, k, condition, candidates)
        short = [i for i, nearest in enumerate(rows) if len(nearest) < k]
        if short:
            for i, nearest in zip(short, self._nearest(connection, space, vectors[short], k, condition), strict=True):
                rows[i] = nearest
        return rows

    def _are_few(self, connection: Connection, k: int, condition: ProductFilter) -> bool:
        """True when so few products meet a condition that each is compared; many are estimated, not counted."""
        if condition.is_empty:
            return False
        most, values = max(_COMPARED_ROWS, 2 * k), sql.filter_values(condition)
        plans = connection.execute(self._tables.match_plan(condition), values).fetchall()[0][0]
        if plans[0]["Plan"]["Plan Rows"] > most:
            return False
        counted = connection.execute(self._tables.some_matches(condition), {**values, "most": most + 1}).fetchall()
        return int(counted[0][0]) <= most

    def _nearest(
        self,
        connection: Connection,
        space: Space,
        vectors: np.ndarray,
        k: int,
        condition: ProductFilter = NO_FILTER,
        candidates: int = 0,
    ) -> list[list[Any]]:
        """Through the graph, keeping so many candidates; 0 compares all that meet the condition."""
        query = self._tables.nearest(space, condition, every=not candidates)
        values = {**sql.filter_values(condition), "k": k}
        with connection.pipeline():  # all questions travel together
            if candidates:
                connection.execute(sql.THROUGH_GRAPH, (sql.candidates_for(k, candidates),))
            else:
                connection.execute(sql.COMPARE_ALL)
            questions = [{**values, "query": _vector_text(vector)} for vector in vectors]
            cursors = [connection.execute(query, question, binary=True) for question in questions]
        return [sorted(cursor.fetchall(), key=itemgetter(0)) for cursor in cursors]  # a graph's order is rough

    def _build_graph(self, space: Space, count: int) -> None:
        settings = self.description.settings
        megabytes = sql.build_memory(count, self.description.dims[space], settings)

        def build(connection: Connection) -> None:
            connection.execute(sql.BUILD_MEMORY, (megabytes,))
            try:
                with connection.transaction():
                    connection.execute(self._tables.graph(space, settings))
            except errors.DiskFull:  # so a container says that it has little shared memory, too
                connection.execute(sql.ONE_BUILDER)
                connection.execute(self._tables.graph(space, settings))

        self._database.run(build)

    def _fitted_search(self, space: Space) -> dict[str, Any]:
        """The fewest candidates with which the recall is reached, on products of the index that look for the others."""
        settings, k = self.description.settings, _RECALL_AT + 1
        asked = self._database.rows(self._tables.sample(space), (_RECALL_QUERIES,))
        vectors = np.array([_vector_of(data) for (data,) in asked])
        nearest = self._database.run(lambda connection: self._nearest(connection, space, vectors, k))
        candidates, recall = 0, 1.0
        for candidates in sql.search_candidates(settings):
            through_graph = partial(self._nearest, space=space, vectors=vectors, k=k, candidates=candidates)
            shares = map(_share, nearest, self._database.run(through_graph))
            recall = float(np.mean([*shares])) if asked else 1.0
            if recall >= settings.recall:
                break
        if recall < settings.recall:
            _log.warning(
                "space %s: %d candidates find %.3f of the nearest, %.3f was asked for; raise --max-search-candidates"
                " (up to 1000) or --max-neighbors", space, candidates, recall, settings.recall,
            )  # fmt: skip
        return {"candidates": candidates, "recall": round(recall, 4)}


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    """A database whose connections are closed where an index cannot be opened in it."""
    database = Database(url)
    try:
        yield database
    except BaseException:
        database.close()
        raise


def _require_pgvector(connection: Connection, place: str) -> None:
    """Make the extension where it is missing, and see that it is new enough."""
    try:
        connection.execute(sql.MAKE_VECTOR_EXTENSION)
        found = connection.execute(sql.VECTOR_EXTENSION).fetchall()[0][0]
        is_good = tuple(map(int, found.split(".")[:2])) >= _OLDEST_PGVECTOR
    except (errors.FeatureNotSupported, errors.UndefinedFile, errors.InsufficientPrivilege) as error:
        found, is_good = f"none ({reason(error)})", False
    if not is_good:
        raise VectorIndexError(
            f"{place}: expected the extension pgvector 0.8 or newer, found {found}; install it and let a superuser run"
            " 'create extension vector' in that database"
        )


def _share(nearest: Sequence[Any], found: Sequence[Any]) -> float:
    """The share of a product's nearest that a search found, by distance, without the product itself."""
    distances = [row[0] for row in nearest[1:]]
    return sum(row[0] <= distances[-1] for row in found[1:]) / len(distances) if distances else 1.0


def _record_row(record: IndexRecord, spaces: Sequence[Space]) -> list[Any]:
    """A record as `Tables.copy` takes it; halfvec as pgvector sends and receives it."""
    values = [getattr(record.attributes, name) for name in ATTRIBUTES]
    values[_PRICE] = None if math.isnan(values[_PRICE]) else float(values[_PRICE])
    vectors = [record.vectors.get(space) for space in spaces]
    return [record.product_id, *values, *(None if vector is None else _sent(vector) for vector in vectors)]


def _record_of(row: Sequence[Any], spaces: Sequence[Space]) -> IndexRecord:
    """A record from a row of `Tables.by_ids` or `Tables.scan`."""
    end = 1 + len(ATTRIBUTES)
    vectors = {space: _vector_of(data) for space, data in zip(spaces, row[end:], strict=True) if data is not None}
    return IndexRecord(row[0], _attributes_of(row[1:end]), vectors)


def _attributes_of(values: Sequence[Any]) -> Attributes:
    """Attributes from their columns."""
    named = dict(zip(ATTRIBUTES, values, strict=True))
    return Attributes(**{**named, "price": math.nan if named["price"] is None else named["price"]})


def _vector_of(data: bytes) -> np.ndarray:
    """A vector from the bytes of a halfvec, (D,) float32, of unit length again."""
    vector = np.frombuffer(data, ">f2", offset=_HEAD.size).astype(np.float32)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def _vector_text(vector: np.ndarray) -> str:
    """A vector as a parameter of a query."""
    return str(vector.astype(np.float16).tolist())


def _sent(vector: np.ndarray) -> bytes:
    return _HEAD.pack(len(vector), 0) + vector.astype(">f2").tobytes()


def _hit(row: Sequence[Any]) -> Hit:
    return Hit(row[1], min(max(-row[0], -1.0), 1.0), _attributes_of(row[2:]))
