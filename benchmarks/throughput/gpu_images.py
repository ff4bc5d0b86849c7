"""Throughput of the Keras engine compared with the raw forward pass, on a GPU or another device of Keras.

    KERAS_BACKEND=jax python -m benchmarks.throughput.gpu_images --bundle DIR

Needs Keras with JAX or PyTorch, and neither TensorFlow nor OpenVINO. The engine takes and returns NumPy arrays, so its
rate includes the transfers to and from the device; the raw pass keeps inputs and outputs on the device.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.table import Table

import model.network.layers  # noqa: F401  registers the layers of the files
from model.bundle_files import FILES
from model.engines.engine import Precision
from model.engines.keras_engine import MAX_IMAGES, MAX_ROWS, KerasEngine
from model.engines.keras_program import set_precision
from model.machine.console import wide_console


def main() -> None:
    """Measure both programs in both precisions and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput.gpu_images", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="bundle with a picture branch")
    parser.add_argument("--images", type=int, default=16 * MAX_IMAGES, help="images in a round, a multiple of 64")
    parser.add_argument("--products", type=int, default=16 * MAX_ROWS, help="products in a round, a multiple of 512")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each; the medians count")
    options = parser.parse_args()
    for name, value, step in (("images", options.images, MAX_IMAGES), ("products", options.products, MAX_ROWS)):
        if value < step or value % step:
            parser.error(f"--{name}: expected a multiple of {step}, found {value}")
    if options.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, found {options.rounds}")
    backend = keras.backend.backend()
    if backend not in ("jax", "torch"):
        parser.error(f"expected KERAS_BACKEND jax or torch, found {backend}")
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    table = Table("program", "precision", "raw, rows/s", "engine, rows/s", "engine / raw")
    device = ""
    for precision in precisions:
        engine = KerasEngine(options.bundle, precision)
        device = f"Keras {keras.__version__} with {backend} on {engine.device}"
        images = _inputs(_load(options.bundle / FILES.image_encoder, precision), options.images)
        rows = _inputs(_load(options.bundle / FILES.classifier, precision), options.products)
        for program, inputs, batch, run in (
            (FILES.image_encoder, images, MAX_IMAGES, partial(engine.encode_images, images["images"])),
            (FILES.classifier, rows, MAX_ROWS, partial(engine.classify, rows)),
        ):
            raw = _raw_pass(_load(options.bundle / program, precision), inputs, batch)
            raw_rate, engine_rate = _rates(raw, run, len(next(iter(inputs.values()))), options.rounds)
            figures = f"{raw_rate:,.0f}", f"{engine_rate:,.0f}", f"{engine_rate / raw_rate:.2f}"
            table.add_row(Path(program).stem, precision, *figures)
    table.title = f"{device}, medians of {options.rounds}"
    wide_console().print(table)


def _rates(raw: Callable[[], None], run: Callable[[], Any], count: int, rounds: int) -> tuple[float, float]:
    """Measure rows/s of both, in turn, after one round to compile."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for call, times in zip((raw, run), seconds, strict=True):
            start = time.perf_counter()
            call()
            if number:
                times.append(time.perf_counter() - start)
    return count / statistics.median(seconds[0]), count / statistics.median(seconds[1])


def _load(path: Path, precision: Precision) -> keras.Model:
    program = keras.saving.load_model(path, compile=False, safe_mode=True)
    set_precision(program, precision)
    return program


def _inputs(program: keras.Model, count: int) -> dict[str, np.ndarray]:
    """Draw random pixels and features, and ids 0 and 1, which every table has."""
    random = np.random.default_rng(0)
    drawn: dict[str, np.ndarray] = {}
    for tensor in program.inputs:
        shape = (count, *tensor.shape[1:])
        if tensor.dtype == "uint8":
            drawn[tensor.name] = random.integers(0, 256, shape, dtype=np.uint8)
        elif "int" in tensor.dtype:
            drawn[tensor.name] = random.integers(0, 2, shape).astype(np.int32)
        else:
            drawn[tensor.name] = random.random(shape, dtype=np.float32)
    return drawn


def _raw_pass(program: keras.Model, inputs: dict[str, np.ndarray], batch: int) -> Callable[[], None]:
    """Return the raw pass over as many batches; one batch on the device is used for all."""
    count = len(next(iter(inputs.values()))) // batch
    on_device = {name: keras.ops.convert_to_tensor(rows[:batch]) for name, rows in inputs.items()}
    given = on_device if len(on_device) > 1 else next(iter(on_device.values()))
    return _raw_jax(program, given, count) if keras.backend.backend() == "jax" else _raw_torch(program, given, count)


def _raw_jax(program: keras.Model, given: Any, count: int) -> Callable[[], None]:
    import jax

    weights = [[v.value for v in vs] for vs in (program.trainable_variables, program.non_trainable_variables)]
    forward = jax.jit(lambda weights, given: program.stateless_call(*weights, given, training=False)[0])
    return lambda: jax.block_until_ready([forward(weights, given) for _ in range(count)])


def _raw_torch(program: keras.Model, given: Any, count: int) -> Callable[[], None]:
    import torch

    def run() -> None:
        with torch.inference_mode():
            for _ in range(count):
                program(given, training=False)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return run


if __name__ == "__main__":
    main()
