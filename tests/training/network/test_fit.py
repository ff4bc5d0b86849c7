"""The training loop: the same result whether interrupted or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from model.errors import TrainingError
from model.network.classifier import ClassifierShape, build_classifier
from model.settings import Settings
from tests.conftest import TOY_SETTINGS
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import EncodedCatalog
from training.network import fit as fit_module
from training.network.batches import CatalogBatches
from training.network.fit import fit
from training.network.optimization import head_loss_weights, over_logits
from training.network.train_state import Progress, TrainState

WORDS = ("셔츠 반팔", "바지 데님", "노트북 gram")
NUM_ROWS = 30


def encoded(tokenizer: Tokenizer, fields: tuple[str, ...], shift: int) -> EncodedCatalog:
    """Three categories told apart by name and brand; with a shift other than 0 one row in three is mislabelled."""
    texts = {
        "name": [f"{WORDS[i % 3]} {i}" for i in range(NUM_ROWS)],
        "brand": [f"brand{i % 3}" for i in range(NUM_ROWS)],
    }
    arrays = tokenizer.encode({field: texts[field] for field in fields})
    arrays["labels"] = np.array([(i + (shift if i % 9 < 3 else 0)) % 3 for i in range(NUM_ROWS)], np.int32)
    arrays["presence"] = np.tile(np.array([1, 0, 1, 0, 0, 0], np.float32), (NUM_ROWS, 1))
    return EncodedCatalog(arrays, None, 0, "digest")


@dataclass
class Run:
    """One training run in its own folder."""

    tokenizer: Tokenizer
    folder: Path
    settings: Settings
    fields: tuple[str, ...] = ("name", "brand")

    def __post_init__(self) -> None:
        self.state = TrainState(self.folder / "state", "key")

    def fit(self, resume: bool = False, callbacks: Sequence[keras.callbacks.Callback] = ()) -> "Trained":
        """Build afresh, as a new process would, and train."""
        keras.utils.set_random_seed(99)  # whatever ran before in this process
        shape = ClassifierShape(self.fields, 3, 0)
        model = over_logits(build_classifier(shape, self.settings.model, self.settings.fields, self.tokenizer, 0))
        size = self.settings.training.batch_size
        batches = (
            CatalogBatches(encoded(self.tokenizer, self.fields, 1), shape, size, shuffle_seed=0),
            CatalogBatches(encoded(self.tokenizer, self.fields, 0), shape, size),
        )
        weights = head_loss_weights(shape.heads, self.settings)
        if not resume:
            self.state.clear()
        progress = fit(model, weights, batches, self.settings.training, self.state, callbacks=callbacks)
        return model, progress


NewRun = Callable[..., Run]
Trained = tuple[keras.Model, Progress]


@pytest.fixture(scope="module")
def new_run(toy_tokenizer: tuple[Tokenizer, Path], tmp_path_factory: pytest.TempPathFactory) -> NewRun:
    """Makes a run with settings of TrainingSettings changed; the same name continues in the same folder."""
    root = tmp_path_factory.mktemp("runs")

    def new(name: str, **changes: Any) -> Run:
        fields = changes.pop("fields", ("name", "brand"))
        training = replace(TOY_SETTINGS.training, **{"epochs": 3, "patience": 9, "batch_size": 8, **changes})
        return Run(toy_tokenizer[0], root / name, replace(TOY_SETTINGS, training=training), fields)

    return new


@pytest.fixture(scope="module")
def whole(new_run: NewRun) -> Trained:
    """A run that nothing stopped."""
    return new_run("whole").fit()


def assert_same(expected: Trained, found: Trained) -> None:
    assert found[1] == expected[1]
    for old, new in zip(expected[0].get_weights(), found[0].get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


class CtrlC(keras.callbacks.Callback):
    """Ctrl-C in a step; both are counted from 0."""

    def __init__(self, epoch: int, step: int):
        super().__init__()
        self.epoch, self.step, self.now = epoch, step, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        if (self.now, batch) == (self.epoch, self.step):
            raise KeyboardInterrupt


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (0, 2)])
def test_a_resumed_run_ends_as_one_that_was_never_stopped(
    new_run: NewRun, whole: Trained, epoch: int, batch: int
) -> None:
    name = f"stopped in epoch {epoch}"
    with pytest.raises(KeyboardInterrupt):
        new_run(name).fit(callbacks=[CtrlC(epoch, batch)])
    resumed = new_run(name)
    assert resumed.state.exists() == (epoch > 0)
    assert_same(whole, resumed.fit(resume=True))
    assert [row["epoch"] for row in whole[1].history] == [1, 2, 3]


def test_the_same_seed_gives_the_same_result_and_forgets_an_older_state(new_run: NewRun, whole: Trained) -> None:
    run = new_run("again")
    run.state.save(whole[0], Progress(7, 1.0, 7, [{"epoch": 7}]), whole[0].get_weights())
    assert_same(whole, run.fit())


def test_a_finished_run_that_is_resumed_only_loads_its_best(
    new_run: NewRun, whole: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.Model, "fit", None)
    assert_same(whole, new_run("whole").fit(resume=True))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others do not trace a step twice")
def test_the_step_is_traced_once(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    train_step, traces = keras.Model.train_step, []

    def traced(model: keras.Model, *arguments: Any) -> Any:
        traces.append(arguments)
        return train_step(model, *arguments)

    monkeypatch.setattr(keras.Model, "train_step", traced)
    new_run("traced", epochs=1, fields=("brand",)).fit()
    assert len(traces) == 1


def test_the_history_names_every_head(whole: Trained) -> None:
    kinds = {
        f"{split}{head}_{kind}" for split in ("", "val_") for head in ("name", "joint") for kind in ("loss", "accuracy")
    }
    for row in whole[1].history:
        assert row.keys() == {"epoch", "loss", "val_loss", *kinds}
        assert all(np.isfinite(list(row.values())))


def test_a_network_of_one_head_is_trained_too(new_run: NewRun, capfd: pytest.CaptureFixture[str]) -> None:
    _, progress = new_run("brand", fields=("brand",), epochs=2).fit()
    assert progress.epoch == 2
    assert progress.best_score == max(row["val_joint_accuracy"] for row in progress.history)
    assert f"joint          loss {progress.history[-1]['loss']:.4f}" in capfd.readouterr().out


def test_nan_in_the_data_is_an_error_and_the_last_state_stays(
    new_run: NewRun, whole: Trained, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    get = CatalogBatches.__getitem__

    def poisoned(self: CatalogBatches, index: int) -> Any:
        inputs, labels, weights = get(self, index)
        if self.shuffle_seed is not None and (self.epoch, index) == (1, 2):
            inputs["brand_ngram_weights"] = np.full_like(inputs["brand_ngram_weights"], np.nan)
        return inputs, labels, weights

    monkeypatch.setattr(CatalogBatches, "__getitem__", poisoned)
    expected = r"the loss became nan at step 3 of epoch 2; the state of epoch 1 is kept\. Lower --learning-rate, or use"
    with pytest.raises(TrainingError, match=expected):
        new_run("poisoned").fit()
    monkeypatch.undo()
    assert capfd.readouterr().err.endswith("\n")  # the bar's line has ended: an error message stands alone
    assert_same(whole, new_run("poisoned").fit(resume=True))


def test_a_learning_rate_that_blows_up_is_an_error(new_run: NewRun) -> None:
    run = new_run("blown", learning_rate=1e30, fields=("brand",))
    with pytest.raises(
        TrainingError, match=r"the loss became (nan|inf) at step \d of epoch 1; no epoch was finished\. "
    ):
        run.fit()
    assert not run.state.exists()


def test_a_blow_up_in_an_epoch_s_last_step_never_reaches_the_state(new_run: NewRun) -> None:
    run = new_run("blown at the end", learning_rate=1e30, fields=("brand",), batch_size=NUM_ROWS, epochs=1)
    with pytest.raises(TrainingError, match=r"the validation loss became (nan|inf) at the end of epoch 1; no epoch"):
        run.fit()
    assert not run.state.exists()


@dataclass
class Scripted:
    """A keeper that is told the scores; the model's only weight is the epoch."""

    keeper: fit_module._StateKeeper
    model: keras.Model
    state: TrainState

    def run(self, scores: list[float], epochs: int) -> int:
        """Give the scores epoch by epoch; returns how many were taken."""
        for epoch, score in enumerate(scores):
            self.model.set_weights([np.array([[epoch + 1.0]])])
            self.keeper.on_test_end()
            self.keeper.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0, "val_joint_logits_accuracy": score})
            if self.model.stop_training or self.keeper.is_finished(epochs):
                return epoch + 1
        return len(scores)

    @property
    def best_weight(self) -> float:
        """The weight that `restore_best` brings back."""
        self.state.restore_best(self.model)
        return float(self.model.get_weights()[0][0, 0])


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    """Patience of 2 over 10,000 validation rows: at 0.6, half a standard error is 0.00245."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.compile("sgd", "mse")
    model.stop_training = False
    state = TrainState(tmp_path, "key")
    keeper = fit_module._StateKeeper(state, Progress(), ("joint",), 2, 10_000)
    keeper.set_model(model)
    return Scripted(keeper, model, state)


@pytest.mark.parametrize(
    ("scores", "num_epochs", "best_epoch", "best_score"),
    [
        ([0.5, 0.6, 0.5, 0.55, 0.9], 4, 2, 0.6),  # two epochs in vain
        ([0.5, 0.6, 0.5, 0.7, 0.6, 0.6, 0.9], 6, 4, 0.7),  # the wait starts again
        ([0.6, 0.598, 0.5, 0.9], 3, 2, 0.6),  # as good as equal: the later wins
        ([0.6, 0.6, 0.6, 0.9], 3, 3, 0.6),  # but a plateau uses patience up
        ([0.6, 0.598, 0.596, 0.9], 3, 2, 0.6),  # many small steps down are no plateau
        ([0.0, 0.0, 0.0, 0.9], 3, 3, 0.0),
        ([0.9, 1.0, 0.9, 1.0, 0.9], 4, 4, 1.0),
    ],
)
def test_patience_and_the_best_epoch(
    scripted: Scripted, scores: list[float], num_epochs: int, best_epoch: int, best_score: float
) -> None:
    assert scripted.run(scores, epochs=10) == num_epochs
    progress = scripted.keeper.progress
    assert (progress.best_epoch, progress.best_score) == (best_epoch, best_score)
    assert scripted.best_weight == best_epoch
    assert len(progress.history) == num_epochs


def test_the_epochs_are_the_most_there_are(scripted: Scripted) -> None:
    assert scripted.run([0.1, 0.2, 0.3, 0.4], epochs=3) == 3
