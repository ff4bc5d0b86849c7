"""The fields a catalog really has."""

from pathlib import Path

import pytest

from catalog.field_statistics import frequent_fields
from model.errors import CatalogError
from tests.conftest import write_catalog


def test_a_field_counts_from_half_a_percent_of_the_rows(tmp_path: Path) -> None:
    rows = [{"product_id": str(i), "product_name": f"name {i}"} for i in range(400)]
    rows[0]["brand"] = rows[1]["brand"] = "brand"  # 2 of 400: just enough
    rows[0]["maker"] = "maker"  # 1 of 400: too few
    rows[0]["image"], rows[399]["image"] = "a.jpg", "b.jpg"
    for row in rows:
        row["mall_category"] = " >> "  # no letter, no digit
    assert frequent_fields(write_catalog(tmp_path / "shop.csv", rows), {}) == ("name", "brand", "image")


def test_one_row_of_a_small_catalog_is_enough(tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "shop.csv", [{"product_id": "1", "image": "a.jpg"}, {"product_id": "2"}])
    assert frequent_fields(catalog, {}) == ("image",)


def test_mapped_headings_are_read(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("sku,title\n1,shirt\n", encoding="utf-8")
    columns = {"product_id": "sku", "product_name": "title"}
    assert frequent_fields(tmp_path / "shop.csv", columns) == ("name",)


def test_a_catalog_without_a_usable_field_is_refused(tmp_path: Path) -> None:
    rows = [{"product_id": str(i), "product_name": "---", "category": "a"} for i in range(3)]
    catalog = write_catalog(tmp_path / "shop.csv", rows)
    with pytest.raises(CatalogError, match=r"shop\.csv: expected a name, .* or a picture, found none in 3 rows"):
        frequent_fields(catalog, {})
