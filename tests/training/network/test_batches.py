"""Encoded catalogs in batches."""

from dataclasses import replace

import numpy as np
import pytest

from model.network.classifier import ClassifierShape
from model.settings import SamplingSettings
from training.encoding.encoded_catalog import EncodedCatalog
from training.network.batches import CatalogBatches
from training.sampling.row_draw import draw_by_category

#: name, mall_category, brand, maker, description, image
PRESENCE = np.array([[1, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 1]], np.float32)
FEATURES = np.arange(8, dtype=np.float32).reshape(4, 2)
SHAPE = ClassifierShape(("name", "mall_category", "brand", "image"), 5, 2)


def encoded(count: int) -> EncodedCatalog:
    """Row i has the label i % 5, the token id i, and every third no picture."""
    ids = np.arange(count, dtype=np.int32)[:, None]
    arrays = {
        "name_token_ids": ids,
        "mall_category_ngram_ids": ids,
        "brand_ngram_weights": ids.astype(np.float32),
        "maker_ngram_ids": ids,
        "labels": ids[:, 0] % 5,
        "presence": np.resize(PRESENCE, (count, 6)),
        "image_feature_rows": np.resize(np.array([1, -1, 3]), count),
    }
    return EncodedCatalog(arrays, FEATURES, 0, "digest")


def epoch_rows(batches: CatalogBatches) -> list[list[int]]:
    return [batches[i][0]["name_token_ids"][:, 0].tolist() for i in range(len(batches))]


def flat(rows: list[list[int]]) -> list[int]:
    return [row for batch in rows for row in batch]


def test_every_row_comes_exactly_once_an_epoch() -> None:
    batches = CatalogBatches(encoded(23), SHAPE, 5, shuffle_seed=3)
    for epoch in range(3):
        batches.start_at(epoch)
        rows = epoch_rows(batches)
        assert [len(batch) for batch in rows] == [5, 5, 5, 5, 3]  # the last is short
        assert sorted(flat(rows)) == list(range(23))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    catalog = encoded(40)
    first, second = (CatalogBatches(catalog, SHAPE, 8, shuffle_seed=1) for _ in range(2))
    seen = []
    for epoch in range(3):
        first.start_at(epoch)
        seen.append(epoch_rows(first))
    assert epoch_rows(second) == seen[0]
    other = CatalogBatches(catalog, SHAPE, 8, shuffle_seed=2)
    assert len({str(rows) for rows in [*seen, epoch_rows(other)]}) == 4
    second.start_at(2)
    assert epoch_rows(second) == seen[2]


def test_rows_are_drawn_anew_for_each_epoch_and_the_same_again() -> None:
    catalog = encoded(40)
    labels = catalog.arrays["labels"].copy()
    labels[:35] = 0  # 35 rows of one category, and one of each other
    catalog = replace(catalog, arrays={**catalog.arrays, "labels": labels})
    draw = draw_by_category(labels, 5, SamplingSettings("cap", sampling_cap=8))
    first, second = (CatalogBatches(catalog, SHAPE, 5, 3, draw) for _ in range(2))
    assert (first.num_rows, len(first)) == (8 + 4, 3)
    seen = []
    for epoch in range(3):
        first.start_at(epoch)
        seen.append(flat(epoch_rows(first)))
        assert len(set(seen[-1])) == 12
        assert sum(row < 36 for row in seen[-1]) == 8
    assert len({str(sorted(rows)) for rows in seen}) == 3
    second.start_at(2)
    assert flat(epoch_rows(second)) == seen[2]


def test_without_a_seed_the_catalog_s_order_stays() -> None:
    batches = CatalogBatches(encoded(7), SHAPE, 3)
    for epoch in range(2):
        batches.start_at(epoch)
        assert flat(epoch_rows(batches)) == list(range(7))


def test_a_batch_by_eye() -> None:
    inputs, labels, weights = CatalogBatches(encoded(3), SHAPE, 3)[0]
    assert inputs.keys() == {
        "name_token_ids",
        "mall_category_ngram_ids",
        "brand_ngram_weights",
        "presence",
        "image_features",
    }
    np.testing.assert_array_equal(inputs["presence"], PRESENCE[:, [0, 1, 2, 5]])
    np.testing.assert_array_equal(inputs["image_features"], [FEATURES[1], [0, 0], FEATURES[3]])
    outputs = {"name_logits", "mall_category_logits", "image_logits", "joint_logits"}
    assert labels.keys() == weights.keys() == outputs
    for given in labels.values():
        np.testing.assert_array_equal(given, [0, 1, 2])
    np.testing.assert_array_equal(weights["name_logits"], [1, 0, 1])
    np.testing.assert_array_equal(weights["mall_category_logits"], [0, 1, 1])
    np.testing.assert_array_equal(weights["image_logits"], [1, 0, 1])
    np.testing.assert_array_equal(weights["joint_logits"], [1, 1, 1])


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_weights_and_inputs_stay_together_when_shuffled(seed: int) -> None:
    batches = CatalogBatches(encoded(20), SHAPE, 6, shuffle_seed=seed)
    for i in range(len(batches)):
        inputs, labels, weights = batches[i]
        rows = inputs["name_token_ids"][:, 0]
        np.testing.assert_array_equal(labels["joint_logits"], rows % 5)
        np.testing.assert_array_equal(weights["name_logits"], PRESENCE[rows % 3, 0])
        np.testing.assert_array_equal(inputs["image_features"][:, 0], np.array([2.0, 0.0, 6.0])[rows % 3])
