"""labeling issues on a shop with planted wrong labels."""

import json
import re
from pathlib import Path

import pyarrow.parquet
import pytest

from labeling.commands.issues_command import IssuesCommand, run_issues
from labeling.settings import AnswerSettings
from model.errors import CatalogError, LabelingError, SettingsError
from tests.labeling.conftest import Found
from tests.labeling.support import planted_rows, read_rows, write_rows


def test_planted_labels_come_first_and_the_right_ones_are_named(found: Found) -> None:
    rows = read_rows(found.out / "issues.csv")
    assert len(rows) == 602
    top = rows[: len(found.truth)]
    hits = [row for row in top if row["product_id"] in found.truth]
    assert len(hits) >= 0.9 * len(top)
    assert sum(row["suggested"] == found.truth[row["product_id"]] for row in hits) >= 0.9 * len(hits)
    qualities = [float(row["quality"]) for row in rows]
    assert qualities == sorted(qualities)
    assert 0 <= qualities[0] < 0.05
    assert 0.5 < qualities[-1] <= 1


def test_the_number_of_wrong_labels_is_estimated(found: Found) -> None:
    said = re.match(r"about (\d+) of 602 labels are wrong", found.said)
    assert said is not None, found.said
    assert abs(int(said[1]) - len(found.truth)) <= 0.25 * len(found.truth)
    categories = read_rows(found.out / "categories.csv")
    assert sum(int(row["wrong_products"]) for row in categories) == int(said[1])
    assert sum(row["is_issue"] == "1" for row in read_rows(found.out / "issues.csv")) == int(said[1])
    summary = json.loads((found.out / "summary.json").read_text(encoding="utf-8"))
    share = round(int(said[1]) / 602, 6)
    assert summary == {"num_rows": 602, "num_estimated": int(said[1]), "estimated_share": share}
    assert {row["category"] for row in categories} >= {"Home>Kitchen>Pans", "Toys>Dolls"}


def test_near_duplicates_with_different_labels_are_listed(found: Found) -> None:
    rows = read_rows(found.out / "near_duplicates.csv")
    assert [row["product_id"] for row in rows] == ["p1", "twin1"]
    assert {row["given"] for row in rows} == {"Home>Kitchen>Pans", "Toys>Dolls"}
    assert rows[0]["majority"] == ""


def test_reasons_name_the_branch(found: Found) -> None:
    rows = {row["product_id"]: row for row in read_rows(found.out / "issues.csv")}
    other = next(
        row for row in rows.values() if row["given"].startswith("Toys") and row["suggested"].startswith("Home")
    )
    assert re.match(r"another branch: Home is more probable \(\d+% to \d+%\)", other["reason"])
    assert all(not row["reason"] for row in list(rows.values())[-50:])


def test_the_page_is_whole(found: Found) -> None:
    page = (found.out / "report.html").read_text(encoding="utf-8")
    worst = read_rows(found.out / "issues.csv")[0]
    assert worst["product_id"] in page
    assert "Next to impossible" in page
    assert "http" not in page.replace("http-equiv", "")
    words = re.findall(r"<i>(\w+)</i>", page)
    assert {"kettle", "pan", "hose", "puzzle", "doll"} & set(words)
    assert "sale" not in words


def test_finished_folds_are_found_again_and_other_labels_are_not(found: Found, toy_cache: Path, tmp_path: Path) -> None:
    command = IssuesCommand(found.catalog, found.out, cache_dir=toy_cache)
    before = (found.out / "issues.csv").read_bytes()
    times = {path.name: path.stat().st_mtime_ns for path in (found.out / "folds").glob("fold-*")}
    (found.out / "folds" / "fold-2.npz").unlink()
    run_issues(command)
    assert (found.out / "issues.csv").read_bytes() == before
    after = {path.name: path.stat().st_mtime_ns for path in (found.out / "folds").glob("fold-*")}
    assert [name for name in times if after[name] != times[name]] == ["fold-2.npz"]
    run_issues(IssuesCommand(found.catalog, found.out, cache_dir=toy_cache, settings=AnswerSettings(linear_cost=0.5)))
    assert (found.out / "issues.csv").read_bytes() != before
    run_issues(command)
    assert (found.out / "issues.csv").read_bytes() == before


def test_parquet_has_the_same_rows(found: Found, toy_cache: Path) -> None:
    run_issues(IssuesCommand(found.catalog, found.out, cache_dir=toy_cache, format="parquet"))
    table = pyarrow.parquet.read_table(found.out / "issues.parquet").to_pylist()
    rows = read_rows(found.out / "issues.csv")
    assert [row["product_id"] for row in table] == [row["product_id"] for row in rows]
    assert [row["suggested"] for row in table] == [row["suggested"] for row in rows]


def test_a_product_alone_in_its_category_is_not_judged(toy_cache: Path, tmp_path: Path) -> None:
    rows, _ = planted_rows(60, 0.0, seed=2)
    rows.append({**rows[0], "product_id": "alone", "product_name": "violin bow", "category": "Music>Violins"})
    rows.append({**rows[0], "product_id": "unlabelled", "category": ""})
    catalog = write_rows(tmp_path / "shop.csv", rows)
    said = run_issues(IssuesCommand(catalog, tmp_path / "out", cache_dir=toy_cache))
    assert f"1 rows are left out; see {tmp_path / 'out' / 'rejects.csv'}" in said
    last = read_rows(tmp_path / "out/issues.csv")[-1]
    assert (last["product_id"], last["quality"], last["is_issue"]) == ("alone", "1.000000", "0")
    assert last["reason"] == "not judged: no other product of this category to learn from; add some"


def test_what_cannot_be_judged_is_said(toy_cache: Path, tmp_path: Path) -> None:
    rows, _ = planted_rows(20, 0.0, seed=3)
    one = write_rows(tmp_path / "one.csv", [{**row, "category": "Toys"} for row in rows])
    with pytest.raises(LabelingError, match=r"one\.csv: expected different products of 2 categories or more, found 20"):
        run_issues(IssuesCommand(one, tmp_path / "out", cache_dir=toy_cache))
    none = write_rows(tmp_path / "none.csv", [{**row, "category": ""} for row in rows])
    with pytest.raises(CatalogError, match=r"none\.csv"):
        run_issues(IssuesCommand(none, tmp_path / "out", cache_dir=toy_cache))
    with pytest.raises(SettingsError, match="num_folds: expected 2 or more, found 1"):
        AnswerSettings(num_folds=1)
