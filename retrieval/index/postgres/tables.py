"""The tables of an index in PostgreSQL, and the SQL over them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from model.taxonomy import SEPARATOR
from retrieval.index.filter import ProductFilter
from retrieval.index.record import Attributes, Space
from retrieval.settings import IndexSettings

ATTRIBUTES = tuple(field.name for field in dataclasses.fields(Attributes))
#: The character behind the separator: the texts from 'A>' up to 'A?' are those that begin with 'A>'.
_BEHIND_SEPARATOR = chr(ord(SEPARATOR) + 1)
#: What filters look at; `sub_tree` is the category with a separator at its end, so that a sub-tree is one range.
_FILTERED = ("sub_tree", "brand", "mall", "price")
#: What pgvector takes.
_MOST_NEIGHBORS, _MOST_CANDIDATES = 100, 1000

VECTOR_EXTENSION = SQL("select extversion from pg_extension where extname = 'vector'")
MAKE_VECTOR_EXTENSION = SQL("create extension if not exists vector")
#: Held by a writer until its transaction ends: writers take turns, and `written` tells the order of their commits.
TAKE_TURN = SQL("select pg_advisory_xact_lock(hashtextextended(%s, 0))")
#: One at a time is slower, and needs no shared memory, of which a container has 64 MB.
ONE_BUILDER = SQL("set local max_parallel_maintenance_workers = 0")
#: A graph that fits into this memory is built many times as fast; megabytes, and never less than the server's own.
BUILD_MEMORY = SQL(
    "select set_config('maintenance_work_mem',"
    " greatest(pg_size_bytes(current_setting('maintenance_work_mem')) / 1048576, %s)::text || 'MB', true)"
)
#: The graph goes on until enough products meet a condition, in a rough order, as a strict one drops what it finds late.
#: Sorts count as dear, so that the graph, which needs none, is taken where there is one.
THROUGH_GRAPH = SQL(
    "select set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('enable_sort', 'off', true), set_config('jit', 'off', true)"
)
NEXT_OF_SCAN = SQL("fetch 500 from scan")
COMPARE_ALL = SQL("select set_config('enable_sort', 'on', true), set_config('jit', 'off', true)")


class Tables:
    """The tables of one index, and the statements over them.

    NAME_products has a row a product: attributes, a halfvec a space (NULL without one), and the number of the write.
    NAME_index has one row: the description, and how far a search looks in each space.

    Args:
        name: begins the names of the tables.
        spaces: those that the index has; known after it was opened.
    """

    def __init__(self, name: str, spaces: Sequence[Space] = ()):
        self._name = name
        self._products = Identifier(f"{name}_products")
        self._incoming = Identifier(f"{name}_incoming")
        self._index = Identifier(f"{name}_index")
        self._vectors = {space: Identifier(f"{space}_vector") for space in spaces}
        self._columns = [Identifier(name) for name in ("product_id", *ATTRIBUTES)]

    def creation(self, dims: Mapping[Space, int]) -> list[Composed]:
        """Make empty tables in place of those that are there."""
        attributes = [
            SQL("{} double precision" if name == "price" else '{} text collate "C" not null').format(Identifier(name))
            for name in ATTRIBUTES
        ]
        vectors = [SQL("{} halfvec({})").format(self._vectors[space], Literal(dim)) for space, dim in dims.items()]
        statements = (
            "drop table if exists {products}, {index}",
            "create table {index} (description json not null, search json not null)",
            'create table {products} (product_id text collate "C" primary key, written bigserial unique, {columns},'
            " sub_tree text collate \"C\" generated always as (category || '>') stored)"
            " with (toast_tuple_target = 8160)",  # vectors stay in the row, where comparing them takes half the time
            "insert into {index} values (%s, '{{}}')",
        )
        columns = SQL(", ").join([*attributes, *vectors])
        return [self._format(statement, columns=columns) for statement in statements]

    def description(self) -> Composed:
        """Select the description, and how each space is searched."""
        return self._format("select description, search from {index}")

    def keep_search(self) -> Composed:
        """Store how each space is searched."""
        return self._format("update {index} set search = %s")

    def incoming(self) -> Composed:
        """Make the table that records are copied into."""
        return self._format(
            "create temporary table {incoming} on commit drop as select {columns} from {products} with no data",
            columns=self._written_columns(),
        )

    def copy(self) -> Composed:
        """Copy records into it, in the form that `PostgresEngine` gives."""
        return self._format("copy {incoming} from stdin with (format binary)")

    def merge(self) -> Composed:
        """Take over what was copied, in the order in which it came."""
        changed = [*self._columns[1:], *self._vectors.values(), Identifier("written")]
        return self._format(
            "insert into {products} ({columns}) select {columns} from {incoming} order by ctid"
            " on conflict (product_id) do update set {changes}",
            columns=self._written_columns(),
            changes=SQL(", ").join(SQL("{0} = excluded.{0}").format(column) for column in changed),
        )

    def deletion(self) -> Composed:
        """Delete products by id."""
        return self._format("delete from {products} where product_id = any(%s)")

    def by_ids(self) -> Composed:
        """Select whole records by their ids."""
        return self._records() + SQL(" where product_id = any(%s)")

    def scan(self) -> Composed:
        """Begin to read every record; NEXT_OF_SCAN reads on."""
        return SQL("declare scan no scroll cursor for ") + self._records() + SQL(" order by written")

    def counts(self) -> Composed:
        """Count the products, and their vectors by space."""
        vectors = [SQL("count({})").format(vector) for vector in self._vectors.values()]
        return self._format("select {counts} from {products}", counts=SQL(", ").join([SQL("count(*)"), *vectors]))

    def match_plan(self, condition: ProductFilter) -> Composed:
        """Ask the planner how many products may meet a condition."""
        return self._format(
            "explain (format json) select 1 from {products} where {condition}", condition=_where(condition)
        )

    def some_matches(self, condition: ProductFilter) -> Composed:
        """Count the products that meet a condition, up to %(most)s."""
        return self._format(
            "select count(*) from (select 1 from {products} where {condition} limit %(most)s) as matches",
            condition=_where(condition),
        )

    def nearest(self, space: Space, condition: ProductFilter, every: bool) -> Composed:
        """Select the %(k)s products nearest to %(query)s: distance, id, attributes.

        Args:
            every: compare every product that meets the condition; no graph can give the sum that is sorted by.
        """
        distance = "({vector} <#> %(query)s::halfvec) + 0" if every else "{vector} <#> %(query)s::halfvec"
        return self._format(
            "select {distance} as distance, {columns} from {products} where {vector} is not null and {condition}"
            " order by distance limit %(k)s",
            distance=SQL(distance).format(vector=self._vectors[space]),
            columns=SQL(", ").join(self._columns),
            vector=self._vectors[space],
            condition=_where(condition),
        )

    def sample(self, space: Space) -> Composed:
        """Select vectors of %s products that stand anywhere in the table."""
        return self._format(
            "select halfvec_send({vector}) from {products} where {vector} is not null"
            " order by md5(product_id) limit %s",
            vector=self._vectors[space],
        )

    def graph(self, space: Space, settings: IndexSettings) -> Composed:
        """Make the graph of a space."""
        neighbors = min(settings.max_neighbors, _MOST_NEIGHBORS)
        candidates = min(max(settings.build_candidates, 2 * neighbors), _MOST_CANDIDATES)
        return self._format(
            "create index if not exists {graph} on {products} using hnsw ({vector} halfvec_ip_ops)"
            " with (m = {neighbors}, ef_construction = {candidates})",
            graph=Identifier(f"{self._name}_{space}_graph"),
            vector=self._vectors[space],
            neighbors=Literal(neighbors),
            candidates=Literal(candidates),
        )

    def filter_indexes(self) -> list[Composed]:
        """Make what conditions are looked up in, and let the planner know the values."""
        statement = "create index if not exists {index_name} on {products} ({column})"
        indexes = [
            self._format(statement, index_name=Identifier(f"{self._name}_{column}"), column=Identifier(column))
            for column in _FILTERED
        ]
        return [*indexes, self._format("analyze {products}")]

    def _records(self) -> Composed:
        vectors = [SQL("halfvec_send({})").format(vector) for vector in self._vectors.values()]
        return self._format("select {columns} from {products}", columns=SQL(", ").join([*self._columns, *vectors]))

    def _written_columns(self) -> Composed:
        return SQL(", ").join([*self._columns, *self._vectors.values()])

    def _format(self, statement: str, **parts: Composable) -> Composed:
        return SQL(statement).format(products=self._products, incoming=self._incoming, index=self._index, **parts)


def search_candidates(settings: IndexSettings) -> list[int]:
    """Numbers of candidates that a search through a graph may keep, from few to many."""
    largest = min(settings.max_search_candidates, _MOST_CANDIDATES)
    return [*(32 << i for i in range(10) if 32 << i < largest), largest]


def candidates_for(k: int, candidates: int) -> str:
    """Candidates for k hits, where so many were enough for ten."""
    return str(min(max(candidates, 2 * k), _MOST_CANDIDATES))


def build_memory(rows: int, dim: int, settings: IndexSettings) -> int:
    """Megabytes that a graph takes while it is built, not more than 2 GB."""
    return min(rows * (2 * dim + 48 * settings.max_neighbors + 256) // 2**20 + 16, 2048)


def filter_values(condition: ProductFilter) -> dict[str, Any]:
    """The parameters of a condition."""
    return {
        "first": condition.category + SEPARATOR,
        "behind": condition.category + _BEHIND_SEPARATOR,
        "brands": storable(condition.brands),
        "malls": storable(condition.malls),
        "min_price": condition.min_price,
        "max_price": condition.max_price,
    }


def storable(texts: Sequence[str]) -> list[str]:
    """Keep the texts that PostgreSQL can hold, those without a NUL; it has no product with another."""
    return [text for text in texts if "\0" not in text]


def _where(condition: ProductFilter) -> Composed:
    parts = [SQL("true")]
    if condition.category:
        parts.append(SQL("sub_tree >= %(first)s and sub_tree < %(behind)s"))
    if condition.brands:
        parts.append(SQL("brand = any(%(brands)s)"))
    if condition.malls:
        parts.append(SQL("mall = any(%(malls)s)"))
    if condition.has_price:
        parts.append(SQL("price between %(min_price)s and %(max_price)s"))
    return SQL(" and ").join(parts)
