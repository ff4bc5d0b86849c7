"""Sentences that compare a bundle with the baselines and with another bundle."""

from collections.abc import Mapping
from typing import Any

from training.metrics.comparison import is_significant
from training.report.contract_text import percent
from training.report.verdict import last_levels

BASELINE_WORDS = {
    "tfidf_linear_svm": "TF-IDF + linear SVM",
    "mall_category_lookup": "the mall-category lookup table",
    "majority": "the most frequent category",
}
#: Metrics of `training.evaluation.baselines` beside accuracy; higher is better.
_MEASURE_WORDS = {
    "macro_f1": "macro F1",
    "average_weighted_f1": "average weighted F1",
    "hierarchical_f1": "hierarchical F1",
}


def baseline_sentences(found: Mapping[str, Any]) -> list[str]:
    """Compare Aisle with the baselines, a sentence or more for each.

    Args:
        found: from `training.evaluation.baselines.Baselines.metrics`.
    """
    sentences = []
    for name, baseline in found["baselines"].items():
        words, comparison = BASELINE_WORDS[name], baseline["comparison"]
        if name == "majority":
            sentences.append(f"Always answering {words} would be right for {percent(baseline['accuracy'])}.")
            continue
        sentences.append(difference_sentence(comparison, "Aisle", words))
        if name == "tfidf_linear_svm" or comparison["difference"] < 0:
            sentences += change_sentences(comparison, "Aisle", words)
            behind = behind_in(found["aisle"], baseline)
            if behind:
                sentences.append(f"Aisle is worse in {_listed(behind)}.")
    if found["num_left_out"]:
        are = "1 product is" if found["num_left_out"] == 1 else f"{found['num_left_out']:,} products are"
        them = "it" if found["num_left_out"] == 1 else "them"
        sentences.append(f"{are} no part of this comparison, because {found['catalog']} has {them}, too.")
    return sentences


def bundle_comparison_sentences(found: Mapping[str, Any], bundle: str) -> list[str]:
    """Compare the evaluated bundle with another one.

    Args:
        found: from `training.evaluation.bundle_comparison.compare_bundles`.
        bundle: name and version of the evaluated bundle.
    """
    other = other_bundle_words(found, bundle)
    sentences = [difference_sentence(found, bundle, other), *change_sentences(found, bundle, other)]
    sentences += _unlike_trees(found, bundle, other)
    if found["num_left_out"]:
        are = "1 product is" if found["num_left_out"] == 1 else f"{found['num_left_out']:,} products are"
        their = "its" if found["num_left_out"] == 1 else "their"
        sentences.append(f"{are} excluded, because {other} reads none of {their} fields.")
    return sentences


def _unlike_trees(found: Mapping[str, Any], bundle: str, other: str) -> list[str]:
    """Say which categories only one of the bundles knows; no sentence where the trees are the same."""
    sentences = []
    lacking, unknown = found["num_categories_other_lacks"], found["num_label_unknown_to_other"]
    if lacking:
        counts = (
            "1 product has one of these and counts as its mistake"
            if unknown == 1
            else (f"{unknown:,} products have one of these and count as its mistakes")
        )
        sentences.append(
            f"{_capital(other)} lacks {lacking:,} of the {found['num_categories']:,} categories of {bundle}: {counts}."
        )
    further = found["num_categories_only_other"]
    if further:
        has = "1 category" if further == 1 else f"{further:,} categories"
        of_it, with_it = ("it", "it") if further == 1 else ("these", "one of them")
        sentences.append(
            f"{_capital(other)} has {has} that {bundle} lacks: products of {of_it} are no part of the comparison, and"
            f" to answer with {with_it} is a mistake."
        )
    return sentences


def other_bundle_words(found: Mapping[str, Any], bundle: str) -> str:
    """Return name and version of the other bundle, distinct from the evaluated one."""
    words = f"{found['name']} version {found['version']}"
    return f"the other {words}" if words == bundle else words


def difference_sentence(comparison: Mapping[str, Any], this: str, other: str) -> str:
    """State which of two is right more often, and if the difference is significant.

    Args:
        comparison: from `training.metrics.comparison.compare`.
    """
    ours, theirs = percent(comparison["accuracy"]), percent(comparison["accuracy_other"])
    interval = f"95\u00a0% interval {points(comparison['difference_low'])} to {points(comparison['difference_high'])}"
    if comparison["difference"] == 0:
        return f"{_capital(this)} and {other} are equal, {ours} right ({interval})."
    if not is_significant(comparison):
        return (
            f"{_capital(this)} and {other} do not differ significantly: {ours} and {theirs} right, and a difference of"
            f" {points(comparison['difference'])} points may be chance (exact test p"
            f" {p_words(comparison['p_value'])}, {interval})."
        )
    verb = "better" if comparison["difference"] > 0 else "worse"
    return (
        f"{_capital(this)} is {verb} than {other}: {ours} right instead of {theirs}, a difference of"
        f" {points(comparison['difference'])} points ({interval})."
    )


def change_sentences(comparison: Mapping[str, Any], this: str, other: str) -> list[str]:
    """State in how many categories each finds more products, with the largest change."""
    parts = []
    for verb, kind in (("finds fewer products", "lost"), ("finds more products", "won")):
        changes = comparison[f"categories_{kind}"]
        if changes:
            most = changes[0]
            categories = (
                "1 category"
                if comparison[f"num_categories_{kind}"] == 1
                else (f"{comparison[f'num_categories_{kind}']:,} categories")
            )
            parts.append(
                f"{verb} in {categories}, most in “{last_levels(most['category'])}” (finds {most['num_right']} of"
                f" {most['support']}, {other} {most['num_right_other']})"
            )
    return [f"{_capital(this)} {' and '.join(parts)}."] if parts else []


def behind_in(aisle: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """Return the names of the metrics beside accuracy in which the baseline is better."""
    behind = [words for name, words in _MEASURE_WORDS.items() if aisle[name] < baseline[name]]
    coverages = baseline["coverage_at_precision"]
    behind += [
        f"coverage at {100 * float(precision):g}\u00a0% precision"
        for precision, coverage in aisle["coverage_at_precision"].items()
        if coverage < coverages[precision]
    ]
    return behind


def points(difference: float) -> str:
    """Format a difference of shares in percentage points, with its sign: '+0.4', '−1.2'."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return text[1:] if text[1:] == "0.0" else text


def p_words(p_value: float) -> str:
    """Format a p-value."""
    return "below 0.0001" if p_value < 0.0001 else f"{p_value:.4f}"


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if words[1:] else words[0]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:] if words.startswith("the ") else words
