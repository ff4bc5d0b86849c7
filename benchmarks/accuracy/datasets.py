"""Trains, predicts and evaluates on the benchmark sets with the commands that users have, and prints a table.

    python -m benchmarks.accuracy.datasets --data ../shared/data --weights ../shared/weights --sets naver2019 mwpd2020

Expected on 2 cores: naver2019 accuracy about 0.90, mwpd2020 average weighted F1 about 0.89, fashion224 joint
about 0.99. Missing sets are skipped with a message.
"""

import dataclasses
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from rich.table import Table

from benchmarks.accuracy.leaves import compose_catalogs
from benchmarks.commands import run_training
from model.machine.console import wide_console

SETS = ("naver2019", "mwpd2020", "fashion224", "leaves")
_LEAVES_CONFIG = Path(__file__).parent / "leaves.toml"
_WEIGHTS = "mobilenet_v2_1.0_224_notop.weights.h5"


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    weights: Path = Path("../shared/weights")
    """Folder with the ImageNet weights of MobileNetV2."""
    out: Path = Path("build/benchmarks")
    """Folder for bundles and reports."""
    sets: tuple[str, ...] = SETS
    """Sets to measure, of naver2019, mwpd2020, fashion224, leaves."""
    cold: bool = True
    """Start with an empty cache, so that the time includes encoding."""


@dataclass(frozen=True)
class Result:
    """The results of one set, a row of the table."""

    name: str
    metrics: dict
    train_s: float
    peak_mib: float
    predict_rows_per_s: float
    bundle_mib: float
    fields: list[str] = field(default_factory=list)


def main() -> None:
    """Measure the sets in order."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.datasets", description=__doc__)
    console = wide_console()  # a file gets the whole table
    results = []
    for name in options.sets:
        folder = options.data / ("taxonomy" if name == "leaves" else name)
        if not folder.exists():
            console.print(f"{name}: skipped, {folder} is missing; give its folder with --data")
            continue
        results.append(measure(name, options))
    console.print(_table(results))


def measure(name: str, options: Options) -> Result:
    """Train, evaluate and predict one set, each step in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) if options.cold else options.out / "cache"
        if name == "leaves":
            train, val = compose_catalogs(options.data / "taxonomy" / "naver_leaves.csv", Path(scratch), seed=0)
        else:
            train, val = options.data / name / "train.csv", options.data / name / "val.csv"
        bundle = options.out / name
        bundle.parent.mkdir(parents=True, exist_ok=True)
        flags = ["--cache-dir", str(cache)]
        if name == "leaves":
            flags += ["--config", str(_LEAVES_CONFIG)]
        if name == "fashion224":
            flags += ["--image-weights", str(options.weights / _WEIGHTS)]
        train_s, peak_mib = run_training("train", "--train", train, "--val", val, "--bundle", bundle, *flags)
        report = options.out / f"{name}-report"
        run_training("evaluate", "--bundle", bundle, "--catalog", val, "--report", report, "--cache-dir", cache)
        answers = options.out / f"{name}.csv"
        predict_s, _ = run_training(
            "predict", "--bundle", bundle, "--catalog", train, "--out", answers, "--cache-dir", cache
        )
        with train.open("rb") as file:
            num_rows = sum(1 for _ in file) - 1
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    return Result(name, metrics, train_s, peak_mib, num_rows / predict_s, size / 2**20)


def _table(results: list[Result]) -> Table:
    table = Table(
        "set",
        "accuracy",
        "macro F1",
        "avg weighted F1",
        "heads",
        "ECE",
        "train s",
        "peak MiB",
        "predict rows/s",
        "bundle MiB",
    )
    for result in results:
        metrics = result.metrics
        heads = ", ".join(f"{head} {values['accuracy']:.4f}" for head, values in metrics["heads"].items())
        table.add_row(
            result.name,
            *(f"{metrics[name]:.4f}" for name in ("accuracy", "macro_f1", "average_weighted_f1")),
            heads,
            f"{metrics['expected_calibration_error']:.4f}",
            *(f"{value:.0f}" for value in dataclasses.astuple(result)[2:6]),
        )
    return table


if __name__ == "__main__":
    main()
