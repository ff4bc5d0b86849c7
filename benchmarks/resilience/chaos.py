"""Chaos test: injects faults into a server under load; no wrong answer, no lost request, quick recovery.

    python -m benchmarks.resilience.chaos --bundle DIR --catalog FILE

Callers retry as the client does. The recovery time ends when each of them has a right answer to a request sent after
the fault. It begins with the fault of an engine, with kill -9 (and a new process at once) or with SIGCONT; for bad
clients when they disconnect, and for new versions when they are served.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from benchmarks.resilience import faults
from benchmarks.resilience.callers import Callers
from benchmarks.resilience.checks import Check, report_checks
from benchmarks.resilience.expected_answers import ExpectedAnswers, read_products
from benchmarks.resilience.faults import Fault, TestBed
from benchmarks.resilience.process import ServerProcess
from benchmarks.resilience.versions import size_bytes, small_disk, write_version
from model.product import Product

_FORMAT = "{desc:28} {percentage:3.0f}% |{bar}| {remaining} left"
_RECOVERY_TIMEOUT_S = 60.0  # longer than any recovery may last
_SERVED_BUNDLE: tuple[Fault, ...] = (
    faults.cancellation_storm,
    faults.slow_clients,
    faults.half_closed_connections,
    faults.kill_engine,
    faults.stop_engine,
    faults.stop_and_continue,
    faults.kill,
)
_ENGINE: tuple[Fault, ...] = (faults.engine_raises, faults.engine_hangs, faults.deadly_picture)
_WATCHED_FOLDER: tuple[Fault, ...] = (faults.reload_under_load, faults.full_disk)


@dataclass(frozen=True)
class Options:
    """Settings of the test."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are sent."""
    num_callers: int = 4
    """Callers whose answers are checked."""
    num_bad_clients: int = 32
    """Bad clients: callers or connections that disturb the server at the same time."""
    fault_s: float = 5.0
    """Duration of faults without an end of their own, seconds."""
    max_recovery_s: float = 5.0
    """Longest recovery, seconds."""
    engine_timeout_s: float = 2.0
    """The server's --engine-timeout-s, after which a hanging engine is noticed; part of the recovery time."""
    pause_s: float = 0.0
    """Time between an answer and a caller's next request, seconds; without one a new version, whose load gives way to
    callers, takes long."""
    max_batch_items: int = 128
    """The server's --max-batch-items; each version warms up all sizes to that."""
    limit: int = 100
    """Most rows of the catalog to use."""
    json: Path | None = None
    """File for all figures."""


@dataclass(frozen=True)
class Result:
    """The results of the callers for one fault."""

    fault: str
    num_right: int
    wrong: list[str]
    lost: list[str]
    recovery_s: float
    note: str

    def check(self, max_recovery_s: float) -> Check:
        """Build the check of the results."""
        found = (
            f"{self.num_right} right, {len(self.wrong)} wrong, {len(self.lost)} lost, recovered in"
            f" {self.recovery_s:.1f} s{'; ' + self.note if self.note else ''}"
        )
        found += "".join(f"; {texts[0]}" for texts in (self.wrong, self.lost) if texts)
        is_passed = bool(self.num_right) and not self.wrong and not self.lost and self.recovery_s < max_recovery_s
        return Check(self.fault, found, is_passed)


class Chaos:
    """Injects all faults, one after the other.

    Args:
        scratch: an empty folder.
    """

    def __init__(self, options: Options, scratch: Path):
        self._options = options
        self._scratch = scratch
        self._engine = ["--max-batch-items", str(options.max_batch_items)]
        self._products: Sequence[Product] = read_products(options.catalog, options.limit)
        self._changed_bundle = write_version(options.bundle, scratch / "changed", temperature_factor=2.0)
        self._expected = ExpectedAnswers(options.bundle, self._products)
        self._changed_expected = ExpectedAnswers(self._changed_bundle, self._products)
        self._bar = tqdm(total=len((*_SERVED_BUNDLE, *_ENGINE, *_WATCHED_FOLDER)), bar_format=_FORMAT, disable=None)

    def run(self) -> list[Result]:
        """Inject all faults and return the results, in order."""
        bundle = ["--bundle", str(self._options.bundle), *self._engine]
        expected = {self._expected.version: self._expected}
        with self._bar:
            results = []
            with ServerProcess(*bundle) as server:
                results += [self._run(fault, server, expected, None) for fault in _SERVED_BUNDLE]
            timeout = ["--engine-timeout-s", str(self._options.engine_timeout_s)]
            for fault in _ENGINE:  # each with a server of its own, because a second restart would be delayed
                with ServerProcess(*bundle, *timeout, module="benchmarks.resilience.faulty_server") as server:
                    results.append(self._run(fault, server, expected, None))
            return results + [self._run_watched(fault) for fault in _WATCHED_FOLDER]

    def _run_watched(self, fault: Fault) -> Result:
        """Inject a fault into a server that watches a folder; for `full_disk` on a small disk if one can be mounted."""
        versions = {str(v): self._expected if v % 2 else self._changed_expected for v in range(1, 5)}
        models = self._scratch / fault.__name__
        with ExitStack() as stack:
            if fault is faults.full_disk:
                stack.enter_context(small_disk(models, size_bytes(self._options.bundle) * 3 // 2))
            (models / "shop").mkdir(parents=True)
            write_version(self._options.bundle, models / "shop" / "1")
            flags = ["--models", str(models), "--model-poll-s", "0.2", *self._engine]
            server = stack.enter_context(ServerProcess(*flags))
            return self._run(fault, server, {**versions, "9": self._changed_expected}, models)

    def _run(
        self, fault: Fault, server: ServerProcess, expected: dict[str, ExpectedAnswers], models: Path | None
    ) -> Result:
        options = self._options
        name = fault.__name__.replace("_", " ")
        self._bar.set_description_str(name)
        with Callers(server.target, self._products, expected, options.num_callers, pause_s=options.pause_s) as callers:
            callers.wait_until_answered(0.0, _RECOVERY_TIMEOUT_S)
            window = fault(
                TestBed(
                    server, callers, self._products, options.bundle, self._changed_bundle, models, options.fault_s,
                    options.num_bad_clients,
                )
            )  # fmt: skip
            recovery_s = callers.wait_until_answered(window.over_s, _RECOVERY_TIMEOUT_S) - window.began_s
        self._bar.update()
        return Result(name, callers.num_right, callers.wrong, callers.lost, recovery_s, window.note)


def main() -> None:
    """Run the test and report its checks."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.chaos", description=__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        results = Chaos(options, Path(scratch)).run()
    title = f"chaos: 0 wrong answers, 0 lost requests, recovery under {options.max_recovery_s:g} s"
    figures = {"recoveries_s": {result.fault: result.recovery_s for result in results}}
    report_checks(title, [result.check(options.max_recovery_s) for result in results], figures, options.json)


if __name__ == "__main__":
    main()
