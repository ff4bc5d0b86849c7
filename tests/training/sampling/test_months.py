"""The last months of a catalog, and what rows count by their age."""

from pathlib import Path

import numpy as np
import pytest

from catalog.read_options import ReadOptions
from model.errors import CatalogError
from tests.conftest import write_catalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.sampling.months import age_weights, in_window, row_months

MONTHS = ("2025-11", "2026-01", "2026/01", "", "202602", "spring", "2026-02-14", "2025-12")


def parsed(folder: Path, months: tuple[str, ...] = MONTHS) -> ParsedCatalog:
    rows = [
        {"product_id": str(i), "product_name": f"shirt {i}", "category": "A>B", "month": month}
        for i, month in enumerate(months)
    ]
    return parse_catalog(write_catalog(folder / "shop.csv", rows), ReadOptions(), folder / "cache")


def ids(catalog: ParsedCatalog) -> list[str]:
    return [row.product_id for rows in catalog.rows() for row in rows]


def test_a_row_that_names_no_month_counts_as_the_oldest(tmp_path: Path) -> None:
    months = row_months(parsed(tmp_path), "--half-life-months")
    assert (months - months.min()).tolist() == [0, 2, 2, 0, 3, 0, 3, 1]


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        (1, ["4", "6"]),
        (2, ["1", "2", "4", "6"]),
        (3, ["1", "2", "4", "6", "7"]),
        (4, list("01234567")),
        (99, list("01234567")),
        (0, list("01234567")),
    ],
)
def test_a_window_keeps_the_last_months(tmp_path: Path, window: int, kept: list[str]) -> None:
    found = in_window(parsed(tmp_path), window)
    assert ids(found) == kept
    assert found.statistics.num_rows == len(kept)


@pytest.mark.parametrize(
    ("months", "found"), [(("", ""), "none at all"), (("", "spring", "May 26"), "such as 'spring'")]
)
def test_a_catalog_without_months_is_refused(tmp_path: Path, months: tuple[str, ...], found: str) -> None:
    with pytest.raises(
        CatalogError,
        match=r"shop\.csv: --window-months needs the month in which a product was listed, such as 2026-03 in the"
        rf" column month, found {found}; name its heading with --columns month=HEADING",
    ):
        in_window(parsed(tmp_path, months), 1)


def test_a_row_counts_half_after_each_half_life() -> None:
    newest = 24_300
    np.testing.assert_allclose(
        age_weights(newest - np.array([0, 1, 2, 4, 6]), half_life_months=2), [1, 0.7071, 0.5, 0.25, 0.125], rtol=1e-4
    )
    assert age_weights(np.array([0, newest]), half_life_months=0.5).min() > 0
