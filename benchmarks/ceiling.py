"""What one process reaches without a network: decode, encode, classify, answer, on every core.

    python -m benchmarks.ceiling --bundle DIR --catalog FILE

Prints products/s as JSON. The ceiling that `benchmarks.serving` compares the server with.
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

from client.catalog import read_catalog
from model.predictor import Predictor
from model.product import Product


@dataclass(frozen=True)
class Options:
    """What to run."""

    bundle: Path
    """Bundle to run."""
    catalog: Path
    """Catalog whose products are taken in turn."""
    batch_size: int = 0
    """Products in one batch; 0 takes as many pictures as the server."""
    duration_s: float = 10.0
    """Time measured, after one batch to warm up, seconds."""
    precision: str = "float32"
    """As in the server."""


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Options, prog="python -m benchmarks.ceiling", description=__doc__)
    predictor = Predictor.open(options.bundle, "openvino", options.precision, many_callers=True)
    rows = [item.product for item in read_catalog(options.catalog)]
    products = [replace(row, product_id=str(i), image=row.image or None) for i, row in enumerate(rows)]
    batch_size = options.batch_size or 2 * predictor.engine.max_images
    rate = products_per_s(predictor, products, batch_size, options.duration_s)
    sys.stdout.write(json.dumps({"products_per_s": rate}))


def products_per_s(predictor: Predictor, products: list[Product], batch_size: int, duration_s: float) -> float:
    """Products answered a second by two threads more than streams, which keep those busy while they decode."""
    num_workers = predictor.engine.num_streams + 2
    with ThreadPoolExecutor(num_workers) as workers:
        batches = [_batches(products, batch_size) for _ in range(num_workers)]
        list(workers.map(lambda mine: _answer(predictor, next(mine)), batches))
        started_s = time.perf_counter()
        end_s = started_s + duration_s
        counts = list(workers.map(lambda mine: _answer_until(end_s, predictor, mine), batches))
        return sum(counts) / (time.perf_counter() - started_s)


def _batches(products: list[Product], batch_size: int) -> Iterator[list[Product]]:
    """Batches of products for ever."""
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
