"""Copies a catalog file with other labels in some of its rows; everything else stays as it was."""

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pyarrow
from pyarrow import parquet

from catalog.columns import locate_columns
from catalog.formats.delimited_records import delimited_records
from catalog.formats.delimiter import delimiter_of
from catalog.formats.text_lines import text_lines
from catalog.read_options import ReadOptions
from labeling.output_files import output_file
from model.errors import CatalogError, LabelingError
from model.taxonomy import SEPARATOR

_BATCH_ROWS = 8192


def rewrite_labels(catalog: Path, options: ReadOptions, labels: Mapping[int, str], out: Path) -> None:
    """Copy a catalog; malformed rows of it, which nobody reads, are left out.

    Args:
        options: how its file is read.
        labels: by line, or row number in a Parquet file, the label to write.
    Raises:
        CatalogError: the catalog cannot be read, or has no column of labels.
        LabelingError: `out` is the catalog, has another ending, or cannot be written, as spreadsheets.
    """
    if _ending(out) != _ending(catalog):
        raise LabelingError(f"--out: expected a file that ends in {_ending(catalog)} as the catalog, found {out.name}")
    if out.exists() and out.samefile(catalog):
        raise LabelingError(f"--out: expected another file than the catalog {catalog}, found the same; choose one")
    write = _WRITERS.get(_ending(catalog).removesuffix(".gz"))
    if write is None:
        raise LabelingError(f"{catalog}: expected one of {', '.join(_WRITERS)}, found a spreadsheet; save it as CSV")
    texts = {line: label.replace(SEPARATOR, options.separator) for line, label in labels.items()}
    with output_file(out) as aside:
        write(catalog, options, texts, aside)


def _ending(path: Path) -> str:
    """'.csv', '.csv.gz', ..."""
    return "".join(path.suffixes[-2:] if path.name.lower().endswith(".gz") else path.suffixes[-1:]).lower()


def _open_text(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "wt", encoding="utf-8", errors="surrogateescape", newline="")
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")  # other bytes stay as they were


def _write_delimited(catalog: Path, options: ReadOptions, labels: Mapping[int, str], aside: Path) -> None:
    records = delimited_records(catalog, lambda *_: None, options)
    headings = next(records)[1]
    position = _label_position(catalog, [heading.strip() for heading in headings], options)
    with _open_text(aside) as file:
        writer = csv.writer(file, delimiter=delimiter_of(catalog, options)[0], lineterminator="\n")
        writer.writerow(headings)
        for line, fields in records:
            fields[position] = labels.get(line, fields[position])
            writer.writerow(fields)


def _write_json(catalog: Path, options: ReadOptions, labels: Mapping[int, str], aside: Path) -> None:
    with _open_text(aside) as file:
        for line, text in enumerate(text_lines(catalog, options.codec), start=1):
            if line in labels:
                values = json.loads(text)
                values[list(values)[_label_position(catalog, list(values), options)]] = labels[line]
                file.write(json.dumps(values, ensure_ascii=False) + "\n")
            else:
                file.write(text)


def _write_parquet(catalog: Path, options: ReadOptions, labels: Mapping[int, str], aside: Path) -> None:
    with parquet.ParquetFile(catalog) as file:
        schema = file.schema_arrow
        position = _label_position(catalog, schema.names, options)
        schema = schema.set(position, pyarrow.field(schema.names[position], pyarrow.string()))
        row = 0
        with parquet.ParquetWriter(aside, schema) as writer:
            for batch in file.iter_batches(_BATCH_ROWS):
                values = [
                    labels.get(number, value)
                    for number, value in enumerate(batch.column(position).cast(pyarrow.string()).to_pylist(), row + 1)
                ]
                arrays = list(batch.columns)
                arrays[position] = pyarrow.array(values, pyarrow.string())
                writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
                row += len(values)


def _label_position(catalog: Path, headings: list[str], options: ReadOptions) -> int:
    located = locate_columns(catalog, headings, options.headings)
    if "category" not in located:
        raise CatalogError(f"{catalog}: expected a column of labels, found none; name it with --columns category=...")
    if len(located["category"]) > 1:
        raise CatalogError(f"{catalog}: expected one column of labels, found a column a level; join them in one first")
    return headings.index(located["category"][0])


_WRITERS = {
    ".csv": _write_delimited,
    ".tsv": _write_delimited,
    ".txt": _write_delimited,
    ".jsonl": _write_json,
    ".ndjson": _write_json,
    ".parquet": _write_parquet,
}
