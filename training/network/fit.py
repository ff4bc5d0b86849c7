"""The training loop: epochs with a bar, early stopping on the last head's score, a state after each epoch."""

import contextlib
import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from model.errors import TrainingError
from model.settings import TrainingSettings
from training.network.batches import ShuffledBatches
from training.network.noise.method import NoiseMethod
from training.network.noise.step_loop import fit_in_steps
from training.network.optimization import compile_network
from training.network.train_state import Progress, TrainState


def fit(
    model: keras.Model,
    loss_weights: Mapping[str, float],
    batches: tuple[ShuffledBatches, ShuffledBatches | None],
    settings: TrainingSettings,
    state: TrainState,
    method: NoiseMethod | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Progress:
    """Train until the epochs are over or the last head's validation accuracy stops rising.

    Goes on from the state where there is one; the result equals that of an uninterrupted run. The best weights stay in
    `model`.

    Args:
        model: its outputs are the logits of all heads, "<head>_logits".
        loss_weights: by head; the last head, the joint where there are several, says which epoch is best.
        batches: training and validation; without the second all epochs are trained and the last one stays.
        method: decides what the rows teach where labels are wrong; its runs, each of all epochs, follow each other.
        callbacks: further ones; each sees an epoch before the state keeps it.
    Raises:
        TrainingError: the loss is not finite, or the state cannot be read or written.
    """
    train, val = batches
    prepare = compile_network if method is None else method.prepare
    prepare(model, loss_weights, settings, len(train) * settings.epochs)
    heads = tuple(loss_weights)
    progress = _begin(model, state, method)
    keeper = _StateKeeper(state, progress, heads, settings.patience, val.num_rows if val is not None else 0)
    epochs = settings.epochs
    if method is not None:
        keeper.follow(method, (method.num_runs - 1) * epochs)
        epochs *= method.num_runs
    if not keeper.is_finished(epochs):
        # Keras ends epochs of a data set also where it only looked at it, so that it cannot count them.
        order = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: train.start_at(epoch))
        bar = _Bar(heads, len(train))
        try:
            with _interrupt_between_steps(keeper):
                seen = [order, bar, *callbacks, keeper]
                if method is None:
                    _fit_by_keras(model, batches, range(progress.epoch, epochs), seen)
                else:
                    fit_in_steps(model, method, batches, range(progress.epoch, epochs), seen)
        finally:
            bar.close()
    if val is not None:
        state.restore_best(model)
    return progress


def _create_variables(model: keras.Model, batch: Any) -> None:
    """Create those of optimizer, losses and metrics now: TensorFlow traces a step that creates any twice, for seconds.

    Args:
        batch: any of the training.
    """
    model.optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "tensorflow":
        inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        outputs = model(inputs, training=False)
        model.compute_loss(inputs, labels, outputs, weights)
        model.compute_metrics(inputs, labels, outputs, weights)


def _begin(model: keras.Model, state: TrainState, method: NoiseMethod | None) -> Progress:
    """The progress of an earlier run, which model and method are brought to, or none."""
    if not state.exists():
        state.clear()
        return Progress()
    progress = state.restore(model)
    if method is not None:
        method.restore(state.restore_further())
    return progress


def _fit_by_keras(
    model: keras.Model,
    batches: tuple[ShuffledBatches, ShuffledBatches | None],
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    train, val = batches
    _create_variables(model, train[0])
    model.fit(
        train,
        epochs=epochs.stop,
        initial_epoch=epochs.start,
        validation_data=val,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )


@contextlib.contextmanager
def _interrupt_between_steps(keeper: "_StateKeeper") -> Iterator[None]:
    """Hold Ctrl-C back to the end of the step: raised inside a backend's native code it can crash the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, lambda *_: setattr(keeper, "is_interrupted", True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


class _StateKeeper(keras.callbacks.Callback):
    """Saves after every epoch, notes the best one, stops early or when the loss is not finite."""

    def __init__(self, state: TrainState, progress: Progress, heads: Sequence[str], patience: int, num_val: int):
        super().__init__()
        self.heads = heads
        self.num_val = num_val
        self.is_interrupted = False
        self.state = state
        self.progress = progress
        self.patience = patience
        self._method: NoiseMethod | None = None
        self._last_run_start = 0

    def follow(self, method: NoiseMethod, last_run_start: int) -> None:
        """Save the method's arrays, too, and let patience end the last of its runs only.

        Args:
            last_run_start: epochs of the runs before that.
        """
        self._method = method
        self._last_run_start = last_run_start

    def is_finished(self, epochs: int) -> bool:
        """True if a resumed run has nothing left to do."""
        start = self._last_run_start
        waited = self.progress.epoch - max(self.progress.last_rise_epoch, start)
        is_spent = self.num_val > 0 and self.progress.epoch > start and waited >= self.patience
        return self.progress.epoch >= epochs or is_spent

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop on NaN or infinity before it reaches a saved state."""
        if self.is_interrupted:
            raise KeyboardInterrupt
        self._check_loss((logs or {}).get("loss", 0.0), f"the loss became {{}} at step {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save, and stop when patience is at its end."""
        # The last step's update shows only here.
        self._check_loss((logs or {}).get("val_loss", 0.0), "the validation loss became {} at the end")
        progress = self.progress
        row = by_head(logs, self.heads)
        score = row.get(f"val_{self.heads[-1]}_accuracy", progress.best_score)
        progress.epoch = epoch + 1
        progress.history.append({"epoch": epoch + 1, **row})
        is_best = self.num_val == 0 or score >= progress.best_score - self._noise(progress.best_score)
        if is_best:
            progress.best_epoch = epoch + 1
        if score > progress.best_score:
            progress.best_score, progress.last_rise_epoch = score, epoch + 1
        is_kept = is_best and self.num_val > 0  # without validation rows the last epoch's state has the weights
        best = [np.asarray(weight) for weight in self.model.weights] if is_kept else None
        self.state.save(self.model, progress, best, {} if self._method is None else self._method.arrays())
        self.model.stop_training = self.model.stop_training or self.is_finished(epoch + 2)

    def _check_loss(self, loss: float, what: str) -> None:
        if not math.isfinite(loss):
            finished = self.progress.epoch
            kept = f"the state of epoch {finished} is kept" if finished else "no epoch was finished"
            raise TrainingError(
                f"{what.format(loss)} of epoch {finished + 1}; {kept}."
                " Lower --learning-rate, or use --precision-policy float32"
            )

    def _noise(self, score: float) -> float:
        """Half a standard error: of epochs that close the later wins, for its learning rate is lower."""
        return 0.5 * math.sqrt(max(score * (1 - score), 0.0) / self.num_val)


class _Bar(keras.callbacks.Callback):
    """A bar an epoch with the time left, then a line with loss and accuracy of every head."""

    def __init__(self, heads: Sequence[str], num_steps: int):
        super().__init__()
        self.heads = heads
        self.num_steps = num_steps
        self.bar = tqdm(disable=True)

    def close(self) -> None:
        """End the bar's line, so that the reason of a stop is printed below it."""
        self.bar.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Open the bar."""
        self.bar = tqdm(total=self.num_steps, desc=f"Epoch {epoch + 1}/{self.params['epochs']}", unit=" steps")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar."""
        self.bar.update()
        row, head = by_head(logs, self.heads), self.heads[-1]
        self.bar.set_postfix_str(f"loss {row['loss']:.4f}, {head} {row[f'{head}_accuracy']:.4f}", refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Close the bar and print a line for each head."""
        self.bar.close()
        row = by_head(logs, self.heads)
        for head in self.heads:
            text = f"  {head:<14} loss {row[f'{head}_loss']:.4f}  accuracy {row[f'{head}_accuracy']:.4f}"
            if f"val_{head}_loss" in row:
                measured = row[f"val_{head}_loss"], row[f"val_{head}_accuracy"]
                text += "  |  validation loss {:.4f}  accuracy {:.4f}".format(*measured)
            tqdm.write(text)


def by_head(logs: dict[str, Any] | None, heads: Sequence[str]) -> dict[str, float]:
    """Keras' figures as "[val_]<head>_loss" and "..._accuracy"; of a lone head Keras leaves the name out."""
    lone = heads[-1]
    row = {name.replace("_logits", ""): float(value) for name, value in (logs or {}).items()}
    for split in ("", "val_"):
        if f"{split}accuracy" in row:
            row[f"{split}{lone}_accuracy"] = row.pop(f"{split}accuracy")
            row[f"{split}{lone}_loss"] = row[f"{split}loss"]
    return row
