"""The answers of an unfinished prediction: a file beside --out that grows chunk by chunk, and how far it is whole."""

import csv
import dataclasses
import io
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from catalog.pictures.losses import LossCounts
from catalog.rejects import RejectsMark
from model.errors import CatalogError
from model.machine.whole_file import whole_file
from training.predict.answered_catalog import Progress

_log = logging.getLogger("aisle.predict")

TOP_K = 5
COLUMNS = ["product_id", "category", "category_id", "probability", "accepted", "needs_review"]
COLUMNS += [f"{kind}_{rank}" for rank in range(1, TOP_K + 1) for kind in ("category", "probability")]


@dataclasses.dataclass(frozen=True)
class PartialNote:
    """The whole part of a partial file; beside it as JSON.

    Args:
        run: what shapes the answers, by name; a run that goes on has the same.
        num_rows, num_bytes: answers in the file, and its length.
        starts: bytes at which a run began to write.
        progress: the place in the catalog.
    """

    run: Mapping[str, Any]
    num_rows: int
    num_bytes: int
    starts: tuple[int, ...]
    progress: Progress

    @classmethod
    def read(cls, path: Path) -> "PartialNote":
        """Read what `write` has written.

        Raises:
            CatalogError: it is no such note.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            place = values["progress"]
            progress = Progress(place["num_chunks"], RejectsMark(**place["rejects"]), LossCounts(**place["losses"]))
            return cls(**{**values, "starts": tuple(values["starts"]), "progress": progress})
        except (ValueError, KeyError, TypeError) as error:
            raise CatalogError(f"{path} is damaged: {error!r}; leave out --resume to begin anew") from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        with whole_file(path) as file:
            file.write_text(json.dumps(dataclasses.asdict(self), ensure_ascii=False), encoding="utf-8")


class PartialAnswers:
    """Grows to the answers of a catalog, and is `out` at the end; a context, that leaves it behind at an error.

    Args:
        out: .csv or .parquet.
        run: see `PartialNote`.
        resume: go on where an interrupted run of the same stopped; without one begin.
    Attributes:
        done: the place where it goes on; None at the beginning.
        num_rows: answers so far.
    Raises:
        CatalogError: `out` has another ending, or the interrupted run was another one.
        OSError: the disk refuses.
    """

    def __init__(self, out: Path, run: Mapping[str, Any], resume: bool):
        forms: dict[str, type[_Rows]] = {".csv": _CsvRows, ".parquet": _ArrowRows}
        if out.suffix not in forms:
            raise CatalogError(f"expected --out to end with .csv or .parquet, found {out.name}")
        if out.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        self.out, self._run = out, run
        self.path, self._note_path = (out.with_name(f".{out.name}.partial{end}") for end in ("", ".json"))
        note = self._found() if resume else None
        if note is None:
            self._note_path.unlink(missing_ok=True)
        self.done = note.progress if note else None
        self.num_rows = note.num_rows if note else 0
        start = note.num_bytes if note else 0
        self._starts = (*(note.starts if note else ()), start)
        self._file = self.path.open("r+b" if note else "wb")
        self._file.truncate(start)
        self._file.seek(start)
        self._rows = forms[out.suffix](self._file, self._starts)

    def write(self, records: list[dict[str, Any]], progress: Progress) -> None:
        """Add the answers of a chunk."""
        self._rows.write(records)
        self._file.flush()
        self.num_rows += len(records)
        PartialNote(self._run, self.num_rows, self._file.tell(), self._starts, progress).write(self._note_path)

    def __enter__(self) -> "PartialAnswers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None:
                self._rows.finish(self.path, self.out)
                self._note_path.unlink(missing_ok=True)
        finally:
            if not self._note_path.exists():
                self.path.unlink(missing_ok=True)

    def _found(self) -> PartialNote | None:
        """The part that an interrupted run has left; None without one."""
        if not self._note_path.exists():
            _log.info("no interrupted run of %s is here: it begins", self.out)
            return None
        note = PartialNote.read(self._note_path)
        run = json.loads(json.dumps(self._run))
        unlike = sorted(name for name in run.keys() | note.run.keys() if run.get(name) != note.run.get(name))
        if unlike:
            raise CatalogError(
                f"{self.path} is of a run that differs in {', '.join(unlike)}; give the same to go on, or leave out"
                " --resume to begin anew"
            )
        if not self.path.exists() or self.path.stat().st_size < note.num_bytes:
            raise CatalogError(f"{self.path} is shorter than its run left it; leave out --resume to begin anew")
        _log.info("%s: an interrupted run answered %d rows", self.out, note.num_rows)
        return note


class _Rows(ABC):
    """Rows of a partial file in a form that can be cut and added to.

    Args:
        file: open at its end.
        starts: see `PartialNote`.
    """

    def __init__(self, file: IO[bytes], starts: tuple[int, ...]):
        self._file, self._starts = file, starts

    @abstractmethod
    def write(self, records: list[dict[str, Any]]) -> None:
        """Add rows."""

    @abstractmethod
    def finish(self, path: Path, out: Path) -> None:
        """Make `out` of the closed file at `path`."""


class _CsvRows(_Rows):
    """The CSV itself."""

    def write(self, records: list[dict[str, Any]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        if not self._file.tell():
            writer.writeheader()
        writer.writerows({**record, "needs_review": json.dumps(record["needs_review"])} for record in records)
        self._file.write(text.getvalue().encode())

    def finish(self, path: Path, out: Path) -> None:
        path.replace(out)


class _ArrowRows(_Rows):
    """A stream of Arrow's for each run, because a Parquet file cannot be read before its end is written."""

    def __init__(self, file: IO[bytes], starts: tuple[int, ...]):
        import pyarrow

        super().__init__(file, starts)
        kinds = {"needs_review": pyarrow.bool_()}
        kinds |= {name: pyarrow.float64() for name in COLUMNS if name.startswith("probability")}
        self._schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
        self._table = pyarrow.Table
        self._stream = pyarrow.ipc.new_stream(file, self._schema)

    def write(self, records: list[dict[str, Any]]) -> None:
        self._stream.write_table(self._table.from_pylist(records, self._schema))

    def finish(self, path: Path, out: Path) -> None:
        from pyarrow import ipc, memory_map
        from pyarrow.parquet import ParquetWriter

        with whole_file(out) as aside, memory_map(str(path)) as source, ParquetWriter(aside, self._schema) as writer:
            for start, end in zip(self._starts, (*self._starts[1:], source.size()), strict=True):
                for batch in ipc.open_stream(source.read_at(end - start, start)):
                    writer.write_batch(batch)
