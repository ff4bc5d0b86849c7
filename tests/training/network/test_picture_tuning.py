"""The last layers of a backbone learn from pictures, once for all runs."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from model.network.image_encoder import build_image_encoder
from model.settings import ImageSettings, Settings
from tests.conftest import TOY_SETTINGS
from tests.training.conftest import BACKBONE_SIZE
from training.encoding.encoded_catalog import EncodedCatalog
from training.network.backbone_cut import BackboneCut, cut_backbone
from training.network.picture_tuning import PictureBatches, tune_pictures, tuning_key
from training.network.train_state import Progress, TrainState

NUM_ROWS, NUM_CLASSES = 96, 3


@pytest.fixture
def settings(small_backbone: ImageSettings) -> Settings:
    """Of a tuning that takes a few seconds."""
    image = replace(small_backbone, finetune_layers=2, finetune_epochs=12, finetune_learning_rate=0.05)
    return replace(TOY_SETTINGS, image=image)


def cut_of(settings: Settings) -> tuple[keras.Model, BackboneCut]:
    encoder = build_image_encoder(settings.image, 0)
    return encoder, cut_backbone(encoder)


def pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of one of three colours, and which."""
    labels = np.arange(NUM_ROWS) % NUM_CLASSES
    images = np.random.default_rng(seed).integers(0, 60, (NUM_ROWS, BACKBONE_SIZE, BACKBONE_SIZE, 3))
    images[np.arange(NUM_ROWS), :, :, labels] += 120
    return images.astype(np.uint8), labels


def catalog(cut: BackboneCut, digest: str, has_picture: bool = True) -> EncodedCatalog:
    """Every fourth row is without a picture."""
    images, labels = pictures(len(digest))
    views = [images] if cut.is_at_pixels else [images, images[:, :, ::-1]]
    features = np.concatenate([cut.frozen.predict(v, verbose=0)["image_features"] for v in views], axis=1)
    rows = np.where((np.arange(NUM_ROWS) % 4 == 3) | (not has_picture), -1, np.arange(NUM_ROWS))
    arrays = {"labels": labels.astype(np.int32), "image_feature_rows": rows}
    return EncodedCatalog(arrays, features.astype(cut.dtype), 0, digest)


def tune(settings: Settings, cache: Path) -> keras.Model:
    """The tuned image encoder, as a new process would make it."""
    encoder, cut = cut_of(settings)
    tune_pictures(cut, (catalog(cut, "train"), catalog(cut, "val")), NUM_CLASSES, settings, cache)
    return encoder


def spread(encoder: keras.Model) -> float:
    """How far apart the mean features of the three colours are, relative to the features of one colour."""
    images, labels = pictures(seed=9)
    features = encoder.predict(images, verbose=0)["image_features"]
    by_color = [features[labels == label] for label in range(NUM_CLASSES)]
    between = np.stack([some.mean(axis=0) for some in by_color]).std(axis=0).mean()
    return float(between / np.mean([some.std(axis=0).mean() for some in by_color]))


@pytest.mark.parametrize("finetune_layers", [2, -1])
def test_the_layers_learn_and_the_others_stay(settings: Settings, tmp_path: Path, finetune_layers: int) -> None:
    settings = replace(settings, image=replace(settings.image, finetune_layers=finetune_layers))
    before = build_image_encoder(settings.image, 0)
    after = tune(settings, tmp_path)
    changed = [not np.array_equal(old, new) for old, new in zip(before.get_weights(), after.get_weights(), strict=True)]
    assert changed == ([False, False, True, True] if finetune_layers == 2 else [True] * 4)
    assert spread(after) > 1.2 * spread(before)


def test_the_second_time_nothing_is_trained(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tune(settings, tmp_path).get_weights()
    monkeypatch.setattr(keras.Model, "train_step", None)
    for old, new in zip(first, tune(settings, tmp_path).get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_an_interrupted_tuning_goes_on(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tune(settings, tmp_path / "whole").get_weights()

    save = TrainState.save

    def interrupted_save(self: TrainState, model: keras.Model, progress: Progress, best: Any, further: Any) -> None:
        save(self, model, progress, best, further)
        if progress.epoch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainState, "save", interrupted_save)
        with pytest.raises(KeyboardInterrupt):
            tune(settings, tmp_path / "stopped")
    for old, new in zip(whole, tune(settings, tmp_path / "stopped").get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_without_pictures_nothing_is_tuned(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, cut = cut_of(settings)
    before = encoder.get_weights()
    with caplog.at_level(logging.WARNING):
        tune_pictures(cut, (catalog(cut, "train"), catalog(cut, "val", False)), NUM_CLASSES, settings, tmp_path)
    assert "no fine-tuning: expected pictures in every catalog, found 72 and 0" in caplog.text
    for old, new in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_batches_show_either_view_in_training_only(settings: Settings) -> None:
    _, cut = cut_of(settings)
    rows = catalog(cut, "train")
    straight, mirrored = np.split(np.asarray(rows.image_features, np.float32).reshape(NUM_ROWS, -1), 2, axis=1)
    has_picture = rows.arrays["image_feature_rows"] >= 0
    shown, labels = PictureBatches(rows, cut)[0]
    np.testing.assert_array_equal(shown.reshape(len(shown), -1), straight[has_picture][:64])
    np.testing.assert_array_equal(labels["image_logits"], rows.arrays["labels"][has_picture][:64])
    batches = PictureBatches(rows, cut, shuffle_seed=0)
    both = {tuple(row) for index in range(2) for row in batches[index][0].reshape(-1, straight.shape[1])}
    assert both <= {tuple(row) for row in (*straight, *mirrored)}
    assert 0 < len(both & {tuple(row) for row in straight}) < len(both) == has_picture.sum()
    again = PictureBatches(rows, cut, shuffle_seed=0)
    np.testing.assert_array_equal(again[1][0], batches[1][0])
    again.start_at(1)
    assert not np.array_equal(again[1][0], batches[1][0])


def test_trials_of_a_search_share_a_tuned_backbone(settings: Settings) -> None:
    other_network = replace(
        settings,
        fields=replace(settings.fields, image_dropout_rate=0.1),
        training=replace(settings.training, learning_rate=0.1, optimizer="SGD", epochs=9),
    )
    assert tuning_key(other_network) == tuning_key(settings)
    for change in ({"finetune_layers": 1}, {"finetune_epochs": 9}, {"finetune_learning_rate": 0.1}):
        assert tuning_key(replace(settings, image=replace(settings.image, **change))) != tuning_key(settings)
    assert tuning_key(replace(settings, training=replace(settings.training, seed=5))) != tuning_key(settings)
