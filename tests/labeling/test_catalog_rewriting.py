"""Copies of catalogs with other labels."""

from pathlib import Path

import pytest

from catalog.read_options import ReadOptions
from catalog.rows import read_catalog
from labeling.decisions.catalog_rewriting import rewrite_labels
from model.errors import LabelingError


def test_labels_are_written_with_the_separator_and_delimiter_of_the_file(tmp_path: Path) -> None:
    catalog, out = tmp_path / "shop.txt", tmp_path / "new.txt"
    catalog.write_bytes("title^category\n모자^옷 / 모자\n신발^옷 / 모자\n".encode("cp949"))
    options = ReadOptions("product_name=title", "cp949", "^", "/")
    rewrite_labels(catalog, options, {3: "옷>신발"}, out)
    assert out.read_text(encoding="utf-8") == "title^category\n모자^옷 / 모자\n신발^옷/신발\n"
    again = ReadOptions("product_name=title", delimiter="^", separator="/")
    assert [row.category for rows in read_catalog(out, again) for row in rows] == ["옷>모자", "옷>신발"]


def test_json_lines_by_their_other_ending(tmp_path: Path) -> None:
    catalog, out = tmp_path / "shop.ndjson", tmp_path / "new.ndjson"
    catalog.write_text('{"product_name": "a", "category": "A", "n": 1}\n{"product_name": "b", "category": "A"}\n')
    rewrite_labels(catalog, ReadOptions(), {1: "B"}, out)
    assert out.read_text().splitlines() == [
        '{"product_name": "a", "category": "B", "n": 1}',
        '{"product_name": "b", "category": "A"}',
    ]


def test_a_spreadsheet_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(LabelingError, match=r"shop\.xlsx: expected one of \.csv, .*, found a spreadsheet; save it as"):
        rewrite_labels(tmp_path / "shop.xlsx", ReadOptions(), {}, tmp_path / "new.xlsx")
