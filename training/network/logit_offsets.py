"""Logits of categories, moved by a constant each."""

from typing import Any

import keras
import numpy as np
from keras import ops


class LogitOffsets(keras.layers.Layer):
    """Adds a constant to each category's logits; no model that is saved has it.

    Args:
        in_training: (K,) float32, added where the loss is trained.
        in_answers: (K,) float32, added otherwise.
    """

    def __init__(self, in_training: np.ndarray, in_answers: np.ndarray, name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.in_training = in_training
        self.in_answers = in_answers

    def call(self, logits: Any, training: bool = False) -> Any:
        """(B, K) to (B, K)."""
        return logits + ops.convert_to_tensor(self.in_training if training else self.in_answers, "float32")
