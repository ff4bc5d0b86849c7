"""The load of `benchmarks.serving.comparison`: the generator of `client load-test` with a choice of protocols.

    python -m benchmarks.serving.load --protocol mosec --port 8000 --catalog FILE --concurrency 32

Requests are serialised beforehand, so that drawing one takes the same time for all protocols. Prints JSON.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tyro

from benchmarks.serving.protocols import PROTOCOLS, ProtocolName, WireProtocol
from client.catalog import read_items
from client.load.arrivals import poisson_arrivals
from client.load.generator import LoadGenerator
from client.load.outcomes import Outcomes, ResponseStats
from client.load.progress import Progress
from client.load.summary import Summary, summarize
from model.product import Product

_TIMEOUT_S = 30.0
_NO_TIMINGS_MS = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Options:
    """Settings of one run."""

    protocol: ProtocolName
    """Protocol of the server."""
    port: int
    """Port of the server on this machine."""
    catalog: Path
    """Catalog whose products are sent."""
    rate: float = 0.0
    """Open loop: requests per second, at random times (Poisson); 0 runs a closed loop."""
    concurrency: int = 32
    """Closed loop: callers at the same time."""
    products_per_request: int = 1
    """Products in a request."""
    warmup_s: float = 2.0
    """Warm-up before it, with load but not measured, seconds."""
    duration_s: float = 8.0
    """Measured part, seconds."""
    seed: int = 0
    """Random seed of the arrival times and of the choice of products."""


def main() -> None:
    """Run the load and print its figures."""
    options = tyro.cli(Options, prog="python -m benchmarks.serving.load", description=__doc__)
    sys.stdout.write(json.dumps(run(options).json()) + "\n")


def run(options: Options) -> Summary:
    """Generate the load and summarise it."""
    protocol = PROTOCOLS[options.protocol]
    arrivals_rng, mix_rng = np.random.default_rng(options.seed).spawn(2)
    products = [item.product for item in read_items(options.catalog)]
    requests = _requests(protocol, products, options.products_per_request, mix_rng)
    outcomes = Outcomes(options.warmup_s, options.duration_s, partial(_read, protocol))
    generator = LoadGenerator(partial(protocol.connect, options.port), requests, _TIMEOUT_S)
    total_s = options.warmup_s + options.duration_s
    with Progress(total_s) as progress:
        if options.rate:
            generator.run_open(poisson_arrivals(options.rate, total_s, arrivals_rng), outcomes, progress)
            return summarize(outcomes, options.rate, None)
        generator.run_closed(options.concurrency, total_s, outcomes, progress)
    return summarize(outcomes, None, options.concurrency)


def _requests(
    protocol: WireProtocol, products: list[Product], per_request: int, rng: np.random.Generator
) -> Iterator[bytes]:
    """Yield as many different requests as there are products, in random order, endlessly."""
    draws = rng.integers(len(products), size=(len(products), per_request))
    requests = [protocol.encode([products[i] for i in row]) for row in draws]
    for i in itertools.chain.from_iterable(rng.permutation(len(requests)) for _ in itertools.count()):
        yield requests[i]


def _read(protocol: WireProtocol, answer: bytes) -> ResponseStats:
    answers = protocol.read(answer)
    num_answered = sum(map(bool, answers))
    return ResponseStats(_NO_TIMINGS_MS, num_answered, len(answers) - num_answered)


if __name__ == "__main__":
    main()
