"""Rows of a spreadsheet's first visible sheet: .xlsx, .xls and .ods."""

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.formats.cell_text import bad_cell, cell_text, cell_texts
from catalog.formats.column_layout import ColumnLayout
from catalog.formats.row import OnBadRow, Row
from catalog.read_options import ReadOptions
from model.errors import CatalogError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


def spreadsheet_rows(path: Path, options: ReadOptions, on_bad: OnBadRow) -> Iterator[Row]:
    """Yield the rows below the headings, which are the first row that is not empty; empty rows are skipped."""
    headings, rows = sheet_cells(path)
    layout = ColumnLayout(path, headings, options.headings)
    pick = itemgetter(*layout.sources({heading: headings.index(heading) for heading in headings}, len(headings)))
    for number, (line, cells) in enumerate(rows, start=1):
        values = pick([*cells, ""])  # the last one is the value of missing columns
        try:
            yield line, layout.texts(cell_texts(layout, values), number)
        except ValueError:
            on_bad(line, *bad_cell(layout, values))


def sheet_cells(path: Path) -> tuple[list[str], Iterator[tuple[int, list[Any]]]]:
    """The headings of the first visible sheet, and (line, cells) of the rows below them that are not empty.

    Raises:
        CatalogError: the file cannot be read, or the sheet is empty.
    """
    sheet = _sheet(path)
    rows = ((number, cells) for number, cells in enumerate(sheet.iter_rows(), start=1) if any(map(_is_filled, cells)))
    _, cells = next(rows, (0, None))
    if cells is None:
        raise CatalogError(f"{path}: expected a row of headings, found an empty sheet; write the column names first")
    return [_heading(cell) for cell in cells], rows


def _sheet(path: Path) -> "CalamineSheet":
    try:
        from python_calamine import CalamineError, SheetVisibleEnum, load_workbook
    except ImportError as error:
        raise CatalogError(
            f"{path}: spreadsheets are read with python-calamine, which is not installed; pip install python-calamine,"
            " or save it as CSV"
        ) from error
    try:
        book: CalamineWorkbook = load_workbook(path)
        visible = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
        return book.get_sheet_by_name((visible or book.sheet_names)[0])
    except (OSError, CalamineError, IndexError) as error:
        raise CatalogError(
            f"{path} cannot be read: {error}; check the path, or save it as .xlsx or CSV again"
        ) from error


def _heading(cell: object) -> str:
    try:
        return cell_text(cell).strip()
    except ValueError:  # a date or a truth value names no column
        return str(cell)


def _is_filled(cell: object) -> bool:
    return cell is not None and cell != ""
