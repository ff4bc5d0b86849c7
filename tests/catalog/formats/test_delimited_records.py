"""CSV records: the line where each begins, and malformed ones that affect no others."""

import csv
from pathlib import Path

import pytest

from catalog.formats.delimited_records import delimited_records
from model.errors import CatalogError

Bad = list[tuple[int, list[str], str]]


def read(tmp_path: Path, text: str, name: str = "a.csv") -> tuple[list[tuple[int, list[str]]], Bad]:
    path = tmp_path / name
    path.write_bytes(text.encode())
    bad: Bad = []
    records = list(delimited_records(path, lambda line, fields, reason: bad.append((line, fields, reason))))
    return records, bad


def test_lines_count_those_inside_quotes_and_blank_ones(tmp_path: Path) -> None:
    """Check line 1, the heading, 2-4, one record, 5, blank, 6, a record with a carriage return inside, and 7."""
    records, bad = read(tmp_path, 'id,name\np1,"a\n\nb"\n\np2,"c\rd"\r\np3,e')
    assert records == [(1, ["id", "name"]), (2, ["p1", "a\n\nb"]), (6, ["p2", "c\rd"]), (7, ["p3", "e"])]
    assert not bad


def test_blank_lines_before_the_heading(tmp_path: Path) -> None:
    assert read(tmp_path, "\n\nid\np1\n")[0] == [(3, ["id"]), (4, ["p1"])]


def test_tsv_is_separated_by_tabs(tmp_path: Path) -> None:
    assert read(tmp_path, "id\tname\np1\ta,b\n", "a.TSV")[0][1] == (2, ["p1", "a,b"])


def test_a_wrong_number_of_fields_affects_one_record(tmp_path: Path) -> None:
    records, bad = read(tmp_path, "id,name\np1\np2,a,b\np3,c\n")
    assert records[1:] == [(4, ["p3", "c"])]
    assert [(line, fields) for line, fields, _ in bad] == [(2, ["p1"]), (3, ["p2", "a", "b"])]
    assert bad[0][2] == (
        "wrong number of fields: expected 2 as in the heading, found 1;"
        " put a field that holds the separator, a quote or a line end in quotes"
    )


def test_an_unclosed_quote_affects_its_own_line(tmp_path: Path) -> None:
    """Without a check the quote of line 2 would include lines 3 and 4 up to the next quote."""
    records, bad = read(tmp_path, 'id,name\np1,"24 inch\np2,b\np3,"c, d"\np4,e\n')
    assert records[1:] == [(3, ["p2", "b"]), (4, ["p3", "c, d"]), (5, ["p4", "e"])]
    assert [line for line, _, _ in bad] == [2]


def test_an_unclosed_quote_up_to_the_end_of_the_file(tmp_path: Path) -> None:
    """The record has the right number of fields; it is detected by the end of the file inside it."""
    records, bad = read(tmp_path, 'id,name\np1,a\np2,"24 inch\np3,c\np4,d\n')
    assert records[1:] == [(2, ["p1", "a"]), (4, ["p3", "c"]), (5, ["p4", "d"])]
    assert [(line, reason) for line, _, reason in bad] == [
        (3, "unclosed quote: the file ends inside a quoted field; close it")
    ]


def test_an_unclosed_quote_in_a_long_file(tmp_path: Path) -> None:
    num_rows = csv.field_size_limit() // 5
    rows = "".join(f"p{i},n\n" for i in range(num_rows))
    records, bad = read(tmp_path, f'id,name\nx,"24 inch\n{rows}')
    assert len(records) == 1 + num_rows
    assert records[1] == (3, ["p0", "n"])
    assert [line for line, _, _ in bad] == [2]
    assert bad[0][2].startswith("field too long: expected at most 131072 characters; shorten it, or close a quote")


def test_a_field_over_the_limit_affects_one_record(tmp_path: Path) -> None:
    records, bad = read(tmp_path, f"id,name\np1,{'x' * (csv.field_size_limit() + 1)}\np2,b\n")
    assert records[1:] == [(3, ["p2", "b"])]
    assert bad[0][0] == 2


def test_a_stray_carriage_return_affects_one_record(tmp_path: Path) -> None:
    records, bad = read(tmp_path, "id,name\np1,a\rb\np2,c\n")
    assert records[1:] == [(3, ["p2", "c"])]
    assert bad == [(2, [], "stray carriage return: found one outside quotes; end lines with \\n or \\r\\n")]


def test_lines_that_end_in_carriage_returns_alone(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"a\.csv: the heading cannot be read: stray carriage return: .*end lines"):
        read(tmp_path, "id,name\rp1,a\r")


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_no_heading(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogError, match=r"a\.csv: expected a heading line, found an empty file; write the column"):
        read(tmp_path, text)


def test_thousands_of_unclosed_quotes_do_not_recurse(tmp_path: Path) -> None:
    """Every line has an unclosed quote; each is skipped alone."""
    records, bad = read(tmp_path, "id,name\n" + 'p,"x\n' * 3000)
    assert len(records) == 1
    assert [line for line, _, _ in bad] == list(range(2, 3002))
    assert bad[0][2] == "unclosed quote: it was closed lines later inside a value; close or double it"


def test_quotes_inside_one_line_are_read_leniently(tmp_path: Path) -> None:
    records, bad = read(tmp_path, 'id,name\np1,24" monitor\np2,"Best" shirt\np3,"a ""b"" c"\n')
    assert [fields[1] for _, fields in records[1:]] == ['24" monitor', "Best shirt", 'a "b" c']
    assert not bad
