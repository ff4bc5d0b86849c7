"""A backbone cut in two gives what it gives whole."""

from pathlib import Path

import keras
import numpy as np
import pytest

from model.network.image_encoder import build_image_encoder
from model.settings import ImageSettings
from training.network.backbone_cut import BackboneCut, cut_backbone

SIZE = 32


def own_backbone(path: Path) -> Path:
    """Eight layers: input, scaling, two convolutions, a third and a way past both, their sum, a fourth, pooling."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    first = keras.layers.Conv2D(4, 3, strides=4, name="first")(scaled)
    second = keras.layers.Conv2D(4, 1, name="second")(first)
    third = keras.layers.Conv2D(4, 1, name="third")(second)
    last = keras.layers.Conv2D(5, 3, name="last")(keras.layers.Add()([first, third]))
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(last)).save(path)
    return path


def cut_of(weights: str, finetune_layers: int, backbone: str = "MobileNetV2") -> tuple[keras.Model, BackboneCut]:
    settings = ImageSettings(backbone=backbone, image_size=SIZE, image_weights=weights, finetune_layers=finetune_layers)
    encoder = build_image_encoder(settings, 0)
    return encoder, cut_backbone(encoder)


def assert_both_parts_make_the_whole(encoder: keras.Model, cut: BackboneCut) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)
    between = cut.frozen.predict(images, verbose=0)["image_features"]
    found = cut.trained.predict(between.reshape(3, *cut.shape).astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, encoder.predict(images, verbose=0)["image_features"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("finetune_layers", "shape", "num_trained"),
    [
        (2, (8, 8, 4), 2),  # before the last convolution
        (3, (8, 8, 4), 2),  # the sum has no weights
        (4, (8, 8, 4), 4),  # third: first goes past it, so that the cut is before second
        (5, (8, 8, 4), 6),
    ],
)
def test_it_is_cut_where_one_tensor_passes(
    tmp_path: Path, finetune_layers: int, shape: tuple[int, ...], num_trained: int
) -> None:
    encoder, cut = cut_of(str(own_backbone(tmp_path / "own.keras")), finetune_layers)
    assert (cut.shape, cut.dtype, cut.is_at_pixels) == (shape, np.float16, False)
    assert len(cut.trained.trainable_weights) == num_trained == len(encoder.trainable_weights)
    assert not cut.frozen.trainable_weights
    assert_both_parts_make_the_whole(encoder, cut)


@pytest.mark.parametrize("finetune_layers", [-1, 6, 7])
def test_all_layers_are_trained_from_the_pixels(tmp_path: Path, finetune_layers: int) -> None:
    encoder, cut = cut_of(str(own_backbone(tmp_path / "own.keras")), finetune_layers)
    assert (cut.shape, cut.dtype, cut.is_at_pixels) == ((SIZE, SIZE, 3), np.uint8, True)
    assert len(cut.trained.trainable_weights) == 8
    assert_both_parts_make_the_whole(encoder, cut)


def test_activations_of_more_numbers_than_the_pixels_are_not_kept(tmp_path: Path) -> None:
    pixels = keras.Input((SIZE, SIZE, 3))
    wide = keras.layers.Conv2D(4, 3, padding="same")(pixels)
    keras.Model(pixels, keras.layers.Conv2D(2, 3, padding="same")(wide)).save(tmp_path / "own.keras")
    encoder, cut = cut_of(str(tmp_path / "own.keras"), 1)
    assert cut.is_at_pixels
    assert len(cut.trained.trainable_weights) == 2  # what is frozen stays so
    assert_both_parts_make_the_whole(encoder, cut)


@pytest.mark.parametrize(("backbone", "finetune_layers"), [("MobileNetV2", 65), ("EfficientNetB0", 40)])
def test_backbones_of_keras(backbone: str, finetune_layers: int) -> None:
    encoder, cut = cut_of("none", finetune_layers, backbone)
    assert not cut.is_at_pixels
    assert_both_parts_make_the_whole(encoder, cut)
