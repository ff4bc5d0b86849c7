"""Wrong labels planted into the rows of a catalog, with a seed; the right ones are kept."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.accuracy.catalog_variants import Row

KINDS = ("symmetric", "sibling", "instance")

#: (right labels, rows, random numbers) to a wrong label for each of the rows asked for.
_Wrong = Callable[[Sequence[Row], np.random.Generator], list[str]]


def plant(rows: Sequence[Row], kind: str, rate: float, seed: int) -> list[Row]:
    """Give a share of the rows a wrong category.

    Args:
        kind: `symmetric`, any other category; `sibling`, another one of the same parent, of an only child any;
            `instance`, the category that looks most like the product's name among others, of the rows whose name looks
            least like their own: what people confuse.
        rate: share of rows, exactly up to rounding.
    Raises:
        ValueError: the kind is unknown, or there is one category only.
    """
    categories = sorted({row["category"] for row in rows})
    if kind not in KINDS or len(categories) < 2:
        raise ValueError(f"expected one of {', '.join(KINDS)} and 2 categories, found {kind} and {len(categories)}")
    draw = np.random.default_rng([seed, KINDS.index(kind)])
    num_wrong = round(rate * len(rows))
    if kind == "instance":
        chosen, wrong = _by_likeness(rows, categories, num_wrong, draw)
    else:
        chosen = draw.permutation(len(rows))[:num_wrong]
        choices = _choices(categories, kind == "sibling")
        wrong = [choices[rows[i]["category"]] for i in chosen]
        wrong = [others[draw.integers(len(others))] for others in wrong]
    planted = [dict(row) for row in rows]
    for position, category in zip(chosen, wrong, strict=True):
        planted[position]["category"] = category
    return planted


def _choices(categories: Sequence[str], are_siblings: bool) -> dict[str, list[str]]:
    """By category those that may stand in its place."""
    families: dict[str, list[str]] = defaultdict(list)
    for category in categories:
        families[category.rpartition(">")[0]].append(category)
    found = {}
    for category in categories:
        family = families[category.rpartition(">")[0]] if are_siblings else categories
        found[category] = [other for other in family if other != category] or [
            other for other in categories if other != category
        ]
    return found


def _by_likeness(
    rows: Sequence[Row], categories: Sequence[str], num_wrong: int, draw: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """Rows drawn by how much nearer another category's mean name is than the own one, and that category."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.preprocessing import normalize

    names = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 3), n_features=2**16, alternate_sign=False)
    vectors = names.transform([row["product_name"] for row in rows])
    number = {category: i for i, category in enumerate(categories)}
    labels = np.array([number[row["category"]] for row in rows])
    means = normalize(np.stack([np.asarray(vectors[labels == i].mean(axis=0))[0] for i in range(len(categories))]))
    likeness = np.asarray(vectors @ means.T)
    everyone = np.arange(len(rows))
    own = likeness[everyone, labels]
    likeness[everyone, labels] = -np.inf
    best = likeness.argmax(axis=1)
    # Gumbel noise on the logarithm of odds: a draw without replacement in which confusable rows come first.
    doubt = 10 * (likeness[everyone, best] - own) + draw.gumbel(size=len(rows))
    chosen = np.argsort(-doubt, kind="stable")[:num_wrong]
    return chosen, [categories[i] for i in best[chosen]]
