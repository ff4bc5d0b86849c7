"""Sentences of comparisons."""

from typing import Any

import pytest

from training.report.comparison_verdict import (
    baseline_sentences,
    bundle_comparison_sentences,
    difference_sentence,
    other_bundle_words,
    p_words,
    points,
)


def comparison(**changes: Any) -> dict[str, Any]:
    change = {"category": "Home>Light>Lamp", "num_right": 12, "num_right_other": 20, "support": 30}
    values = {
        "accuracy": 0.836,
        "accuracy_other": 0.855,
        "difference": -0.019,
        "difference_low": -0.027,
        "difference_high": -0.011,
        "p_value": 0.0001,
        "num_categories_lost": 59,
        "categories_lost": [change],
        "num_categories_won": 0,
        "categories_won": [],
        "num_categories": 1000,
        "num_categories_other_lacks": 0,
        "num_categories_only_other": 0,
        "num_label_unknown_to_other": 0,
    }
    return {**values, **changes}


def figures(accuracy: float, **changes: Any) -> dict[str, Any]:
    values = {"accuracy": accuracy, "macro_f1": 0.5, "average_weighted_f1": 0.8, "hierarchical_f1": 0.8}
    return {**values, "coverage_at_precision": {"0.98": 0.6}, **changes}


def plain(sentences: list[str]) -> str:
    return " ".join(sentences).replace("\u00a0", " ")


def test_a_worse_result_is_stated() -> None:
    baseline = figures(0.855, macro_f1=0.6, coverage_at_precision={"0.98": 0.7}, comparison=comparison())
    found = {"num_left_out": 0, "aisle": figures(0.836), "baselines": {"tfidf_linear_svm": baseline}}
    assert plain(baseline_sentences(found)) == (
        "Aisle is worse than TF-IDF + linear SVM: 83.6 % right instead of 85.5 %, a difference of −1.9 points"
        " (95 % interval −2.7 to −1.1). Aisle finds fewer products in 59 categories, most in “Light › Lamp” (finds 12"
        " of 30, TF-IDF + linear SVM 20). Aisle is worse in macro F1 and coverage at 98 % precision."
    )


def test_a_better_result_takes_a_sentence_each() -> None:
    win = comparison(accuracy_other=0.513, difference=0.323, difference_low=0.306, difference_high=0.34)
    found = {
        "num_left_out": 0,
        "aisle": figures(0.836),
        "baselines": {
            "mall_category_lookup": figures(0.513, macro_f1=0.9, comparison=win),
            "majority": figures(0.317, comparison=win),
        },
    }
    assert plain(baseline_sentences(found)) == (
        "Aisle is better than the mall-category lookup table: 83.6 % right instead of 51.3 %, a difference of +32.3"
        " points (95 % interval +30.6 to +34.0). Always answering the most frequent category would be right for 31.7 %."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {
                "difference": 0.002,
                "accuracy": 0.857,
                "difference_low": -0.003,
                "difference_high": 0.008,
                "p_value": 0.7,
            },
            "A and B do not differ significantly: 85.7 % and 85.5 % right, and a difference of +0.2 points may be"
            " chance (exact test p 0.7000, 95 % interval −0.3 to +0.8).",
        ),
        (
            {"difference": 0.0, "accuracy": 0.855, "difference_low": -0.01, "difference_high": 0.01, "p_value": 1.0},
            "A and B are equal, 85.5 % right (95 % interval −1.0 to +1.0).",
        ),
    ],
)
def test_an_insignificant_difference_is_stated(changes: dict[str, Any], expected: str) -> None:
    assert plain([difference_sentence(comparison(**changes), "A", "B")]) == expected


def test_another_bundle_is_named_and_excluded_products_are_counted() -> None:
    found = comparison(name="shop", version="2", num_left_out=1200, num_categories_lost=1)
    text = plain(bundle_comparison_sentences(found, "shop version 3"))
    assert text.startswith("shop version 3 is worse than shop version 2: 83.6 % right instead of 85.5 %")
    assert "finds fewer products in 1 category, most in" in text
    assert text.endswith("1,200 products are excluded, because shop version 2 reads none of their fields.")
    assert other_bundle_words(found, "shop version 2") == "the other shop version 2"


def test_categories_that_one_bundle_lacks_are_counted() -> None:
    unlike = {"num_categories_other_lacks": 12, "num_label_unknown_to_other": 1, "num_categories_only_other": 3}
    found = comparison(name="shop", version="2", num_left_out=0, **unlike)
    assert bundle_comparison_sentences(found, "shop version 3")[-2:] == [
        "shop version 2 lacks 12 of the 1,000 categories of shop version 3: 1 product has one of these and counts as"
        " its mistake.",
        "shop version 2 has 3 categories that shop version 3 lacks: products of these are no part of the comparison,"
        " and to answer with one of them is a mistake.",
    ]


def test_formats_of_figures() -> None:
    assert [points(value) for value in (0.0, 0.0123, -0.0004, -0.05)] == ["0.0", "+1.2", "0.0", "−5.0"]
    assert [p_words(value) for value in (1e-9, 0.25)] == ["below 0.0001", "0.2500"]
