"""A summary of an evaluation in plain sentences, for merchandisers."""

from collections.abc import Mapping, Sequence
from typing import Any

from model.product import field_words
from training.metrics.classification import CategoryRow
from training.report.contract_text import interval_text, kept_text, percent, target_text

#: Categories with fewer products are not named as the worst one, because a single mistake would decide it.
MIN_SUPPORT = 10
#: A field combination is named when it has this share of the products and is this much worse.
MIN_COMBINATION_SHARE = 0.02
MIN_COMBINATION_GAP = 0.05
GROUPING_WORDS = {
    "mall": "mall",
    "month": "month",
    "brand": "brand",
    "maker": "maker",
    "mall_category": "mall category",
    "category": "category",
    "fields": "given fields",
}
#: With fewer products the sampling error is stated; 400 keep it within 5 points.
MIN_COUNT = 400


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
    sentences += group_sentence(metrics["worst_group"], metrics["accuracy"])
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


def last_levels(path: str) -> str:
    """Return the last two levels of a category, enough to identify it."""
    return " › ".join(path.split(">")[-2:])


def _contract_sentences(contract: Mapping[str, Any], precision_target: float) -> list[str]:
    share, at_leaf = contract["accepted_share"], contract["leaf_accepted_share"]
    if contract["is_kept"] is None:
        return ["It accepts no answer by itself: every product needs review by a person."]
    interval = interval_text(contract["precision_interval"])
    sentences = [
        f"It accepts {of_hundred(share)} of 100 answers by itself, {of_hundred(at_leaf)} of them down to a leaf;"
        f" {percent(contract['accepted_precision'])} of the accepted are right ({interval}): the promised"
        f" {target_text(precision_target)} are {kept_text(contract, precision_target)}."
    ]
    broken = [str(entry["depth"]) for entry in contract["depths"] if entry["is_kept"] is False]
    if broken:
        sentences.append(f"Those that stop at depth {' and '.join(broken)} are right less often than promised.")
    if contract["needs_review_share"] > 0:
        sentences.append(f"{of_hundred(contract['needs_review_share'])} of 100 need review by a person.")
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


def group_sentence(worst: Mapping[str, Any] | None, accuracy: float) -> list[str]:
    """Name the worst group; nothing where no group is large enough.

    Args:
        worst: `worst_group` of `training.metrics.groups.group_metrics`.
        accuracy: of all products.
    """
    if worst is None:
        return []
    found = (
        f"{percent(worst['accuracy'])} of {worst['count']:,} products are right ({interval_text(worst['interval'])}),"
        f" of all {percent(accuracy)}"
    )
    name = f"{GROUPING_WORDS[worst['grouping']]} “{worst['group'].replace('>', ' › ')}”"
    if worst["is_surely_worse"]:
        return [f"The worst group is {name}: {found}."]
    return [f"No group is surely worse than the whole; the lowest is {name}: {found}."]


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
