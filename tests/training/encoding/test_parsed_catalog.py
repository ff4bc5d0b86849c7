"""A catalog parsed once into the cache."""

import os
import unicodedata
from pathlib import Path

import pyarrow
import pytest

from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from catalog.rejects import Rejects
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError
from tests.conftest import write_catalog
from training.encoding import parsed_catalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog

ROWS = [
    {"product_id": f"p{i}", "product_name": f'셔츠 {i}, "L"\n새', "image": f"{i}.png", "category": "의류>상의"}
    for i in range(20)
]
BAD = {4: {"product_id": "p1"}, 9: {"product_id": "", "product_name": "no id"}, 22: {"product_id": "p2"}}


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """20 good rows and 3 bad ones, the last row among them."""
    rows = list(ROWS)
    for position, row in BAD.items():
        rows.insert(position, row)
    return write_catalog(tmp_path / "shop.csv", rows)


def flat(parsed: ParsedCatalog, chunk_rows: int, rejects: Rejects | None = None) -> list[CatalogRow]:
    chunks = list(parsed.rows(chunk_rows, rejects))
    assert all(0 < len(chunk) <= chunk_rows for chunk in chunks)
    return [row for chunk in chunks for row in chunk]


@pytest.mark.parametrize("chunk_rows", [1, 3, 8192])
def test_rows_and_rejects_are_those_of_the_file(catalog: Path, tmp_path: Path, chunk_rows: int) -> None:
    with Rejects(tmp_path / "expected.csv") as rejects:
        expected = [row for chunk in read_catalog(catalog, rejects=rejects) for row in chunk]
    with Rejects(tmp_path / "found.csv") as rejects:
        assert flat(parse_catalog(catalog, ReadOptions(), tmp_path / "cache"), chunk_rows, rejects) == expected
    assert rejects.count == 3
    assert (tmp_path / "found.csv").read_text("utf-8") == (tmp_path / "expected.csv").read_text("utf-8")


def test_rejects_come_before_the_rows_behind_them(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = parsed_catalog.read_catalog
    monkeypatch.setattr(parsed_catalog, "read_catalog", lambda *args, **named: read(*args, chunk_rows=5, **named))
    rejects = Rejects(None)
    counts = [rejects.count for _ in parse_catalog(catalog, ReadOptions(), tmp_path / "cache").rows(5, rejects)]
    assert (counts, rejects.count) == ([1, 2, 2, 2, 3], 3)


def test_statistics_are_those_of_the_good_rows(catalog: Path, tmp_path: Path) -> None:
    found = parse_catalog(catalog, ReadOptions(), tmp_path / "cache").statistics
    assert (found.path, found.num_rows) == (catalog, 20)
    assert found.label_counts == {"의류>상의": 20}
    assert found.frequent_fields() == ("name", "image")


def test_spellings_of_a_label_are_counted_as_one(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "의류>상의")
    path = write_catalog(tmp_path / "shop.csv", [ROWS[0], {**ROWS[1], "category": nfd}])
    for _ in range(2):  # the second time from the cache
        found = parse_catalog(path, ReadOptions(), tmp_path / "cache").statistics
        assert found.label_counts == {"의류>상의": 2}
        assert found.label_warnings[0].startswith("2 spellings of labels are read as 1 category")


def test_equal_content_is_parsed_once(catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse_catalog(catalog, ReadOptions(), tmp_path / "cache")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(catalog.read_bytes())
    monkeypatch.setattr(parsed_catalog, "read_catalog", None)
    again = parse_catalog(copy, ReadOptions(), tmp_path / "cache")
    assert (again.digest, again.path, again.statistics.path) == (first.digest, copy, copy)
    assert flat(again, 7) == flat(first, 7)


def test_headings_content_and_format_give_another_entry(catalog: Path, tmp_path: Path) -> None:
    lines = write_catalog(tmp_path / "other.csv", ROWS[:1])
    as_tsv = tmp_path / "other.tsv"
    as_tsv.write_bytes(lines.read_bytes().replace(b",", b"\t"))
    tabs_in_csv = tmp_path / "tabs.csv"
    tabs_in_csv.write_bytes(as_tsv.read_bytes())
    swapped = ReadOptions("product_name=category,category=product_name")
    # The last one has the same bytes under another format's name.
    cases = [(catalog, swapped), *((path, DEFAULT_OPTIONS) for path in (catalog, lines, as_tsv, tabs_in_csv))]
    digests = {parse_catalog(path, options, tmp_path / "cache").digest for path, options in cases}
    assert len(digests) == 5


def test_a_catalog_without_a_good_row(tmp_path: Path) -> None:
    path = write_catalog(tmp_path / "shop.csv", [{"product_id": " ", "product_name": "no id"}])
    rejects = Rejects(None)
    found = parse_catalog(path, ReadOptions(), tmp_path / "cache")
    assert flat(found, 5, rejects) == []
    assert (rejects.count, found.statistics.num_rows) == (1, 0)


def test_a_catalog_that_cannot_be_read_leaves_no_entry(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("id,title\n1,shirt\n", encoding="utf-8")
    with pytest.raises(CatalogError, match="expected at least one of product_name"):
        parse_catalog(tmp_path / "shop.csv", ReadOptions(), tmp_path / "cache")
    with pytest.raises(CatalogError, match=r"none\.csv cannot be read: .*No such file.*; check the path"):
        parse_catalog(tmp_path / "none.csv", ReadOptions(), tmp_path / "cache")
    assert not list((tmp_path / "cache" / "catalogs").iterdir())


def test_a_full_disk_leaves_no_entry(catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parsed_catalog, "_batch", full)
    with pytest.raises(OSError, match="No space left"):
        parse_catalog(catalog, ReadOptions(), tmp_path / "cache")
    assert not list((tmp_path / "cache" / "catalogs").iterdir())
    monkeypatch.undo()
    assert len(flat(parse_catalog(catalog, ReadOptions(), tmp_path / "cache"), 9)) == 20


def test_what_a_killed_process_of_the_same_id_left_is_no_obstacle(catalog: Path, tmp_path: Path) -> None:
    folder = parse_catalog(catalog, ReadOptions(), tmp_path / "cache").files[0].folder
    left = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    folder.rename(left)
    assert len(flat(parse_catalog(catalog, ReadOptions(), tmp_path / "cache"), 9)) == 20
    assert not left.exists()
    assert pyarrow.ipc.open_file(folder / "rows.arrow").num_record_batches == 1
