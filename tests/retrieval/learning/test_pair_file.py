from pathlib import Path

import pytest

from model.errors import CatalogError
from retrieval.learning.pair_file import RowPair, product_of_rows, read_pairs

IDS = ("a", "b", "c", "d", "e")


@pytest.fixture
def pairs(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "pairs.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_pairs_are_read_by_heading(pairs) -> None:
    found = read_pairs(pairs('same,left_id,why,right_id\n1,a,"two\nlines",b\n\nfalse, c ,,d\n'))
    assert found == [RowPair(2, "a", "b", True), RowPair(5, "c", "d", False)]


def test_rows_that_pairs_connect_are_one_product(pairs) -> None:
    found = product_of_rows(pairs("left_id,right_id,same\na,b,1\nd,c,1\nb,c,TRUE\nd,e,0\n"), IDS)
    assert found["a"] == found["b"] == found["c"] == found["d"] != found["e"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"pairs\.csv, line 1: expected the headings left_id, right_id, same, found nothing; add left_id"),
        ("left_id,right_id\na,b\n", r"line 1: expected the headings .*, found left_id, right_id; add same"),
        ("left_id,right_id,same\n", r"pairs\.csv: expected pairs, found none"),
        ("left_id,right_id,same\na,b,1\na,b\n", r"pairs\.csv, line 3: expected 3 cells or more, found 2"),
        ("left_id,right_id,same\n\na,,1\n", r"pairs\.csv, line 3: expected two ids, found an empty one"),
        ("left_id,right_id,same\na,b,yes\n", r"pairs\.csv, line 2: expected 1 or 0 for same, found 'yes'"),
        (
            "left_id,right_id,same\na,b,1\nb,zzz,1\n",
            r"pairs\.csv, line 3: expected the product_id of a row of the catalog, found 'zzz'; give the catalog",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(pairs, text: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        product_of_rows(pairs(text), IDS)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"none\.csv cannot be read: .*; expected a CSV file in UTF-8 with left_id"):
        read_pairs(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"left_id,right_id,same\n\xff,b,1\n")
    with pytest.raises(CatalogError, match=r"bytes\.csv cannot be read: 'utf-8' codec"):
        read_pairs(tmp_path / "bytes.csv")
