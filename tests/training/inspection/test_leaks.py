"""Catalogs that teach nothing: inputs that hold the label, and labels of one category."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.labels.label_space import LabelSpace, find_labels
from catalog.read_options import DEFAULT_OPTIONS
from model.errors import CatalogError
from tests.conftest import write_catalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.inspection.leaks import Leak, find_leaks
from training.inspection.refusals import refuse_nothing_to_learn

DEEP = ("의류>상의>티셔츠", "의류>하의>청바지", "가전>주방>전기 포트")
FLAT = ("shirts", "jeans", "kettles")
#: Builds the columns of a row from its label and its number.
Make = Callable[[str, int], dict[str, str]]


def read(folder: Path, labels: tuple[str, ...], make: Make, count: int = 60) -> tuple[ParsedCatalog, LabelSpace]:
    rows = [
        {"product_id": str(i), "category": (label := labels[i % len(labels)]), **make(label, i)} for i in range(count)
    ]
    catalog = parse_catalog(write_catalog(folder / "shop.csv", rows), DEFAULT_OPTIONS, folder / "cache")
    return catalog, find_labels(catalog.statistics)


def found(folder: Path, labels: tuple[str, ...], make: Make, count: int = 60) -> list[Leak]:
    catalog, space = read(folder, labels, make, count)
    return find_leaks(catalog, space, catalog.statistics.frequent_fields())


@pytest.mark.parametrize(
    ("labels", "make"),
    [
        (DEEP, lambda label, i: {"product_name": f"a{i}", "mall_category": label}),
        (DEEP, lambda label, i: {"product_name": f"a{i}", "mall_category": label.replace(">", " / ")}),
        (DEEP, lambda label, i: {"product_name": f"a{i}", "description": f"Sold in {label.upper()} since {i}"}),
        (DEEP, lambda label, i: {"product_name": f"{label} : a{i}"}),
        (DEEP, lambda label, i: {"product_name": label}),
        (FLAT, lambda label, i: {"product_name": label.title()}),
        (FLAT, lambda label, i: {"product_name": f"a{i}", "brand": f"my {label}"}),
        (FLAT, lambda label, i: {"product_name": f"a{i}", "brand": label if i % 2 else ""}),
    ],
)
def test_a_text_that_holds_the_label_is_found_by_its_values(
    labels: tuple[str, ...], make: Make, tmp_path: Path
) -> None:
    (leak,) = found(tmp_path, labels, make)
    assert (leak.is_leaf, leak.share) == (False, 1)


@pytest.mark.parametrize(
    ("labels", "make"),
    [
        (DEEP, lambda label, i: {"product_name": f"{label.rpartition('>')[2]} {i}"}),
        (DEEP, lambda label, i: {"product_name": f"{label.replace('>', ' ')} {i}"}),  # a name may say it all
        (DEEP, lambda label, i: {"product_name": f"a{i}", "mall_category": f"{label.rpartition('>')[2]}, new"}),
        (DEEP, lambda label, i: {"product_name": f"a{i}", "mall_category": label if i % 20 else "others"}),
        (FLAT, lambda label, i: {"product_name": f"red {label} {i}"}),
        (FLAT, lambda label, i: {"product_name": f"a{i}", "brand": f"{label}town"}),
        (FLAT, lambda label, i: {"product_name": f"a{i}", "brand": label if label == "jeans" else ""}),
    ],
)
def test_a_text_that_has_words_of_the_label_is_no_leak(labels: tuple[str, ...], make: Make, tmp_path: Path) -> None:
    assert not found(tmp_path, labels, make)


def test_few_rows_may_agree_by_chance(tmp_path: Path) -> None:
    assert not found(tmp_path, FLAT, lambda label, _: {"product_name": label}, count=4)


def test_the_refusal_names_column_example_and_ways_out(tmp_path: Path) -> None:
    make: Make = lambda label, i: {"product_name": f"a{i}", "brand": "b", "mall_category": label}  # noqa: E731
    catalog, labels = read(tmp_path, DEEP, make)
    with pytest.raises(CatalogError) as refused:
        refuse_nothing_to_learn(catalog, labels, catalog.statistics.frequent_fields(), allow_leaks=False)
    assert str(refused.value) == (
        f"{catalog.path}: mall_category holds the label itself in 100.0% of the rows that have one, such as"
        " '의류>상의>티셔츠' of '의류>상의>티셔츠': a model would copy it and know nothing where it is missing;"
        " leave it out with --fields name brand, or allow it with --allow-leaks where products to come have it, too"
    )
    refuse_nothing_to_learn(catalog, labels, catalog.statistics.frequent_fields(), allow_leaks=True)
    refuse_nothing_to_learn(catalog, labels, ("name", "brand"), allow_leaks=False)


def test_without_another_field_the_refusal_asks_for_another_heading(tmp_path: Path) -> None:
    catalog, labels = read(tmp_path, DEEP, lambda label, _: {"product_name": label})
    with pytest.raises(CatalogError, match="missing; map another heading with --columns, or allow it"):
        refuse_nothing_to_learn(catalog, labels, ("name",), allow_leaks=False)


def test_the_malls_own_category_may_equal_the_last_level(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make: Make = lambda label, i: {"product_name": f"a{i}", "mall_category": label.rpartition(">")[2]}  # noqa: E731
    catalog, labels = read(tmp_path, DEEP, make)
    with caplog.at_level(logging.WARNING):
        refuse_nothing_to_learn(catalog, labels, ("name", "mall_category"), allow_leaks=False)
    assert "mall_category equals the last level of the label in 100.0% of the rows" in caplog.text


@pytest.mark.parametrize("allow_leaks", [False, True])
def test_one_category_is_nothing_to_learn(allow_leaks: bool, tmp_path: Path) -> None:
    catalog, labels = read(tmp_path, FLAT[:1], lambda _, i: {"product_name": f"a{i}"})
    with pytest.raises(
        CatalogError, match=r"shop.csv: expected products of two categories or more, found 'shirts' for all 60 labelled"
    ):
        refuse_nothing_to_learn(catalog, labels, ("name",), allow_leaks)
