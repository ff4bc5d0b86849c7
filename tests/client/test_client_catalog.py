import subprocess
import sys
from pathlib import Path
from unicodedata import normalize

import pyarrow
import pyarrow.parquet
import pytest

from aisle_client.errors import InputError
from catalog.read_options import ReadOptions
from client.catalog import CatalogItem, read_items
from model.errors import SettingsError
from model.product import Product

ROOT = Path(__file__).parents[2]
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
    assert list(read_items(tmp_path / name)) == [FIRST, SECOND]


def test_pictures_are_read_from_beside_the_catalog(tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/1.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "a.csv").write_text("product_id,image\n1,pictures/1.jpg\n2,\n3,pictures/3.jpg\n")
    first, second, third = read_items(tmp_path / "a.csv")
    assert (first.product.image, first.problem) == (b"\xff\xd8", "")
    assert (second.product.image, second.problem) == (None, "")
    assert third.product.image is None
    path = tmp_path / "pictures/3.jpg"
    assert third.problem == f"{path}: expected a picture file, found No such file or directory; check the path"


def test_a_row_without_its_picture_is_asked_about_by_the_rest_of_it(tmp_path: Path):
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "a.csv").write_text("product_id,product_name,image\n1,가,1.jpg\n2,나,gone.jpg\n3,,gone.jpg\n4,라,\n")
    items = list(read_items(tmp_path / "a.csv"))
    reason = f"{tmp_path}/gone.jpg: expected a picture file, found No such file or directory; check the path"
    assert items[1] == CatalogItem(Product("2", "나"), "", "", "", f"unreadable picture: {reason}")
    assert [item.problem for item in items] == ["", "", reason, ""]
    assert [bool(item.lost_picture) for item in items] == [False, True, False, False]


def test_too_many_lost_pictures_are_an_error_behind_the_last_row(tmp_path: Path):
    path = tmp_path / "a.csv"
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8")
    path.write_text("product_id,product_name,image\n1,a,1.jpg\n2,b,gone.jpg\n3,c,gone.jpg\n4,d,\n")
    items = []
    with pytest.raises(InputError) as raised:
        items.extend(read_items(path))
    assert str(raised.value).startswith(
        f"{path}: 2 of 3 pictures are lost, such as unreadable picture: {tmp_path}/gone"
    )
    assert str(raised.value).endswith("or allow the loss with --max-lost-pictures 1")
    assert len(list(read_items(path, limit=2))) == 2
    assert len(list(read_items(path, max_lost_pictures=0.7))) == 4
    with pytest.raises(SettingsError, match="--max-lost-pictures: expected 0 to 1, found 2"):
        list(read_items(path, max_lost_pictures=2))


def test_the_group_of_a_row_is_read(tmp_path: Path):
    (tmp_path / "a.csv").write_text("product_id,product_name,mall,group_id\n1,a,north,g1\n2,b,south,\n")
    assert [item.group_id for item in read_items(tmp_path / "a.csv")] == ["g1", ""]


def test_a_bad_row_is_an_item_with_a_problem_in_its_place(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("product_id,product_name\n1,가\n,b\n".encode() + b"3,\xff\n1,c\n5,d\n")
    items = list(read_items(tmp_path / "a.csv"))
    assert [item.product.product_id for item in items] == ["1", "", "3", "1", "5"]
    assert [item.problem.partition(": ")[2].partition(":")[0] for item in items] == [
        "",
        "no product_id",
        "undecodable bytes",
        "duplicate product_id",
        "",
    ]
    assert items[1].problem.startswith(f"{tmp_path}/a.csv, line 3: no product_id: expected an id")


def test_other_headings_and_a_parquet_file(tmp_path: Path):
    table = pyarrow.table({"id": ["1"], "title": ["노트북"]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    options = ReadOptions("product_id=id,product_name=title")
    assert list(read_items(tmp_path / "a.parquet", options)) == [CatalogItem(Product("1", "노트북"), "", "")]


def test_the_label_of_a_row_has_the_one_spelling(tmp_path: Path):
    (tmp_path / "a.csv").write_text(f"product_id,product_name,category\n1,a,{normalize('NFD', '컴퓨터')} > 노트북\n")
    assert next(read_items(tmp_path / "a.csv")).truth == "컴퓨터>노트북"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"", r"expected a file that ends in \.csv, .*, found 'a\.pdf'; convert"),
        ("a.csv", b"product_id,title\n1,x\n", "expected at least one of product_name, mall_category, .*title"),
    ],
)
def test_a_file_that_is_not_a_catalog_is_an_error(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_items(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=f"{tmp_path}/no.csv.*No such file or directory"):
        list(read_items(tmp_path / "no.csv"))


def test_the_server_image_reads_catalogs_without_pyarrow_and_httpx(tmp_path: Path):
    """The image has the server's requirements only; a CSV must not need more."""
    (tmp_path / "a.csv").write_text("product_id,product_name\n1,a\n")
    script = (
        "import sys; sys.modules['pyarrow'] = sys.modules['httpx'] = None\n"
        "from pathlib import Path; import client.commands\n"
        "from client.catalog import read_items\n"
        f"items = read_items(Path({str(tmp_path / 'a.csv')!r})); print(next(items).product.product_name)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (found.stdout, found.returncode) == ("a\n", 0), found.stderr
