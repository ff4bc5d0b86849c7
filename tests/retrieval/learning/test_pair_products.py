from pathlib import Path

import pytest

from catalog.rejects import Rejects
from model.errors import CatalogError
from retrieval.learning.pair_products import product_of_rows

IDS = ("a", "b", "c", "d", "e")


@pytest.fixture
def pairs(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "pairs.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_rows_that_pairs_connect_are_one_product(pairs) -> None:
    text = "left_id,right_id,same\na,b,1\nd,c,1\nb,zzz,1\nb,c,TRUE\nd,e,0\n"
    with Rejects(None) as rejects:
        found = product_of_rows(pairs(text), IDS, rejects)
    assert found["a"] == found["b"] == found["c"] == found["d"] != found["e"]
    assert rejects.counts_by_reason == {"unknown id": 1}


def test_a_file_without_a_good_pair_is_refused(pairs) -> None:
    message = r"pairs\.csv: expected pairs, found no good one, 1 row left out: 1 unknown id"
    with Rejects(None) as rejects, pytest.raises(CatalogError, match=message):
        product_of_rows(pairs("left_id,right_id,same\na,zzz,1\n"), IDS, rejects)
