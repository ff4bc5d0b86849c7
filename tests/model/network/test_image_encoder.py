"""Backbones by name, at the smallest size they take and without weights."""

from pathlib import Path

import keras
import numpy as np
import pytest

from model.errors import SettingsError
from model.network.image_encoder import backbone_names, backbone_of, build_image_encoder
from model.settings import ImageSettings

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def settings(**changes: object) -> ImageSettings:
    return ImageSettings(**{"image_size": 32, "image_weights": "none", **changes})


@pytest.mark.parametrize(("backbone", "width"), [("MobileNetV2", 1280), ("ResNet50", 2048), ("EfficientNetB0", 1280)])
def test_backbones_build_by_name(backbone: str, width: int) -> None:
    encoder = build_image_encoder(settings(backbone=backbone), seed=0)
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in encoder.inputs] == [
        ("images", "uint8", (None, 32, 32, 3))
    ]
    features = np.asarray(encoder(IMAGES)["image_features"])
    assert features.shape == (2, width)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_the_list_of_backbones() -> None:
    names = backbone_names()
    assert {"MobileNetV2", "ResNet50", "EfficientNetB0", "ConvNeXtTiny", "VGG16", "Xception"} <= set(names)
    assert len(names) > 30
    assert all(name[0].isupper() for name in names)


def test_the_seed_decides_the_weights() -> None:
    first, same, other = (build_image_encoder(settings(), seed).get_weights() for seed in (1, 1, 2))
    assert_equal_weights(first, same)
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def assert_equal_weights(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"expected a backbone of .*MobileNetV2.*Xception; found 'MobileNet9'"):
        build_image_encoder(settings(backbone="MobileNet9"), 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 16}, "the backbone MobileNetV2 at 16 px with image_weights 'none' cannot be built: "),
        (
            {"image_weights": "nowhere.weights.h5"},
            "MobileNetV2 at 32 px with image_weights 'nowhere.weights.h5' cannot",
        ),
    ],
)
def test_what_cannot_be_built_says_what_to_do(changes: dict, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        build_image_encoder(settings(**changes), 0)
    assert message in str(raised.value)
    assert str(raised.value).endswith(
        "Give another image_size, a weights file with --image-weights FILE, or --image-weights none with"
        " --finetune-layers -1"
    )


def test_a_weights_file_that_is_none(tmp_path: Path) -> None:
    for name, message in (("bad.weights.h5", "cannot be built"), ("bad.keras", "cannot be loaded")):
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(SettingsError, match=message) as raised:
            build_image_encoder(settings(image_weights=str(tmp_path / name)), 0)
        assert name in str(raised.value)


def test_weights_from_a_file_and_batch_norm_keeps_their_statistics(tmp_path: Path) -> None:
    source = build_image_encoder(settings(finetune_layers=-1), seed=1)
    path = tmp_path / "own.weights.h5"
    backbone_of(source).save_weights(path)
    loaded = build_image_encoder(settings(image_weights=str(path), finetune_layers=-1), seed=2)
    assert_equal_weights(loaded.get_weights(), source.get_weights())
    for encoder, trained in ((source, True), (loaded, False)):
        norms = [x for x in backbone_of(encoder).layers if isinstance(x, keras.layers.BatchNormalization)]
        assert {layer.trainable for layer in norms} == {trained}
        assert max(layer.momentum for layer in norms) <= 0.9


def test_frozen_partly_and_fully_trained() -> None:
    frozen = build_image_encoder(settings(finetune_layers=0), 0)
    assert not frozen.trainable_weights
    every = backbone_of(build_image_encoder(settings(finetune_layers=-1), 0))
    assert all(layer.trainable for layer in every.layers)
    last = backbone_of(build_image_encoder(settings(finetune_layers=5), 0))
    assert [layer.trainable for layer in last.layers] == [False] * (len(last.layers) - 5) + [True] * 5
    assert 0 < len(last.trainable_weights) < len(every.trainable_weights)
    more_than_all = backbone_of(build_image_encoder(settings(finetune_layers=10_000), 0))
    assert len(more_than_all.trainable_weights) == len(every.trainable_weights)


def test_a_whole_model_of_ones_own(tmp_path: Path) -> None:
    own = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, strides=2)])
    path = tmp_path / "own.keras"
    own.save(path)
    encoder = build_image_encoder(settings(backbone="no matter", image_weights=str(path)), 0)
    expected = np.asarray(own(IMAGES.astype(np.float32))).mean(axis=(1, 2))  # raw pixels in, pooled out
    np.testing.assert_allclose(encoder(IMAGES)["image_features"], expected, rtol=1e-4, atol=1e-3)
    assert not encoder.trainable_weights
