"""Answers from joint logits: probabilities, the top k leaves, and the deepest accepted category."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from model.prediction.calibration import Calibration
from model.sub_tree import SubTree
from model.taxonomy import Taxonomy

_BLOCK = 64  # columns


@dataclass(frozen=True)
class ScoredCategory:
    """A node of the tree with its probability, 0 to 1."""

    category: str
    category_id: str
    probability: float


@dataclass(frozen=True)
class WordSupport:
    """Effect of one word of the name on the answer.

    Args:
        word: as the shop wrote it.
        support: by how much the answer's log-odds, without prior mass, fall when the word is left out; below 0 it
            spoke against it.
        probability_without: the answer's probability without the word, 0 to 1.
    """

    word: str
    support: float
    probability_without: float


@dataclass(frozen=True)
class Prediction:
    """The answer for one product.

    Args:
        categories: the top k leaves, best first, calibrated.
        accepted: the deepest node that the precision contract covers, or None.
        needs_review: True when no leaf is accepted.
        heads: each single head's own best leaf, for the fields the product has; empty where nobody asked.
        embedding: (E,) float32, unit length.
        words: what the words of the name did, the strongest support first; empty where nobody asked.
    """

    product_id: str
    categories: tuple[ScoredCategory, ...]
    accepted: ScoredCategory | None
    needs_review: bool
    heads: dict[str, ScoredCategory]
    embedding: np.ndarray
    words: tuple[WordSupport, ...] = ()


@dataclass(frozen=True)
class Answers:
    """The answers for N products as arrays.

    Args:
        top_classes: (N, k) int32 leaf classes, best first.
        top_probabilities: (N, k) float32.
        accepted_depths: (N,) int32, 0 where nothing is accepted.
        accepted_nodes: (N,) int32 index into `taxonomy.levels[depth - 1]`, -1 where none.
        accepted_probabilities: (N,) float32.
    """

    top_classes: np.ndarray
    top_probabilities: np.ndarray
    accepted_depths: np.ndarray
    accepted_nodes: np.ndarray
    accepted_probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.top_classes)

    def categories(self, row: int, taxonomy: Taxonomy) -> tuple[ScoredCategory, ...]:
        """The top k leaves of one row."""
        return tuple(
            _scored(taxonomy, taxonomy.leaves[leaf], probability)
            for leaf, probability in zip(self.top_classes[row], self.top_probabilities[row], strict=True)
        )

    def accepted(self, row: int, taxonomy: Taxonomy) -> ScoredCategory | None:
        """The deepest accepted node of one row."""
        depth = self.accepted_depths[row]
        if depth == 0:
            return None
        path = taxonomy.levels[depth - 1][self.accepted_nodes[row]]
        return _scored(taxonomy, path, self.accepted_probabilities[row])

    def needs_review(self, row: int, taxonomy: Taxonomy) -> bool:
        """True if a person should look: no leaf was accepted."""
        accepted = self.accepted(row, taxonomy)
        return accepted is None or taxonomy.class_of(accepted.category) is None


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(N, K) logits to probabilities; each row sums to 1 and no input overflows."""
    scaled = logits.astype(np.float32) / np.float32(temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    return scaled / scaled.sum(axis=1, keepdims=True)


def probabilities(joint_logits: np.ndarray, prior_masses: np.ndarray) -> np.ndarray:
    """Calibrated probabilities, (N, K) float32: the softmax, and in equal parts what the evidence leaves open.

    Args:
        joint_logits: (N, K) float32; see `model.prediction.formula`.
        prior_masses: (N, 1) float32, the part of each row that goes to all leaves alike.
    """
    mixed = softmax(joint_logits)
    mixed *= 1 - prior_masses
    mixed += prior_masses / np.float32(mixed.shape[1])
    return mixed


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Columns of the largest values of each row, the largest first and equal ones in order.

    Blocks of columns first: those that hold none of the largest maxima hold none of the largest values.

    Args:
        values: (N, K) float32.
        count: 1 to K.
    Returns:
        (N, count) int32.
    """
    num_rows, num_columns = values.shape
    num_blocks = num_columns // _BLOCK
    if num_blocks <= 2 * count:
        return _largest_of(values, np.broadcast_to(np.arange(num_columns), values.shape), count)
    whole = num_blocks * _BLOCK
    blocks = values[:, :whole].reshape(num_rows, num_blocks, _BLOCK)
    kept = np.sort(np.argpartition(-blocks.max(axis=2), count - 1, axis=1)[:, :count], axis=1)
    columns = (kept[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(num_rows, -1)
    rest = np.broadcast_to(np.arange(whole, num_columns), (num_rows, num_columns - whole))
    columns = np.concatenate([columns, rest], axis=1)
    return _largest_of(np.take_along_axis(values, columns, axis=1), columns, count)


def _largest_of(values: np.ndarray, columns: np.ndarray, count: int) -> np.ndarray:
    kept = np.argpartition(-values, count - 1, axis=1)[:, :count]
    values, columns = np.take_along_axis(values, kept, axis=1), np.take_along_axis(columns, kept, axis=1)
    order = np.lexsort((columns, -values), axis=1)
    return np.take_along_axis(columns, order, axis=1).astype(np.int32)


def answer(
    joint_logits: np.ndarray,
    prior_masses: np.ndarray,
    taxonomy: Taxonomy,
    calibration: Calibration,
    thresholds: np.ndarray,
    top_k: int,
    sub_tree: SubTree | None = None,
) -> Answers:
    """Turn joint logits into answers.

    A sub-tree is the caller's word, not the model's evidence. It moves the answer and renormalises the evidence over
    its leaves, among which the prior mass goes, too. It accepts nothing that would not be accepted without it: the
    thresholds of the precision contract were measured on whole-tree probabilities.

    Args:
        joint_logits: (N, K) float32, calibrated; see `model.prediction.formula`.
        prior_masses: (N, 1) float32; see `probabilities`.
        thresholds: (N, D) float32, the least node probability that is accepted at each depth; see
            `model.prediction.field_subsets.SubsetThresholds`.
        top_k: leaves to return, 1 or more; capped at K, or at the leaves of the sub-tree.
        sub_tree: what the answers are restricted to; None is the whole tree.
    """
    whole = probabilities(joint_logits, prior_masses)
    rows = np.arange(len(whole))[:, None]
    if sub_tree is None:
        top = largest(joint_logits, min(top_k, taxonomy.num_leaves))  # probabilities may all be 0 from some place on
        accepted = _deepest_accepted(whole, taxonomy, thresholds, calibration.unproven)
        return Answers(top, whole[rows, top], *accepted)
    leaves = sub_tree.leaves
    inside = joint_logits[:, leaves]
    renormalized = np.zeros_like(whole)
    renormalized[:, leaves] = probabilities(inside, prior_masses)
    top = leaves[largest(inside, min(top_k, len(leaves)))].astype(np.int32)
    accepted = _accepted_within(sub_tree, whole, renormalized, taxonomy, thresholds, calibration.unproven)
    return Answers(top, renormalized[rows, top], *accepted)


def answer_each(
    joint_logits: np.ndarray,
    prior_masses: np.ndarray,
    taxonomy: Taxonomy,
    calibration: Calibration,
    thresholds: np.ndarray,
    top_k: int,
    sub_trees: Sequence[SubTree | None],
) -> list[tuple[Answers, int]]:
    """`answer` with a sub-tree of its own for each row; equal objects are answered together.

    Returns:
        for each row the answers it is among, and its place there.
    """
    groups: dict[int, list[int]] = {}
    for row, sub_tree in enumerate(sub_trees):
        groups.setdefault(id(sub_tree), []).append(row)
    found: dict[int, tuple[Answers, int]] = {}
    for rows in groups.values():
        answers = answer(
            joint_logits[rows],
            prior_masses[rows],
            taxonomy,
            calibration,
            thresholds[rows],
            top_k,
            sub_trees[rows[0]],
        )
        found.update((row, (answers, place)) for place, row in enumerate(rows))
    return [found[row] for row in range(len(sub_trees))]


def _deepest_accepted(
    whole: np.ndarray, taxonomy: Taxonomy, thresholds: np.ndarray, unproven: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Args: whole: (N, K) probabilities in the whole tree."""
    depths, nodes, accepted = _nothing_accepted(len(whole))
    for depth, least in _attainable(thresholds):
        level = taxonomy.node_probabilities(whole, depth)
        best = level.argmax(axis=1)
        best_probability = level[np.arange(len(level)), best]
        passed = best_probability >= least
        if unproven:
            passed &= is_proven(taxonomy, unproven, depth)[best]
        depths[passed], nodes[passed] = depth, best[passed]
        accepted[passed] = np.minimum(best_probability[passed], 1.0)
    return depths, nodes, accepted


def _accepted_within(
    sub_tree: SubTree,
    whole: np.ndarray,
    renormalized: np.ndarray,
    taxonomy: Taxonomy,
    thresholds: np.ndarray,
    unproven: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each depth what is accepted in the whole tree and lies in the sub-tree, with its probability there."""
    depths, nodes, accepted = _nothing_accepted(len(whole))
    for depth, least in _attainable(thresholds):
        level = taxonomy.node_probabilities(whole, depth)
        best = level.argmax(axis=1)
        passed = (level[np.arange(len(level)), best] >= least) & sub_tree.holds(taxonomy, depth)[best]
        passed &= is_proven(taxonomy, unproven, depth)[best]
        within = taxonomy.node_probabilities(renormalized, depth)
        depths[passed], nodes[passed] = depth, best[passed]
        accepted[passed] = np.minimum(within[passed, best[passed]], 1.0)
    return depths, nodes, accepted


def _attainable(thresholds: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Depths where something may be accepted, with each row's threshold; summing up a level costs time."""
    for depth in 1 + np.flatnonzero((thresholds <= 1).any(axis=0)):
        yield int(depth), thresholds[:, depth - 1]


@lru_cache(maxsize=64)
def is_proven(taxonomy: Taxonomy, unproven: tuple[str, ...], depth: int) -> np.ndarray:
    """(number of nodes at that depth,) bool: whether the thresholds were measured with all that a node holds."""
    nodes = np.ones(len(taxonomy.levels[depth - 1]), bool)
    nodes[taxonomy.leaf_to_node[depth - 1][np.isin(taxonomy.leaves, unproven)]] = False
    return nodes


def _nothing_accepted(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(count, np.int32), np.full(count, -1, np.int32), np.zeros(count, np.float32)


def _scored(taxonomy: Taxonomy, path: str, probability: Any) -> ScoredCategory:
    return ScoredCategory(path, taxonomy.category_id(path), float(probability))
