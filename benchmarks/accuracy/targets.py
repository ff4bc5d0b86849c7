"""Acceptance benchmark: accuracy, calibration and coverage that Aisle has to reach, from training on; prints a table.

    make bench-accuracy DATA=../shared/data WEIGHTS=../shared/weights
    python -m benchmarks.accuracy.targets --parts mwpd2020 samples --seeds 3

Parts: naver2019, mwpd2020, fashion224 and samples (1,000 random rows of fashion224 and mwpd2020), all with Aisle's
default settings. TF-IDF + linear SVM is trained on the same rows as Aisle and answers the same val.csv. All parts
together train 18 bundles, which takes two hours on 2 cores. A missing set is skipped with a message.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.table import Table

from benchmarks.accuracy.parts import PARTS, Paths, Requirement, small_sample
from model.machine.console import wide_console

_SAMPLED = ("fashion224", "mwpd2020")
ALL_PARTS = (*PARTS, "samples")


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    weights: Path = Path("../shared/weights")
    """Folder with the ImageNet weights of MobileNetV2."""
    out: Path = Path("build/accuracy")
    """Catalogs, bundles, reports, and accuracy.json with the table."""
    parts: tuple[str, ...] = ALL_PARTS
    """Parts to measure, of naver2019, mwpd2020, fashion224, samples."""
    seeds: int = 5
    """Number of random samples of each set."""
    sample_rows: int = 1000
    """Rows of a sample, on which both models are trained."""
    sample_val_rows: int = 200
    """Further rows, for Aisle's early stopping and calibration."""


def main() -> None:
    """Measure the parts in order."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.targets", description=__doc__)
    unknown = sorted(set(options.parts) - set(ALL_PARTS))
    if unknown:
        raise SystemExit(f"--parts: expected some of {', '.join(ALL_PARTS)}, found {', '.join(unknown)}")
    console = wide_console()  # a file gets the whole table
    paths = Paths(options.data, options.weights, options.out)
    requirements: list[Requirement] = []
    for folder, needs_weights, measure in _measures(options):
        missing = [path for path in (paths.data / folder, *[paths.weights] * needs_weights) if not path.exists()]
        if missing:
            console.print(f"{folder}: skipped, {missing[0]} is missing; give its folder with --data or --weights")
            continue
        requirements += measure(paths)
        _write(options.out / "accuracy.json", requirements)
        console.print(_table(requirements))
    if not requirements:
        console.print("nothing was measured")


def _measures(options: Options) -> list[tuple[str, bool, Callable[[Paths], list[Requirement]]]]:
    """Return for each part the folder of its set, True if it needs picture weights, and its function."""
    measures = [(name, name == "fashion224", run) for name, run in PARTS.items() if name in options.parts]
    if "samples" in options.parts:
        for name in _SAMPLED:
            run = partial(
                small_sample,
                name=name,
                num_rows=options.sample_rows,
                num_val_rows=options.sample_val_rows,
                seeds=options.seeds,
            )
            measures.append((name, name == "fashion224", run))
    return measures


def _write(path: Path, requirements: list[Requirement]) -> None:
    values = [{**dataclasses.asdict(each), "is_met": each.is_met} for each in requirements]
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _table(requirements: list[Requirement]) -> Table:
    table = Table("metric", "required", "measured", "linear SVM", "met", "note")
    for each in requirements:
        digits = 0 if each.bound >= 100 else 5  # one row of naver2019 is 0.00005
        bound = f"{'at most' if each.is_upper else 'at least'} {each.bound:,g}"
        baseline = "" if each.baseline is None else f"{each.baseline:.{digits}f}"
        met = "yes" if each.is_met else "NO"
        table.add_row(each.metric, bound, f"{each.measured:,.{digits}f}", baseline, met, each.note)
    return table


if __name__ == "__main__":
    main()
