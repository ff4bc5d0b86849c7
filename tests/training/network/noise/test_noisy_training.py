"""Each method trains, interrupted or not, to the same result."""

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.settings import NoiseSettings
from tests.conftest import TOY_SETTINGS
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.network.batches import CatalogBatches
from training.network.fit import fit
from training.network.noise.coteaching import CoTeaching
from training.network.noise.elr import EarlyLearning
from training.network.noise.method import NoiseMethod
from training.network.noise.selfie import Selfie
from training.network.optimization import head_loss_weights, over_logits
from training.network.train_state import Progress, TrainState

WORDS = ("셔츠 반팔", "바지 데님", "노트북 gram")
NUM_ROWS, EPOCHS = 48, 4
SHAPE = ClassifierShape(("name", "brand"), 3, 0)
NOISE = NoiseSettings(noise_rate=0.25, noise_warmup_epochs=1, selfie_history=2, selfie_agreeing_votes=2, elr_classes=2)


def truth() -> np.ndarray:
    return (np.arange(NUM_ROWS) % 3).astype(np.int32)


def given() -> np.ndarray:
    """One row in eight is mislabelled."""
    return np.where(np.arange(NUM_ROWS) % 8 == 0, (truth() + 1) % 3, truth()).astype(np.int32)


def batches(tokenizer: Tokenizer, labels: np.ndarray, shuffle_seed: int | None) -> CatalogBatches:
    texts = {
        "name": [f"{WORDS[i % 3]} {i}" for i in range(NUM_ROWS)],
        "brand": [f"brand{i % 3}" for i in range(NUM_ROWS)],
    }
    arrays = {**tokenizer.encode(texts), "labels": labels}
    arrays["presence"] = np.tile(np.array([1, 0, 1, 0, 0, 0], np.float32), (NUM_ROWS, 1))
    return CatalogBatches(EncodedCatalog(arrays, None, 0, "digest"), SHAPE, 8, shuffle_seed)


def network(tokenizer: Tokenizer, seed: int) -> keras.Model:
    return over_logits(build_classifier(SHAPE, TOY_SETTINGS.model, TOY_SETTINGS.fields, tokenizer, seed))


METHODS: dict[str, Callable[[Tokenizer], NoiseMethod]] = {
    "elr": lambda _: EarlyLearning(NUM_ROWS, 3, NOISE),
    "selfie": lambda _: Selfie(given(), 3, EPOCHS, NOISE),
    "coteaching": lambda tokenizer: CoTeaching(network(tokenizer, 1), NOISE),
}

#: From the name of a method to what `trained` returns.
WholeRun = Callable[[str], tuple[keras.Model, Progress, NoiseMethod]]


class CtrlC(keras.callbacks.Callback):
    """Ctrl-C in the second step of an epoch, counted from 0."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch, self.now = epoch, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if (self.now, batch) == (self.epoch, 1):
            raise KeyboardInterrupt


def trained(
    tokenizer: Tokenizer, name: str, folder: Path, callbacks: list[keras.callbacks.Callback]
) -> tuple[keras.Model, Progress, NoiseMethod]:
    """Build afresh, as a new process would, and train."""
    keras.utils.set_random_seed(99)
    training = replace(TOY_SETTINGS.training, epochs=EPOCHS, patience=9, batch_size=8)
    model, method = network(tokenizer, 0), METHODS[name](tokenizer)
    both = (batches(tokenizer, given(), 0), batches(tokenizer, truth(), None))
    weights = head_loss_weights(SHAPE.heads, TOY_SETTINGS)
    progress = fit(model, weights, both, training, TrainState(folder, "key"), method, callbacks)
    return model, progress, method


@pytest.fixture(scope="module")
def whole_run(toy_tokenizer: tuple[Tokenizer, Path], tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run with a method that nothing stops, trained once."""
    return functools.cache(lambda name: trained(toy_tokenizer[0], name, tmp_path_factory.mktemp("whole"), []))


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_run_ends_as_one_that_was_never_stopped(
    whole_run: WholeRun, toy_tokenizer: tuple[Tokenizer, Path], tmp_path: Path, name: str
) -> None:
    tokenizer = toy_tokenizer[0]
    whole, progress, method = whole_run(name)
    stopped_in = EPOCHS if name == "selfie" else 2  # of SELFIE in the run after its restart
    with pytest.raises(KeyboardInterrupt):
        trained(tokenizer, name, tmp_path / "stopped", [CtrlC(stopped_in)])
    resumed, again, restored = trained(tokenizer, name, tmp_path / "stopped", [])
    assert again == progress
    assert [row["epoch"] for row in progress.history] == list(range(1, EPOCHS * method.num_runs + 1))
    assert {"loss", "joint_accuracy", "val_joint_accuracy", "val_loss"} <= progress.history[-1].keys()
    for old, new in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    for key, values in method.arrays().items():
        np.testing.assert_array_equal(restored.arrays()[key], values)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_planted_is_learned_away(whole_run: WholeRun, name: str) -> None:
    _, progress, _ = whole_run(name)
    assert progress.best_score == 1.0


def test_selfie_refurbishes_the_planted_labels_and_keeps_them_over_its_restart(whole_run: WholeRun) -> None:
    _, _, method = whole_run("selfie")
    found, still_wrong = (method.arrays()[name] for name in ("refurbished", "noise_rate"))
    is_planted = given() != truth()
    assert float(still_wrong) < NOISE.noise_rate
    assert (found[is_planted] == truth()[is_planted]).mean() > 0.8
    assert (found[~is_planted] == truth()[~is_planted]).mean() > 0.8


def test_a_first_run_waits_for_no_patience(toy_tokenizer: tuple[Tokenizer, Path], tmp_path: Path) -> None:
    """Only the run after the last restart ends where the validation rows say so."""
    tokenizer = toy_tokenizer[0]
    training = replace(TOY_SETTINGS.training, epochs=EPOCHS, patience=1, batch_size=8, learning_rate=1e-9)
    both = (batches(tokenizer, given(), 0), batches(tokenizer, truth(), None))
    weights, method = head_loss_weights(SHAPE.heads, TOY_SETTINGS), METHODS["selfie"](tokenizer)
    progress = fit(network(tokenizer, 0), weights, both, training, TrainState(tmp_path, "key"), method)
    assert progress.epoch == EPOCHS + 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="asks for the others itself")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_steps_are_taken_on_another_backend(backend: str) -> None:
    """ELR's loss is the only code of a backend; what the methods decide is NumPy's everywhere."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; pip install {backend} to run this test")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "planted_is_learned and elr"],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout
