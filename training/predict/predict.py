"""The predictions of `training predict`: one answer per row of a catalog, as CSV or Parquet."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from catalog.rejects import Rejects, common_reason
from model.errors import CatalogError
from model.predictor import Predictor
from model.sub_tree import SubTree
from training.encoding.file_lock import exclusive_or_holder
from training.predict.answered_catalog import AnsweredChunk, CatalogSource, answer_catalog

TOP_K = 5
_COLUMNS = ["product_id", "category", "category_id", "probability", "accepted", "needs_review"]
_TOP_COLUMNS = [f"{kind}_{rank}" for rank in range(1, TOP_K + 1) for kind in ("category", "probability")]


def predict(
    predictor: Predictor,
    catalog: CatalogSource,
    out: Path,
    rejects_path: Path,
    sub_tree: SubTree | None = None,
) -> tuple[int, int]:
    """Write the answers to a catalog to a file, which appears only when it is complete.

    Args:
        sub_tree: the part of the tree that answers are restricted to; None is the whole tree.
    Returns:
        The number of answered rows and of rejected rows; together they are all rows of the catalog.
    Raises:
        CatalogError: the catalog cannot be read, none of its rows can be answered, or `out` is the catalog, is being
            written by another process, has another ending or cannot be written.
    """
    if out.resolve() == catalog.path.resolve():
        raise CatalogError(f"--out and --catalog name the same file, {out}; give two")
    num_answered = 0
    with _alone(out), Rejects(rejects_path) as rejects, _open_writer(out) as writer:
        for chunk in answer_catalog(predictor, catalog, rejects, TOP_K, sub_tree):
            records = answer_rows(predictor, chunk)
            with _catalog_errors(out):
                writer.write(records)
            num_answered += len(chunk.rows)
        if not num_answered:
            reason = common_reason(rejects_path) if rejects.count else "it has none"
            raise CatalogError(f"{catalog.path}: no row can be answered: {reason or rejects.summary()}")
        return num_answered, rejects.count


def answer_rows(predictor: Predictor, chunk: AnsweredChunk) -> list[dict[str, Any]]:
    """Return a record per row: the answer, the accepted category ('' for none) and the top 5."""
    taxonomy = predictor.bundle.taxonomy
    records = []
    for position, row in enumerate(chunk.rows):
        top = chunk.answers.categories(position, taxonomy)
        accepted = chunk.answers.accepted(position, taxonomy)
        record = {
            "product_id": row.product_id,
            "category": top[0].category,
            "category_id": top[0].category_id,
            "probability": round(top[0].probability, 6),
            "accepted": accepted.category if accepted else "",
            "needs_review": chunk.answers.needs_review(position, taxonomy),
        }
        for rank in range(TOP_K):  # with fewer leaves the remaining columns are empty
            record[f"category_{rank + 1}"] = top[rank].category if rank < len(top) else None
            record[f"probability_{rank + 1}"] = round(top[rank].probability, 6) if rank < len(top) else None
        records.append(record)
    return records


class _Writer:
    """Writer to a temporary file beside `out`, which is renamed at the end."""

    def __init__(self, out: Path):
        self.out = out
        self.temporary = out.with_name(f".{out.name}.partial")

    def write(self, records: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _catalog_errors(self.out):
                self.close()
                if kind is None:
                    self.temporary.replace(self.out)
        finally:
            self.temporary.unlink(missing_ok=True)


class _CsvWriter(_Writer):
    def __init__(self, out: Path):
        super().__init__(out)
        self._file = self.temporary.open("w", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, _COLUMNS + _TOP_COLUMNS)
        self._writer.writeheader()

    def write(self, records: list[dict[str, Any]]) -> None:
        self._writer.writerows({**record, "needs_review": json.dumps(record["needs_review"])} for record in records)

    def close(self) -> None:
        self._file.close()


class _ParquetWriter(_Writer):
    def __init__(self, out: Path):
        import pyarrow
        import pyarrow.parquet

        super().__init__(out)
        kinds = {"needs_review": pyarrow.bool_()}
        kinds |= {name: pyarrow.float64() for name in _COLUMNS + _TOP_COLUMNS if name.startswith("probability")}
        self._schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in _COLUMNS + _TOP_COLUMNS])
        self._table = pyarrow.Table
        self._writer = pyarrow.parquet.ParquetWriter(self.temporary, self._schema)

    def write(self, records: list[dict[str, Any]]) -> None:
        self._writer.write_table(self._table.from_pylist(records, self._schema))

    def close(self) -> None:
        self._writer.close()


def _open_writer(out: Path) -> _Writer:
    writers: dict[str, type[_Writer]] = {".csv": _CsvWriter, ".parquet": _ParquetWriter}
    if out.suffix not in writers:
        raise CatalogError(f"expected --out to end with .csv or .parquet, found {out.name}")
    with _catalog_errors(out):
        if out.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        return writers[out.suffix](out)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other processes from writing the same file."""
    lock = out.with_name(f".{out.name}.lock")
    with _catalog_errors(out), exclusive_or_holder(lock) as holder:
        if holder is not None:
            raise CatalogError(f"process {holder} is writing {out}; wait for it, or give another --out")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def _catalog_errors(out: Path) -> Iterator[None]:
    """Convert an OSError to a CatalogError with a sentence."""
    try:
        yield
    except OSError as error:
        raise CatalogError(f"{out} cannot be written: {error.strerror}; choose another path or free space") from error
