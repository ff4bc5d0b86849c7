"""The linear head's svms, against scikit-learn's own on the same rows."""

import dataclasses
import logging
import os
from collections.abc import Mapping

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from model.errors import TrainingError
from model.network.linear_head import LinearHead
from model.settings import LinearSettings
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP
from tests.training.conftest import BUCKETS, NAMES
from tokenizer.pretrained_words import PRETRAINED_DIM
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble import linear_svm
from training.ensemble.linear_svm import LinearLimits, fit_linear_head, linear_scores
from training.ensemble.ngram_matrix import ngram_matrix

LEAVES = Taxonomy(TOY_SHOP)
PLAIN = LinearSettings(linear_parent_weight=0.0, linear_single_field_weight=0.0)
EQUAL, LIMITS = dict.fromkeys(NAMES, 1.0), LinearLimits()
ALL_IN_PROCESSES = LinearLimits(few_row_categories=0)


def fitted(
    encoded: EncodedCatalog,
    settings: LinearSettings,
    taxonomy: Taxonomy = LEAVES,
    field_weights: Mapping[str, float] = EQUAL,
    limits: LinearLimits = LIMITS,
) -> LinearHead:
    head = fit_linear_head(encoded, field_weights, taxonomy, BUCKETS, settings, 0, limits)
    assert head is not None
    return head


def test_the_scores_are_those_of_scikit_learn(encoded: EncodedCatalog) -> None:
    head = fitted(encoded, PLAIN)
    ngrams = ngram_matrix(encoded, dict.fromkeys(NAMES, 1.0), BUCKETS)[:57]
    svm = LinearSVC(tol=1e-6, max_iter=10_000).fit(ngrams, encoded.arrays["labels"][:57])
    found = linear_scores(head, encoded)
    np.testing.assert_allclose(found[:57], svm.decision_function(ngrams), rtol=0, atol=0.01)
    assert not found[57:].any()  # no text, no score
    assert head.vectors.shape == (BUCKETS, 3)


@pytest.mark.parametrize("rank", [3, 2])
def test_pretrained_words_are_further_columns(encoded_with_words: EncodedCatalog, rank: int) -> None:
    weights = {"name": 1.0, "mall_category": 0.25}
    settings = dataclasses.replace(PLAIN, linear_rank=rank)
    head = fitted(encoded_with_words, settings, field_weights=weights)
    assert {field: vectors.shape for field, vectors in head.pretrained.items()} == dict.fromkeys(
        NAMES, (PRETRAINED_DIM, rank)
    )
    words = [weight * encoded_with_words.arrays[f"{field}_pretrained"] for field, weight in weights.items()]
    inputs = np.concatenate([ngram_matrix(encoded_with_words, weights, BUCKETS).toarray(), *words], axis=1)[:57]
    svm = LinearSVC(tol=1e-6, max_iter=10_000).fit(inputs, encoded_with_words.arrays["labels"][:57])
    found = linear_scores(head, encoded_with_words)
    np.testing.assert_allclose(found[:57], svm.decision_function(inputs), rtol=0, atol=0.02 if rank == 3 else 0.3)
    assert not found[57:].any()


def test_two_processes_find_the_same(encoded: EncodedCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = fitted(encoded, PLAIN)
    monkeypatch.setattr(linear_svm, "usable_cores", lambda: 2)
    beside = fitted(encoded, PLAIN, limits=ALL_IN_PROCESSES)
    np.testing.assert_allclose(linear_scores(beside, encoded), linear_scores(alone, encoded), atol=1e-5)


def die(*_: object) -> None:
    """As a process that the system kills for want of memory."""
    os._exit(9)


def test_a_killed_process_ends_with_what_to_do(encoded: EncodedCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_svm, "usable_cores", lambda: 2)
    monkeypatch.setattr(linear_svm, "_fit_one_against_rest", die)
    with pytest.raises(TrainingError, match=r"was killed, .* is kept: run the same command with --resume"):
        fitted(encoded, PLAIN, limits=ALL_IN_PROCESSES)


def test_fewer_dimensions_keep_the_directions_in_which_scores_differ(encoded: EncodedCatalog) -> None:
    """Scores of three categories that exclude each other lie close to a plane."""
    whole = linear_scores(fitted(encoded, PLAIN), encoded)[:57]
    errors = {}
    for rank in (1, 2):
        head = fitted(encoded, dataclasses.replace(PLAIN, linear_rank=rank))
        assert (head.vectors.shape, head.kernel.shape) == ((BUCKETS, rank), (rank, 3))
        errors[rank] = float(np.abs(linear_scores(head, encoded)[:57] - whole).mean())
    assert errors[2] < 0.1 < errors[1]


def test_the_parents_svms_have_their_share(encoded: EncodedCatalog) -> None:
    """의류>상의>티셔츠 and 의류>하의>청바지 share the svm of 의류, against 디지털."""
    own = linear_scores(fitted(encoded, PLAIN), encoded)[:57]
    found = linear_scores(fitted(encoded, dataclasses.replace(PLAIN, linear_parent_weight=0.5)), encoded)[:57]
    ngrams = ngram_matrix(encoded, dict.fromkeys(NAMES, 1.0), BUCKETS)[:57]
    clothes = LinearSVC(tol=1e-6, max_iter=10_000).fit(ngrams, encoded.arrays["labels"][:57] < 2)
    top = clothes.decision_function(ngrams)
    # At the second level each leaf stands for a node of its own, so that this level repeats the leaves' svms.
    expected = 1.5 * own + 0.5 * np.stack([top, top, -top], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02)


def test_the_mall_category_has_the_weight_that_is_given(encoded: EncodedCatalog) -> None:
    head = fitted(encoded, PLAIN, field_weights={"name": 1.0, "mall_category": 0.25})
    assert head.field_weights == {"name": 1.0, "mall_category": 0.25}
    both, name = (ngram_matrix(encoded, weights, BUCKETS) for weights in (head.field_weights, {"name": 1.0}))
    mall_category = ngram_matrix(encoded, {"mall_category": 1.0}, BUCKETS)
    np.testing.assert_allclose((both - name).toarray(), 0.25 * mall_category.toarray(), atol=1e-6)


def test_a_leaf_without_rows_scores_low(encoded: EncodedCatalog) -> None:
    head = fitted(encoded, PLAIN, Taxonomy([*TOY_SHOP, "식품>빵"]))
    assert (linear_scores(head, encoded)[:57, 3] == -1).all()


@pytest.mark.parametrize(
    ("settings", "field_weights", "rows", "message"),
    [
        (LinearSettings(linear_head="off"), EQUAL, 60, ""),
        (LinearSettings(), {}, 60, "expected texts of 2 categories or more, found 0"),
        (LinearSettings(linear_head="on"), EQUAL, 1, "expected texts of 2 categories or more, found 1"),
    ],
)
def test_where_there_is_none(
    encoded: EncodedCatalog,
    settings: LinearSettings,
    field_weights: dict[str, float],
    rows: int,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "aisle")
    part = dataclasses.replace(encoded, arrays={name: values[:rows] for name, values in encoded.arrays.items()})
    assert fit_linear_head(part, field_weights, LEAVES, BUCKETS, settings, 0) is None
    assert message in caplog.text


def test_neighbouring_buckets_share_a_row_where_there_are_too_many(encoded: EncodedCatalog) -> None:
    ngrams = ngram_matrix(encoded, dict.fromkeys(NAMES, 1.0), BUCKETS)[:57].toarray()
    merged = ngrams.reshape(57, BUCKETS // 4, 4).sum(axis=2)
    limits = LinearLimits(max_weights=3 * np.count_nonzero(merged.any(axis=0)), min_buckets=16)
    head = fitted(encoded, PLAIN, limits=limits)
    assert (head.vectors.shape, head.num_sharing) == ((BUCKETS // 4, 3), 4)
    svm = LinearSVC(tol=1e-6, max_iter=10_000).fit(merged, encoded.arrays["labels"][:57])
    np.testing.assert_allclose(linear_scores(head, encoded)[:57], svm.decision_function(merged), rtol=0, atol=0.01)
    asked_for = dataclasses.replace(PLAIN, linear_head="on")
    assert fitted(encoded, asked_for, limits=limits).num_sharing == 1  # whoever wants it gets it whole
    whole = dataclasses.replace(limits, min_buckets=BUCKETS)
    assert fit_linear_head(encoded, EQUAL, LEAVES, BUCKETS, PLAIN, 0, whole) is None


def test_too_many_rows_and_categories(encoded: EncodedCatalog, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aisle")
    limits = LinearLimits(max_row_categories=170)
    assert fit_linear_head(encoded, EQUAL, LEAVES, BUCKETS, PLAIN, 0, limits) is None
    assert "no linear head: 57 rows, 3 categories and " in caplog.text
    assert "n-grams are too many; --linear-head on fits it all the same" in caplog.text
    assert (
        fit_linear_head(encoded, EQUAL, LEAVES, BUCKETS, dataclasses.replace(PLAIN, linear_head="on"), 0, limits)
        is not None
    )
