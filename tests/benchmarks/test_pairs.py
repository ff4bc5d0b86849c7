"""The benchmark of made pairs compares each set with what is planted."""

import csv
from pathlib import Path

import pytest

from benchmarks.retrieval.pairs import _Files, _pair_sets, _rows


def write(path: Path, rows: list[tuple[str, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def test_sets_of_pairs_and_their_planted_truth(tmp_path: Path) -> None:
    """Of six candidates two are good, a-d and b-d: a and b are cuts of one shot, c is a chart. The filter keeps one."""
    files = _Files(tmp_path)
    planted = [("a", "product>shop", "0"), ("b", "product>shop", "0"), ("c", "chart", "1"), ("d", "model>street", "2")]
    write(files.shop.path, [("product_id", "image_type", "shot"), *planted])
    write(files.pairs("pairs.csv"), [("left_id", "right_id", "same"), ("a", "d", "1"), ("a", "c", "1")])
    dropped = [("a", "b", "same_hash"), ("b", "c", "type_chart"), ("b", "d", "same_vector"), ("c", "d", "type_chart")]
    write(files.pairs("dropped.csv"), [("left_id", "right_id", "rule"), *dropped])
    found = _pair_sets(files, seed=0)
    assert (found["num_candidates"], found["num_kept"]) == (6, 2)
    assert found["num_dropped"] == {"same_hash": 1, "same_vector": 1, "type_chart": 2}
    assert found["share_good"]["filtered"] == 0.5
    assert found["share_good"]["all"] == pytest.approx(1 / 3)
    assert found["share_of_good_kept"] == 0.5
    assert len(_rows(files.pairs("random.csv"))) == 2
    assert len(_rows(files.pairs("all.csv"))) == 6
