"""The reader of a catalog file, by its ending."""

from pathlib import Path

from catalog.formats.delimited_rows import delimited_rows
from catalog.formats.json_rows import json_rows
from catalog.formats.parquet_rows import parquet_rows
from catalog.formats.row import RowReader
from catalog.formats.spreadsheet_rows import spreadsheet_rows
from model.errors import CatalogError

_READERS: dict[str, RowReader] = {
    ".csv": delimited_rows,
    ".csv.gz": delimited_rows,
    ".tsv": delimited_rows,
    ".tsv.gz": delimited_rows,
    ".txt": delimited_rows,
    ".jsonl": json_rows,
    ".jsonl.gz": json_rows,
    ".ndjson": json_rows,
    ".ndjson.gz": json_rows,
    ".parquet": parquet_rows,
    ".xlsx": spreadsheet_rows,
    ".xls": spreadsheet_rows,
    ".ods": spreadsheet_rows,
}


def row_reader(path: Path) -> RowReader:
    """Return the reader for a file's ending.

    Raises:
        CatalogError: the ending is not that of a catalog format.
    """
    name = path.name.lower()
    for ending, reader in _READERS.items():
        if name.endswith(ending):
            return reader
    raise CatalogError(
        f"{path}: expected a file that ends in {', '.join(_READERS)}, found {path.name!r}; convert or rename it"
    )
