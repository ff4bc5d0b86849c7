"""Metrics by the mall's own top-level category."""

import numpy as np

from catalog.rows import CatalogRow
from tests.conftest import catalog_row
from training.evaluation.mall_category_metrics import NUM_REPORTED, MallCategoryMetrics


def rows_of(*mall_categories: str) -> list[CatalogRow]:
    return [
        catalog_row(i, str(i), {"name": "name", "mall_category": mall}, category="leaf")
        for i, mall in enumerate(mall_categories)
    ]


def test_groups_by_eye() -> None:
    """Check PC with 10 rows, 4 right, 2 accepted, 1 of them right; Fashion with 12, all right, none accepted."""
    groups = MallCategoryMetrics()
    pc = rows_of(*["PC > Laptops", "PC", "PC>Parts"] * 3, " PC >x")
    groups.add(pc[:5], np.arange(5) < 4, np.arange(5) >= 3)
    groups.add(pc[5:], np.zeros(5, bool), np.zeros(5, bool))
    groups.add(rows_of(*["Fashion>Tops"] * 12), np.ones(12, bool), np.zeros(12, bool))
    groups.add(rows_of(*["rare"] * 9, *[""] * 20), np.zeros(29, bool), np.ones(29, bool))
    assert groups.worst() == [
        {
            "mall_category": "PC",
            "count": 10,
            "accuracy": 0.4,
            "leaf_accepted_share": 0.2,
            "leaf_accepted_precision": 0.5,
        },
        {
            "mall_category": "Fashion",
            "count": 12,
            "accuracy": 1.0,
            "leaf_accepted_share": 0.0,
            "leaf_accepted_precision": None,
        },
    ]


def test_groups_are_bounded_and_so_is_the_list() -> None:
    groups = MallCategoryMetrics(max_groups=60)
    for _ in range(10):
        groups.add(rows_of(*(f"mall {i}" for i in range(100))), np.ones(100, bool), np.ones(100, bool))
    assert len(groups.worst()) == NUM_REPORTED
    assert {group["mall_category"] for group in groups.worst()} <= {f"mall {i}" for i in range(60)}


def test_no_mall_category_gives_no_group() -> None:
    assert MallCategoryMetrics().worst() == []
