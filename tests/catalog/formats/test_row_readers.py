"""Rows of JSON Lines and Parquet: values other than texts, and damaged files."""

import csv
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from catalog.formats import json_rows, parquet_rows
from catalog.formats.cell_text import cell_text
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from catalog.rejects import Rejects
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError
from tests.conftest import catalog_row


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rejected(path: Path, options: ReadOptions = DEFAULT_OPTIONS) -> tuple[list[CatalogRow], list[tuple[str, str, str]]]:
    """Return the valid rows, and (line, product_id, reason) of the others."""
    listing = path.with_name("rejects.csv")
    with Rejects(listing) as rejects:
        rows = [row for chunk in read_catalog(path, options, rejects=rejects) for row in chunk]
    if not listing.exists():
        return rows, []
    with listing.open(encoding="utf-8", newline="") as file:
        return rows, [(line, product_id, reason) for _, line, product_id, reason in list(csv.reader(file))[1:]]


def test_other_headings_in_parquet(tmp_path: Path) -> None:
    table = pyarrow.table({"name.ko": ["셔츠"], "id": [7], "extra": [[1, 2]]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    rows, _ = rejected(tmp_path / "a.parquet", ReadOptions("product_id=id,product_name=name.ko,brand=name.ko"))
    assert rows == [catalog_row(1, "7", {"name": "셔츠", "brand": "셔츠"})]


def test_malformed_json_rows_affect_no_others(tmp_path: Path) -> None:
    lines = [
        '{"product_id": 1, "product_name": 2.0, "brand": NaN, "maker": 2.5}',
        '{"product_id": "p2", "product_name": ',
        '["p3", "name"]',
        '{"product_id": "p4", "product_name": {"ko": "셔츠"}}',
        '{"product_id": ["p5"], "product_name": "a"}',
        '{"product_id": "p6", "product_name": true}',
        '{"product_id": "p7", "product_name": Infinity}',
        '{"product_name": "no id"}',
        '{"product_id": "p9", "product_name": "\\ud800"}',
        '{"product_id": "p10", "product_name": "\\u0000"}',
        "[" * 100_000,
        '{"product_id": ' + "9" * 5000 + "}",
        '{"product_id": "p13", "price": {"won": 1}}',
    ]
    rows, bad = rejected(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert rows == [catalog_row(1, "1", {"name": "2", "maker": "2.5"}), catalog_row(13, "p13")]
    found = {line: (product_id, reason) for line, product_id, reason in bad}
    assert found["2"][1].startswith("bad JSON: Expecting value")
    assert found["3"] == ("", "bad JSON: expected an object, found list; write one object a line")
    assert found["4"] == ("p4", "bad value: product_name: expected text or a number, found dict; write it as text")
    assert found["5"] == ("", "bad value: product_id: expected text or a number, found list; write it as text")
    assert found["6"][1].endswith("found bool; write it as text")
    assert found["7"][1].endswith("found float; write it as text")
    assert found["8"][1].startswith("no product_id")
    assert found["9"] == (
        "p9",
        "undecodable bytes: found the lone surrogate U+D800 in product_name; save the file as UTF-8, or name its"
        " encoding with --encoding",
    )
    assert found["10"][1].startswith("NUL byte: found in product_name")
    assert found["11"] == ("", "bad JSON: the object is nested too deeply; write a flat one")
    assert found["12"][1].startswith("bad JSON: Exceeds the limit")
    assert len(found) == 11


def test_json_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"product_id": "p1", "brand": "\xb0"}\n{"product_id": "p2", "brand": "b"}\n')
    rows, bad = rejected(path)
    assert [row.product_id for row in rows] == ["p2"]
    assert bad[0][:2] == ("1", "p1")
    assert bad[0][2].startswith("undecodable bytes: found the byte 0xb0 in brand")


def test_a_json_line_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_LINE_BYTES", 50)
    path = write(
        tmp_path / "a.jsonl", '{"product_id": "p1", "brand": "b"}\n{"product_id": "p2", "brand": "' + "x" * 50 + '"}\n'
    )
    rows, bad = rejected(path)
    assert [row.product_id for row in rows] == ["p1"]
    assert bad == [("2", "", "bad JSON: expected at most 50 bytes in a line; write one object a line")]


def test_a_json_key_may_appear_late(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"product_id": "1", "brand": "b"}\n{"product_id": "2", "image": "i.jpg"}\n')
    assert [(row.text("brand"), row.image) for row in rejected(path)[0]] == [("b", ""), ("", "i.jpg")]


@pytest.mark.parametrize("text", ["", "\n", '[\n{"product_id": 1},\n]', "product_id,brand\n1,b\n"])
def test_a_file_without_json_objects(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        CatalogError, match=r"a\.jsonl: expected one JSON object a line, found none in the first \d+ lin"
    ):
        rejected(write(tmp_path / "a.jsonl", text))


def test_parquet_values(tmp_path: Path) -> None:
    columns = {
        "product_id": pyarrow.array([1.0, 2.0, None, 4.0]),
        "product_name": pyarrow.array(["a", None, "c", "d"]).dictionary_encode(),
        "brand": pyarrow.array([b"ok", b"caf\xe9", None, "브랜드".encode()]),
        "maker": pyarrow.array([Decimal("1.50"), None, None, None]),
        "mall_category": pyarrow.array([None, None, None, [1]]),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    rows, bad = rejected(tmp_path / "a.parquet")
    assert rows == [catalog_row(1, "1", {"name": "a", "brand": "ok", "maker": "1.50"})]
    assert [(line, product_id, reason.partition(":")[0]) for line, product_id, reason in bad] == [
        ("2", "2", "undecodable bytes"),
        ("3", "", "no product_id"),
        ("4", "4", "bad value"),
    ]


def test_parquet_text_that_is_not_utf8_affects_its_own_row(tmp_path: Path) -> None:
    names = pyarrow.array([b"good", b"caf\xe9", b"fine"]).view(pyarrow.string())
    table = pyarrow.table({"product_id": ["1", "2", "3"], "product_name": names})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    rows, bad = rejected(tmp_path / "a.parquet")
    assert [row.text("name") for row in rows] == ["good", "fine"]
    assert [line for line, _, _ in bad] == ["2"]


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet", b"product_id,brand\n1,b\n"])
def test_a_damaged_parquet_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CatalogError, match=r"a\.parquet cannot be read at its start: .*; check the path or copy"):
        rejected(write(tmp_path / "a.parquet", content))


def test_a_parquet_file_damaged_further_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_rows, "BATCH_ROWS", 1000)
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"product_id": [str(i) for i in range(4000)], "brand": ["b"] * 4000})
    pyarrow.parquet.write_table(table, path, row_group_size=1000, compression="gzip", use_dictionary=False)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = b"\xff" * 200
    with pytest.raises(CatalogError, match=r"a\.parquet cannot be read after row [12]000: "):
        rejected(write(path, bytes(content)))


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (None, ""), (float("nan"), ""), (3, "3"), (3.0, "3"), (-0.5, "-0.5"), (1e300, "1e+300"), (b"x", "x")],
)
def test_cell_text(value: object, text: str) -> None:
    assert cell_text(value) == text
