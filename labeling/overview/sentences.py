"""The five sentences of an overview."""

from __future__ import annotations

from labeling.overview.overview import Overview
from labeling.overview.review import Expected

_NUM_NAMED = 3
#: A review that finds nearly all in less than this part of its time could be shorter.
_EARLY = 0.75


def sentences(overview: Overview) -> list[str]:
    """State how clean it is, what the review brings, what a model gains, where to begin, and what is beyond review."""
    return [_clean(overview), _review(overview), _gain(overview), _begin(overview), _beyond(overview)]


def _clean(overview: Overview) -> str:
    review, num_rows = overview.review, len(overview.issues.catalog)
    share = review.expected_wrong.of(num_rows)
    text = (
        f"About {review.expected_wrong.value:,.0f} of the {num_rows:,} labels are wrong, {share.value:.1%}"
        f" ({100 * share.low:.1f} to {100 * share.high:.1f} %)"
    )
    if overview.issues.catalog.labels.taxonomy.depth == 1 or review.expected_wrong.value < 1:
        return f"{text}."
    other = overview.num_other_branch / review.expected_wrong.value
    return (
        f"{text}: {other:.0%} of these belong in another branch of the tree from its first level on, {1 - other:.0%} in"
        " another category of the same branch."
    )


def _review(overview: Overview) -> str:
    review, num_rows = overview.review, len(overview.issues.catalog)
    left = max(review.expected_wrong.value - review.expected_found.value, 0) / num_rows
    settings, hours_of_most = review.settings, review.hours_of_most
    is_early = review.expected_found.value >= 1 and hours_of_most < _EARLY * settings.hours
    early = f", 19 of 20 of them in the first {hours_of_most:.1f} hours" if is_early else ""
    return (
        f"In {settings.hours:g} hours, at {settings.seconds_per_product:g} seconds a product, a person looks at the"
        f" {review.num_reviewed:,} most suspicious ones and finds about {_products(review.expected_found)} wrong"
        f" labels, {review.expected_found.value / max(review.num_reviewed, 1):.0%} of those looked at{early}; after"
        f" that about {left:.1%} of the catalog's labels are wrong."
    )


def _gain(overview: Overview) -> str:
    gain = overview.gain
    if gain is None:
        return "What a model gains by the corrections was not measured."
    verdict = "A model gains nothing for sure by learning"
    if gain.low > 0 or gain.high < 0:
        verdict = "A model gains by learning" if gain.low > 0 else "A model loses by learning"
    return (
        f"{verdict} the {gain.relabelled:,} likely corrections as suggested: {gain.before:.1%} of its answers agree"
        f" with the labels as they are before and {gain.after:.1%} after ({_points(gain.difference)} points, 95 %"
        f" interval {_points(gain.low)} to {_points(gain.high)}); where labels are not suspicious"
        f" {gain.before_unsuspected:.1%} agree: the rest of what looks like the model's errors is the labels'."
    )


def _begin(overview: Overview) -> str:
    found = overview.categories()
    first = found[:_NUM_NAMED]
    if not first or overview.review.expected_found.value < 1:
        return "No category stands out: there is hardly a wrong label to find."
    named = ", ".join(f"{one.category} ({one.expected_found:,.0f} of {one.reviewed:,} looked at)" for one in first)
    share = sum(one.expected_found for one in first) / overview.review.expected_found.value
    return f"Begin with {named}: {share:.0%} of what the review finds is there."


def _beyond(overview: Overview) -> str:
    proposals, groups = len(overview.confusions.of_kind("merge")), len(overview.issues.majorities)
    parts = []
    if proposals:
        parts.append(
            f"{overview.num_merges:,} categories that neither model nor labels tell apart want a merge or a rule"
        )
    if groups:
        parts.append(
            f"{overview.num_disputed_products:,} products in {groups:,} groups of near-duplicates are labelled"
            " differently, and want one decision a group"
        )
    if not parts:
        return (
            "Beyond single products there is nothing to mend: categories are distinguished, and near-duplicates agree."
        )
    return f"Looking at single products does not mend this: {'; '.join(parts)}."


def _products(expected: Expected) -> str:
    return f"{expected.value:,.0f} ({expected.low:,.0f} to {expected.high:,.0f})"


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"
