"""Writes a Keras model as an ONNX program, with its weights in a file beside it."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from model.bundle_files import ONNX_WEIGHTS_SUFFIX
from model.errors import BundleError

#: Rows of the first table's stand-in; each further one has one more, by which they are told apart.
_STAND_IN_ROWS = 1009
#: Unless this is set, tf2onnx copies the graph before each of its dozens of steps.
_NO_COPIES = "TF2ONNX_CATCH_ERRORS"
_MODE = 0o644  # onnx would leave the weights readable to their owner alone


def export_onnx(program: keras.Model, target: Path) -> None:
    """Convert a Keras model on TensorFlow; needs tf2onnx and onnx.

    tf2onnx copies all weights dozens of times: 200 MB of them took 13 GB and a minute. Most are tables that rows are
    looked up in, so small ones stand in for these while it converts.

    Args:
        target: ends in .onnx; the weights go beside it, so that processes can map them.
    Raises:
        BundleError: a table is not found again in what was converted.
    """
    import onnx

    tables: list[np.ndarray] = []

    def stand_in(layer: keras.Layer) -> keras.Layer:
        if not isinstance(layer, keras.layers.Embedding):
            return layer
        tables.append(np.asarray(layer.embeddings))
        rows = _STAND_IN_ROWS + len(tables) - 1
        return keras.layers.Embedding.from_config({**layer.get_config(), "input_dim": rows})

    small = keras.models.clone_model(program, clone_function=stand_in)
    small(small.input)  # Keras exports what has been called; without numbers, for ids reach beyond the stand-ins
    with _without_copies(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # Keras patches tf2onnx
        small.export(str(target), format="onnx", verbose=False)
    converted = onnx.load(target)
    for rows, table in enumerate(tables, _STAND_IN_ROWS):
        _put_back(converted.graph, rows, table)
    weights = target.with_name(target.name + ONNX_WEIGHTS_SUFFIX)
    weights.unlink(missing_ok=True)  # or it would grow
    onnx.save_model(converted, target, save_as_external_data=True, location=weights.name)
    if weights.exists():  # weights of less than a kilobyte stay in the program
        weights.chmod(_MODE)


def _put_back(graph: Any, rows: int, table: np.ndarray) -> None:
    import onnx

    found = [tensor for tensor in graph.initializer if list(tensor.dims) == [rows, table.shape[1]]]
    if len(found) != 1:
        raise BundleError(f"expected one table of {rows} rows in the ONNX program, found {len(found)}; report this")
    found[0].CopyFrom(onnx.numpy_helper.from_array(table, found[0].name))


@contextmanager
def _without_copies() -> Iterator[None]:
    os.environ[_NO_COPIES] = "FALSE"
    try:
        yield
    finally:
        del os.environ[_NO_COPIES]
