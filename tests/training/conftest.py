"""Fixtures of the training tests: the toy tokenizer and an encoder whose features are known."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from catalog.read_options import ReadOptions
from model.engines.openvino_engine import OpenVinoProgram
from model.prediction.answers import softmax
from model.product import FIELDS, TEXT_FIELDS
from model.settings import FieldSettings, ImageSettings, text_fields
from tests.conftest import TOY_SETTINGS, TOY_SHOP
from tokenizer.pretrained_words import PRETRAINED_DIM
from tokenizer.settings import TokenizerSettings
from tokenizer.tokenizer import Tokenizer, fit_tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.encoding.parsed_catalog import parse_catalog
from training.encoding.tokenizer_cache import fitted_tokenizer

NAMES, BUCKETS = ("name", "mall_category"), 256
#: Pixels of the pictures of `small_backbone`.
BACKBONE_SIZE = 16


@dataclass
class Runs:
    """The number of rows of each call of an OpenVINO program."""

    rows: list[int]


@pytest.fixture(scope="session")
def toy_tokenizer(toy_catalogs: tuple[Path, Path], toy_cache: Path) -> tuple[Tokenizer, Path]:
    """The tokenizer of the toy catalog and its folder."""
    return fitted_tokenizer(
        parse_catalog(toy_catalogs[0], ReadOptions(), toy_cache),
        text_fields(TEXT_FIELDS, TOY_SETTINGS.fields),
        TOY_SETTINGS.tokenizer,
        0,
        toy_cache,
    )


@pytest.fixture(scope="session")
def mean_color() -> tuple[keras.Model, ImageSettings]:
    """An image encoder of 8 x 8 pictures whose features are their mean red, green and blue."""
    images = keras.Input((8, 8, 3), dtype="uint8", name="images")
    pixels = keras.layers.Rescaling(1.0, name="float")(images)
    means = keras.layers.GlobalAveragePooling2D(name="mean")(pixels)
    means = keras.layers.Activation("linear", name="image_features")(means)
    return keras.Model(images, {"image_features": means}), ImageSettings(image_size=8, image_weights="none")


@pytest.fixture(scope="session")
def small_backbone(tmp_path_factory: pytest.TempPathFactory) -> ImageSettings:
    """Two convolutions in a file."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((BACKBONE_SIZE, BACKBONE_SIZE, 3))
    hidden = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    path = tmp_path_factory.mktemp("weights") / "own.keras"
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(hidden))).save(path)
    return ImageSettings(image_size=BACKBONE_SIZE, image_weights=str(path))


def honest_logits(count: int, num_classes: int, seed: int, spread: float = 2) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the true distribution of the labels, drawn from it."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, spread, (count, num_classes)).astype(np.float32)
    cumulated = softmax(logits).cumsum(axis=1)
    labels = (random.random((count, 1)) > cumulated).sum(axis=1)
    return logits, np.minimum(labels, num_classes - 1).astype(np.int32)


def with_wrong_labels(catalog: EncodedCatalog) -> EncodedCatalog:
    """Give every fifth row another category than its texts suggest."""
    labels = np.array(catalog.arrays["labels"])
    labels[1::5] = (labels[1::5] + 1) % 3
    return dataclasses.replace(catalog, arrays={**catalog.arrays, "labels": labels})


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Counts the calls of OpenVINO."""
    runs, run = Runs([]), OpenVinoProgram.run

    def counting(self: OpenVinoProgram, inputs: dict[str, np.ndarray]) -> Any:
        runs.rows.append(len(next(iter(inputs.values()))))
        return run(self, inputs)

    monkeypatch.setattr(OpenVinoProgram, "run", counting)
    return runs


@pytest.fixture(scope="session")
def linear_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    texts: dict[str, list[str]] = {"name": [], "mall_category": []}
    for names, mall_category, _ in TOY_SHOP.values():
        texts["name"] += names
        texts["mall_category"].append(mall_category)
    settings = TokenizerSettings(
        analyzer="script", hash_buckets=BUCKETS, ngram_min_count=1, min_count=1, word2vec_epochs=0, vector_size=4
    )
    return fit_tokenizer(
        [texts], settings, text_fields(NAMES, FieldSettings()), 0, tmp_path_factory.mktemp("words") / "corpus.txt"
    )


@pytest.fixture(scope="session")
def encoded(linear_tokenizer: Tokenizer) -> EncodedCatalog:
    """A catalog of 60 rows of three categories, every fifth without a mall category, the last three without text."""
    rows = []
    for i in range(60):
        names, mall_category, _ = list(TOY_SHOP.values())[i % 3]
        texts = (f"{names[i // 3 % len(names)]} {'abcdefg'[i % 7] * 3}", mall_category if i % 5 else "")
        rows.append(texts if i < 57 else ("", ""))
    arrays = linear_tokenizer.encode({"name": [row[0] for row in rows], "mall_category": [row[1] for row in rows]})
    presence = np.zeros((60, len(FIELDS)), np.float32)
    presence[:, :2] = [[bool(text) for text in row] for row in rows]
    presence[:, FIELDS.index("image")] = 1
    return EncodedCatalog({**arrays, "presence": presence, "labels": np.arange(60, dtype=np.int32) % 3}, None, 0, "x")


@pytest.fixture(scope="session")
def encoded_with_words(encoded: EncodedCatalog) -> EncodedCatalog:
    """The same catalog with vectors in place of pretrained words; zeros where there is no text."""
    vectors = np.random.default_rng(3).normal(size=(2, 60, PRETRAINED_DIM)).astype(np.float32) / 20
    given = encoded.arrays["presence"][:, :2].T[:, :, None]
    words = {f"{field}_pretrained": values for field, values in zip(NAMES, vectors * given, strict=True)}
    return dataclasses.replace(encoded, arrays={**encoded.arrays, **words})
