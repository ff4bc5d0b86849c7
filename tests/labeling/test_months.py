"""labeling months on shops whose words keep their category, and on one whose words change it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from labeling.commands.months_command import MonthsCommand, run_months
from labeling.months.dated_catalog import DatedCatalog
from labeling.months.window import Window
from labeling.settings import LinearSettings, MonthSettings
from labeling.standard_error import standard_error
from model.errors import LabelingError, SettingsError
from tests.labeling.support import read_rows, write_rows

_MONTHS = ("2025-10", "2025-11", "2025-12", "2026-01", "2026-02", "2026-03")
_CATEGORIES = ("Home>Kettles", "Home>Pans", "Toys>Dolls", "Toys>Puzzles")


def dated_rows(num_words: int, num_rows: int, changing: float, seed: int) -> list[dict[str, str]]:
    """Rows a month whose one word of some says the category; a share of the words changes it every month."""
    random = np.random.default_rng(seed)
    meaning, rows = random.integers(len(_CATEGORIES), size=num_words), []
    letters = ["".join(random.choice(list("bdfgklmnprst"), 6)) for _ in range(num_words)]
    for month in _MONTHS:
        for number in range(num_rows):
            word = int(random.integers(num_words))
            name = f"{letters[word]} {random.integers(10**6)} {random.integers(10**6)}"
            row = {"product_id": f"{month}-{number}", "product_name": name, "month": month}
            rows.append({**row, "category": _CATEGORIES[meaning[word]]})
        changed = random.random(num_words) < changing
        meaning[changed] = random.integers(len(_CATEGORIES), size=int(changed.sum()))
    return rows


@dataclass(frozen=True)
class Measured:
    out: Path
    said: str
    command: MonthsCommand


def measured(folder: Path, rows: list[dict[str, str]], cache: Path) -> Measured:
    folder.mkdir()
    catalog = write_rows(folder / "shop.csv", rows)
    months = MonthSettings(windows=(1, 2, 3), half_lives=(1.0,), months_ahead=2, origins=3)
    command = MonthsCommand(
        catalog, folder / "out", cache_dir=cache, months=months, settings=LinearSettings(linear_cost=1)
    )
    return Measured(command.out, run_months(command), command)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory, toy_cache: Path) -> Measured:
    rows = dated_rows(20, 150, 0.4, seed=1)
    rows[700] |= {"product_name": f"{rows[100]['product_name']}", "category": rows[100]["category"]}
    rows.append({"product_id": "undated", "product_name": "kettle", "month": "soon", "category": _CATEGORIES[0]})
    return measured(tmp_path_factory.mktemp("months") / "changing", rows, toy_cache)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, toy_cache: Path) -> Measured:
    return measured(tmp_path_factory.mktemp("months") / "steady", dated_rows(120, 150, 0.0, seed=2), toy_cache)


def test_where_words_change_their_category_the_last_month_is_best(changing: Measured) -> None:
    assert changing.said.startswith("1 month is best: "), changing.said
    assert "python -m training train --window-months 1" in changing.said
    windows = {row["window"]: row for row in read_rows(changing.out / "windows.csv")}
    assert list(windows) == ["1 month", "2 months", "3 months", "all months", "half-life 1 month"]
    assert float(windows["1 month"]["accuracy"]) > float(windows["3 months"]["accuracy"]) + 0.1
    assert float(windows["half-life 1 month"]["accuracy"]) > float(windows["all months"]["accuracy"]) + 0.05
    assert windows["half-life 1 month"]["flags"] == "--half-life-months 1"
    assert float(windows["1 month"]["p_value"]) < 0.001
    assert float(windows["all months"]["gain_over_all_months"]) == 0
    gain = float(windows["1 month"]["accuracy"]) - float(windows["all months"]["accuracy"])
    assert float(windows["1 month"]["gain_over_all_months"]) == pytest.approx(gain, abs=2e-4)
    curve = read_rows(changing.out / "curve.csv")
    same = [float(row["accuracy"]) for row in curve if row["same_rows"] == "1"]
    assert same[0] > same[-1] + 0.1  # older rows cost, as many as they are


def test_where_nothing_changes_all_months_are_best(steady: Measured) -> None:
    assert steady.said.startswith("all months are best: "), steady.said
    assert "train without --window-months" in steady.said
    curve = read_rows(steady.out / "curve.csv")
    more = [float(row["accuracy"]) for row in curve if row["same_rows"] == "0"]
    assert more == sorted(more)
    same = [float(row["accuracy"]) for row in curve if row["same_rows"] == "1"]
    assert max(same) - min(same) < 0.1 < more[-1] - more[0]  # it is more rows that help, not newer ones


def test_every_model_is_measured_on_each_following_month(changing: Measured) -> None:
    rows = read_rows(changing.out / "months.csv")
    assert len(rows) == 3 * 2 * 8 - 8  # the last origin is followed by one month
    one = next(row for row in rows if row["window"] == "3 months" and row["same_rows"] == "0")
    assert (one["trained_on"], one["tested_month"], one["months_ahead"]) == ("2025-10..2025-12", "2026-01", "1")
    assert one["trained_products"] == "450"
    assert {row["trained_products"] for row in rows if row["same_rows"] == "1"} == {"150"}
    far = next(row for row in rows if row["window"] == "1 month" and row["months_ahead"] == "2")
    near = next(row for row in rows if row["window"] == "1 month" and row["months_ahead"] == "1")
    assert float(far["accuracy"]) < float(near["accuracy"])


def test_products_that_are_listed_again_are_counted(changing: Measured) -> None:
    rows = read_rows(changing.out / "months.csv")
    feb = [row for row in rows if row["tested_month"] == "2026-02" and row["window"] == "all months"]
    assert {row["new_products"] for row in feb} == {"149"}
    assert {row["listed_again_share"] for row in feb} == {"0.0067"}
    assert "0.2% of these are near-duplicates of products listed before" in changing.said
    assert "1 products have no month that can be read and are left out" in changing.said


def test_finished_models_are_found_again(changing: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    before = (changing.out / "months.csv").read_bytes()
    files = sorted((changing.out / "models").glob("fit-*.npz"))
    assert len(files) == 3 * 8 - 2  # up to the third month three months are all
    files[0].unlink()
    times = {file: file.stat().st_mtime_ns for file in files[1:]}
    assert run_months(changing.command) == changing.said
    assert "Train 1 of 22 models" in capsys.readouterr().err
    assert (changing.out / "months.csv").read_bytes() == before
    assert {file: file.stat().st_mtime_ns for file in files[1:]} == times


def test_the_page_is_whole(changing: Measured) -> None:
    page = (changing.out / "report.html").read_text(encoding="utf-8")
    assert "1 month is best" in page
    assert "2025-12" in page
    assert page.count("data:image/png") == 4
    assert "http" not in page.replace("http-equiv", "")
    assert (changing.out / "curve.png").stat().st_size > 1000


def test_a_catalog_without_months_is_refused(toy_cache: Path, tmp_path: Path) -> None:
    rows = dated_rows(20, 10, 0.0, seed=3)
    catalog = write_rows(tmp_path / "shop.csv", [{**row, "month": "March"} for row in rows])
    command = MonthsCommand(catalog, tmp_path / "out", cache_dir=toy_cache)
    message = (
        r"shop\.csv: expected products of two months or more, found 0 months in 60 products, but 'March'; write months"
        r" as 2026-03, or name the heading with --columns month=HEADING"
    )
    with pytest.raises(LabelingError, match=message):
        run_months(command)
    one = write_rows(tmp_path / "one.csv", [{**row, "month": "202603"} for row in rows])
    with pytest.raises(LabelingError, match=r"found 1 months in 60 products; write"):
        run_months(MonthsCommand(one, tmp_path / "out", cache_dir=toy_cache))
    with pytest.raises(SettingsError, match="half_lives: expected more than 0 each"):
        MonthSettings(half_lives=(0.0,))


def test_weights_halve_with_age_and_gaps_are_passed_over() -> None:
    dated = DatedCatalog(None, np.array([3, 4, 4, 7, -1]))  # type: ignore[arg-type]
    assert dated.distinct == [3, 4, 7]
    assert dated.origins(0) == [3, 4]
    assert dated.origins(1) == [4]
    assert dated.following(3, 5) == [4, 7]
    assert Window(3).rows(dated, 7, 0).tolist() == [3]
    assert Window(4).rows(dated, 7, 0).tolist() == [1, 2, 3]
    rows = Window(0, 3.0).rows(dated, 7, 0)
    assert Window(0, 3.0).weights(dated, 7, rows).tolist() == pytest.approx([0.5 ** (4 / 3), 0.5, 0.5, 1])  # type: ignore[union-attr]
    assert len(Window(0, is_thinned=True).rows(dated, 4, 0)) == 2


def test_the_standard_error_knows_that_near_duplicates_say_the_same() -> None:
    values = np.repeat(np.random.default_rng(0).random(500) < 0.3, 4)
    alone = standard_error(values, np.arange(2000))
    assert alone == pytest.approx(np.sqrt(values.mean() * (1 - values.mean()) / 2000), rel=1e-6)
    assert standard_error(values, np.repeat(np.arange(500), 4)) == pytest.approx(2 * alone)
