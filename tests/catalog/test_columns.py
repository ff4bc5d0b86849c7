"""Columns by heading."""

from pathlib import Path

import pytest

from catalog.columns import COLUMNS, locate_columns, parse_columns
from model.errors import CatalogError, SettingsError

PATH = Path("shop.csv")


def test_parse() -> None:
    assert parse_columns(" product_name=title , category = shop cat=1,") == {
        "product_name": "title",
        "category": "shop cat=1",
    }
    assert parse_columns("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "product_nam=title",
            r"unknown column 'product_nam'; the columns are product_id, .*did you mean 'product_name'",
        ),
        ("title", r"expected NAME=HEADING, found 'title'; write product_name=title"),
        ("brand=", r"expected NAME=HEADING, found 'brand='"),
        ("brand=a,brand=b", r"'brand' stands twice; map each column once"),
    ],
)
def test_a_wrong_mapping(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_columns(text)


def test_locate() -> None:
    headings = ["stock", "title", "product_id", "product_name"]
    assert locate_columns(PATH, headings, {"product_name": "title"}) == {
        "product_id": "product_id",
        "product_name": "title",
    }
    assert locate_columns(PATH, list(COLUMNS), {}) == {name: name for name in COLUMNS}


def test_one_heading_may_serve_two_columns() -> None:
    located = locate_columns(PATH, ["product_id", "company"], {"brand": "company", "maker": "company"})
    assert located == {"product_id": "product_id", "brand": "company", "maker": "company"}


@pytest.mark.parametrize(
    ("headings", "columns", "message"),
    [
        (
            ["id", "brand"],
            {},
            r"shop\.csv: expected a heading 'product_id' for product_id, found 'id', 'brand'; name the",
        ),
        (
            ["product_id", "brand"],
            {"category": "cat"},
            r"expected a heading 'cat' for category, .*--columns category=H",
        ),
        (["product_id", "category"], {}, r"expected at least one of product_name, .*, image, found 'product_id', 'cat"),
        (["product_id", "brand", "brand"], {}, r"shop\.csv: the heading 'brand' stands twice; rename one of the two"),
        (["\udcbb\udcf3", "brand"], {}, r"found '\\xbb\\xf3', 'brand'"),
        ([], {}, r"found no heading at all"),
    ],
)
def test_a_file_that_lacks_a_column(headings: list[str], columns: dict[str, str], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        locate_columns(PATH, headings, columns)


def test_an_unknown_column_in_a_mapping_made_elsewhere() -> None:
    with pytest.raises(SettingsError, match="unknown column 'name'"):
        locate_columns(PATH, ["product_id", "brand"], {"name": "brand"})
