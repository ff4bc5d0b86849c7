"""The evaluation in plain words."""

from typing import Any

import pytest

from training.metrics.classification import CategoryRow
from training.report.verdict import of_hundred, percent, promised, verdict, weakest_categories


def row(category: str, found: int, support: int) -> CategoryRow:
    return CategoryRow(category, 1.0, found / support, 0.5, support, found, "Other>Bags", support - found)


def metrics(**changes: Any) -> dict[str, Any]:
    contract = {
        "accepted_share": 0.85,
        "leaf_accepted_share": 0.72,
        "leaf_accepted_precision": 0.984,
        "needs_review_share": 0.28,
    }
    contract |= {name: changes.pop(name) for name in tuple(changes) if name in contract}
    combinations = [{"fields": ["name", "image"], "share": 1.0, "accuracy": 0.907}]
    values = {"count": 5000, "accuracy": 0.907, "top_5_accuracy": 0.977, "field_combinations": combinations}
    return {**values, "contract": contract, **changes}


def said(category_rows: tuple[CategoryRow, ...] = (row("Home>Rugs>Round", 41, 100),), **changes: Any) -> str:
    return " ".join(verdict(metrics(**changes), 0.98, category_rows)).replace("\u00a0", " ")


def test_the_whole_paragraph() -> None:
    assert said() == (
        "Of 100 products, the model's first answer is the right shelf for 91; for 98 the right shelf is among its "
        "first five. It places 72 of 100 by itself, and 98.4 % of these are right, as promised (98 %). The other 28 "
        "go to a person, 13 of them with the department already settled. It is weakest in “Rugs › Round”, where it "
        "finds 41 of 100 products and most often answers “Other › Bags” instead."
    )


def test_a_broken_promise_is_said() -> None:
    assert "97.0 % of these are right, below the promised 98 %." in said(leaf_accepted_precision=0.97)


def test_nothing_placed() -> None:
    refused = said(leaf_accepted_share=0.0, leaf_accepted_precision=None, needs_review_share=1.0)
    assert "It is sure enough of none to place it by itself: a person has to look at every product." in refused


def test_everything_placed_leaves_nobody_over() -> None:
    assert "go to a person" not in said(leaf_accepted_share=1.0, accepted_share=1.0, needs_review_share=0.0)


def test_no_mistake_and_no_product() -> None:
    assert "It made no mistake." in said(category_rows=(row("Home", 10, 10),))
    assert (
        said(count=0) == "No product could be judged: the catalog holds none that is usable and has a known category."
    )


def test_few_products_are_called_few() -> None:
    assert said(count=100).endswith("measured on only 100 products, so a share may be off by up to 10 in 100.")
    assert "measured on one product" in said(count=1)
    assert "measured on" not in said(count=400)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["image"], "Products with only a picture fare worst: 50 of 100 are right."),
        (["mall_category", "brand", "image"], "Products with every field but a name fare worst"),
        (["name", "mall_category", "brand", "image"], "Products with every field fare worst"),
        (["name", "brand"], "Products with only a name and a brand fare worst"),
        ([], "Products with no field that the model reads fare worst"),
    ],
)
def test_the_worst_field_combination_is_named(fields: list[str], words: str) -> None:
    common = {"fields": ["name", "mall_category", "brand", "image"], "share": 0.8, "accuracy": 0.95}
    assert words in said(field_combinations=[common, {"fields": fields, "share": 0.2, "accuracy": 0.5}])


def test_a_rare_or_slightly_worse_combination_is_not_named() -> None:
    for share, accuracy in ((0.01, 0.1), (0.3, 0.88)):
        assert "fare worst" not in said(field_combinations=[{"fields": ["name"], "share": share, "accuracy": accuracy}])


def test_weakest_categories_are_large_enough_to_judge() -> None:
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


def test_shares_in_words() -> None:
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
    assert percent(0.5, 0) == "50\u00a0%"
    assert [promised(target) for target in (0.98, 0.995, 0.57)] == ["98\u00a0%", "99.5\u00a0%", "57\u00a0%"]
