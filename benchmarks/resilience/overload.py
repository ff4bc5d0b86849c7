"""Overload test: goodput far above the highest rate, and latency while a new version is loaded.

    python -m benchmarks.resilience.overload --bundle DIR --catalog FILE

First a closed loop finds the highest rate. Then requests are sent at random times at a multiple of it, and finally at a
share of it, while a copy of the bundle is added as the next version. Callers on the server's own cores take processor
time from it; the share that is left is reported, too.
"""

import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tyro

from aisle_client.channel import PLAIN_TEXT
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc
from benchmarks.resilience.checks import Check, report_checks
from benchmarks.resilience.expected_answers import TOP_K, ExpectedAnswers, read_products
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess
from benchmarks.resilience.soak import CheckedOutcomes
from benchmarks.resilience.versions import write_version
from client.catalog import CatalogItem
from client.load.arrivals import poisson_arrivals
from client.load.generator import LoadGenerator, grpc_connection
from client.load.mix import Mix
from client.load.progress import Progress
from model.machine.cores import usable_cores

_NEW_VERSION = "2"
_POLL_S = 0.05
#: Time after the run for a version that a slow processor could not load during it.
_LATE_S = 60.0
#: Codes with which a server may reject requests that it cannot answer in time.
_REJECTIONS = ("RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")


@dataclass(frozen=True)
class Options:
    """Settings of the test."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are sent."""
    search_s: float = 10.0
    """Closed loop that finds the highest rate, seconds."""
    concurrency: int = 32
    """Callers of the closed loop."""
    overload: float = 5.0
    """Rate of the overload, as a multiple of the highest rate."""
    overload_s: float = 15.0
    """Duration of the overload, seconds."""
    timeout_s: float = 2.0
    """Deadline of a request, seconds."""
    load_share: float = 0.5
    """Share of the highest rate while the new version is loaded."""
    swap_s: float = 40.0
    """Duration of that part, seconds; the version is added in the middle."""
    limit: int = 300
    """Most rows of the catalog to use."""
    min_goodput: float = 0.9
    """Lowest rate of answers in the overload, as a share of the highest rate."""
    max_swap_p99: float = 1.5
    """Largest 99th percentile while the version is loaded, as a multiple of that before."""
    seed: int = 0
    """Random seed of the arrival times and of the choice of products."""
    json: Path | None = None
    """File for all figures."""


@dataclass(frozen=True)
class Swap:
    """The times of adding a version, seconds since the start of the run.

    Args:
        begun_s: time at which its files were first written.
        served_s: time at which it answered.
    """

    begun_s: float
    served_s: float


class TimedOutcomes(CheckedOutcomes):
    """Outcomes whose latencies can be selected by the due time of the requests.

    Attributes:
        caller_cores: mean number of cores used by the callers.
    """

    caller_cores = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the processor time of this process, which is that of the callers, during the context."""
        began_s, used_s = time.perf_counter(), time.process_time()
        yield
        self.caller_cores = (time.process_time() - used_s) / (time.perf_counter() - began_s)

    def p99_ms(self, begin_s: float, end_s: float) -> float:
        """Return the 99th percentile of answered requests due in an interval; nan without any."""
        due_s, _, done_s = self._columns(self._times, 3)
        chosen = self._is_ok & (due_s >= begin_s) & (due_s < end_s)
        return float(np.percentile((done_s - due_s)[chosen] * 1000, 99)) if chosen.any() else float("nan")


def main() -> None:
    """Run the test and report its checks."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.overload", description=__doc__)
    products = read_products(options.catalog, options.limit)
    expected = ExpectedAnswers(options.bundle, products)
    mix = Mix([CatalogItem(p, "", "") for p in products], None, classifier_pb2.ClassifyRequest(top_k=TOP_K))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "shop"
        model.mkdir()
        write_version(options.bundle, model / "1")
        with ServerProcess("--models", folder, "--model-poll-s", "1") as server:
            runs, swap = _run(options, server, mix, expected, model)
    search, overload, arrival = runs
    figures = {
        "highest_rps": search.achieved_rps(),
        "overload_rps": overload.achieved_rps(),
        "overload_codes": dict(overload.codes),
        "caller_cores": {"search": search.caller_cores, "overload": overload.caller_cores},
        "swap_seconds": swap.served_s - swap.begun_s,
    }
    title = f"{options.overload:g} times {search.achieved_rps():.0f} requests/s, then {options.load_share:g} times"
    report_checks(title, checks(options, search, overload, arrival, swap), figures, options.json)


def checks(
    options: Options, search: TimedOutcomes, overload: TimedOutcomes, arrival: TimedOutcomes, swap: Swap
) -> list[Check]:
    """Build the checks of the runs."""
    goodput = overload.achieved_rps() / search.achieved_rps()
    cores = usable_cores()
    left = (cores - overload.caller_cores) / (cores - search.caller_cores)
    accepted_ms = overload.p99_ms(options.overload_s / 3, options.overload_s)
    usual_ms, swap_ms = arrival.p99_ms(1.0, swap.begun_s), arrival.p99_ms(swap.begun_s, swap.served_s + 1.0)
    unexpected = Counter({code: n for code, n in overload.codes.items() if code not in _REJECTIONS})
    unexpected += search.codes + arrival.codes
    faults = list(itertools.chain.from_iterable(run.faults for run in (search, overload, arrival)))
    return [
        Check(
            f"goodput of {options.min_goodput:g} of the highest rate at {options.overload:g} times the load",
            f"{goodput:.2f} ({overload.achieved_rps():.0f} answers/s, {dict(overload.codes)}); the callers leave the"
            f" server {left:.2f} of its processor time, relative to which that is {goodput / left:.2f}",
            goodput >= options.min_goodput,
        ),
        Check(
            f"p99 of answers within the deadline of {options.timeout_s:g} s",
            f"{accepted_ms:.0f} ms",
            accepted_ms <= options.timeout_s * 1000,
        ),
        Check(
            f"p99 while a version is loaded at most {options.max_swap_p99:g} times that before",
            f"{swap_ms / usual_ms:.2f} ({swap_ms:.0f} and {usual_ms:.0f} ms, {swap.served_s - swap.begun_s:.1f} s)",
            swap_ms <= options.max_swap_p99 * usual_ms,
        ),
        Check("no call failed except those rejected in the overload", f"{dict(unexpected)}", not unexpected),
        Check("no wrong answer", f"{len(faults)}{': ' + faults[0] if faults else ''}", not faults),
    ]


def _run(
    options: Options, server: ServerProcess, mix: Mix, expected: ExpectedAnswers, model: Path
) -> tuple[tuple[TimedOutcomes, TimedOutcomes, TimedOutcomes], Swap]:
    overload_rng, swap_rng, mix_rng = np.random.default_rng(options.seed).spawn(3)
    connect = partial(grpc_connection, server.target, PLAIN_TEXT)
    load = LoadGenerator(connect, mix.requests(1, mix_rng), options.timeout_s)
    with Progress(options.search_s + options.overload_s + options.swap_s) as progress:
        search = TimedOutcomes(options.search_s / 3, options.search_s * 2 / 3, expected)
        progress.begin("highest rate")
        with search.timed():
            load.run_closed(options.concurrency, options.search_s, search, progress)
        highest_rps = search.achieved_rps()
        if not highest_rps:
            raise SystemExit(f"no request was answered: {dict(search.codes)}; the server's log:\n{server.log_tail()}")
        overload = TimedOutcomes(options.overload_s / 3, options.overload_s * 2 / 3, expected)
        progress.begin(f"{options.overload * highest_rps:.0f} requests/s")
        arrivals_s = poisson_arrivals(options.overload * highest_rps, options.overload_s, overload_rng)
        with overload.timed():
            load.run_open(arrivals_s, overload, progress)
        arrival = TimedOutcomes(0.0, options.swap_s, expected)
        progress.begin("a new version")
        arrivals_s = poisson_arrivals(options.load_share * highest_rps, options.swap_s, swap_rng)
        with _Arrival(options, server, model) as swap:
            load.run_open(arrivals_s, arrival, progress)
    return (search, overload, arrival), swap.times()


class _Arrival:
    """Adds a version in the middle of a run, on a thread of its own; a `with` that begins with the run."""

    def __init__(self, options: Options, server: ServerProcess, model: Path):
        self._options = options
        self._server = server
        self._model = model
        self._begun_s = self._served_s = 0.0
        self._thread = threading.Thread(target=self._add_version, name="arrival", daemon=True)

    def times(self) -> Swap:
        """Return the times of adding the version.

        Raises:
            SystemExit: the version was not served.
        """
        if not self._served_s:
            raise SystemExit(f"version {_NEW_VERSION} was not served; the server's log:\n{self._server.log_tail()}")
        return Swap(self._begun_s, self._served_s)

    def _add_version(self) -> None:
        start_s = time.perf_counter()
        time.sleep(self._options.swap_s / 2)
        self._begun_s = time.perf_counter() - start_s
        write_version(self._options.bundle, self._model / _NEW_VERSION)
        if any(version == _NEW_VERSION for version in self._versions(start_s + self._options.swap_s + _LATE_S)):
            self._served_s = time.perf_counter() - start_s

    def _versions(self, end_s: float) -> Iterator[str]:
        """Poll the version that answers until `end_s`."""
        with grpc.insecure_channel(self._server.target, options=OWN_CONNECTION) as channel:
            ask: Any = classifier_pb2_grpc.ProductClassifierStub(channel).GetModel
            while time.perf_counter() < end_s:
                version = ask(classifier_pb2.GetModelRequest(), timeout=5).model_version
                yield version
                if version == _NEW_VERSION:
                    return
                time.sleep(_POLL_S)

    def __enter__(self) -> "_Arrival":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


if __name__ == "__main__":
    main()
