"""Files as they are: every heading, every text, in every format."""

import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import xlsxwriter

from catalog.formats.raw_rows import raw_rows
from catalog.read_options import DEFAULT_OPTIONS
from model.errors import CatalogError

ROWS = [{"sku": "1", "title": "red, shirt", "stock": "3"}, {"sku": "2", "title": "", "stock": "4"}]


def write(path: Path) -> Path:
    typed = [{**row, "stock": int(row["stock"])} for row in ROWS]
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(typed), path)
    elif path.suffix == ".xlsx":
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for number, cells in enumerate([ROWS[0].keys(), *(row.values() for row in typed)]):
                sheet.write_row(number, 0, cells)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in typed) + "no JSON\n")
    elif path.suffix == ".tsv":
        path.write_text("sku\ttitle\tstock\n1\tred, shirt\t3\n2\t\t4\nshort\n")
    else:
        path.write_bytes(gzip.compress(b'sku , title,stock\n1,"red, shirt",3\nshort\n2,,4\n'))
    return path


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv", "a.jsonl", "a.parquet", "a.xlsx"])
def test_all_texts_are_read_and_malformed_rows_passed_over(name: str, tmp_path: Path) -> None:
    headings, rows = raw_rows(write(tmp_path / name), DEFAULT_OPTIONS)
    assert headings == ["sku", "title", "stock"]
    assert list(rows) == [list(row.values()) for row in ROWS]


def test_what_is_nested_is_written_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"sku": 1, "tags": ["a", "나"], "sold": true}\n{"sku": 2}\n', encoding="utf-8")
    _, rows = raw_rows(tmp_path / "a.jsonl", DEFAULT_OPTIONS)
    assert list(rows) == [["1", '["a", "나"]', "true"], ["2", "", ""]]


@pytest.mark.parametrize("name", ["none.csv", "none.jsonl", "none.parquet", "none.xlsx"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=f"{name} cannot be read"):
        raw_rows(tmp_path / name, DEFAULT_OPTIONS)
