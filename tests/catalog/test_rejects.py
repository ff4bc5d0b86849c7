"""Rejects: the file, the counts and the log."""

import csv
import logging
from pathlib import Path

import pytest

from catalog.rejects import NUM_LOGGED, Rejects
from model.errors import CatalogError


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_file_appears_with_the_first_reject_and_is_complete_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run" / "rejects.csv"
    with Rejects(path) as rejects:
        assert not path.exists()
        rejects.add(Path("shop.csv"), 3, "가,1", "no label: expected a category, found none; fill it in")
        assert rows_of(path) == [
            ["file", "line", "product_id", "reason"],
            ["shop.csv", "3", "가,1", "no label: expected a category, found none; fill it in"],
        ]


def test_kinds_are_counted_without_what_belongs_to_one_row() -> None:
    rejects = Rejects(None)
    rejects.add("shop.csv", 1, "a", "unknown label: 'x: y' is not a leaf of tree.csv")
    rejects.add("shop.csv", 2, "b", "unknown label: 'z' is not a leaf of tree.csv")
    rejects.add("shop.csv", 3, "", "no product_id: expected an id, found none")
    assert rejects.count == 3
    assert rejects.counts_by_reason == {"unknown label": 2, "no product_id": 1}
    assert rejects.summary() == "3 rows left out: 2 unknown label, 1 no product_id"


def test_no_reject_no_file_and_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Rejects(tmp_path / "rejects.csv") as rejects:
        pass
    assert rejects.summary() == "no row left out"
    assert not list(tmp_path.iterdir())
    assert not caplog.records


def test_the_first_rejects_are_logged_one_by_one_then_a_summary(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rejects.csv"
    with caplog.at_level(logging.WARNING, "aisle.catalog"), Rejects(path) as rejects:
        for line in range(1, NUM_LOGGED + 11):
            rejects.add("shop.csv", line, f"p{line}", "duplicate product_id: give each row its own")
    assert len(caplog.messages) == NUM_LOGGED + 2
    assert caplog.messages[0] == (
        "shop.csv, line 1, product 'p1' is left out: duplicate product_id: give each row its own"
    )
    assert caplog.messages[-2] == f"more than 20 rows are left out; the rest is counted; see {path}"
    assert caplog.messages[-1] == f"30 rows left out: 30 duplicate product_id; see {path}"
    assert len(rows_of(path)) == 31


def test_what_is_no_text_is_written_by_its_number(tmp_path: Path) -> None:
    with Rejects(tmp_path / "r.csv") as rejects:
        rejects.add("shop.csv", 1, "p\udcff", "kind: \ud800")
    assert rows_of(tmp_path / "r.csv")[1] == ["shop.csv", "1", "p\\xff", "kind: \\ud800"]


def test_an_older_rejects_file_goes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    with Rejects(path) as rejects:
        rejects.add("shop.csv", 1, "a", "kind: detail")
    Rejects(path)
    assert not path.exists()


def test_a_row_after_closing_is_appended(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path / "r.csv")
    for line in (1, 2):
        rejects.add("shop.csv", line, "a", "kind: detail")
        rejects.close()
    assert [row[1] for row in rows_of(tmp_path / "r.csv")] == ["line", "1", "2"]


def test_any_other_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("product_id,brand\n", encoding="utf-8")
    with pytest.raises(
        CatalogError, match=r"shop\.csv exists and is no rejects file; choose another name or remove it"
    ):
        Rejects(path)
    assert path.read_text(encoding="utf-8") == "product_id,brand\n"


def test_a_place_that_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"cannot be replaced: .*Is a directory.*; choose another place"):
        Rejects(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match=r"cannot be replaced: .*Not a directory"):
        Rejects(tmp_path / "file" / "rejects.csv")
    rejects = Rejects(tmp_path / "late" / "rejects.csv")
    (tmp_path / "late").touch()
    with pytest.raises(CatalogError, match=r"rejects\.csv cannot be written: .*; choose another place"):
        rejects.add("shop.csv", 1, "a", "kind: detail")
