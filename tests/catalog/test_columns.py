"""Columns by heading."""

import unicodedata
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


def test_a_heading_with_a_comma_stands_in_quotes() -> None:
    assert parse_columns('maker="made by, sold by",brand=b,category="a ""b"", c"') == {
        "maker": "made by, sold by",
        "brand": "b",
        "category": 'a "b", c',
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "product_nam=title",
            r"unknown column 'product_nam'; the columns are product_id, .*did you mean 'product_name'",
        ),
        ("title", r"expected NAME=HEADING, found 'title'; write product_name=title"),
        ('brand="a,maker=b', r"expected quotes in pairs, found 'brand=\"a,maker=b'; write brand="),
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
        "product_id": ("product_id",),
        "product_name": ("title",),
    }
    assert locate_columns(PATH, list(COLUMNS), {}) == {name: (name,) for name in COLUMNS}


def test_case_outer_spaces_and_unicode_form_of_a_heading_do_not_count() -> None:
    decomposed = unicodedata.normalize("NFD", "상품명")
    located = locate_columns(PATH, [" Product_ID", decomposed, "BRAND", "brand"], {"product_name": "상품명"})
    assert located == {"product_id": (" Product_ID",), "product_name": (decomposed,), "brand": ("brand",)}
    with pytest.raises(CatalogError, match="the heading 'brand' stands twice"):
        locate_columns(PATH, ["Brand", "BRAND"], {})


def test_the_levels_of_a_path_may_have_a_heading_each() -> None:
    headings = ["title", "category", "type", "a>b"]
    columns = {"product_name": "title", "category": "category > Type", "mall_category": "a>b"}
    assert locate_columns(PATH, headings, columns) == {
        "product_name": ("title",),
        "mall_category": ("a>b",),
        "category": ("category", "type"),
    }
    with pytest.raises(CatalogError, match=r"expected a heading 'kind' for category, found 'title', 'c"):
        locate_columns(PATH, headings, {**columns, "category": "category>kind"})
    with pytest.raises(SettingsError, match="expected one heading for brand, found 'title>type'; only paths have"):
        locate_columns(PATH, headings, {"brand": "title>type"})


def test_one_heading_may_serve_two_columns() -> None:
    located = locate_columns(PATH, ["product_id", "company"], {"brand": "company", "maker": "company"})
    assert located == {"product_id": ("product_id",), "brand": ("company",), "maker": ("company",)}


@pytest.mark.parametrize(
    ("headings", "columns", "message"),
    [
        (
            ["id", "brand"],
            {"product_id": "product_id"},
            r"shop\.csv: expected a heading 'product_id' for product_id, found 'id', 'brand'; name the",
        ),
        (
            ["product_id", "brand"],
            {"category": "cat"},
            r"expected a heading 'cat' for category, .*--columns category=H",
        ),
        (["product_id", "category"], {}, r"expected at least one of product_name, .*, image, found 'product_id', 'cat"),
        (["product_id", "brand", "brand"], {}, r"shop\.csv: the heading 'brand' stands twice; rename one of the two"),
        (["\udcbb\udcf3", "brand"], {"maker": "made by"}, r"found '\\xbb\\xf3', 'brand'"),
        ([], {}, r"found no heading at all"),
    ],
)
def test_a_file_that_lacks_a_column(headings: list[str], columns: dict[str, str], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        locate_columns(PATH, headings, columns)


def test_an_unknown_column_in_a_mapping_made_elsewhere() -> None:
    with pytest.raises(SettingsError, match="unknown column 'name'"):
        locate_columns(PATH, ["product_id", "brand"], {"name": "brand"})
