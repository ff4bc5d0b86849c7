"""Fine-tuning: the last layers of a backbone learn the categories from the pictures alone.

Before the network is trained, not with it: a network that sees names learns less from pictures, and a backbone that
changes would have to run again in every epoch of every trial.
"""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path

import keras
import numpy as np

from model.settings import Settings, TrainingSettings
from training.encoding.encoded_catalog import EncodedCatalog
from training.encoding.file_lock import exclusive
from training.network.backbone_cut import BackboneCut
from training.network.batches import ShuffledBatches
from training.network.fit import fit
from training.network.train_state import TrainState

# What the network's own settings are does not matter here, so that trials of a search share one tuned backbone.
_TRAINING = TrainingSettings(batch_size=64)
_DROPOUT_RATE = 0.4
_MAX_SHIFT = 0.1  # of height and width

_log = logging.getLogger("aisle.pictures")


class PictureBatches(ShuffledBatches):
    """Batches of (activations, labels by head) of the rows that have a picture.

    Args:
        catalog: its features are those of `cut.frozen`, stored twice, the mirrored picture's second, unless the cut is
            at the pixels; with a shuffle seed each row gives either.
    """

    def __init__(self, catalog: EncodedCatalog, cut: BackboneCut, shuffle_seed: int | None = None):
        assert catalog.image_features is not None
        picture_rows = np.asarray(catalog.arrays["image_feature_rows"])
        self._features = catalog.image_features
        self._shape = cut.shape
        self._picture_rows = picture_rows[picture_rows >= 0]
        self._labels = np.asarray(catalog.arrays["labels"])[picture_rows >= 0]
        super().__init__(len(self._labels), _TRAINING.batch_size, shuffle_seed)

    def __getitem__(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = self.rows(index)
        views = self._features[self._picture_rows[rows]].reshape(len(rows), -1, *self._shape)
        view = np.zeros(len(rows), np.int64)
        if self.shuffle_seed is not None:
            view = np.random.default_rng((self.shuffle_seed, self.epoch, index)).integers(0, views.shape[1], len(rows))
        return views[np.arange(len(rows)), view].astype(np.float32), {"image_logits": self._labels[rows]}


def tune_pictures(
    cut: BackboneCut,
    catalogs: tuple[EncodedCatalog, EncodedCatalog | None],
    num_classes: int,
    settings: Settings,
    cache: Path,
) -> None:
    """Train the layers after the cut, in place; done by an earlier run or half done, it goes on from there.

    Args:
        catalogs: training and validation, see `PictureBatches`; without the second the last epoch stays.
        cache: folder that keeps the states.
    Raises:
        TrainingError: see `training.network.fit.fit`.
    """
    seed = settings.training.seed
    train, val = catalogs
    batches = PictureBatches(train, cut, seed), None if val is None else PictureBatches(val, cut)
    numbers = [part.num_rows for part in batches if part is not None]
    if not all(numbers):
        found = " and ".join(map(str, numbers))
        _log.warning("no fine-tuning: expected pictures in every catalog, found %s", found)
        return
    parts = [tuning_key(settings), num_classes, train.digest, None if val is None else val.digest]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
    keras.utils.set_random_seed(seed)
    model = _with_head(cut, num_classes, seed)
    image = settings.image
    trained_on = dataclasses.replace(
        _TRAINING,
        epochs=image.finetune_epochs,
        patience=image.finetune_epochs,  # the learning rate has to reach its end
        learning_rate=image.finetune_learning_rate,
        seed=seed,
    )
    _log.info("the last layers of the backbone learn from %d pictures", batches[0].num_rows)
    with exclusive(cache / "locks" / key):
        fit(model, {"image": 1.0}, batches, trained_on, TrainState(cache / "tuned" / key, key))


def tuning_key(settings: Settings) -> str:
    """Equal for settings that give equal image encoders on equal pictures."""
    parts = [dataclasses.asdict(settings.image), settings.training.seed, settings.training.precision_policy]
    return json.dumps([*parts, keras.backend.backend()], sort_keys=True)


def _with_head(cut: BackboneCut, num_classes: int, seed: int) -> keras.Model:
    activations = given = keras.Input(cut.shape, dtype="float32", name="activations")
    if cut.is_at_pixels:
        given = keras.layers.RandomFlip("horizontal", seed=seed, name="mirror")(given)
        given = keras.layers.RandomTranslation(_MAX_SHIFT, _MAX_SHIFT, "nearest", seed=seed, name="shift")(given)
    features = keras.layers.Dropout(_DROPOUT_RATE, seed=seed)(cut.trained(given))
    logits = keras.layers.Dense(num_classes, dtype="float32", name="image_logits")(features)
    return keras.Model(activations, {"image_logits": logits}, name="picture_tuning")
