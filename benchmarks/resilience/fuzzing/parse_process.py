"""Runs cases through the server's parsing, checking and decoding, in a process that may crash."""

import multiprocessing
import os
import queue
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from benchmarks.resilience.fuzzing.mutations import Mutator
from benchmarks.resilience.process import usage_of
from model.bundle.bundle import load_bundle
from model.errors import PictureError, ProductError
from model.preprocessor import Preprocessor
from model.product import Product
from server.engine.request import PartRequest
from server.errors import RequestError
from server.messages.request import check_request, parse_request
from server.settings import ServerSettings

_POLL_S = 0.25
_CASE_TIMEOUT_S = 60.0
_MAX_FAULTS = 100
_NUM_REPORTS = 100


@dataclass(frozen=True)
class _Report:
    """The results of the cases since the last report."""

    outcomes: Counter[str]
    faults: dict[int, str]
    rss_mib: float


class ParseProcess:
    """Runs cases in processes of its own; one that crashes is replaced and continues after the case that killed it.

    Attributes:
        outcomes: number of cases by outcome.
        faults: the fault by the number of its case; at most 100.
        rss_mib: samples of the resident memory of the last process, MiB.
    """

    def __init__(self, bundle: Path, products: Sequence[Product], seed: int):
        self.outcomes: Counter[str] = Counter()
        self.faults: dict[int, str] = {}
        self.rss_mib: list[float] = []
        self._arguments = (bundle, products, seed)
        self._context = multiprocessing.get_context("spawn")

    def run(self, num_cases: int) -> Iterator[int]:
        """Run the cases 0 to `num_cases`; yields the number of finished cases periodically."""
        start = 0
        while start < num_cases and len(self.faults) < _MAX_FAULTS:
            number = self._context.Value("q", start)
            reports: Queue[_Report] = self._context.Queue()
            arguments = (*self._arguments, range(start, num_cases), number, reports)
            process = self._context.Process(target=_run_cases, args=arguments, daemon=True)
            process.start()
            self.rss_mib = []
            last, stalled_s = -1, 0.0
            while process.is_alive() and stalled_s < _CASE_TIMEOUT_S:
                process.join(_POLL_S)
                yield number.value
                stalled_s = stalled_s + _POLL_S if number.value == last else 0.0
                last = number.value
                self._collect(reports)
            if process.is_alive():
                process.kill()
                self.faults[last] = f"no end after {_CASE_TIMEOUT_S:g} s"
            elif number.value < num_cases:
                self.faults[number.value] = f"the process died with {process.exitcode}"
            process.join()
            self._collect(reports)
            start = number.value + 1
        yield min(start, num_cases)

    def _collect(self, reports: "Queue[_Report]") -> None:
        while True:
            try:
                report = reports.get(timeout=0.01)
            except queue.Empty:
                return
            self.outcomes.update(report.outcomes)
            self.faults.update(report.faults)
            self.rss_mib.append(report.rss_mib)


def growth_mib(rss_mib: list[float]) -> float:
    """Return the growth from the median of the second fifth of the samples to that of the last; nan without."""
    fifth = len(rss_mib) // 5
    if not fifth:
        return float("nan")
    return statistics.median(rss_mib[-fifth:]) - statistics.median(rss_mib[fifth : 2 * fifth])


def outcome(content: bytes, preprocessor: Preprocessor, settings: ServerSettings) -> str:
    """Process a case up to the engine.

    Returns:
        The outcome, for cases that the server answers or rejects.
    Raises:
        Exception: an error that the server would answer with INTERNAL.
    """
    try:
        question = parse_request(content)
    except RequestError:
        return "malformed"
    try:
        check_request(question, settings)
    except RequestError:
        return "invalid requests"
    part = PartRequest(0, question.message, may_be_large=True, not_utf8=question.not_utf8)
    num_invalid = 0
    for item in part.items(settings.max_text_chars):
        try:
            if isinstance(item, ProductError):
                raise item
            preprocessor.check(item)
            preprocessor.decode(item)
            preprocessor.features([item])
        except (ProductError, PictureError):
            num_invalid += 1
    return "with an invalid product" if num_invalid else "valid"


def _run_cases(
    bundle: Path,
    products: Sequence[Product],
    seed: int,
    numbers: range,
    number_now: "Synchronized[int]",
    reports: "Queue[_Report]",
) -> None:
    preprocessor, settings = load_bundle(bundle).preprocessor, ServerSettings(bundle=bundle)
    mutator = Mutator(products, seed)
    report_every = max(len(numbers) // _NUM_REPORTS, 1)
    outcomes: Counter[str] = Counter()
    faults: dict[int, str] = {}
    for number in numbers:
        number_now.value = number
        try:
            outcomes[outcome(mutator.request(number), preprocessor, settings)] += 1
        except Exception as error:  # any error that the server does not handle
            faults[number] = repr(error)
        if (number + 1) % report_every == 0 or number == numbers[-1]:
            reports.put(_Report(outcomes, faults, usage_of(os.getpid()).rss_mib))
            outcomes, faults = Counter(), {}
    number_now.value = numbers.stop
