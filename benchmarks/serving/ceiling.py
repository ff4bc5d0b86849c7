"""The in-process ceiling: throughput of decoding and classifying in one process without a network, on all cores.

    python -m benchmarks.serving.ceiling --bundle DIR --catalog FILE

Prints products/s as JSON; `benchmarks.serving.comparison` compares the servers with it.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from client.catalog import read_items
from model.predictor import Predictor
from model.product import Product


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    bundle: Path
    """Bundle to run."""
    catalog: Path
    """Catalog whose products are classified in turn."""
    batch_size: int = 0
    """Products in one batch; 0 takes the server's batch size for pictures."""
    duration_s: float = 10.0
    """Measured time, after a batch for warm-up, seconds."""
    precision: str = "float32"
    """Arithmetic inside the engine, as in the server."""


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Options, prog="python -m benchmarks.serving.ceiling", description=__doc__)
    predictor = Predictor.open(options.bundle, "openvino", options.precision, many_callers=True)
    rows = [item.product for item in read_items(options.catalog)]
    products = [replace(row, product_id=str(i), image=row.image or None) for i, row in enumerate(rows)]
    batch_size = options.batch_size or 2 * predictor.engine.max_images
    rate = products_per_s(predictor, products, batch_size, options.duration_s)
    sys.stdout.write(json.dumps({"products_per_s": rate}))


def products_per_s(predictor: Predictor, products: list[Product], batch_size: int, duration_s: float) -> float:
    """Measure products/s with two more threads than streams, so that the engine is busy while others decode."""
    num_workers = predictor.engine.num_streams + 2
    with ThreadPoolExecutor(num_workers) as workers:
        batches = [_batches(products, batch_size) for _ in range(num_workers)]
        list(workers.map(lambda own: _answer(predictor, next(own)), batches))
        started_s = time.perf_counter()
        end_s = started_s + duration_s
        counts = list(workers.map(lambda own: _answer_until(end_s, predictor, own), batches))
        return sum(counts) / (time.perf_counter() - started_s)


def _batches(products: list[Product], batch_size: int) -> Iterator[list[Product]]:
    """Yield batches of products endlessly."""
    endless = itertools.cycle(products)
    while True:
        yield list(itertools.islice(endless, batch_size))


def _answer_until(end_s: float, predictor: Predictor, batches: Iterator[list[Product]]) -> int:
    count = 0
    while time.perf_counter() < end_s:
        count += _answer(predictor, next(batches))
    return count


def _answer(predictor: Predictor, products: list[Product]) -> int:
    return len(predictor.predict(products, top_k=5, all_heads=False))


if __name__ == "__main__":
    main()
