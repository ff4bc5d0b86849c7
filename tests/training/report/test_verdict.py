"""The summary of an evaluation in plain sentences."""

from typing import Any

import pytest

from training.metrics.classification import CategoryRow
from training.report.contract_text import percent, target_text
from training.report.verdict import of_hundred, verdict, weakest_categories


def row(category: str, found: int, support: int) -> CategoryRow:
    return CategoryRow(category, 1.0, found / support, 0.5, support, found, "Other>Bags", support - found)


def metrics(**changes: Any) -> dict[str, Any]:
    contract = {
        "accepted_share": 0.85,
        "accepted_precision": 0.984,
        "precision_interval": [0.979, 0.988],
        "is_kept": True,
        "leaf_accepted_share": 0.72,
        "needs_review_share": 0.28,
        "depths": [{"depth": 1, "is_kept": None}, {"depth": 2, "is_kept": True}],
    }
    contract |= {name: changes.pop(name) for name in tuple(changes) if name in contract}
    combinations = [{"fields": ["name", "image"], "share": 1.0, "accuracy": 0.907}]
    values = {"count": 5000, "accuracy": 0.907, "top_5_accuracy": 0.977, "field_combinations": combinations}
    values["worst_group"] = None
    return {**values, "contract": contract, **changes}


def summary(category_rows: tuple[CategoryRow, ...] = (row("Home>Rugs>Round", 41, 100),), **changes: Any) -> str:
    return " ".join(verdict(metrics(**changes), 0.98, category_rows)).replace("\u00a0", " ")


def test_the_whole_paragraph() -> None:
    assert summary() == (
        "Of 100 products, the model's first answer is the right category for 91; for 98 the right category is "
        "among its first five. It accepts 85 of 100 answers by itself, 72 of them down to a leaf; 98.4 % of the "
        "accepted are right (97.9 to 98.8 %): the promised 98 % are kept. 28 of 100 need review by a person. It is "
        "weakest in "
        "“Rugs › Round”, where it finds 41 of 100 products and most often answers “Other › Bags” instead."
    )


def test_a_precision_below_the_target_is_stated() -> None:
    broken = {"accepted_precision": 0.97, "precision_interval": [0.96, 0.979], "is_kept": False}
    depths = [{"depth": 1, "is_kept": False}, {"depth": 2, "is_kept": True}, {"depth": 3, "is_kept": False}]
    sentences = summary(**broken, depths=depths)
    assert "97.0 % of the accepted are right (96.0 to 97.9 %): the promised 98 % are not kept." in sentences
    assert "Those that stop at depth 1 and 3 are right less often than promised." in sentences
    broken["precision_interval"] = [0.96, 0.981]
    assert "are not kept, by no more than chance makes of it." in summary(**broken)


def test_nothing_accepted() -> None:
    sentences = summary(leaf_accepted_share=0.0, accepted_precision=None, is_kept=None, needs_review_share=1.0)
    assert "It accepts no answer by itself: every product needs review by a person." in sentences


def test_everything_accepted_leaves_no_review() -> None:
    assert "need review" not in summary(leaf_accepted_share=1.0, accepted_share=1.0, needs_review_share=0.0)


def test_no_mistake_and_no_product() -> None:
    assert "It made no mistake." in summary(category_rows=(row("Home", 10, 10),))
    assert (
        summary(count=0)
        == "No product could be evaluated: the catalog has none that is usable and has a known category."
    )


def test_a_small_catalog_has_its_sampling_error_stated() -> None:
    assert summary(count=100).endswith("measured on only 100 products, so a share may be off by up to 10 in 100.")
    assert "measured on one product" in summary(count=1)
    assert "measured on" not in summary(count=400)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["image"], "Products with only a picture have the lowest accuracy: 50 of 100 are right."),
        (["mall_category", "brand", "image"], "Products with every field but a name have the lowest accuracy"),
        (["name", "mall_category", "brand", "image"], "Products with every field have the lowest accuracy"),
        (["name", "brand"], "Products with only a name and a brand have the lowest accuracy"),
        ([], "Products with no field that the model reads have the lowest accuracy"),
    ],
)
def test_the_worst_field_combination_is_named(fields: list[str], words: str) -> None:
    common = {"fields": ["name", "mall_category", "brand", "image"], "share": 0.8, "accuracy": 0.95}
    assert words in summary(field_combinations=[common, {"fields": fields, "share": 0.2, "accuracy": 0.5}])


def test_a_rare_or_slightly_worse_combination_is_not_named() -> None:
    for share, accuracy in ((0.01, 0.1), (0.3, 0.88)):
        assert "have the lowest accuracy" not in summary(
            field_combinations=[{"fields": ["name"], "share": share, "accuracy": accuracy}]
        )


def test_the_worst_group_is_named_with_its_interval() -> None:
    worst = {"grouping": "mall", "group": "Shop>7", "count": 1240, "accuracy": 0.61, "interval": [0.55, 0.67]}
    assert (
        "The worst group is mall “Shop › 7”: 61.0 % of 1,240 products are right (55.0 to 67.0 %), of all 90.7 %."
        in summary(worst_group={**worst, "is_surely_worse": True})
    )
    assert "No group is surely worse than the whole; the lowest is mall “Shop › 7”: 61.0 % of" in summary(
        worst_group={**worst, "is_surely_worse": False}
    )


def test_weakest_categories_are_large_enough_to_compare() -> None:
    rows = [
        row("tiny", 0, 9),
        row("good", 9, 10),
        row("bad", 5, 10),
        row("bad and larger", 10, 20),
        row("done", 10, 10),
    ]
    assert [entry.category for entry in weakest_categories(rows, limit=2)] == ["bad and larger", "bad"]
    assert [entry.category for entry in weakest_categories(rows[:1], limit=2)] == ["tiny"]
    assert weakest_categories([CategoryRow("unseen", 0.0, None, 0.0, 0, 3, "", 0)], limit=2) == []


def test_formats_of_shares() -> None:
    assert [of_hundred(share) for share in (0, 0.001, 0.5, 0.994, 0.999, 1)] == [
        "0",
        "fewer than 1",
        "50",
        "99",
        "more than 99",
        "100",
    ]
    assert [percent(share) for share in (None, 0, 0.984, 1)] == ["–", "0\u00a0%", "98.4\u00a0%", "100\u00a0%"]
    assert [percent(share) for share in (0.0002, 0.9997)] == ["0.02\u00a0%", "99.97\u00a0%"]
    assert [percent(share) for share in (3e-7, 0.99994, 0.999997, 1 - 1e-9)] == [
        "< 0.01\u00a0%",
        "99.99\u00a0%",
        "> 99.99\u00a0%",
        "> 99.99\u00a0%",
    ]
    assert percent(0.5, 0) == "50\u00a0%"
    assert [target_text(target) for target in (0.98, 0.995, 0.57)] == ["98\u00a0%", "99.5\u00a0%", "57\u00a0%"]
