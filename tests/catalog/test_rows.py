"""Catalogs in every format, and the rows that are left out."""

import csv
import datetime
import gzip
import json
import logging
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from catalog.rows import CatalogRow, catalog_digest, is_url, presence_flags, read_catalog
from model.errors import CatalogError, SettingsError
from model.product import FIELDS, Product
from tests.conftest import catalog_row

RECORDS: list[dict[str, Any]] = [
    {"product_id": "p1", "product_name": "린넨, 셔츠", "brand": "", "image": "img/1.jpg", "category": "A > B"},
    {"product_id": "p2", "product_name": '24" monitor\nblack', "brand": "LG", "image": "", "category": "A>C"},
    {"product_id": "p3", "product_name": "", "brand": "", "image": "", "category": ""},
]


def write_delimited(path: Path, delimiter: str) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(RECORDS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(RECORDS)


def write_json(path: Path) -> None:
    lines = [json.dumps({k: v or None for k, v in record.items()}, ensure_ascii=False) for record in RECORDS]
    path.write_text("\n\n".join(lines), encoding="utf-8")


def write_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(RECORDS), path, row_group_size=2)


WRITERS: dict[str, tuple[Callable[[Path], None], list[int]]] = {
    "a.csv": (lambda path: write_delimited(path, ","), [2, 3, 5]),
    "a.TSV": (lambda path: write_delimited(path, "\t"), [2, 3, 5]),
    "a.jsonl": (write_json, [1, 3, 5]),
    "a.ndjson": (write_json, [1, 3, 5]),
    "a.parquet": (write_parquet, [1, 2, 3]),
}


def rows_of(path: Path, rejects: Rejects | None = None, **arguments: Any) -> list[CatalogRow]:
    return [row for chunk in read_catalog(path, rejects=rejects, **arguments) for row in chunk]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rejected(path: Path) -> tuple[list[CatalogRow], list[tuple[str, str, str]]]:
    """The good rows, and (line, product_id, reason) of the others."""
    listing = path.with_name("rejects.csv")
    with Rejects(listing) as rejects:
        rows = rows_of(path, rejects)
    if not listing.exists():
        return rows, []
    with listing.open(encoding="utf-8", newline="") as file:
        return rows, [(line, product_id, reason) for _, line, product_id, reason in list(csv.reader(file))[1:]]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("chunk_rows", [1, 2, 8192])
def test_every_format_says_the_same(tmp_path: Path, name: str, chunk_rows: int) -> None:
    write_file, lines = WRITERS[name]
    write_file(tmp_path / name)
    with Rejects(None) as rejects:
        chunks = list(read_catalog(tmp_path / name, chunk_rows=chunk_rows, rejects=rejects))
    assert [len(chunk) for chunk in chunks] == {1: [1, 1, 1], 2: [2, 1], 8192: [3]}[chunk_rows]
    assert [row for chunk in chunks for row in chunk] == [
        catalog_row(lines[0], "p1", {"name": "린넨, 셔츠"}, "img/1.jpg", "A>B"),
        catalog_row(lines[1], "p2", {"name": '24" monitor\nblack', "brand": "LG"}, category="A>C"),
        catalog_row(lines[2], "p3"),
    ]
    assert rejects.count == 0


def test_gzip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", gzip.compress(b'{"product_id": "p1", "brand": "b"}\n'))
    assert [row.text("brand") for row in rows_of(path)] == ["b"]


def test_other_headings_and_extra_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", " sku ,stock,title,product_name\nx1,9,shirt,ignored\n")
    rows = rows_of(path, options=ReadOptions("product_id=sku,product_name=title"))
    assert rows == [catalog_row(2, "x1", {"name": "shirt"})]


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_list_of_pictures_is_no_bad_value(ending: str, tmp_path: Path) -> None:
    path, rejects = tmp_path / f"a{ending}", Rejects(None)
    records = [{"product_id": str(i), "image": images} for i, images in enumerate([["a.jpg", "b.jpg"], [], None])]
    if ending == ".jsonl":
        path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    assert [row.image for row in rows_of(path, rejects)] == ["a.jpg", "", ""]
    assert rejects.count == 0


def test_the_first_picture_of_several_is_the_products(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'product_id,image\n1,a.jpg|b.jpg\n2,"x.png, y.png"\n3,"kept, z.png"\n')
    write(tmp_path / "x.png, y.png", "a file")
    assert [row.image for row in rows_of(path)] == ["a.jpg", "x.png, y.png", "kept, z.png"]
    assert rows_of(path, image_root=Path("/root"))[0].image == "/root/a.jpg"


def test_image_root_is_joined_to_relative_paths_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "product_id,image\n1, img/1.jpg \n2,/abs/2.jpg\n3,HTTPS://shop/3.jpg\n4,\n5,  \n")
    images = [row.image for row in rows_of(path, image_root=Path("/root"))]
    assert images == ["/root/img/1.jpg", "/abs/2.jpg", "HTTPS://shop/3.jpg", "", ""]
    assert rows_of(path)[0].image == "img/1.jpg"
    assert [is_url(image) for image in images] == [False, False, True, False, False]


def test_bad_csv_rows_cost_only_themselves(tmp_path: Path) -> None:
    lines = [
        b"product_id,product_name,note",
        "p1,좋은,".encode(),
        b"p2,short",
        b",no id,",
        b"  ,blank id,",
        b"p5,caf\xe9,",
        b"p6,a\0b,",
        b"p7,fine,ignored caf\xe9",
        b"p1,again,",
        b"p8," + b"x" * (csv.field_size_limit() + 1) + b",",
        "p9,좋은,".encode(),
    ]
    rows, bad = rejected(write(tmp_path / "a.csv", b"\n".join(lines)))
    assert [(row.line, row.product_id) for row in rows] == [(2, "p1"), (8, "p7"), (11, "p9")]
    assert sorted((line, product_id, reason.partition(":")[0]) for line, product_id, reason in bad) == [
        ("10", "", "field too long"),
        ("3", "p2", "wrong number of fields"),
        ("4", "", "no product_id"),
        ("5", "  ", "no product_id"),
        ("6", "p5", "undecodable bytes"),
        ("7", "p6", "NUL byte"),
        ("9", "p1", "duplicate product_id"),
    ]
    reasons = {line: reason for line, _, reason in bad}
    assert reasons["4"] == "no product_id: expected an id, found none; give each row its own"
    assert reasons["6"] == (
        "undecodable bytes: found the byte 0xe9 in product_name; save the file as UTF-8, or name its encoding with"
        " --encoding"
    )
    assert reasons["7"] == "NUL byte: found in product_name; remove it, or save the file as UTF-8"
    assert reasons["9"] == "duplicate product_id: the first row that has it stays; give each row its own"


def test_an_id_that_is_not_utf8_is_listed_by_its_bytes(tmp_path: Path) -> None:
    _, bad = rejected(write(tmp_path / "a.csv", b"product_id,brand\n\xb0\xa1,b\n"))
    assert bad[0][:2] == ("2", "\\xb0\\xa1")


def test_a_duplicate_in_a_later_chunk(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "product_id,brand\n" + "1,a\n2,b\n1,c\n3,d\n2,e\n")
    with Rejects(None) as rejects:
        chunks = list(read_catalog(path, chunk_rows=2, rejects=rejects))
    assert [[row.text("brand") for row in chunk] for chunk in chunks] == [["a", "b"], ["d"]]
    assert rejects.counts_by_reason == {"duplicate product_id": 2}


def test_without_rejects_bad_rows_are_left_out_silently(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.csv", "product_id,brand\n1,a\n1,b\n,c\n")
    assert len(rows_of(path)) == 1
    assert not caplog.records


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogError, match=rf"{name} cannot be read at its start: "):
        rows_of(tmp_path / name)


def test_an_ending_that_is_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"expected a file that ends in \.csv, .*\.parquet, .*, found 'a\.pdf'; convert"
    ):
        rows_of(tmp_path / "a.pdf")


def test_a_mapping_that_the_file_does_not_have(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "product;brand\n")
    with pytest.raises(CatalogError, match=r"a\.csv: expected a heading 'sku' .*, found 'product', 'brand'"):
        rows_of(path, options=ReadOptions("product_id=sku"))
    with pytest.raises(SettingsError, match=r"unknown column 'titel'"):
        rows_of(path, options=ReadOptions("titel=brand"))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_without_ids_rows_go_by_their_numbers_and_levels_are_joined(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aisle.catalog")
    values = [("tea", "Food", "Tea", "2026-03"), ("pan", "Home", "", ""), ("hat", "", "", "")]
    table = pyarrow.table(dict(zip(("Title", "Dep", "Type", "month"), zip(*values, strict=True), strict=True)))
    path = tmp_path / name
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(table, path)
    elif name.endswith(".jsonl"):
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    else:
        path.write_text("Title,Dep,Type,month\n" + "\n".join(map(",".join, values)))
    rows = rows_of(path, options=ReadOptions("product_name=title,category=dep>type"))
    assert [(row.product_id, row.text("name"), row.category) for row in rows] == [
        ("1", "tea", "Food>Tea"),
        ("2", "pan", "Home"),
        ("3", "hat", ""),
    ]
    assert rows[0].offer_text("month") == "2026-03"
    assert f"{path} has no heading product_id: rows go by their numbers" in caplog.text


def test_a_bad_row_does_not_shift_the_numbers_of_others(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "product_name\na\nb,c\nd\n")
    assert [(row.line, row.product_id) for row in rows_of(path)] == [(2, "1"), (4, "3")]


def test_ids_that_a_spreadsheet_has_rounded_stop_the_reading(tmp_path: Path) -> None:
    lines = ["product_id,brand", *["8.8E+12,lg"] * 30, "a1,lg"]
    with pytest.raises(CatalogError, match=r"numbers that a spreadsheet has rounded to '8\.8E\+12'"):
        rows_of(write(tmp_path / "a.csv", "\n".join(lines)))
    assert len(rows_of(write(tmp_path / "b.csv", "product_id,brand\n1E+2,lg\n2E+2,lg\n"))) == 2


def test_a_date_of_a_table_is_a_month(tmp_path: Path) -> None:
    table = pyarrow.table({"product_name": ["a"], "month": [datetime.date(2026, 3, 31)]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert [row.offer_text("month") for row in rows_of(tmp_path / "a.parquet")] == ["2026-03-31"]


def test_presence_and_text() -> None:
    row = catalog_row(1, "p", {"name": "린넨", "mall_category": "?!", "maker": "m1"}, "i.jpg")
    assert (row.text("name"), row.text("maker")) == ("린넨", "m1")
    assert row.product(b"x") == Product("p", "린넨", "?!", maker="m1", image=b"x")
    expected = [field in ("name", "maker", "image") for field in FIELDS]
    np.testing.assert_array_equal(presence_flags([row]), np.array([expected], np.float32))
    assert presence_flags([]).shape == (0, len(FIELDS))


def test_digest_follows_the_content(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.csv", "x"), write(tmp_path / "b.csv", "x")
    digest = catalog_digest(first)
    assert len(digest) == 32
    assert digest == catalog_digest(second)
    assert digest != catalog_digest(write(second, "y"))
    with pytest.raises(CatalogError, match=r"none\.csv cannot be read: .*; check the path"):
        catalog_digest(tmp_path / "none.csv")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """60,000 rows are some 20 MB as objects; the stream holds two chunks and 8 bytes an id."""
    text = "product_id,product_name\n" + "".join(f"p{i},name of product {i}\n" for i in range(60_000))
    path = write(tmp_path / "a.csv", text)
    tracemalloc.start()
    try:
        assert sum(len(rows) for rows in read_catalog(path, chunk_rows=1000)) == 60_000
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4_000_000


def test_the_columns_of_an_offer_are_read_beside_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,product_name,price,item_id,group_id,mall\np1,a, 9.50 ,i1,g1,Mall\np2,b,,,,\n")
    [rows] = read_catalog(path)
    assert [row.offer for row in rows] == [("g1", "i1", "Mall", "9.50", "", "", ""), ("",) * 7]


def test_an_offer_that_is_no_text_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"product_id": "p1", "product_name": "a", "price": {"won": 9}, "mall": "m"}\n', encoding="utf-8")
    [[row]] = read_catalog(path)
    assert row.offer == ("", "", "m", "", "", "", "")
