"""The draw that settings ask for, of a catalog that has what they need, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.read_options import ReadOptions
from model.errors import CatalogError, SettingsError
from model.settings import NoiseSettings, SamplingSettings, Settings
from tests.conftest import write_catalog
from training.encoding.encoded_catalog import EncodedCatalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.sampling.choice import check_sampling, refuse_sampling, require_columns, row_draw


def parsed(folder: Path) -> ParsedCatalog:
    """Ten rows of one category, of two malls, two brands and two months, each written in two ways; none has a maker."""
    months = ("2026-01", "202601", "2026-02")
    rows = [
        {
            "product_id": str(i),
            "product_name": f"shirt {i}",
            "category": "A>B",
            "mall": "blue" if i < 8 else "red",
            "brand": "acme" if i % 2 else "",
            "month": months[i % 3],
        }
        for i in range(10)
    ]
    return parse_catalog(write_catalog(folder / "shop.csv", rows), ReadOptions(), folder / "cache")


def encoded(rows: list[int]) -> EncodedCatalog:
    arrays = {"labels": np.zeros(len(rows), np.int32), "rows": np.array(rows)}
    return EncodedCatalog(arrays, None, 0, "x")


@pytest.mark.parametrize(
    ("column", "of_first", "of_last"),
    [("mall", 10 / 2 / 8, 10 / 2 / 2), ("brand", 1.0, 1.0), ("month", 10 / 2 / 7, 10 / 2 / 7)],
)
def test_the_values_of_a_column_weigh_the_same(tmp_path: Path, column: str, of_first: float, of_last: float) -> None:
    """A missing value is a value of its own, and a month is the same however it is written."""
    draw = row_draw(parsed(tmp_path), encoded(list(range(10))), 1, SamplingSettings(balance_by=column))
    assert draw is not None
    assert draw.counts[[0, 9]] == pytest.approx([of_first, of_last])


def test_rows_that_were_rejected_have_no_part(tmp_path: Path) -> None:
    draw = row_draw(parsed(tmp_path), encoded([0, 1, 2, 9]), 1, SamplingSettings(balance_by="mall"))
    assert draw is not None
    assert draw.counts == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def test_recent_rows_come_more_often(tmp_path: Path) -> None:
    draw = row_draw(parsed(tmp_path), encoded([0, 1, 2]), 1, SamplingSettings(half_life_months=1.0))
    assert draw is not None
    assert draw.counts == pytest.approx([0.75, 0.75, 1.5])


def test_the_defaults_draw_nothing(tmp_path: Path) -> None:
    for settings in (SamplingSettings(), SamplingSettings(window_months=3, prior_correction="off")):
        assert row_draw(parsed(tmp_path), encoded([0]), 1, settings) is None


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ("maker", "needs the column maker, found no row that has it; name its heading with --columns maker=HEADING"),
        ("source", "needs the column source"),
    ],
)
def test_a_column_that_is_missing_is_named(tmp_path: Path, column: str, what: str) -> None:
    with pytest.raises(CatalogError, match=rf"shop\.csv: --balance-by {column} {what}"):
        require_columns(parsed(tmp_path), SamplingSettings(balance_by=column))


def test_a_catalog_that_has_all_is_taken(tmp_path: Path) -> None:
    require_columns(parsed(tmp_path), SamplingSettings(balance_by="mall", half_life_months=2.0))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (SamplingSettings(half_life_months=2.0), "months: 2025-12 to 2026-02"),
        (SamplingSettings(window_months=1), "window: 2026-02 to 2026-02, 1 of 5 rows"),
        (SamplingSettings(window_months=2, half_life_months=1.0), "window: 2026-01 to 2026-02, 2 of 5 rows"),
        (SamplingSettings(window_months=9), "window: 2025-12 to 2026-02, 5 of 5 rows"),
    ],
)
def test_the_log_says_what_the_months_are(
    tmp_path: Path, settings: SamplingSettings, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    months = ("2025-12", "2026-01", "", "2026-02", "spring")
    rows = [{"product_id": month, "product_name": "shirt", "month": month} for month in months if month]
    rows.append({"product_id": "0", "product_name": "shirt"})
    catalog = parse_catalog(write_catalog(tmp_path / "shop.csv", rows), ReadOptions(), tmp_path / "cache")
    with caplog.at_level("INFO"):
        require_columns(catalog, settings)
    assert line in caplog.text
    assert "2 of 5 rows name no month and count as of 2025-12" in caplog.text


def test_a_search_learns_all_rows_as_they_come() -> None:
    refuse_sampling(SamplingSettings())
    with pytest.raises(SettingsError, match=r"^--sampling, --window-months: trials learn all rows as they come; train"):
        refuse_sampling(SamplingSettings("sqrt", window_months=3))


def test_half_lives_need_months(tmp_path: Path) -> None:
    rows = [{"product_id": "1", "product_name": "shirt", "category": "A>B"}]
    catalog = parse_catalog(write_catalog(tmp_path / "shop.csv", rows), ReadOptions(), tmp_path / "cache")
    with pytest.raises(CatalogError, match=r"--half-life-months needs the month.*found none at all"):
        require_columns(catalog, SamplingSettings(half_life_months=2.0))


@pytest.mark.parametrize(("column", "hint"), [("mal", "; did you mean 'mall'"), ("category", ""), ("image", "")])
def test_a_column_that_no_catalog_has_is_refused(column: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=rf"balance_by: expected one of product_name, .*, found '{column}'{hint}"):
        check_sampling(Settings(sampling=SamplingSettings(balance_by=column)))


@pytest.mark.parametrize("noise", ["elr", "selfie", "coteaching"])
@pytest.mark.parametrize(
    "sampling",
    [
        SamplingSettings("sqrt"),
        SamplingSettings(balance_by="mall"),
        SamplingSettings(logit_adjustment=1.0),
        SamplingSettings(half_life_months=6.0),
    ],
)
def test_methods_that_follow_each_row_take_rows_as_they_are(noise: Any, sampling: SamplingSettings) -> None:
    with pytest.raises(SettingsError, match=f"--noise {noise} follows the answers to every row through the epochs"):
        check_sampling(Settings(noise=NoiseSettings(noise, noise_rate=0.1), sampling=sampling))


@pytest.mark.parametrize("noise", ["none", "smoothing"])
def test_smoothing_and_windows_go_with_all(noise: Any) -> None:
    settings = Settings(noise=NoiseSettings(noise), sampling=SamplingSettings("sqrt", balance_by="mall"))
    check_sampling(settings)
    check_sampling(replace(settings, noise=NoiseSettings("elr"), sampling=SamplingSettings(window_months=2)))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sampling_cap": -1}, "sampling_cap: expected 0 or more, found -1"),
        ({"sampling_temperature": 0.5}, "sampling_temperature: expected 1 or more, found 0.5"),
        ({"logit_adjustment": -0.1}, "logit_adjustment: expected 0 or more, found -0.1"),
        ({"window_months": -3}, "window_months: expected 0 or more, found -3"),
        ({"half_life_months": -1.0}, "half_life_months: expected 0 or more, found -1.0"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        SamplingSettings(**changes)
