"""Statistics of a catalog."""

from pathlib import Path

import pytest

from catalog.statistics import CatalogStatistics, StatisticsCounter
from model.errors import CatalogError
from model.product import FIELDS
from tests.conftest import catalog_row


def counted(*rows: dict[str, str], max_labels: int = 9) -> CatalogStatistics:
    """Count rows in two chunks."""
    counter = StatisticsCounter(Path("shop.csv"), max_labels=max_labels)
    parsed = [catalog_row(2, "p", row, row.get("image", ""), row.get("category", "")) for row in rows]
    counter.add(parsed[:2])
    counter.add(parsed[2:])
    return counter.statistics()


def test_rows_fields_and_labels_are_counted() -> None:
    found = counted(
        {"name": "shirt", "category": "A"}, {"name": "---", "image": "a.jpg"}, {"name": "hat", "category": "A"}
    )
    assert found.num_rows == 3
    assert {field: count for field, count in found.field_counts.items() if count} == {"name": 2, "image": 1}
    assert set(found.field_counts) == set(FIELDS)
    assert found.label_counts == {"A": 2, "": 1}
    assert not found.label_warnings


def test_a_field_counts_from_half_a_percent_of_the_rows() -> None:
    rows = [{"name": f"name {i}", "mall_category": " >> "} for i in range(400)]  # no letter, no digit
    rows[0]["brand"] = rows[1]["brand"] = "brand"  # 2 of 400: just enough
    rows[0]["maker"] = "maker"  # 1 of 400: too few
    rows[0]["image"], rows[399]["image"] = "a.jpg", "b.jpg"
    assert counted(*rows).frequent_fields() == ("name", "brand", "image")


def test_one_row_of_a_small_catalog_is_enough() -> None:
    assert counted({"image": "a.jpg"}, {}).frequent_fields() == ("image",)


def test_a_catalog_without_a_usable_field_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"shop\.csv: expected a name, .* or a picture, found none in 3 rows"):
        counted(*[{"name": "---", "category": "a"}] * 3).frequent_fields()


def test_a_column_that_holds_no_categories() -> None:
    with pytest.raises(
        CatalogError, match=r"shop\.csv: expected at most 3 categories, found more, such as 'd'; .*category=HEADING"
    ):
        counted(*({"name": "x", "category": label} for label in "abcd"), max_labels=3)
