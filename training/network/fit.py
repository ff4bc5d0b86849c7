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
from training.network.optimization import compile_network
from training.network.train_state import Progress, TrainState


def fit(
    model: keras.Model,
    loss_weights: Mapping[str, float],
    batches: tuple[ShuffledBatches, ShuffledBatches | None],
    settings: TrainingSettings,
    state: TrainState,
    resume: bool,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Progress:
    """Train until the epochs are over or the last head's validation accuracy stops rising.

    The best weights stay in `model`.

    Args:
        model: its outputs are the logits of all heads, "<head>_logits".
        loss_weights: by head; the last head, the joint where there are several, says which epoch is best.
        batches: training and validation; without the second all epochs are trained and the last one stays.
        resume: go on from `state`; the result equals that of an uninterrupted run.
        callbacks: further ones; each sees an epoch before the state keeps it.
    Raises:
        TrainingError: the loss is not finite, or the state cannot be read or written.
    """
    train, val = batches
    compile_network(model, loss_weights, settings, steps=len(train) * settings.epochs)
    heads = tuple(loss_weights)
    if resume and state.exists():
        progress = state.restore(model)
    else:
        state.clear()
        progress = Progress()
    keeper = _StateKeeper(state, progress, heads, settings.patience, val.num_rows if val is not None else 0)
    if not keeper.is_finished(settings.epochs):
        _create_variables(model, train[0])
        # Keras ends epochs of a data set also where it only looked at it, so that it cannot count them.
        order = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: train.start_at(epoch))
        bar = _Bar(heads, len(train))
        try:
            with _interrupt_between_steps(keeper):
                model.fit(
                    train,
                    epochs=settings.epochs,
                    initial_epoch=progress.epoch,
                    validation_data=val,
                    shuffle=False,
                    verbose=0,
                    callbacks=[order, bar, *callbacks, keeper],
                )
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

    def is_finished(self, epochs: int) -> bool:
        """True if a resumed run has nothing left to do."""
        waited = self.progress.epoch - self.progress.last_rise_epoch
        is_spent = self.num_val > 0 and self.progress.epoch > 0 and waited >= self.patience
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
        self.state.save(self.model, progress, best)
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
