"""Epochs in steps of which a method decides what they teach; callbacks see what Keras' own loop shows them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import keras

from training.network.batches import ShuffledBatches
from training.network.noise.method import NoiseMethod


def fit_in_steps(
    model: keras.Model,
    method: NoiseMethod,
    batches: tuple[ShuffledBatches, ShuffledBatches | None],
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train; as in `keras.Model.fit`, a callback may set `model.stop_training`.

    Args:
        batches: training, of (inputs, labels, weights), and validation.
        epochs: to train, counted from 0.
    """
    train, val = batches
    listed = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs.stop, steps=len(train), verbose=0)
    model.stop_training = False
    listed.on_train_begin()
    for epoch in epochs:
        listed.on_epoch_begin(epoch)
        method.begin_epoch(model, epoch)
        logs = _epoch(model, method, train, listed)
        if val is not None:
            measured = model.evaluate(val, verbose=0, return_dict=True)
            logs |= {f"val_{name}": float(value) for name, value in measured.items()}
        listed.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    listed.on_train_end()


def _epoch(
    model: keras.Model, method: NoiseMethod, train: ShuffledBatches, callbacks: keras.callbacks.CallbackList
) -> dict[str, Any]:
    """The means over the steps of an epoch, by the rows of each."""
    sums: dict[str, float] = defaultdict(float)
    num_rows = 0
    for index in range(len(train)):
        callbacks.on_train_batch_begin(index)
        rows = train.rows(index)
        num_rows += len(rows)
        for name, value in method.step(model, rows, train[index]).items():
            sums[name] += value * len(rows)
        callbacks.on_train_batch_end(index, {name: total / num_rows for name, total in sums.items()})
    return {name: total / num_rows for name, total in sums.items()}
