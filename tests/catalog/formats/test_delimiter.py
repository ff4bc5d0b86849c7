"""Delimiters of text tables."""

from pathlib import Path

import pytest

from catalog.formats.delimited_records import delimited_records
from catalog.formats.delimiter import delimiter_of
from catalog.read_options import DEFAULT_OPTIONS


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_found_by_the_records(tmp_path: Path, delimiter: str) -> None:
    rows = ["id@name@category", '1@"shirt, blue; L"@A>B', "2@tea@C", "3@@"]
    path = written(tmp_path, "\n".join(rows).replace("@", delimiter))
    assert delimiter_of(path, DEFAULT_OPTIONS) == (delimiter, 0)
    records = list(delimited_records(path, lambda *_: None))
    assert records[1] == (2, ["1", "shirt, blue; L", "A>B"])
    assert len(records) == 4


def test_commas_in_names_do_not_rule_out_semicolons(tmp_path: Path) -> None:
    path = written(tmp_path, "id;name, long;cat\n1;shirt;A\n2;tea, green;B\n")
    assert delimiter_of(path, DEFAULT_OPTIONS) == (";", 0)


def test_the_ending_stands_while_records_follow_it(tmp_path: Path) -> None:
    assert delimiter_of(written(tmp_path, "id,a;b;c\n1,x;y;z\n2,x;y;z\n"), DEFAULT_OPTIONS) == (",", 0)
    assert delimiter_of(written(tmp_path, "id\tname,a\n1\tx,y\n", "a.tsv"), DEFAULT_OPTIONS) == ("\t", 0)
    assert delimiter_of(written(tmp_path, "id\n1\n2;3\n"), DEFAULT_OPTIONS) == (",", 0)
    assert delimiter_of(written(tmp_path, ""), DEFAULT_OPTIONS) == (",", 0)


def test_a_spreadsheet_names_its_delimiter_in_a_line_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, "sep=;\r\nid;name\r\n1;a,b\r\n")
    assert delimiter_of(path, DEFAULT_OPTIONS) == (";", 1)
    assert list(delimited_records(path, lambda *_: None)) == [(2, ["id", "name"]), (3, ["1", "a,b"])]


def test_a_record_that_cannot_be_read_does_not_hide_the_delimiter(tmp_path: Path) -> None:
    path = written(tmp_path, "id;name\n1;a\n2;b\n3;" + "x" * 200_000 + "\n4;c\n")
    assert delimiter_of(path, DEFAULT_OPTIONS) == (";", 0)
