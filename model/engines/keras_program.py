"""One Keras model, compiled once for each batch size that is a power of two."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import model.network.layers  # noqa: F401  registers the layers that the files name
from model.engines.batch_shapes import padded
from model.engines.engine import Precision
from model.errors import EngineError

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

#: A batch in, device arrays out; may return before they are computed.
_Start = Callable[[dict[str, np.ndarray]], dict[str, Any]]


def gpu_backend() -> str:
    """Name of the Keras backend if it computes on a GPU, else ""."""
    device = str(keras.ops.zeros(1).device).lower()  # the backends spell it "cuda:0" or ".../device:GPU:0"
    return keras.backend.backend() if "gpu" in device or "cuda" in device else ""


class KerasProgram:
    """A model of a .keras file on Keras' current backend; thread-safe.

    JAX compiles the forward pass and computes while the next part of a large batch is on its way to the device.
    TensorFlow runs it as a graph, compiled by XLA on a GPU only (on a CPU XLA is ten times slower than the graph).
    PyTorch runs it as Keras does.

    Args:
        precision: "float32", or "bfloat16" for the layers inside; weights and outputs are float32 all the same.
        max_rows: most rows in one run, a power of two; a larger batch is cut.
    Raises:
        EngineError: the file is missing or cannot be loaded.
    """

    def __init__(self, path: Path, precision: Precision, max_rows: int):
        try:
            self._model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise EngineError(f"Keras cannot load {path}: {error}") from error
        set_precision(self._model, precision)
        self._max_rows = max_rows
        self._lock = threading.Lock()  # Keras traces in global state
        self._start = _jax_start(self._model) if keras.backend.backend() == "jax" else _keras_start(self._model)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs and outputs by name, (B, ...) each."""
        count = len(next(iter(inputs.values())))
        parts = []
        for start in range(0, max(count, 1), self._max_rows):
            part = {name: rows[start : start + self._max_rows] for name, rows in inputs.items()}
            size = 1 << max(min(count - start, self._max_rows) - 1, 0).bit_length()
            with self._lock:
                parts.append(self._start({name: padded(rows, size) for name, rows in part.items()}))
        return {name: np.concatenate([np.asarray(part[name]) for part in parts])[:count] for name in parts[0]}

    def row_shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Inputs by name: type in NumPy's words, shape of a row."""
        return {tensor.name: (tensor.dtype, tuple(tensor.shape[1:])) for tensor in self._model.inputs}


def set_precision(program: keras.Model, precision: Precision) -> None:
    """Change the arithmetic of every layer but the last ones, which hand out float32.

    Args:
        precision: "float32" or "bfloat16".
    """
    outputs = {tensor._keras_history.operation for tensor in program.outputs}
    for layer in program._flatten_layers(include_self=False):
        if layer not in outputs:
            layer.dtype_policy = _POLICIES[precision]


def _jax_start(program: keras.Model) -> _Start:
    import jax

    weights = jax.device_put(
        (
            [variable.value for variable in program.trainable_variables],
            [variable.value for variable in program.non_trainable_variables],
        )
    )

    def forward(weights: Any, inputs: Any) -> Any:
        return program.stateless_call(*weights, inputs, training=False)[0]

    compiled = jax.jit(forward)

    def start(inputs: dict[str, np.ndarray]) -> dict[str, Any]:
        outputs = compiled(weights, jax.device_put(_as_called(program, inputs)))
        for values in outputs.values():
            values.copy_to_host_async()
        return outputs

    return start


def _keras_start(program: keras.Model) -> _Start:
    if not gpu_backend():
        program.jit_compile = False  # otherwise Keras chooses, and takes XLA
    return lambda inputs: program.predict_on_batch(_as_called(program, inputs))


def _as_called(program: keras.Model, inputs: dict[str, np.ndarray]) -> Any:
    """The image encoder takes its one input bare."""
    return next(iter(inputs.values())) if len(program.inputs) == 1 else inputs
