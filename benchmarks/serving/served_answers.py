"""Compares the answers of a server with those of `training predict` for the same catalog.

    python -m benchmarks.serving.served_answers --bundle DIR --catalog FILE --answers FILE.csv

Expected: float32 within 1e-3 of predict's probability, with 1 or 64 products per request; bfloat16 with the
same best answer for at least 99.5 %.
"""

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from aisle_client.client import AisleClient
from aisle_client.prediction import Failure
from client.catalog import read_items
from model.machine.console import wide_console
from server.app import AisleServer
from server.settings import ServerSettings


@dataclass(frozen=True)
class Options:
    """Settings of the comparison."""

    bundle: Path
    """Bundle to serve."""
    catalog: Path
    """Catalog to classify."""
    answers: Path
    """Output of `training predict` for it."""
    limit: int = 1000
    """Most rows to classify."""


def main() -> None:
    """Classify in both precisions, alone and in batches."""
    options = tyro.cli(Options, prog="python -m benchmarks.serving.served_answers", description=__doc__)
    with options.answers.open(encoding="utf-8", newline="") as file:
        expected = {row["product_id"]: (row["category"], float(row["probability"])) for row in csv.DictReader(file)}
    products = [item.product for item in islice(read_items(options.catalog), options.limit)]
    precisions: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    for precision in precisions:
        settings = ServerSettings(bundle=options.bundle, host="127.0.0.1", port=0, precision=precision)
        server = AisleServer(settings)
        server.start()
        with AisleClient(f"127.0.0.1:{server.port}") as client:
            for size in (1, 64):
                found = [
                    answer
                    for start in range(0, len(products), size)
                    for answer in client.classify(products[start : start + size], top_k=1)
                ]
                wide_console().print(f"{precision}, {size} per request: {_difference(found, expected)}")
        server.stop(grace_s=5)


def _difference(found: list, expected: dict[str, tuple[str, float]]) -> str:
    answered = [answer for answer in found if not isinstance(answer, Failure)]
    pairs = [(answer.categories[0], expected[answer.product_id]) for answer in answered]
    same = np.mean([top.category == category for top, (category, _) in pairs])
    largest = max(abs(top.probability - probability) for top, (_, probability) in pairs)
    return f"{len(pairs)} of {len(found)} answered, same best answer {same:.4f}, largest difference {largest:.2g}"


if __name__ == "__main__":
    main()
