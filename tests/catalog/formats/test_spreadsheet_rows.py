"""Spreadsheets as catalogs."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from catalog.read_options import ReadOptions
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError


class Listing:
    """Rows that were left out."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, str]] = []

    def add(self, _file: Path | str, line: int, product_id: str, reason: str) -> None:
        self.rows.append((line, product_id, reason))


def write_sheets(path: Path, **sheets: list[list[Any]]) -> Path:
    """Write a workbook; a cell None stays empty, and a sheet whose name begins with 'hidden' is hidden."""
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, cells in enumerate(rows):
                sheet.write_row(number, 0, cells)
        visible = [sheet for sheet in book.worksheets() if not sheet.get_name().startswith("hidden")]
        for sheet in visible[:1]:
            sheet.set_first_sheet()
            sheet.activate()
        for sheet in book.worksheets():
            if sheet not in visible:
                sheet.hide()
    return path


def rows_of(path: Path, options: ReadOptions | None = None) -> tuple[list[CatalogRow], list[tuple[int, str, str]]]:
    listing = Listing()
    return [row for rows in read_catalog(path, options or ReadOptions(), rejects=listing) for row in rows], listing.rows


def test_the_first_visible_sheet_is_read_with_its_row_numbers(tmp_path: Path) -> None:
    path = write_sheets(
        tmp_path / "shop.xlsx",
        hidden=[["product_name"], ["not this one"]],
        products=[
            [None],
            ["product_id", "product_name", "price", "month", "category"],
            [1, "머그컵", 9.5, date(2026, 3, 1), "주방>컵"],
            [None, None, None, None, None],
            ["b-2", "tea", 12, None, "Food>Tea"],
        ],
        notes=[["nothing"]],
    )
    (mug, tea), bad = rows_of(path)
    assert (mug.line, mug.product_id, mug.text("name"), mug.category) == (3, "1", "머그컵", "주방>컵")
    assert (mug.offer_text("price"), mug.offer_text("month")) == ("9.5", "2026-03-01")
    assert (tea.line, tea.product_id, tea.offer_text("price")) == (5, "b-2", "12")
    assert bad == []


def test_a_cell_that_is_no_text_costs_only_its_row(tmp_path: Path) -> None:
    path = write_sheets(
        tmp_path / "shop.xlsx", a=[["product_id", "title"], ["1", True], ["2", "cup"], ["3", date(2026, 1, 3)]]
    )
    (cup,), bad = rows_of(path, ReadOptions("product_name=title"))
    assert (cup.line, cup.text("name")) == (3, "cup")
    reason = "bad value: product_name: expected text or a number, found"
    assert bad == [(2, "1", f"{reason} bool; write it as text"), (4, "3", f"{reason} date; write it as text")]


def test_sheets_that_cannot_be_read(tmp_path: Path) -> None:
    empty = write_sheets(tmp_path / "empty.xlsx", a=[])
    with pytest.raises(CatalogError, match=r"empty\.xlsx: expected a row of headings, found an empty sheet; write the"):
        rows_of(empty)
    damaged = tmp_path / "damaged.xlsx"
    damaged.write_bytes(empty.read_bytes()[:-400])
    with pytest.raises(CatalogError, match=r"damaged\.xlsx cannot be read: .*; check the path, or save it as .xlsx"):
        rows_of(damaged)
    with pytest.raises(CatalogError, match=r"none\.xlsx cannot be read: No such file"):
        rows_of(tmp_path / "none.xlsx")
