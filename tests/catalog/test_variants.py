"""Variants that are rows of their own have what the first row of their group says; nobody else has."""

import logging
from pathlib import Path

import pytest

from catalog.columns import COLUMNS
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from catalog.rows import CatalogRow, read_catalog
from catalog.variants import with_group_texts

SHOPIFY = """Handle,Title,Body (HTML),Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,Image Src
shirt,Cotton Shirt,<p>Soft</p>,Acme,Clothing > Shirts,cotton,Color,Red,CS-RED,1.jpg
shirt,,,,,,,Blue,CS-BLUE,2.jpg
shirt, ,,,,,,Green,CS-GREEN,
shirt,,,,,,,,,3.jpg
kettle,Steel Kettle,,Boilco,Kitchen > Kettles,,Title,Default Title,KT,k.jpg
"""
MAPPED = (
    "product_id=Variant SKU,group_id=Handle,product_name=Title,brand=Vendor,category=Type,description=Body (HTML),"
    "image=Image Src"
)


def rows_of(path: Path, rejects: Rejects | None = None, columns: str = MAPPED) -> list[CatalogRow]:
    return [row for chunk in read_catalog(path, ReadOptions(columns), 2, rejects) for row in chunk]


def test_an_export_of_shopify(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Chunks of two rows: the group goes on from one to the next."""
    caplog.set_level(logging.INFO, "aisle.catalog")
    path, rejects = tmp_path / "shopify.csv", Rejects(None)
    path.write_text(SHOPIFY, encoding="utf-8")
    red, blue, green, kettle = rows_of(path, rejects)
    assert (red.text("name"), red.text("brand"), red.category) == ("Cotton Shirt", "Acme", "Clothing>Shirts")
    assert blue.texts == green.texts == red.texts
    assert {row.category for row in (red, blue, green)} == {"Clothing>Shirts"}
    assert [row.image for row in (red, blue, green, kettle)] == ["1.jpg", "2.jpg", "1.jpg", "k.jpg"]
    assert [row.line for row in (red, blue, green, kettle)] == [2, 3, 4, 6]
    assert kettle.text("name") == "Steel Kettle"
    assert rejects.counts_by_reason == {"no product_id": 1}
    said = f"{path}: 3 rows without text and label have those of the first row of their group_id"
    assert caplog.messages.count(said) == 1
    rows_of(path)
    assert caplog.messages.count(said) == 1


def test_a_first_row_that_is_left_out_still_says_what_the_product_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,product_name,group_id\n,cup,g\n2,,g\n", encoding="utf-8")
    assert [(row.product_id, row.text("name")) for row in rows_of(path, columns="")] == [("2", "cup")]


@pytest.mark.parametrize("name", [b"c\0up", b"c\xffup"], ids=["NUL", "not UTF-8"])
def test_a_row_that_cannot_be_used_does_not_take_its_variants_with_it(name: bytes, tmp_path: Path) -> None:
    path, rejects = tmp_path / "a.csv", Rejects(None)
    path.write_bytes(b"\xef\xbb\xbfproduct_id,product_name,image,group_id\n1," + name + b",,g\n2,,2.jpg,g\n")
    assert [(row.product_id, row.text("name"), row.image) for row in rows_of(path, rejects, "")] == [("2", "", "2.jpg")]
    assert rejects.count == 1


@pytest.mark.parametrize(
    "second",
    [
        {"group_id": "h"},
        {"group_id": ""},
        {"group_id": "g", "product_name": "mug"},
        {"group_id": "g", "category": "B"},
        {"group_id": "g", "mall_category": "Cups"},
    ],
    ids=str,
)
def test_other_rows_pass_as_they_are(second: dict[str, str]) -> None:
    first = {"product_id": "1", "product_name": "cup", "category": "A", "image": "1.jpg", "group_id": "g"}
    rows = [(i, tuple(row.get(c, "") for c in COLUMNS)) for i, row in enumerate((first, {"product_id": "2"} | second))]
    assert list(with_group_texts(Path("a.csv"), rows)) == rows


def test_rows_of_a_group_that_do_not_follow_each_other_pass_as_they_are() -> None:
    """One row is remembered, however many groups there are."""
    texts = [("cup", "g"), ("pan", "h"), ("", "g")]
    rows = [
        (i, tuple({"product_name": name, "group_id": group}.get(c, "") for c in COLUMNS))
        for i, (name, group) in enumerate(texts)
    ]
    assert list(with_group_texts(Path("a.csv"), rows)) == rows
