"""Rate and latency of `Similar` and `SameProduct` of a running server, by ids of its index.

    python -m server --bundle BUNDLE --index INDEX --matcher MATCHER &
    python -m benchmarks.retrieval.search_calls --pairs pairs.csv

Callers are threads of this process that send the next request when the last is answered; the pairs' left products ask
for similar ones. Prints one JSON object.
"""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from aisle_client import NO_RETRY, AisleClient, Failure
from catalog.pairs import Pair, read_pairs
from catalog.rejects import Rejects
from model.machine.console import wide_console


@dataclass(frozen=True)
class SearchCalls:
    """Measure a server's search."""

    pairs: Path
    """CSV or TSV with left_id and right_id of products of the index."""
    method: Literal["same-product", "similar"] = "same-product"
    """RPC to call."""
    target: str = "localhost:50051"
    """HOST:PORT of the server."""
    callers: int = 8
    """Requests in flight."""
    items: int = 1
    """Pairs, or products, in a request."""
    seconds: float = 20.0
    """Time that is measured, after a tenth of it to warm up."""


class Callers:
    """Threads that ask until a time, and their latencies."""

    def __init__(self, command: SearchCalls, pairs: list[Pair]):
        self._command = command
        self._parts = _parts(pairs, command.items)
        self._lock = threading.Lock()
        self.latencies_s: list[float] = []

    def run(self, seconds: float) -> None:
        """Ask for so long."""
        self.latencies_s = []
        end_s = time.perf_counter() + seconds
        threads = [threading.Thread(target=self._ask, args=(end_s,)) for _ in range(self._command.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self, end_s: float) -> None:
        with AisleClient(self._command.target, retry=NO_RETRY) as client:
            while (begun_s := time.perf_counter()) < end_s:
                with self._lock:
                    part = next(self._parts)
                if self._command.method == "similar":
                    results: list[object] = [*client.similar([pair.left_id for pair in part])]
                else:
                    results = [*client.same_product([(pair.left_id, pair.right_id) for pair in part])]
                if failed := next((result for result in results if isinstance(result, Failure)), None):
                    raise SystemExit(f"expected answers, found {failed}")
                with self._lock:
                    self.latencies_s.append(time.perf_counter() - begun_s)


def main(command: SearchCalls) -> None:
    """Measure, and print."""
    with Rejects(None) as rejects:
        pairs = read_pairs(command.pairs, None, rejects)
    callers = Callers(command, pairs)
    callers.run(command.seconds / 10)
    callers.run(command.seconds)
    requests_per_s = len(callers.latencies_s) / command.seconds
    p50, p99 = np.percentile(np.array(callers.latencies_s) * 1000, [50, 99])
    figures = {
        "requests_per_s": round(requests_per_s, 1),
        "items_per_s": round(requests_per_s * command.items, 1),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
    }
    wide_console().print_json(json.dumps({**asdict(command), "pairs": command.pairs.name, **figures}))


def _parts(pairs: list[Pair], size: int) -> Iterator[list[Pair]]:
    """Endlessly the next pairs."""
    following = itertools.cycle(pairs)
    while True:
        yield list(itertools.islice(following, size))


if __name__ == "__main__":
    main(tyro.cli(SearchCalls))
