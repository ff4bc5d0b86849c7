"""A server that is broken in every way while callers go on: no wrong answer, no lost request, quick recovery.

    python -m benchmarks.resilience.chaos --bundle DIR --catalog FILE

Callers try again as the client does. A recovery lasts until each of them had the right answer to a request that it
sent after the trouble: for a fault of the engine, for kill -9 (with a new process at once) and for SIGCONT from that
moment on, for what strangers do from their leaving on, for versions from the moment that they are served.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from benchmarks.resilience import trials
from benchmarks.resilience.callers import Callers
from benchmarks.resilience.process import ServerProcess
from benchmarks.resilience.promises import Promise, conclude
from benchmarks.resilience.trials import Stage, Trial
from benchmarks.resilience.truth import Truth, read_products
from benchmarks.resilience.versions import size_bytes, small_disk, write_version
from model.product import Product

_FORMAT = "{desc:28} {percentage:3.0f}% |{bar}| {remaining} left"
_CALM_S = 60.0  # longer than any recovery may last
_SERVED_BUNDLE: tuple[Trial, ...] = (
    trials.cancellation_storm,
    trials.slow_clients,
    trials.half_closed_connections,
    trials.stop_and_continue,
    trials.kill,
)
_ENGINE: tuple[Trial, ...] = (trials.engine_raises, trials.engine_hangs)
_WATCHED_FOLDER: tuple[Trial, ...] = (trials.reload_under_load, trials.full_disk)


@dataclass(frozen=True)
class Options:
    """What to break, and what is promised."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are sent."""
    num_callers: int = 4
    """Callers whose answers count."""
    num_strangers: int = 32
    """Callers or connections that make trouble at the same time."""
    trouble_s: float = 5.0
    """How long a trouble lasts that has no end of its own, seconds."""
    max_recovery_s: float = 5.0
    """Longest recovery, seconds."""
    engine_timeout_s: float = 2.0
    """The server's --engine-timeout-s: a hanging engine is noticed after it, and the recovery counts from before."""
    limit: int = 100
    """Rows of the catalog that are used."""
    json: Path | None = None
    """File for all figures."""


@dataclass(frozen=True)
class Result:
    """What became of the callers of one trial."""

    trial: str
    num_right: int
    wrong: list[str]
    lost: list[str]
    recovery_s: float
    note: str

    def promise(self, max_recovery_s: float) -> Promise:
        """Whether it went as it has to."""
        found = (
            f"{self.num_right} right, {len(self.wrong)} wrong, {len(self.lost)} lost, recovered in"
            f" {self.recovery_s:.1f} s{'; ' + self.note if self.note else ''}"
        )
        found += "".join(f"; {texts[0]}" for texts in (self.wrong, self.lost) if texts)
        is_kept = bool(self.num_right) and not self.wrong and not self.lost and self.recovery_s < max_recovery_s
        return Promise(self.trial, found, is_kept)


class Chaos:
    """All trials, one after the other.

    Args:
        scratch: an empty folder.
    """

    def __init__(self, options: Options, scratch: Path):
        self._options = options
        self._scratch = scratch
        self._products: Sequence[Product] = read_products(options.catalog, options.limit)
        self._changed_bundle = write_version(options.bundle, scratch / "changed", temperature_factor=2.0)
        self._truth = Truth(options.bundle, self._products)
        self._changed_truth = Truth(self._changed_bundle, self._products)
        self._bar = tqdm(total=9, bar_format=_FORMAT, disable=None)

    def run(self) -> list[Result]:
        """The results, in order."""
        bundle = ["--bundle", str(self._options.bundle)]
        truths = {self._truth.version: self._truth}
        with self._bar:
            results = []
            with ServerProcess(*bundle) as server:
                results += [self._run(trial, server, truths, None) for trial in _SERVED_BUNDLE]
            timeout = ["--engine-timeout-s", str(self._options.engine_timeout_s)]
            for trial in _ENGINE:  # each with a server of its own: the second failure in a row is waited with
                with ServerProcess(*bundle, *timeout, module="benchmarks.resilience.faulty_server") as server:
                    results.append(self._run(trial, server, truths, None))
            return results + [self._run_watched(trial) for trial in _WATCHED_FOLDER]

    def _run_watched(self, trial: Trial) -> Result:
        """With a server that watches a folder on a disk with room for a version and a half, where that can be had."""
        versions = {str(v): self._truth if v % 2 else self._changed_truth for v in range(1, 5)}
        models = self._scratch / trial.__name__
        with ExitStack() as stack:
            if trial is trials.full_disk:
                stack.enter_context(small_disk(models, size_bytes(self._options.bundle) * 3 // 2))
            (models / "shop").mkdir(parents=True)
            write_version(self._options.bundle, models / "shop" / "1")
            server = stack.enter_context(ServerProcess("--models", str(models), "--model-poll-s", "0.2"))
            return self._run(trial, server, {**versions, "9": self._changed_truth}, models)

    def _run(self, trial: Trial, server: ServerProcess, truths: dict[str, Truth], models: Path | None) -> Result:
        options = self._options
        name = trial.__name__.replace("_", " ")
        self._bar.set_description_str(name)
        with Callers(server.target, self._products, truths, options.num_callers) as callers:
            callers.wait_until_answered(0.0, _CALM_S)
            trouble = trial(
                Stage(
                    server, callers, self._products, options.bundle, self._changed_bundle, models, options.trouble_s,
                    options.num_strangers,
                )
            )  # fmt: skip
            recovery_s = callers.wait_until_answered(trouble.over_s, _CALM_S) - trouble.began_s
        self._bar.update()
        return Result(name, callers.num_right, callers.wrong, callers.lost, recovery_s, trouble.note)


def main() -> None:
    """Break, watch, tell."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.chaos", description=__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        results = Chaos(options, Path(scratch)).run()
    title = f"chaos: 0 wrong answers, 0 lost requests, recovery under {options.max_recovery_s:g} s"
    figures = {"recoveries_s": {result.trial: result.recovery_s for result in results}}
    conclude(title, [result.promise(options.max_recovery_s) for result in results], figures, options.json)


if __name__ == "__main__":
    main()
