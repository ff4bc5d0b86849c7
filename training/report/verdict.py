"""A summary of an evaluation in plain sentences, for merchandisers."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.product import field_words
from training.metrics.classification import CategoryRow

#: Categories with fewer products are not named as the worst one, because a single mistake would decide it.
MIN_SUPPORT = 10
#: A field combination is named when it has this share of the products and is this much worse.
MIN_COMBINATION_SHARE = 0.02
MIN_COMBINATION_GAP = 0.05
#: With fewer products the sampling error is stated; 400 keep it within 5 points.
MIN_COUNT = 400
MAX_DIGITS = 4


def verdict(metrics: Mapping[str, Any], precision_target: float, category_rows: Sequence[CategoryRow]) -> list[str]:
    """Summarise an evaluation for a merchandiser, in a few sentences.

    Args:
        metrics: from `training.metrics.classification.evaluation_metrics`.
        precision_target: the contract's precision, 0 to 1.
        category_rows: from `training.metrics.classification.per_category_table`.
    """
    if not metrics["count"]:
        return ["No product could be evaluated: the catalog has none that is usable and has a known category."]
    sentences = [
        f"Of 100 products, the model's first answer is the right category for {of_hundred(metrics['accuracy'])}; "
        f"for {of_hundred(metrics['top_5_accuracy'])} the right category is among its first five."
    ]
    sentences += _contract_sentences(metrics["contract"], precision_target)
    sentences += _category_sentence(category_rows)
    sentences += _combination_sentence(metrics["field_combinations"], metrics["accuracy"])
    if metrics["count"] < MIN_COUNT:
        points = 98 / metrics["count"] ** 0.5  # half a 95 % interval at its widest
        products = "one product" if metrics["count"] == 1 else f"only {metrics['count']} products"
        sentences.append(f"This was measured on {products}, so a share may be off by up to {points:.0f} in 100.")
    return sentences


def weakest_categories(category_rows: Sequence[CategoryRow], limit: int) -> list[CategoryRow]:
    """Return the categories with the lowest recall, worst first; small ones only when there is no other."""
    imperfect = [row for row in category_rows if row.recall is not None and row.recall < 1]
    large = [row for row in imperfect if row.support >= MIN_SUPPORT]
    return sorted(large or imperfect, key=lambda row: (row.recall, -row.support))[:limit]


def of_hundred(share: float) -> str:
    """Format a share as a count out of 100; 0 and 100 only when they are exact."""
    if 0 < share < 0.005:
        return "fewer than 1"
    if 0.995 < share < 1:
        return "more than 99"
    return f"{100 * share:.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share: '98.4 %', or a dash for None; with more digits where 99.97 would round to 100."""
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f}\u00a0%"
    while round(100 * share, digits) in (0, 100) and digits < MAX_DIGITS:
        digits += 1
    return f"{100 * share:.{digits}f}\u00a0%"


def target_text(precision_target: float) -> str:
    """Format the contract's precision: '98 %', '99.5 %'."""
    return f"{100 * precision_target:g}\u00a0%"


def last_levels(path: str) -> str:
    """Return the last two levels of a category, enough to identify it."""
    return " › ".join(path.split(">")[-2:])


def _contract_sentences(contract: Mapping[str, Any], precision_target: float) -> list[str]:
    share, precision = contract["leaf_accepted_share"], contract["leaf_accepted_precision"]
    if precision is None:
        return ["It accepts no answer by itself: every product needs review by a person."]
    target = target_text(precision_target)
    kept = f"as promised ({target})" if precision >= precision_target else f"below the promised {target}"
    sentences = [
        f"It accepts {of_hundred(share)} of 100 answers by itself, and {percent(precision)} of these are right, {kept}."
    ]
    higher_share = contract["accepted_share"] - share
    if contract["needs_review_share"] > 0:
        higher = f", {of_hundred(higher_share)} of them accepted at a higher level" if higher_share > 0 else ""
        sentences.append(f"The other {of_hundred(contract['needs_review_share'])} need review by a person{higher}.")
    return sentences


def _category_sentence(category_rows: Sequence[CategoryRow]) -> list[str]:
    weakest = weakest_categories(category_rows, limit=1)
    if not weakest:
        return ["It made no mistake."]
    row = weakest[0]
    found = round((row.recall or 0.0) * row.support)
    return [
        f"It is weakest in “{last_levels(row.category)}”, where it finds {found} of {row.support} products "
        f"and most often answers “{last_levels(row.confused_with)}” instead."
    ]


def _combination_sentence(combinations: Sequence[Mapping[str, Any]], accuracy: float) -> list[str]:
    frequent = [entry for entry in combinations if entry["share"] >= MIN_COMBINATION_SHARE]
    if not frequent:
        return []
    worst = min(frequent, key=lambda entry: entry["accuracy"])
    if accuracy - worst["accuracy"] < MIN_COMBINATION_GAP:
        return []
    every_field = dict.fromkeys(field for entry in combinations for field in entry["fields"])
    lacking = [field for field in every_field if field not in worst["fields"]]
    if not worst["fields"]:
        given = "no field that the model reads"
    elif not lacking:
        given = "every field"
    elif len(lacking) < len(worst["fields"]):
        given = f"every field but {field_words(lacking, joined_by='and')}"
    else:
        given = f"only {field_words(worst['fields'], joined_by='and')}"
    return [f"Products with {given} have the lowest accuracy: {of_hundred(worst['accuracy'])} of 100 are right."]
