"""The layers that Keras does not have, by eye and by law."""

import importlib
import json

import keras
import numpy as np
import pytest

from model.network.layers import BackbonePreprocessing, FieldFlag, MissingValue, ModalityDropout, TurnedIds


def floats(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_an_absent_field_becomes_the_learned_vector() -> None:
    layer = MissingValue()
    encoding, presence = floats((1, 2), (np.e, 1e30)), floats((1,), (0,))
    layer([encoding, presence])
    layer.set_weights([np.array([7, 8], np.float32)])
    assert np.asarray(layer([encoding, presence])).tolist() == [[1, 2], [7, 8]]


def test_modality_dropout_does_nothing_at_inference() -> None:
    presence = np.random.default_rng(0).integers(0, 2, (50, 5)).astype(np.float32)
    layer = ModalityDropout(0.9, seed=1)
    np.testing.assert_array_equal(layer(presence), presence)
    np.testing.assert_array_equal(layer(presence, training=False), presence)
    np.testing.assert_array_equal(ModalityDropout(0.0)(presence, training=True), presence)


def test_modality_dropout_hides_fields_and_leaves_at_least_one() -> None:
    presence = np.random.default_rng(0).integers(0, 2, (2_000, 5)).astype(np.float32)
    kept = np.asarray(ModalityDropout(0.5, seed=1)(presence, training=True))
    assert set(np.unique(kept)) == {0, 1}
    assert (kept <= presence).all()  # an absent field does not come back
    np.testing.assert_array_equal(kept.any(axis=1), presence.any(axis=1))
    full = np.ones((4_000, 5), np.float32)
    kept = np.asarray(ModalityDropout(0.2, seed=1)(full, training=True))
    assert kept.mean() == pytest.approx(0.2 * 0.2 + 0.8 * 0.8, abs=0.02)  # one of five in a fifth of the rows
    single = np.asarray(ModalityDropout(1.0, seed=1)(presence, training=True))
    np.testing.assert_array_equal(single.sum(axis=1), presence.any(axis=1))
    assert (single <= presence).all()
    drawn = np.asarray(ModalityDropout(1.0, seed=1)(full, training=True)).mean(axis=0)
    np.testing.assert_allclose(drawn, 0.2, atol=0.03)  # every field alike


def test_modality_dropout_draws_anew_and_by_its_seed() -> None:
    full = np.ones((200, 5), np.float32)
    first, same, other = (ModalityDropout(0.5, seed=seed) for seed in (1, 1, 2))
    drawn = np.asarray(first(full, training=True))
    np.testing.assert_array_equal(drawn, same(full, training=True))
    assert not np.array_equal(drawn, first(full, training=True))
    assert not np.array_equal(drawn, other(full, training=True))


def test_turned_ids_change_places_where_the_flag_is_off() -> None:
    ids = np.array([[0, 3, 4, 7], [0, 3, 4, 7]], np.int32)
    assert np.asarray(TurnedIds(8)([ids, floats((1,), (0,))])).tolist() == [[0, 3, 4, 7], [4, 7, 0, 3]]


def test_field_flag_takes_one_column() -> None:
    assert np.asarray(FieldFlag(1)(floats((1, 0, 1), (0, 1, 1)))).tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("backbone", "module"),
    [
        ("MobileNetV2", "mobilenet_v2"),  # to -1..1
        ("ResNet50", "resnet"),  # BGR, means taken off
        ("VGG16", "vgg16"),
        ("DenseNet121", "densenet"),  # means and deviations
        ("EfficientNetB0", "efficientnet"),  # inside the backbone
        ("InceptionV3", "inception_v3"),
        ("NASNetMobile", "nasnet"),
    ],
)
def test_preprocessing_is_keras_own(backbone: str, module: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 3), dtype=np.uint8)
    own = importlib.import_module(f"keras.applications.{module}").preprocess_input(images.astype(np.float32))
    found = np.asarray(BackbonePreprocessing(backbone)(images))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, own, atol=1e-4)


def test_no_backbone_takes_raw_pixels() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(BackbonePreprocessing("")(images), images.astype(np.float32))


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        (MissingValue(), {}),
        (ModalityDropout(0.25, seed=3), {"rate": 0.25, "seed": 3}),
        (FieldFlag(2), {"position": 2}),
        (BackbonePreprocessing("ResNet50"), {"backbone": "ResNet50"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.layers.Layer) else "",
)
def test_the_config_survives_json(layer: keras.layers.Layer, arguments: dict) -> None:
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(layer))))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert {name: getattr(again, name) for name in arguments} == arguments
