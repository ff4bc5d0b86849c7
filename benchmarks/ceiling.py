"""What one process reaches without a network: decode, encode, classify, answer, on every core.

    python -m benchmarks.ceiling --bundle DIR --catalog FILE

Prints products/s as JSON. The ceiling that `benchmarks.serving` compares the server with.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tyro

from client.catalog import read_catalog
from model.cores import usable_cores
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
    """Products in one run of the programs; 0 takes what the engine does best with pictures."""
    duration_s: float = 10.0
    """Time measured, after one batch to warm up, seconds."""
    precision: str = "float32"
    """As in the server."""


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Options, prog="python -m benchmarks.ceiling", description=__doc__)
    predictor = Predictor.open(options.bundle, "openvino", options.precision, many_callers=True)
    rows = [item.product for item in read_catalog(options.catalog)]
    products = [
        Product(str(i), row.product_name, row.mall_category, row.brand, row.maker, row.image or None)
        for i, row in enumerate(rows)
    ]
    batch_size = options.batch_size or predictor.engine.max_images
    rate = products_per_s(predictor, products, batch_size, options.duration_s)
    sys.stdout.write(json.dumps({"products_per_s": rate}))


def products_per_s(predictor: Predictor, products: list[Product], batch_size: int, duration_s: float) -> float:
    """Products answered a second; pictures are decoded ahead, and two threads more than streams keep those busy."""
    num_workers = predictor.engine.num_streams + 2
    with ThreadPoolExecutor(usable_cores()) as decoders, ThreadPoolExecutor(num_workers) as workers:
        streams = [_decoded(predictor, products, batch_size, decoders) for _ in range(num_workers)]
        list(workers.map(lambda batches: _answer(predictor, *next(batches)), streams))
        started_s = time.perf_counter()
        end_s = started_s + duration_s
        counts = list(workers.map(lambda batches: _answer_until(end_s, predictor, batches), streams))
        return sum(counts) / (time.perf_counter() - started_s)


def _decoded(
    predictor: Predictor, products: list[Product], batch_size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[Product], list[Future]]]:
    """Batches of products for ever, their pictures being decoded while the ones before are answered."""
    endless = itertools.cycle(products)
    ahead: list[tuple[list[Product], list[Future]]] = []
    while True:
        while len(ahead) < 3:
            batch = list(itertools.islice(endless, batch_size))
            ahead.append((batch, [pool.submit(predictor.decode, product) for product in batch]))
        yield ahead.pop(0)


def _answer_until(end_s: float, predictor: Predictor, batches: Iterator[tuple[list[Product], list[Future]]]) -> int:
    count = 0
    while time.perf_counter() < end_s:
        count += _answer(predictor, *next(batches))
    return count


def _answer(predictor: Predictor, products: list[Product], decoding: list[Future]) -> int:
    pixels = {i: decoded.result() for i, decoded in enumerate(decoding)}
    given = {i: values for i, values in pixels.items() if values is not None}
    return len(predictor.predict_decoded(products, given, top_k=5, all_heads=False))


if __name__ == "__main__":
    main()
