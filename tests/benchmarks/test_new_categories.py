"""The benchmark of new categories without its data."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import new_categories
from benchmarks.accuracy.catalog_variants import read_rows, write_rows
from benchmarks.accuracy.new_categories import Options, hold_out, main, probe
from model.bundle.bundle import load_bundle
from tests.conftest import COLUMNS


def test_missing_sets_are_skipped_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["new_categories", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    )
    main()
    printed = " ".join(capsys.readouterr().out.split())
    for name in new_categories.SETS:
        assert f"{name}: skipped, {tmp_path / 'none' / name} is missing; give its folder with --data" in printed


def test_categories_with_enough_rows_are_held_out_completely(tmp_path: Path, toy_bundle: Path) -> None:
    rows = [
        dict.fromkeys(COLUMNS, "") | {"product_id": f"{category}{i}", "product_name": "a", "category": category}
        for category, count in (("A", 25), ("B", 25), ("C", 25), ("D", 25), ("E", 25), ("rare", 5))
        for i in range(count)
    ]
    data = tmp_path / "data" / "fashion224"
    for split in ("train", "val"):
        write_rows(data / f"{split}.csv", rows)
    (tmp_path / "out" / "fashion224").mkdir(parents=True)
    (tmp_path / "out" / "fashion224" / "bundle").symlink_to(toy_bundle)  # exists, so it is reused
    _, held_out = hold_out("fashion224", Options(data=tmp_path / "data", out=tmp_path / "out"))
    assert len(held_out) == 4
    assert "rare" not in held_out
    folder = tmp_path / "out" / "fashion224"
    assert {row["category"] for row in read_rows(folder / "new.csv")} == set(held_out)
    for split in ("train", "val"):
        kept = {row["category"] for row in read_rows(folder / f"{split}.csv")}
        assert kept == {"A", "B", "C", "D", "E", "rare"} - set(held_out)


def test_a_category_is_added_from_several_draws(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    rows = read_rows(toy_catalogs[1])
    write_rows(tmp_path / "val.csv", rows)
    write_rows(tmp_path / "new.csv", [{**row, "category": "new", "brand": "another", "maker": "new"} for row in rows])
    seen = probe(load_bundle(toy_bundle), tmp_path, toy_cache)
    options = Options(draws=2)
    found = list(new_categories.costs_of(load_bundle(toy_bundle), seen, "new", 30, options))
    assert len(found) == 2
    for figures in found:
        assert set(figures) == {"fitted", "imprinted"}
        assert all(0 <= one.recall <= 1 and 0 <= one.cost_points <= 100 for one in figures.values())
    kernel, _ = seen.columns.columns["joint"]
    imprinted, _ = new_categories._imprinted(seen.columns, seen.old)
    assert np.linalg.norm(imprinted) == pytest.approx(np.linalg.norm(kernel, axis=0).mean(), rel=1e-5)
