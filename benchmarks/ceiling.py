"""What one process reaches without a network: decode, encode, classify, answer, at full batches.

    python -m benchmarks.ceiling --bundle DIR --catalog FILE

Prints products/s as JSON. The ceiling that `benchmarks.serving` compares the server with.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
    batch_size: int = 16
    """Products in one run of the programs."""
    duration_s: float = 10.0
    """Time measured, after one batch to warm up, seconds."""
    precision: str = "float32"
    """As in the server."""


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Options, prog="python -m benchmarks.ceiling", description=__doc__)
    predictor = Predictor.open(options.bundle, "openvino", options.precision)
    rows = [item.product for item in read_catalog(options.catalog)]
    products = [
        Product(str(i), row.product_name, row.mall_category, row.brand, row.maker, row.image or None)
        for i, row in enumerate(rows)
    ]
    sys.stdout.write(
        json.dumps({"products_per_s": products_per_s(predictor, products, options.batch_size, options.duration_s)})
    )


def products_per_s(predictor: Predictor, products: list[Product], batch_size: int, duration_s: float) -> float:
    """Products answered a second; pictures are decoded two batches ahead on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batches = _decoded(predictor, products, batch_size, pool)
        _answer(predictor, *next(batches))
        count, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < duration_s:
            count += _answer(predictor, *next(batches))
        return count / elapsed


def _decoded(
    predictor: Predictor, products: list[Product], batch_size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[Product], list[Future]]]:
    """Batches of products for ever, their pictures being decoded while the ones before are answered."""
    ahead: list[tuple[list[Product], list[Future]]] = []
    start = 0
    while True:
        while len(ahead) < 3:
            batch = [products[(start + i) % len(products)] for i in range(batch_size)]
            ahead.append((batch, [pool.submit(predictor.decode, product) for product in batch]))
            start += batch_size
        yield ahead.pop(0)


def _answer(predictor: Predictor, products: list[Product], decoding: list[Future]) -> int:
    pixels = {i: decoded.result() for i, decoded in enumerate(decoding)}
    given = {i: values for i, values in pixels.items() if values is not None}
    features = predictor.preprocessor.empty_image_features(len(products))
    if given and features is not None:
        features[list(given)] = predictor.encode_images(np.stack(list(given.values())))
    outputs = predictor.classify(predictor.features(products, features))
    return len(predictor.predictions(products, outputs, top_k=5))


if __name__ == "__main__":
    main()
