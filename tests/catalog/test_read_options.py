"""How a file is read, where it does not say so itself."""

from pathlib import Path

import pytest

from catalog.labels.label_space import find_labels
from catalog.read_options import ReadOptions
from catalog.rows import CatalogRow, read_catalog
from catalog.statistics import StatisticsCounter
from model.errors import CatalogError, SettingsError


def rows_of(path: Path, options: ReadOptions) -> list[CatalogRow]:
    return [row for rows in read_catalog(path, options) for row in rows]


def test_a_named_encoding_is_taken_where_the_bytes_would_say_another(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes("product_name\nфен\nчай\n".encode("cp1251"))
    assert [row.text("name") for row in rows_of(path, ReadOptions(encoding="cp1251"))] == ["фен", "чай"]
    assert [row.text("name") for row in rows_of(path, ReadOptions(encoding="cp1252"))] == ["ôåí", "÷àé"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "UTF8", "utf-16", "utf-16-le", "utf-32-le", "shift_jis"])
def test_a_named_encoding_with_and_without_a_mark(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes("product_name,brand\n帽子,ア\n靴,イ\n".encode(encoding))
    found = rows_of(path, ReadOptions(encoding=encoding))
    assert [(row.line, row.text("name"), row.text("brand")) for row in found] == [(2, "帽子", "ア"), (3, "靴", "イ")]


def test_a_mark_that_says_something_else_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes("product_name\n모자\n".encode("utf-8-sig"))
    with pytest.raises(CatalogError, match=r"shop\.csv: expected text in cp949, found the mark of utf-8; leave --enc"):
        rows_of(path, ReadOptions(encoding="cp949"))


@pytest.mark.parametrize(
    ("delimiter", "character"), [("tab", "\t"), (";", ";"), ("pipe", "|"), ("^", "^"), (r"\t", "\t")]
)
def test_a_named_delimiter(delimiter: str, character: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(f"product_name{character}brand\na,b{character}c\n", encoding="utf-8")
    (row,) = rows_of(path, ReadOptions(delimiter=delimiter))
    assert (row.text("name"), row.text("brand")) == ("a,b", "c")


def test_a_named_separator_holds_in_the_taxonomy_too(tmp_path: Path) -> None:
    path, tree = tmp_path / "shop.csv", tmp_path / "tree.csv"
    path.write_text("product_name,category\na,Food -- Tea\nb,Food--Fruit\nc,\n", encoding="utf-8")
    tree.write_text("category_id,category\n1,Food--Tea\n2,Food -- Fruit\n3,Toys\n", encoding="utf-8")
    options = ReadOptions(separator="--")
    counter = StatisticsCounter(path, options)
    for rows in read_catalog(path, options, spellings=counter.spellings):
        counter.add(rows)
    assert counter.statistics().label_counts == {"Food>Tea": 1, "Food>Fruit": 1, "": 1}
    found = find_labels(counter.statistics(), tree, options.separator)
    assert list(found.taxonomy.leaves) == ["Food>Fruit", "Food>Tea", "Toys"]


def test_null_labels_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "bands.csv"
    path.write_text("product_name,category\na,None\nb,NULL\nc,rock\n", encoding="utf-8")
    assert [row.category for row in rows_of(path, ReadOptions())] == ["", "", "rock"]
    assert [row.category for row in rows_of(path, ReadOptions(keep_null_labels=True))] == ["None", "NULL", "rock"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "encoding",
            "cp9490",
            "--encoding: expected auto or the name of an encoding, such as utf-8 .*",
        ),
        ("encoding", "base64", "--encoding: expected auto or the name of an encoding, .*, found 'base64'"),
        ("delimiter", ";;", "--delimiter: expected auto, one character, .*, found ';;'; write --delimiter ';'"),
        ("delimiter", '"', "--delimiter: expected auto, one character"),
        ("separator", " ", "--separator: expected a text such as / or >, found ' '"),
        ("columns", "colour=title", "--columns: unknown column 'colour'"),
    ],
)
def test_a_value_that_cannot_be_used(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ReadOptions(**{name: value})  # type: ignore[arg-type]


def test_flags_say_the_same() -> None:
    assert ReadOptions().flags() == []
    options = ReadOptions("brand=by", encoding="cp949", delimiter=";", separator="/", keep_null_labels=True)
    assert options.flags() == [
        "--columns=brand=by",
        "--encoding=cp949",
        "--delimiter=;",
        "--separator=/",
        "--keep-null-labels",
    ]
    assert options.requiring("product_id").headings == {"product_id": "product_id", "brand": "by"}
    assert ReadOptions("product_id=sku").requiring("product_id").headings == {"product_id": "sku"}
