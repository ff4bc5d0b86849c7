"""Random projection of n-grams: similarities are kept, and the same everywhere."""

import numpy as np

from retrieval.embedding.ngram_projection import NGRAM_DIM, NgramProjection
from retrieval.embedding.projection import unit_length


def features(rows: list[dict[int, float]], count: int = 40) -> dict[str, np.ndarray]:
    """Build the inputs of texts by the weights of their n-grams."""
    ids, weights = np.zeros((len(rows), count), np.int32), np.zeros((len(rows), count), np.float32)
    for row, ngrams in enumerate(rows):
        ids[row, : len(ngrams)], weights[row, : len(ngrams)] = list(ngrams), list(ngrams.values())
    return {"name_ngram_ids": ids, "name_ngram_weights": weights, "presence": np.ones((len(rows), 1), np.float32)}


def test_dot_products_are_kept() -> None:
    random = np.random.default_rng(0)
    rows = [dict.fromkeys(random.choice(4096, 30, replace=False).tolist(), 1.0) for _ in range(40)]
    rows += [{**dict.fromkeys(list(row)[:15], 1.0), **dict.fromkeys(range(100, 115), 1.0)} for row in rows]
    dense = np.zeros((80, 4096), np.float32)
    for row, ngrams in enumerate(rows):
        dense[row, list(ngrams)] = 1
    expected = unit_length(dense) @ unit_length(dense).T
    projected = unit_length(NgramProjection(4096, ("name",)).vectors(features(rows)))
    assert np.abs(projected @ projected.T - expected).mean() < 0.06
    assert np.corrcoef((projected @ projected.T).ravel(), expected.ravel())[0, 1] > 0.9


def test_two_projections_are_the_same() -> None:
    given = features([{1: 0.5, 7: 2.0}])
    first, second = (NgramProjection(64, ("name",)).vectors(given) for _ in range(2))
    assert first.shape == (1, NGRAM_DIM)
    np.testing.assert_array_equal(first, second)


def test_a_text_without_ngrams_has_a_vector_of_zeros() -> None:
    assert not NgramProjection(64, ("name",)).vectors(features([{}])).any()


def test_a_name_counts_more_than_other_fields() -> None:
    given = features([{3: 1.0}, {}])
    given["brand_ngram_ids"], given["brand_ngram_weights"] = (
        given["name_ngram_ids"][::-1],
        given["name_ngram_weights"][::-1],
    )
    name, brand = np.linalg.norm(NgramProjection(64, ("name", "brand")).vectors(given), axis=1)
    assert name > 3 * brand > 0
