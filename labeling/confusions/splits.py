"""Leaves that hold two kinds of products, as unlike as two categories are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.top_answers import TopAnswers
from labeling.confusions.product_vectors import product_vectors
from labeling.confusions.proposals import Proposal
from labeling.settings import ConfusionSettings
from model.taxonomy import SEPARATOR

#: Products of a leaf that are looked at.
_MOST_PRODUCTS = 400
_MOST_UNIONS = 100
#: Fewer pairs of siblings do not show how unlike two categories are.
_LEAST_UNIONS = 5
#: The smaller kind's share of the products.
_LEAST_KIND_SHARE = 0.2
#: Leaves look like unions at most this often, as a part of how often unions do: most leaves are no union.
_MOST_RELATIVE_RATE = 0.2
_NUM_TYPICAL = 20


@dataclass(frozen=True, eq=False)
class _Kinds:
    """Two clusters of some rows.

    Args:
        likeness: cosine of their means.
        members: (M,) 0 or 1.
        means: (2, D) of length one.
    """

    likeness: float
    members: np.ndarray
    means: np.ndarray

    @property
    def smaller_share(self) -> float:
        """Of the rows, in the smaller one."""
        return float(min(self.members.mean(), 1 - self.members.mean()))


def splits(catalog: LabelledCatalog, answers: TopAnswers, settings: ConfusionSettings) -> list[Proposal]:
    """Propose leaves whose products fall in two kinds (k-means) as unlike as those of two siblings put together.

    The measure is the catalog's own: pairs of siblings are united and clustered in the same way, and kinds count as
    two from the unlikeness on at which leaves look so much more rarely than unions. Where they never do, as where names
    follow no pattern, nothing is proposed. Only products count that the model puts in their leaf, so that wrong labels
    make no split.

    Args:
        answers: out of fold.
    """
    seed, leaves = catalog.settings.training.seed, catalog.labels.taxonomy.leaves
    rows_of = _rows_by_leaf(catalog, answers, settings, seed)
    siblings = [
        (one, other)
        for one, other in combinations(rows_of, 2)
        if leaves[one].rpartition(SEPARATOR)[0] == leaves[other].rpartition(SEPARATOR)[0]
    ]
    if len(siblings) < _LEAST_UNIONS:
        return []
    rows = np.concatenate(list(rows_of.values()))
    vectors = product_vectors(catalog, rows, seed)
    own = np.repeat(list(rows_of), [len(found) for found in rows_of.values()])
    kinds = {leaf: _two_kinds(vectors[own == leaf], seed) for leaf in rows_of}
    chosen = np.random.default_rng(seed).permutation(len(siblings))[:_MOST_UNIONS]
    unions = [_union(vectors, own, siblings[number], seed) for number in chosen.tolist()]
    most = _most_likeness(list(kinds.values()), unions)
    found = [leaf for leaf, one in kinds.items() if _is_two(one, most)]
    means = {leaf: _unit(vectors[own == leaf].mean(axis=0)) for leaf in rows_of}
    proposals = [_proposal(leaf, kinds[leaf], rows_of[leaf], vectors[own == leaf], means, most) for leaf in found]
    return sorted(proposals, key=lambda proposal: proposal.evidence["likeness_of_kinds"])


def _rows_by_leaf(
    catalog: LabelledCatalog, answers: TopAnswers, settings: ConfusionSettings, seed: int
) -> dict[int, np.ndarray]:
    """By leaf some of the rows that the model puts there, where they are enough for two categories."""
    draw = np.random.default_rng(seed)
    classes = catalog.classes
    is_own = answers.classes[:, 0] == classes
    order = np.argsort(classes, kind="stable")
    numbers, starts = np.unique(classes[order], return_index=True)
    found = {}
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        kept = rows[is_own[rows]]
        if len(kept) >= 2 * settings.least_products:
            found[int(number)] = np.sort(draw.permutation(kept)[:_MOST_PRODUCTS])
    return found


def _union(vectors: np.ndarray, own: np.ndarray, pair: tuple[int, int], seed: int) -> _Kinds:
    """The kinds of two leaves together, as many rows of each."""
    parts = [np.flatnonzero(own == leaf) for leaf in pair]
    count = min(len(parts[0]), len(parts[1]), _MOST_PRODUCTS // 2)
    draw = np.random.default_rng([seed, *pair])
    return _two_kinds(vectors[np.concatenate([draw.permutation(part)[:count] for part in parts])], seed)


def _two_kinds(vectors: np.ndarray, seed: int) -> _Kinds:
    from sklearn.cluster import KMeans

    if len(np.unique(vectors, axis=0)) < 2:
        return _Kinds(1.0, np.zeros(len(vectors), int), np.stack([_unit(vectors[0])] * 2))
    members = KMeans(2, n_init=3, random_state=seed).fit_predict(vectors)
    means = np.stack([_unit(vectors[members == kind].mean(axis=0)) for kind in (0, 1)])
    return _Kinds(float(means[0] @ means[1]), members, means)


def _most_likeness(leaves: list[_Kinds], unions: list[_Kinds]) -> float:
    """The largest likeness up to which leaves pass for two rarely enough beside unions; -inf where there is none."""
    passing = -np.inf
    for most in sorted(one.likeness for one in unions):
        rate, union_rate = (sum(_is_two(one, most) for one in kinds) / len(kinds) for kinds in (leaves, unions))
        if rate <= _MOST_RELATIVE_RATE * union_rate:
            passing = most
    return passing


def _is_two(kinds: _Kinds, most_likeness: float) -> bool:
    return kinds.likeness <= most_likeness and kinds.smaller_share >= _LEAST_KIND_SHARE


def _proposal(
    leaf: int, kinds: _Kinds, rows: np.ndarray, vectors: np.ndarray, means: dict[int, np.ndarray], most: float
) -> Proposal:
    """The proposal with the leaf that each kind is most like, two different ones, and its most typical rows."""
    others = [other for other in means if other != leaf]
    likeness = np.stack([means[other] for other in others]) @ kinds.means.T
    first = int(likeness[:, 0].argmax())
    likeness[first, 1] = -np.inf
    toward = others[first], others[int(likeness[:, 1].argmax())]
    sizes = np.bincount(kinds.members, minlength=2)
    evidence = {
        "products": len(rows), "of_the_first_kind": int(sizes[0]), "of_the_second_kind": int(sizes[1]),
        "likeness_of_kinds": round(kinds.likeness, 4), "counts_as_two_up_to": round(most, 4),
    }  # fmt: skip
    typical = []
    for kind in (0, 1):
        members = np.flatnonzero(kinds.members == kind)
        order = np.argsort(-(vectors[members] @ kinds.means[kind]), kind="stable")[:_NUM_TYPICAL]
        typical.append(tuple(int(row) for row in rows[members[order]]))
    return Proposal("split", (leaf,), evidence, toward, (typical[0], typical[1]))


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))
