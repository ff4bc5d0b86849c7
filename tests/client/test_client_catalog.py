from pathlib import Path

import pytest

from client.catalog import CatalogItem, read_catalog
from client.errors import InputError
from model.product import Product

FIRST = CatalogItem(Product("1", "노트북 15인치", "가전>컴퓨터", "b", "m"), "컴퓨터>노트북", "")
SECOND = CatalogItem(Product("2", "가방, 갈색"), "", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.csv",
            "product_id,product_name,mall_category,brand,maker,category\n"
            '1,노트북 15인치,가전>컴퓨터,b,m,컴퓨터>노트북\n2,"가방, 갈색",,,,\n',
        ),
        (
            "a.tsv",
            "category\tproduct_id\tproduct_name\tmall_category\tbrand\tmaker\textra\n"
            "컴퓨터>노트북\t1\t노트북 15인치\t가전>컴퓨터\tb\tm\tx\n\t2\t가방, 갈색\t\t\t\t\n",
        ),
        (
            "a.jsonl",
            '{"product_id": 1, "product_name": "노트북 15인치", "mall_category": "가전>컴퓨터", "brand": "b", '
            '"maker": "m", "category": "컴퓨터>노트북"}\n\n{"product_id": "2", "product_name": "가방, 갈색", '
            '"brand": null}\n',
        ),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with byte order mark"])
def test_every_format_reads_the_same(tmp_path: Path, name: str, text: str, mark: str):
    (tmp_path / name).write_text(mark + text, encoding="utf-8")
    assert list(read_catalog(tmp_path / name)) == [FIRST, SECOND]


def test_pictures_are_read_from_beside_the_catalog(tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/1.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "a.csv").write_text("product_id,image\n1,pictures/1.jpg\n2,\n3,pictures/3.jpg\n")
    first, second, third = read_catalog(tmp_path / "a.csv")
    assert (first.product.image, first.problem) == (b"\xff\xd8", "")
    assert (second.product.image, second.problem) == (None, "")
    assert third.product.image is None
    assert third.problem == f"picture {tmp_path}/pictures/3.jpg cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"", "expected a catalog ending in .csv, .tsv, .jsonl, .ndjson, found a.parquet"),
        ("a.csv", b"id,title\n1,x\n", "expected a column of product_name, mall_category, .*, found id, title"),
        ("a.csv", b"", "expected a column of .*, found none"),
        ("a.csv", b"product_id,product_name\n1,\xff\n", "is malformed: 'utf-8' codec can't decode"),
        ("a.jsonl", b'{"product_id": "1"}\n{"product', "a.jsonl:2 is no JSON"),
        ("a.jsonl", b"[1, 2]\n", r"a.jsonl:1: expected an object with a product's fields, found \[1, 2\]"),
    ],
)
def test_a_file_that_is_not_a_catalog_is_an_error(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_catalog(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=f"catalog {tmp_path}/no.csv cannot be read: No such file or directory"):
        list(read_catalog(tmp_path / "no.csv"))


def test_a_cell_over_the_readers_limit_is_an_error(tmp_path: Path):
    (tmp_path / "a.csv").write_text("product_name\n" + "x" * 300_000 + "\n")
    with pytest.raises(InputError, match=r"a\.csv is malformed: field larger than field limit"):
        list(read_catalog(tmp_path / "a.csv"))
