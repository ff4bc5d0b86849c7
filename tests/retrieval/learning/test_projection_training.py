"""The projection brings the entries of a product together."""

import numpy as np
import pytest

from model.errors import SettingsError, TrainingError
from retrieval.embedding.projection import Projection, unit_length
from retrieval.learning.examples import Examples, ProductBatches
from retrieval.learning.projection_training import train_projection
from retrieval.settings import MetricSettings

NUM_PRODUCTS, PER_PRODUCT, DIM = 12, 8, 40
QUICK = MetricSettings(dim=8, steps=200, batch_products=6, batch_entries=4, learning_rate=0.01, dropout_rate=0.1)


def examples(with_texts: bool = False) -> Examples:
    """Products whose pictures differ in few of their numbers, and by much in the others."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(NUM_PRODUCTS), PER_PRODUCT).astype(np.int32)
    pictures = random.normal(0, 1, (len(labels), 2, DIM)).astype(np.float32)
    pictures[:, :, :6] = random.normal(0, 1.2, (NUM_PRODUCTS, 6))[labels][:, None]
    pictures += 5  # a common part, as features behind a ReLU have
    texts = random.normal(0, 1, (len(labels), DIM)).astype(np.float32)
    texts[:, :6] = pictures[:, 0, :6]
    everywhere = np.ones(len(labels), bool)
    names = [f"product {i}" for i in range(NUM_PRODUCTS)]
    return Examples(labels, names, pictures, everywhere, texts if with_texts else None, everywhere & with_texts)


def precision_at_1(vectors: np.ndarray, labels: np.ndarray) -> float:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -9)
    return float((labels[similarities.argmax(axis=1)] == labels).mean())


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "arcface"])
def test_each_loss_finds_what_products_share(loss: str) -> None:
    given = examples()
    projection = train_projection(given, MetricSettings(**{**QUICK.__dict__, "loss": loss}))
    assert given.pictures is not None
    before = precision_at_1(unit_length(given.pictures[:, 0]), given.labels)
    after = precision_at_1(projection.vectors("image", given.pictures[:, 0]), given.labels)
    assert after > before + 0.1


def test_words_find_pictures_in_the_shared_space() -> None:
    given = examples(with_texts=True)
    projection = train_projection(given, QUICK)
    assert projection.kinds == ("image", "text")
    assert given.pictures is not None
    assert given.texts is not None
    texts = projection.vectors("text", given.texts)
    pictures = projection.vectors("image", given.pictures[:, 0])
    best = (texts @ pictures.T).argmax(axis=1)
    assert (given.labels[best] == given.labels).mean() > 0.5


def test_the_same_seed_learns_the_same() -> None:
    first, second = (train_projection(examples(), QUICK) for _ in range(2))
    np.testing.assert_allclose(first.weights["image"], second.weights["image"], atol=1e-5)


def test_a_projection_is_read_as_it_was_written(tmp_path) -> None:
    projection = Projection({"image": np.ones((3, 2), np.float32)}, {"image": np.zeros(2, np.float32)})
    projection.save(tmp_path / "p.npz")
    read = Projection.load(tmp_path / "p.npz")
    np.testing.assert_array_equal(read.weights["image"], projection.weights["image"])
    assert read.dim == 2


def test_nothing_to_learn_from_is_said() -> None:
    given = examples()
    lonely = Examples(np.zeros(1, np.int32), ["a"], given.pictures[:1], np.ones(1, bool), None, np.zeros(1, bool))
    with pytest.raises(
        TrainingError, match="expected two or more products with two or more pictures or texts each, found 1"
    ):
        train_projection(lonely, QUICK)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("batch_entries", 1, "batch_entries: expected 2 or more"),
        ("temperature", 0.0, "temperature: expected more than 0"),
        ("near_share", 1.5, "near_share: expected 0 to 1"),
        ("dropout_rate", 1.0, "dropout_rate: expected 0 to below 1"),
        ("finetune_layers", -2, "finetune_layers: expected -1 or more"),
    ],
)
def test_settings_out_of_range(name: str, value: float, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MetricSettings(**{name: value})


def test_a_batch_holds_products_by_entries_and_the_nearest_after_mining() -> None:
    given = examples()
    batches = ProductBatches(given, QUICK)
    inputs, labels = batches[0]
    assert inputs["image"].shape == (24, DIM)
    assert len(np.unique(labels)) == 6
    assert set(np.bincount(labels[:, 0])) <= {0, 4}
    vectors = np.zeros((len(given.labels), 2), np.float32)
    angles = given.labels * 0.2  # products of neighbouring numbers are near
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    batches.mine(vectors)
    near = [np.diff(np.unique(batches[i][1])).min() for i in range(20)]
    assert max(near) == 1
