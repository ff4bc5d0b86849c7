"""The nearest training products, against the same sums done by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from model.bundle.bundle import load_bundle
from model.bundle_files import FILES
from model.errors import BundleError
from model.prediction.neighbors import NeighborIndex
from model.predictor import Predictor
from model.product import Product

BUCKETS, NUM_CLASSES = 64, 5
FIELD_WEIGHTS = {"name": 1.0, "brand": 0.5}


def features(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Rows of 8 n-grams a field, about a third of them padding; ids repeat within and between fields."""
    inputs: dict[str, np.ndarray] = {}
    for field in FIELD_WEIGHTS:
        weights = np.maximum(random.normal(0.5, size=(count, 8)), 0).astype(np.float32)
        inputs |= {f"{field}_ngram_weights": weights, f"{field}_ngram_ids": random.integers(0, BUCKETS, (count, 8))}
    return inputs


def matrix(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """(N, BUCKETS) weights of all fields together."""
    total = np.zeros((len(inputs["name_ngram_ids"]), BUCKETS), np.float32)
    for field, weight in FIELD_WEIGHTS.items():
        for row, (ids, weights) in enumerate(
            zip(inputs[f"{field}_ngram_ids"], inputs[f"{field}_ngram_weights"], strict=True)
        ):
            np.add.at(total[row], ids, weight * weights)
    return total


@pytest.fixture
def trained() -> tuple[NeighborIndex, np.ndarray, np.ndarray]:
    """An index of 40 products, 6 of which count, their n-grams and their classes."""
    random = np.random.default_rng(0)
    ngrams = matrix(features(random, 40))
    ngrams[0, 7] = ngrams[1:, 7] = 0
    ngrams[3, 7] = 5  # of one product alone
    ngrams[:30, 9] = 1  # of too many
    labels = random.integers(0, NUM_CLASSES - 1, 40)
    index = NeighborIndex.of(sparse.csr_matrix(ngrams), labels, FIELD_WEIGHTS, count=6, max_frequency=20)
    return index, ngrams, labels


def by_hand(ngrams: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    kept = [column for column in range(BUCKETS) if 2 <= np.count_nonzero(ngrams[:, column]) <= 20]
    known, asked = (values[:, kept] / np.linalg.norm(values[:, kept], axis=1)[:, None] for values in (ngrams, asked))
    counts = np.zeros((len(asked), NUM_CLASSES))
    for row, cosines in enumerate(asked @ known.T):
        nearest = np.argsort(-cosines)[:6]
        np.add.at(counts[row], labels[nearest], cosines[nearest] ** 4)
    return np.asarray(np.log(1 + counts / counts.sum(axis=1)[:, None] / 0.02))


def test_the_nearest_products_count(trained: tuple[NeighborIndex, np.ndarray, np.ndarray]) -> None:
    index, ngrams, labels = trained
    assert index.columns[7] == index.columns[9] == -1
    asked = features(np.random.default_rng(1), 700)  # more than are compared at a time
    found = index.logits(asked, NUM_CLASSES)
    assert found.dtype == np.float32
    assert (found[:, -1] == 0).all()  # a class without a product
    np.testing.assert_allclose(found, by_hand(ngrams, labels, matrix(asked)), atol=5e-3)  # cosines in 16 bits


def test_a_row_is_the_same_alone_and_among_others(trained: tuple[NeighborIndex, np.ndarray, np.ndarray]) -> None:
    asked = features(np.random.default_rng(2), 20)
    together = trained[0].logits(asked, NUM_CLASSES)
    for row in range(20):
        alone = trained[0].logits({name: values[row : row + 1] for name, values in asked.items()}, NUM_CLASSES)
        np.testing.assert_array_equal(alone[0], together[row])


def test_who_shares_no_ngram_has_no_neighbours(trained: tuple[NeighborIndex, np.ndarray, np.ndarray]) -> None:
    asked = features(np.random.default_rng(3), 3)
    asked["name_ngram_weights"][0] = asked["brand_ngram_weights"][0] = 0  # no text
    asked["name_ngram_ids"][1] = asked["brand_ngram_ids"][1] = 9  # an n-gram of too many products
    found = trained[0].logits(asked, NUM_CLASSES)
    assert (found[:2] == 0).all()
    assert found[2].max() > 0


def test_the_file_holds_all_of_it(trained: tuple[NeighborIndex, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    index, path = trained[0], tmp_path / FILES.neighbors
    index.save(path)
    loaded = NeighborIndex.load(path)
    assert (loaded.field_weights, loaded.count) == (FIELD_WEIGHTS, 6)
    asked = features(np.random.default_rng(4), 30)
    np.testing.assert_array_equal(loaded.logits(asked, NUM_CLASSES), index.logits(asked, NUM_CLASSES))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"neighbors.npz cannot be read: .*; copy or write the bundle again"):
        NeighborIndex.load(path)


def test_they_count_in_the_joint_answer(toy_bundle: Path) -> None:
    predictor, bundle = Predictor.open(toy_bundle), load_bundle(toy_bundle)
    formula, index = bundle.calibration.formula, bundle.neighbors
    assert index is not None
    features = predictor.features([Product("1", "데님 청바지"), Product("2", "LG gram 노트북", "PC")])
    found, joint = predictor.classify(features), predictor.classify(features, all_heads=False)
    np.testing.assert_allclose(joint["joint_logits"], found["joint_logits"], atol=1e-3)
    logits = index.logits(features, bundle.taxonomy.num_leaves)
    np.testing.assert_array_equal(found["neighbors_logits"], logits)
    formula = replace(formula, prior_mass=0.0, subset_prior_masses={})  # a prior comes on top of the sum
    summed, alone = (
        Predictor(replace(bundle, calibration=replace(bundle.calibration, formula=each)), predictor.engine)
        for each in (formula, replace(formula, neighbor_weight=0.0))
    )
    without = alone.classify(features)["joint_logits"]
    np.testing.assert_allclose(
        summed.classify(features)["joint_logits"], without + formula.neighbor_weight * logits, atol=1e-5
    )
    assert formula.neighbor_weight > 0
