"""Fits the linear head: a support vector machine a category against the rest, over n-grams and pretrained words."""

import dataclasses
import logging
import multiprocessing
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from model.errors import TrainingError
from model.machine.cores import usable_cores
from model.machine.worker_process import serve_parent
from model.network.linear_head import LinearHead
from model.settings import LinearSettings
from model.taxonomy import Taxonomy
from tokenizer.pretrained_words import PRETRAINED_DIM
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.linear_cost import choose_cost
from training.ensemble.linear_rows import LinearRows, TextReader, given_fields


@dataclasses.dataclass(frozen=True)
class LinearLimits:
    """Sizes at which fitting changes.

    Args:
        max_row_categories: rows times categories that `auto` takes on; 20 million took 2 minutes on one core.
        max_weights: n-grams times categories that `auto` takes on; each is a weight of 8 bytes while it is fitted.
            Where there are more, neighbouring buckets share a row, down to `min_buckets`.
        few_row_categories: fewer rows times categories are fitted in this process: others would take longer to start.
    """

    max_row_categories: int = 60_000_000
    max_weights: int = 100_000_000
    min_buckets: int = 65_536
    few_row_categories: int = 2_000_000


_LIMITS = LinearLimits()
#: Principal axes that are kept of the vectors of pretrained words; on mwpd2020 512, all of them, gave 0.8548 instead of
#: 0.8533 with 128, in 168 instead of 92 s.
_NUM_AXES = 192
_REST = -1
_TOLERANCE = 1e-3
_MAX_ITERATIONS = 200

_log = logging.getLogger("aisle.linear")


def fit_linear_head(
    catalog: EncodedCatalog,
    field_weights: Mapping[str, float],
    taxonomy: Taxonomy,
    hash_buckets: int,
    settings: LinearSettings,
    seed: int,
    limits: LinearLimits = _LIMITS,
) -> LinearHead | None:
    """Fit an SVM a category (squared hinge, LIBLINEAR, Fan et al. 2008) and make them a table and a dense layer.

    The categories are those of every level: a leaf's weights are its own and a share of its parents'.

    Args:
        field_weights: weight of the n-grams of each text field that the model reads.
    Returns:
        None where `settings` or the data speak against it; the log says which.
    Raises:
        TrainingError: a process that fits was killed.
    """
    if settings.linear_head == "off":
        return None
    reader = TextReader(field_weights, hash_buckets)
    rows = reader.rows_to_fit(catalog, settings.linear_single_field_weight)
    num_found = len(np.unique(rows.labels))
    if num_found < 2:
        _log.info("no linear head: expected texts of 2 categories or more, found %d", num_found)
        return None
    is_bounded = settings.linear_head == "auto"
    num_sharing = _num_sharing(rows.ngrams, taxonomy.num_leaves, limits) if is_bounded else 1
    rows = dataclasses.replace(rows, ngrams=_shared(rows.ngrams, num_sharing))
    used = np.flatnonzero(rows.ngrams.getnnz(axis=0))
    numbers = f"{len(rows.labels)} rows, {taxonomy.num_leaves} categories and {len(used)} n-grams"
    work, size = (count * taxonomy.num_leaves for count in (len(rows.labels), len(used)))
    if is_bounded and (work > limits.max_row_categories or size > limits.max_weights):
        _log.info("no linear head: %s are too many; --linear-head on fits it all the same", numbers)
        return None
    _log.info("linear head: %s", numbers)
    rows = dataclasses.replace(rows, ngrams=rows.ngrams[:, used])
    if settings.linear_cost == "auto":
        num_whole = int(given_fields(catalog, list(field_weights)).any(axis=1).sum())
        settings = dataclasses.replace(settings, linear_cost=_chosen_cost(rows, num_whole, seed, limits))
    rows, axes = _on_main_axes(rows)
    weights, biases = _fit_levels(rows, taxonomy, settings, seed, limits)
    table, kernel, lost = _compress(rows.inputs, weights, min(settings.linear_rank, taxonomy.num_leaves))
    vectors = np.zeros((hash_buckets // num_sharing, table.shape[1]), np.float16)
    vectors[used] = table[: len(used)]
    named, nameless = reader.pretrained_fields(catalog)
    tables = [axes @ table[start : start + _NUM_AXES] for start in range(len(used), len(table), _NUM_AXES)]
    words = dict(zip(named, tables, strict=False))
    nameless_words = dict(zip(nameless, tables[len(named) :], strict=True))
    return LinearHead(vectors, kernel, biases + lost, num_sharing, field_weights, words, nameless_words)


def linear_scores(head: LinearHead, catalog: EncodedCatalog) -> np.ndarray:
    """(N, K) float32, what the head's program answers for the rows of a catalog."""
    ngrams, words = TextReader(head.field_weights, len(head.vectors) * head.num_sharing).read(catalog)
    bags = _shared(ngrams, head.num_sharing) @ head.vectors.astype(np.float32)
    tables = [*head.pretrained.values(), *head.nameless_pretrained.values()]
    if tables:
        bags += words @ np.concatenate(tables)
    scores = bags @ head.kernel + head.biases
    has_text = given_fields(catalog, list(head.field_weights)).max(axis=1)
    return np.asarray(scores * has_text[:, None], np.float32)


def _num_sharing(ngrams: sparse.csr_matrix, num_leaves: int, limits: LinearLimits) -> int:
    """Number of neighbouring columns to add up, so that the weights are not too many; a power of two."""
    num_sharing = 1
    while (
        ngrams.shape[1] > limits.min_buckets
        and np.count_nonzero(ngrams.getnnz(axis=0)) * num_leaves > limits.max_weights
    ):
        ngrams, num_sharing = _shared(ngrams, 2), 2 * num_sharing
    return num_sharing


def _shared(ngrams: sparse.csr_matrix, num_sharing: int) -> sparse.csr_matrix:
    """(N, U) to (N, U / num_sharing): neighbouring columns added up."""
    if num_sharing == 1:
        return ngrams
    form = (ngrams.shape[0], ngrams.shape[1] // num_sharing)
    shared = sparse.csr_matrix((ngrams.data, ngrams.indices // num_sharing, ngrams.indptr), form, copy=True)
    shared.sum_duplicates()
    return shared


def _on_main_axes(rows: LinearRows) -> tuple[LinearRows, np.ndarray]:
    """Vectors of pretrained words on their principal axes, the same for all fields, so that fitting takes half as long.

    Returns:
        the rows, and (PRETRAINED_DIM, _NUM_AXES) float32 that turns a vector into what they have of it.
    """
    num_fields = rows.pretrained.shape[1] // PRETRAINED_DIM
    vectors = rows.pretrained.toarray().reshape(-1, PRETRAINED_DIM)
    axes = np.linalg.eigh(vectors.T @ vectors)[1][:, ::-1][:, :_NUM_AXES].astype(np.float32)
    turned = (vectors @ axes).reshape(len(rows.labels), num_fields * _NUM_AXES)
    return dataclasses.replace(rows, pretrained=sparse.csr_matrix(turned)), axes


def _chosen_cost(rows: LinearRows, num_whole: int, seed: int, limits: LinearLimits) -> float:
    """The cost chosen on the first rows, which have all their fields."""
    whole = dataclasses.replace(
        rows, ngrams=rows.ngrams[:num_whole], labels=rows.labels[:num_whole], counts=rows.counts[:num_whole]
    )
    return choose_cost(whole, seed, lambda some, cost: _fit_nodes(some, cost, seed, limits.few_row_categories))


def _fit_levels(
    rows: LinearRows, taxonomy: Taxonomy, settings: LinearSettings, seed: int, limits: LinearLimits
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K, U + D) and biases (K,) of the leaves, their parents' share included."""
    assert settings.linear_cost != "auto"
    weights = np.zeros((taxonomy.num_leaves, rows.inputs.shape[1]), np.float32)
    biases = np.zeros(taxonomy.num_leaves, np.float32)
    for depth, node_of_leaf in enumerate(taxonomy.leaf_to_node, start=1):
        share = 1.0 if depth == taxonomy.depth else settings.linear_parent_weight
        if share == 0:
            continue
        nodes, node_weights, node_biases = _fit_nodes(
            dataclasses.replace(rows, labels=node_of_leaf[rows.labels]),
            settings.linear_cost,
            seed,
            limits.few_row_categories,
        )
        position = np.full(len(taxonomy.levels[depth - 1]), -1)
        position[nodes] = np.arange(len(nodes))
        found = position[node_of_leaf]
        weights[found >= 0] += np.float32(share) * node_weights[found[found >= 0]]
        biases += np.float32(share) * np.where(found >= 0, node_biases[found], -1)  # -1: nothing speaks for it
    return weights, biases


def _fit_nodes(
    rows: LinearRows, cost: float, seed: int, few_row_categories: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels that occur (C,), their weights (C, U + D) and biases (C,).

    The labels are shared among the cores; each core fits some of them against all the rest.
    """
    nodes = np.unique(rows.labels)
    if len(nodes) == 1:
        return nodes, np.zeros((1, rows.inputs.shape[1]), np.float32), np.ones(1, np.float32)
    cores = usable_cores()
    parts = np.array_split(nodes, min(max(cores, 2), len(nodes)))
    labels = [np.where(np.isin(rows.labels, part), rows.labels, _REST) for part in parts]
    tasks = [(dataclasses.replace(rows, labels=some), cost, seed) for some in labels]
    if cores == 1 or len(rows.labels) * len(nodes) < few_row_categories:
        fitted = [_fit_one_against_rest(*task) for task in tasks]
    else:
        # Processes, for LIBLINEAR's threads would share one generator of random numbers.
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(len(parts), context, serve_parent) as pool:
                fitted = list(pool.map(_fit_one_against_rest, *zip(*tasks, strict=True)))
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that fits the linear head was killed, most likely for want of memory; the trained network is"
                " kept: run the same command with --resume when there is more, or with --resume --linear-head off"
            ) from error
    weights, biases = (np.concatenate(arrays) for arrays in zip(*fitted, strict=True))
    return nodes, weights, biases


def _fit_one_against_rest(rows: LinearRows, cost: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """SVMs of the labels other than -1, the rest, each against all other rows; the rest and one other are there.

    Returns:
        (C, U + D) float32 weights and (C,) float32 biases, a row for each label in ascending order.
    """
    svm = LinearSVC(C=cost, dual=True, tol=_TOLERANCE, max_iter=_MAX_ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a few rows that still move do not change an answer
        svm.fit(rows.inputs, rows.labels, rows.counts)
    # Of two labels LIBLINEAR fits the second, of more it fits each; the rest comes first.
    first = 0 if len(svm.classes_) == 2 else 1
    return svm.coef_[first:].astype(np.float32), svm.intercept_[first:].astype(np.float32)


def _compress(inputs: sparse.csr_matrix, weights: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables (U + D, rank) and (rank, K), whose product keeps the scores of the rows as well as that rank can.

    The principal axes of the scores are kept, not those of the weights: n-grams count as often as they occur.

    Returns:
        the tables, and (K,) what the mean score loses by them.
    """
    if rank == len(weights):
        return weights.T, np.eye(rank, dtype=np.float32), np.zeros(rank, np.float32)
    scores = inputs @ weights.T
    mean = scores.mean(axis=0)
    scores -= mean
    axes = np.linalg.eigh(scores.T.astype(np.float64) @ scores)[1][:, ::-1][:, :rank].astype(np.float32)
    return weights.T @ axes, axes.T, mean - axes @ (axes.T @ mean)
