"""A long time under steady load: memory stays level, no call fails, every answer is right.

    python -m benchmarks.resilience.soak --bundle DIR --catalog FILE

First a closed loop finds the highest rate, then requests leave at random times at a share of it. At last the highest
rate is looked for again: where the machine has become slower meanwhile, failed calls may be its doing.
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

from benchmarks.resilience.process import ServerProcess, Usage
from benchmarks.resilience.promises import Promise, conclude
from benchmarks.resilience.truth import TOP_K, Truth, read_products
from client.catalog import CatalogItem
from client.channel import PLAIN_TEXT
from client.load.arrivals import poisson_arrivals
from client.load.generator import LoadGenerator, grpc_connection
from client.load.mix import Mix
from client.load.outcomes import Outcomes
from client.load.progress import Progress
from client.load.summary import Summary, summarize
from proto.aisle.v1 import classifier_pb2

_SAMPLE_S = 1.0


@dataclass(frozen=True)
class Options:
    """What to run, and what is promised."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are sent."""
    duration_s: float = 600.0
    """Open loop after the warm-up, seconds."""
    warmup_s: float = 120.0
    """Open loop before memory is looked at, seconds."""
    search_s: float = 10.0
    """Closed loop that finds the highest rate, seconds."""
    concurrency: int = 128
    """Callers of the closed loop; more than are ever in flight later, so that it makes every thread made on demand."""
    load_share: float = 0.7
    """Share of that rate in the open loop."""
    timeout_s: float = 10.0
    """Deadline of a request, seconds."""
    limit: int = 300
    """Rows of the catalog that are used."""
    max_slope_mib_per_min: float = 1.0
    """Steepest growth of the server's resident memory after the warm-up, MiB a minute."""
    max_extra_threads: int = 2
    """Most threads, and as many open files, that the server gains after the warm-up."""
    seed: int = 0
    """Of the arrival times and of the choice of products."""
    json: Path | None = None
    """File for all figures."""


class CheckedOutcomes(Outcomes):
    """Outcomes that are held against the truth as they come.

    Attributes:
        faults: what was wrong with answers.
    """

    def __init__(self, warmup_s: float, duration_s: float, truth: Truth):
        super().__init__(warmup_s, duration_s)
        self.faults: list[str] = []
        self.codes: Counter[str] = Counter()
        self._truth = truth

    def add(self, due_s: float, sent_s: float, done_s: float, answer: bytes | grpc.StatusCode) -> None:
        """Note one request, and what is wrong with its answer."""
        super().add(due_s, sent_s, done_s, answer)
        if isinstance(answer, grpc.StatusCode):
            self.codes[answer.name] += 1
        elif fault := self._truth.fault(classifier_pb2.ClassifyResponse.FromString(answer)):
            self.faults.append(fault)


class UsageLog:
    """Looks at the server once a second, on a thread of its own, inside a `with`.

    Attributes:
        samples: one a second.
    """

    def __init__(self, server: ServerProcess):
        self.samples: list[Usage] = []
        self._server = server
        self._stop_asked = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)

    def _watch(self) -> None:
        while not self._stop_asked.wait(_SAMPLE_S):
            self.samples.append(self._server.usage)

    def __enter__(self) -> "UsageLog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_asked.set()
        self._thread.join()


def main() -> None:
    """Search, soak, tell."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.soak", description=__doc__)
    products = read_products(options.catalog, options.limit)
    truth = Truth(options.bundle, products)
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
            CheckedOutcomes(options.search_s / 3, options.search_s * 2 / 3, truth) for _ in range(2)
        )
        progress.begin("highest rate")
        load.run_closed(options.concurrency, options.search_s, search, progress)
        rate_rps = search.achieved_rps() * options.load_share
        if not rate_rps:
            raise SystemExit(f"no request was answered: {dict(search.codes)}; the server's log:\n{server.log_tail()}")
        soak = CheckedOutcomes(options.warmup_s, options.duration_s, truth)
        progress.begin(f"{rate_rps:.0f} requests/s")
        with UsageLog(server) as usage:
            load.run_open(poisson_arrivals(rate_rps, total_s, arrivals_rng), soak, progress)
        progress.begin("highest rate again")
        load.run_closed(options.concurrency, options.search_s, search_after, progress)
    summary = summarize(soak, rate_rps, None)
    level = usage.samples[int(options.warmup_s / _SAMPLE_S) :]
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
    conclude(title, promises(options, [search, soak, search_after], summary, level), figures, options.json)


def promises(options: Options, runs: list[CheckedOutcomes], summary: Summary, level: list[Usage]) -> list[Promise]:
    """What became of each promise.

    Args:
        level: the server after the warm-up.
    """
    codes = sum((run.codes for run in runs), Counter[str]())
    faults = list(itertools.chain.from_iterable(run.faults for run in runs))
    slope = slope_per_min([sample.rss_mib for sample in level], _SAMPLE_S)
    threads = [sample.num_threads for sample in level]
    files = [sample.num_files for sample in level]
    most = options.max_extra_threads
    p99_ms = summary.phases_ms.get("total", {}).get("p99", float("nan"))
    first_mib, last_mib = (level[0].rss_mib, level[-1].rss_mib) if level else (float("nan"), float("nan"))
    return [
        Promise(
            f"memory grows by less than {options.max_slope_mib_per_min:g} MiB/min",
            f"{slope:.2f} MiB/min, from {first_mib:.1f} to {last_mib:.1f} MiB",
            slope < options.max_slope_mib_per_min,
        ),
        Promise(
            "no failed call",
            f"{codes.total()} of {sum(map(len, runs))}{_some(codes)}, p99 {p99_ms:.0f} ms",
            not codes,
        ),
        Promise("no wrong answer", f"{len(faults)}{': ' + faults[0] if faults else ''}", not faults),
        Promise(f"at most {most} more threads", _range(threads), _gain(threads) <= most),
        Promise(f"at most {most} more open files", _range(files), _gain(files) <= most),
    ]


def slope_per_min(values: list[float], sample_s: float) -> float:
    """Least squares through values taken every `sample_s`; nan with fewer than two, which keeps no promise."""
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
