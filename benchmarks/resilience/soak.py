"""Soak test: constant memory, no failed call and no wrong answer under a long steady load.

    python -m benchmarks.resilience.soak --bundle DIR --catalog FILE

First a closed loop finds the highest rate, then requests are sent at random times at a share of it. Finally the highest
rate is measured again: if it is lower, the machine has become slower, which may explain failed calls.
"""

import itertools
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tyro

from aisle_client.channel import PLAIN_TEXT
from aisle_client.v1 import classifier_pb2
from benchmarks.resilience.checks import Check, report_checks
from benchmarks.resilience.expected_answers import TOP_K, ExpectedAnswers, read_products
from benchmarks.resilience.process import ServerProcess, Usage
from client.catalog import CatalogItem
from client.load.arrivals import poisson_arrivals
from client.load.generator import LoadGenerator, grpc_connection
from client.load.mix import Mix
from client.load.outcomes import Outcomes
from client.load.progress import Progress
from client.load.summary import Summary, summarize

_SAMPLE_S = 1.0


@dataclass(frozen=True)
class Options:
    """Settings of the test."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are sent."""
    duration_s: float = 600.0
    """Open loop after the warm-up, seconds."""
    warmup_s: float = 120.0
    """Open loop before memory is sampled, seconds."""
    search_s: float = 10.0
    """Closed loop that finds the highest rate, seconds."""
    concurrency: int = 128
    """Callers of the closed loop; more than later requests in flight, so that all threads are created before."""
    load_share: float = 0.7
    """Rate of the open loop, as a share of the highest rate."""
    timeout_s: float = 10.0
    """Deadline of a request, seconds."""
    limit: int = 300
    """Most rows of the catalog to use."""
    max_slope_mib_per_min: float = 1.0
    """Largest growth of the server's resident memory after the warm-up, MiB per minute."""
    max_extra_threads: int = 2
    """Most additional threads, and most additional open files, of the server after the warm-up."""
    seed: int = 0
    """Random seed of the arrival times and of the choice of products."""
    json: Path | None = None
    """File for all figures."""


class CheckedOutcomes(Outcomes):
    """Outcomes whose answers are checked as they arrive.

    Attributes:
        faults: the mismatches of wrong answers.
        codes: number of requests by error code.
    """

    def __init__(self, warmup_s: float, duration_s: float, expected: ExpectedAnswers):
        super().__init__(warmup_s, duration_s)
        self.faults: list[str] = []
        self.codes: Counter[str] = Counter()
        self._expected = expected

    def add(self, due_s: float, sent_s: float, done_s: float, answer: bytes | grpc.StatusCode) -> None:
        """Record one request, and check its answer."""
        super().add(due_s, sent_s, done_s, answer)
        if isinstance(answer, grpc.StatusCode):
            self.codes[answer.name] += 1
        elif mismatch := self._expected.mismatch(classifier_pb2.ClassifyResponse.FromString(answer)):
            self.faults.append(mismatch)


class UsageLog:
    """Samples the resources of a server once a second, on a thread of its own, during a `with`.

    Attributes:
        samples: the samples so far.
    """

    def __init__(self, server: ServerProcess):
        self.samples: list[Usage] = []
        self._server = server
        self._stop_requested = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)

    def _sample(self) -> None:
        while not self._stop_requested.wait(_SAMPLE_S):
            self.samples.append(self._server.usage)

    def __enter__(self) -> "UsageLog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_requested.set()
        self._thread.join()


def main() -> None:
    """Run the test and report its checks."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.soak", description=__doc__)
    products = read_products(options.catalog, options.limit)
    expected = ExpectedAnswers(options.bundle, products)
    mix = Mix([CatalogItem(p, "", "") for p in products], None, classifier_pb2.ClassifyRequest(top_k=TOP_K))
    arrivals_rng, mix_rng = np.random.default_rng(options.seed).spawn(2)
    total_s = options.warmup_s + options.duration_s
    with (
        ServerProcess("--bundle", str(options.bundle)) as server,
        Progress(2 * options.search_s + total_s) as progress,
    ):
        connect = partial(grpc_connection, server.target, PLAIN_TEXT)
        load = LoadGenerator(connect, mix.requests(1, mix_rng), options.timeout_s)
        search, search_after = (
            CheckedOutcomes(options.search_s / 3, options.search_s * 2 / 3, expected) for _ in range(2)
        )
        progress.begin("highest rate")
        load.run_closed(options.concurrency, options.search_s, search, progress)
        rate_rps = search.achieved_rps() * options.load_share
        if not rate_rps:
            raise SystemExit(f"no request was answered: {dict(search.codes)}; the server's log:\n{server.log_tail()}")
        soak = CheckedOutcomes(options.warmup_s, options.duration_s, expected)
        progress.begin(f"{rate_rps:.0f} requests/s")
        with UsageLog(server) as usage:
            load.run_open(poisson_arrivals(rate_rps, total_s, arrivals_rng), soak, progress)
        progress.begin("highest rate again")
        load.run_closed(options.concurrency, options.search_s, search_after, progress)
    summary = summarize(soak, rate_rps, None)
    samples = usage.samples[int(options.warmup_s / _SAMPLE_S) :]
    before_rps, after_rps = search.achieved_rps(), search_after.achieved_rps()
    usages = list(map(asdict, usage.samples))
    figures = {
        "highest_rps": before_rps,
        "highest_after_rps": after_rps,
        "soak": summary.json(),
        "usage": usages,
    }
    title = (
        f"soak: {options.duration_s:g} s at {rate_rps:.0f} requests/s; highest {before_rps:.0f} before, "
        f"{after_rps:.0f} after"
    )
    report_checks(title, checks(options, [search, soak, search_after], summary, samples), figures, options.json)


def checks(options: Options, runs: list[CheckedOutcomes], summary: Summary, samples: list[Usage]) -> list[Check]:
    """Build the checks of the runs.

    Args:
        samples: resources of the server after the warm-up.
    """
    codes = sum((run.codes for run in runs), Counter[str]())
    faults = list(itertools.chain.from_iterable(run.faults for run in runs))
    slope = slope_per_min([sample.rss_mib for sample in samples], _SAMPLE_S)
    threads = [sample.num_threads for sample in samples]
    files = [sample.num_files for sample in samples]
    max_extra = options.max_extra_threads
    p99_ms = summary.phases_ms.get("total", {}).get("p99", float("nan"))
    first_mib, last_mib = (samples[0].rss_mib, samples[-1].rss_mib) if samples else (float("nan"), float("nan"))
    return [
        Check(
            f"memory grows by less than {options.max_slope_mib_per_min:g} MiB/min",
            f"{slope:.2f} MiB/min, from {first_mib:.1f} to {last_mib:.1f} MiB",
            slope < options.max_slope_mib_per_min,
        ),
        Check(
            "no failed call",
            f"{codes.total()} of {sum(map(len, runs))}{_some(codes)}, p99 {p99_ms:.0f} ms",
            not codes,
        ),
        Check("no wrong answer", f"{len(faults)}{': ' + faults[0] if faults else ''}", not faults),
        Check(f"at most {max_extra} more threads", _range(threads), _gain(threads) <= max_extra),
        Check(f"at most {max_extra} more open files", _range(files), _gain(files) <= max_extra),
    ]


def slope_per_min(values: list[float], sample_s: float) -> float:
    """Fit the slope of values sampled every `sample_s`, per minute; nan with fewer than two, which passes no check."""
    if len(values) < 2:
        return float("nan")
    return float(np.polyfit(np.arange(len(values)) * sample_s / 60, values, 1)[0])


def _gain(counts: list[int]) -> int:
    return counts[-1] - counts[0] if counts else 0


def _range(counts: list[int]) -> str:
    return f"{counts[0]} at first, {counts[-1]} at last, {max(counts)} at most" if counts else "no sample"


def _some(codes: Counter[Any]) -> str:
    return f" ({', '.join(f'{code}: {count}' for code, count in codes.items())})" if codes else ""


if __name__ == "__main__":
    main()
