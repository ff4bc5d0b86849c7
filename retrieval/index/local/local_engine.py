"""An index in a folder, searched by this process: exactly, or through graphs of neighbours.

The records are in one SQLite file, and only that file counts. Table and graphs in memory are made from it; a saved
graph is a shortcut that is brought up to date when the index is opened, so that whatever kills the process loses no
change.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import VectorIndexError
from model.machine.cores import usable_cores
from retrieval.index.description import IndexDescription
from retrieval.index.engine import NO_FILTER, SpaceStatistics
from retrieval.index.filter import ProductFilter
from retrieval.index.local.neighbor_graph import NeighborGraph
from retrieval.index.local.record_store import RecordStore
from retrieval.index.local.shared_lock import SharedLock
from retrieval.index.local.vector_table import VectorTable
from retrieval.index.record import Attributes, Hit, IndexRecord, Space

RECORDS_FILE = "products.sqlite"
_SEARCH_FILE = "search.json"
_LOAD_ROWS = 8192
#: Rows that change while searches wait; 20 ms of the graph.
_ROWS_AT_A_TIME = 16
#: Where so few products meet a condition, each is compared: quicker than a graph, and nothing is missed.
_COMPARED_ROWS = 20_000
#: A search that would need more candidates than this compares each product that meets the condition.
_MOST_CANDIDATES = 8192
_FIRST_CANDIDATES = 64
_RECALL_QUERIES = 200
_SCALE_VECTORS = 2000
_RECALL_AT = 10
#: Scores differ so little by the number of rows that are multiplied together.
_SAME_SCORE = 1e-6
#: Rows of replaced versions that may lie in memory, and as many as the current ones where those are more.
_GONE_ROWS = 20_000
#: Keys that graphs hold for nothing, and share of the products where those are more; searches pass over them.
_GONE_NODES = 1000
_GONE_SHARE = 0.05
#: Changes after which a graph is saved, and share of the products where those are more.
_SAVED_CHANGES = 20_000
_SAVED_SHARE = 0.1

#: Called with the number of products that were put into a graph since the last call.
OnProgress = Callable[[int], object]

_log = logging.getLogger("aisle.index")


class LocalEngine:
    """The engines `exact` and `hnsw`; see `retrieval.index.engine.IndexEngine`.

    Args:
        read_only: sees the index as it was when it was opened; otherwise no other process may have it open so.
    Raises:
        VectorIndexError: the folder is damaged.
    """

    def __init__(self, folder: Path, description: IndexDescription, read_only: bool = False):
        self.name = description.engine
        self.description = description
        self._folder = folder
        self._read_only = read_only
        power_safe = description.settings.power_safe
        self._store = RecordStore(folder / RECORDS_FILE, description.dims, read_only, power_safe)
        self._table = VectorTable(description.dims)
        self._graphs: dict[Space, NeighborGraph] = {}
        self._lock = SharedLock()
        self._write_lock = threading.Lock()
        self._num_changes = 0
        self._gone: list[int] = []  # keys that are in the graphs, but not in the table any more
        self._load_table()
        self._search: dict[str, dict[str, Any]] = self._read_search_file()

    def __len__(self) -> int:
        return self._table.num_current

    def open_graphs(self, on_progress: OnProgress | None = None) -> None:
        """Load the graphs and bring them up to date, where the engine has them."""
        if self.name == "exact":
            return
        for space, dim in self.description.dims.items():
            graph = NeighborGraph(dim, self.description.settings)
            current = self._table.keys(space)
            few = min(_SCALE_VECTORS, len(current) // 4)  # with which a graph is not worth keeping
            if not graph.load(self._graph_file(space)) or graph.num_fitted < few:
                graph = NeighborGraph(dim, self.description.settings)
            known = graph.keys()
            if not len(known) and len(current):
                graph.fit_scale(self._table.vectors(space, self._sampled(current, _SCALE_VECTORS)))
            graph.remove(np.setdiff1d(known, current))
            missing = np.setdiff1d(current, known)
            self._num_changes += len(missing)
            for start in range(0, len(missing), _LOAD_ROWS):
                keys = missing[start : start + _LOAD_ROWS]
                graph.add(keys, self._table.vectors(space, keys), threads=usable_cores())
                if on_progress is not None:
                    on_progress(len(keys))
            graph.keep_candidates(int(self._search.get(space, {}).get("num_candidates", _FIRST_CANDIDATES)))
            self._graphs[space] = graph

    def finish_bulk(self, on_progress: OnProgress | None = None) -> None:
        """Build what a search needs after many records were inserted, measure its recall, and save it."""
        self._graphs = {}
        self.open_graphs(on_progress)
        for space in self._graphs:
            self._search[space] = self._fitted_search(space)
        self._write_search_file()
        self._save_graphs()

    def upsert(self, records: Sequence[IndexRecord]) -> None:
        """See `IndexEngine`; other searches go on meanwhile."""
        latest = list({record.product_id: record for record in records}.values())
        for record in latest:
            self._check(record)
        self._change(latest, [])

    def delete(self, product_ids: Sequence[str]) -> int:
        """See `IndexEngine`."""
        return self._change([], list(dict.fromkeys(product_ids)))

    def get(self, product_ids: Sequence[str]) -> list[IndexRecord | None]:
        """See `IndexEngine`."""
        return self._store.get(product_ids)

    def search(
        self, space: Space, vectors: np.ndarray, k: int, condition: ProductFilter = NO_FILTER
    ) -> list[list[Hit]]:
        """See `IndexEngine`."""
        if space not in self.description.dims:
            raise VectorIndexError(f"expected a space of {', '.join(self.description.dims)}, found {space!r}")
        dim = self.description.dims[space]
        if vectors.shape[1:] != (dim,) or not np.isfinite(vectors).all():
            raise VectorIndexError(f"expected {dim} finite numbers in {space!r}, found {vectors.shape}")
        with self._lock.shared():
            found = self._nearest(space, vectors, k, condition)
            known = self._store.attributes([int(key) for keys, _ in found for key in keys])
        return [
            [_hit(known[key], score) for key, score in zip(keys.tolist(), scores.tolist(), strict=True) if key in known]
            for keys, scores in found
        ]

    def scan(self) -> Iterator[IndexRecord]:
        """See `IndexEngine`."""
        return self._store.scan()

    def statistics(self) -> dict[Space, SpaceStatistics]:
        """See `IndexEngine`."""
        with self._lock.shared():
            return {
                space: SpaceStatistics(
                    dim, self._table.count(space), float(self._search.get(space, {}).get("recall", 1.0))
                )
                for space, dim in self.description.dims.items()
            }

    def close(self) -> None:
        """See `IndexEngine`."""
        if not self._read_only and self._num_changes:
            self._save_graphs()
        self._store.close()

    def _nearest(
        self, space: Space, vectors: np.ndarray, k: int, condition: ProductFilter
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        graph = self._graphs.get(space)
        if graph is not None and condition.is_empty:
            return [self._through_graph(graph, space, vector, k, None, 1.0) for vector in vectors]
        mask = self._table.matching(space, condition)
        count = int(np.count_nonzero(mask))
        if graph is None or count <= max(_COMPARED_ROWS, 2 * k):
            return self._table.nearest(space, vectors, k, mask)
        share = count / max(len(graph), 1)
        return [self._through_graph(graph, space, vector, k, mask, share) for vector in vectors]

    def _through_graph(
        self, graph: NeighborGraph, space: Space, vector: np.ndarray, k: int, mask: np.ndarray | None, share: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Twice as many candidates as are needed, more where too few of them meet the condition."""
        count = int(2 * k / share)
        while count <= _MOST_CANDIDATES or mask is None:
            keys, scores = self._table.rescored(space, vector, graph.candidates(vector, count), mask)
            if len(keys) >= k:
                return keys[:k], scores[:k]
            if mask is None or count >= len(graph):
                break  # there are no more, or no link leads to them, as where many vectors are the same
            count *= 2
        allowed = self._table.matching(space, NO_FILTER) if mask is None else mask
        return self._table.nearest(space, vector[None], k, allowed)[0]

    def _change(self, records: list[IndexRecord], deleted_ids: list[str]) -> int:
        if self._read_only:
            raise VectorIndexError(f"{self._folder} was opened to be read only")
        with self._write_lock:
            keys, replaced = self._store.write(records, deleted_ids)
            with self._lock.exclusive():
                self._remove([replaced[product_id] for product_id in deleted_ids if product_id in replaced])
            for start in range(0, len(records), _ROWS_AT_A_TIME):
                part = records[start : start + _ROWS_AT_A_TIME]
                with self._lock.exclusive():
                    self._remove([replaced[record.product_id] for record in part if record.product_id in replaced])
                    self._add(keys[start : start + len(part)], part)
            self._num_changes += len(keys) + len(replaced)
            num_current = self._table.num_current
            if self._table.num_rows - num_current > max(_GONE_ROWS, num_current):
                with self._lock.exclusive():
                    self._table.drop_gone()
            if self._graphs and self._num_changes > max(_SAVED_CHANGES, _SAVED_SHARE * self._table.num_rows):
                self._save_graphs()
        return len(replaced)

    def _add(self, keys: np.ndarray, records: list[IndexRecord]) -> None:
        vectors = {space: _stacked(records, space, dim) for space, dim in self.description.dims.items()}
        self._table.append(keys, [record.attributes for record in records], vectors)
        for space, graph in self._graphs.items():
            has_vector = vectors[space].any(axis=1)
            graph.add(keys[has_vector], vectors[space][has_vector])

    def _remove(self, keys: list[int]) -> None:
        """Take rows out of the table; graphs are rid of them many at a time, as each reused place takes them long."""
        self._table.remove(np.array(keys, np.int64))
        self._gone += keys
        if len(self._gone) > max(_GONE_NODES, _GONE_SHARE * self._table.num_current):
            gone, self._gone = np.array(self._gone, np.int64), []
            for graph in self._graphs.values():
                graph.remove(gone)

    def _check(self, record: IndexRecord) -> None:
        for space, vector in record.vectors.items():
            dim = self.description.dims.get(space)
            if dim is None or vector.shape != (dim,) or not np.isfinite(vector).all():
                expected = f"{dim} finite numbers" if dim else f"vectors of {', '.join(self.description.dims)} only"
                raise VectorIndexError(
                    f"product {record.product_id!r}: expected {expected} in the space {space!r}, found {vector.shape};"
                    " embed it with the bundle of the index"
                )

    def _load_table(self) -> None:
        rows = self._store.rows()
        while chunk := list(islice(rows, _LOAD_ROWS)):
            attributes = [
                Attributes(category=category, brand=brand, mall=mall, price=np.nan if price is None else price)
                for _, category, brand, mall, price, *_ in chunk
            ]
            vectors = {}
            for position, (space, dim) in enumerate(self.description.dims.items(), start=5):
                empty = bytes(2 * dim)
                joined = b"".join(row[position] or empty for row in chunk)
                vectors[space] = np.frombuffer(joined, np.float16).reshape(len(chunk), dim)
            self._table.append(np.array([row[0] for row in chunk], np.int64), attributes, vectors)

    def _fitted_search(self, space: Space) -> dict[str, Any]:
        """The fewest candidates with which the recall is reached, on products of the index that look for the others."""
        graph, settings = self._graphs[space], self.description.settings
        keys = self._table.keys(space)
        asked = self._sampled(keys, _RECALL_QUERIES)
        vectors = self._table.vectors(space, asked)
        mask = self._table.matching(space, NO_FILTER)
        k = min(_RECALL_AT, max(len(keys) - 1, 0)) + 1
        nearest = self._table.nearest(space, vectors, k, mask)
        count, recall = _FIRST_CANDIDATES, 1.0
        while True:
            graph.keep_candidates(count)
            found = [self._through_graph(graph, space, vector, k, None, 1.0)[1] for vector in vectors]
            shares = [_share(best, scores) for (_, best), scores in zip(nearest, found, strict=True)]
            recall = float(np.mean(shares)) if shares else 1.0
            if recall >= settings.recall or 2 * count > settings.max_search_candidates:
                break
            count *= 2
        if recall < settings.recall:
            _log.warning(
                "space %s: %d candidates find %.3f of the nearest, %.3f was asked for; raise --max-search-candidates",
                space, count, recall, settings.recall,
            )  # fmt: skip
        return {"num_candidates": count, "recall": round(recall, 4)}

    @staticmethod
    def _sampled(keys: np.ndarray, count: int) -> np.ndarray:
        return np.random.default_rng(0).choice(keys, min(count, len(keys)), replace=False)

    def _save_graphs(self) -> None:
        try:
            for space, graph in self._graphs.items():
                graph.save(self._graph_file(space))
        except (OSError, RuntimeError) as error:  # the records are safe; the next opening builds the graph anew
            _log.warning("graph in %s cannot be saved: %s; the next opening takes longer", self._folder, error)
            return
        self._num_changes = 0

    def _graph_file(self, space: Space) -> Path:
        return self._folder / f"{space}.usearch"

    def _read_search_file(self) -> dict[str, dict[str, Any]]:
        try:
            found: dict[str, dict[str, Any]] = json.loads((self._folder / _SEARCH_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # before the first bulk, or cut off: the first number of candidates does
            return {}
        return found

    def _write_search_file(self) -> None:
        partial = self._folder / f".{_SEARCH_FILE}.tmp"
        partial.write_text(json.dumps(self._search, indent=1), encoding="utf-8")
        partial.replace(self._folder / _SEARCH_FILE)


def _stacked(records: Sequence[IndexRecord], space: Space, dim: int) -> np.ndarray:
    stacked = np.zeros((len(records), dim), np.float16)
    for row, record in enumerate(records):
        if space in record.vectors:
            stacked[row] = record.vectors[space]
    return stacked


def _share(best: np.ndarray, found: np.ndarray) -> float:
    """The share of the best scores that a search found; which of equally near products it found does not matter."""
    return float(np.count_nonzero(found >= best[-1] - _SAME_SCORE)) / len(best)


def _hit(known: tuple[str, Attributes], score: float) -> Hit:
    product_id, attributes = known
    return Hit(product_id, score, attributes)
