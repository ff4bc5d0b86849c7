"""Accuracy, calibration and coverage that Aisle has to reach, from training to the last figure; one table at the end.

    make bench-accuracy DATA=../shared/data WEIGHTS=../shared/weights
    python -m benchmarks.accuracy --parts mwpd2020 samples --seeds 3

Parts: naver2019, mwpd2020, fashion224 and samples (1,000 random rows of fashion224 and mwpd2020), all with the settings
that Aisle chooses by itself. TF-IDF + linear SVM is trained on the same rows as Aisle and answers the same val.csv.
All parts together train 18 bundles, for two hours on 2 cores. A set that is missing is skipped with a sentence.
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy_parts import PARTS, Line, Place, small_sample

_SAMPLED = ("fashion224", "mwpd2020")
ALL_PARTS = (*PARTS, "samples")


@dataclass(frozen=True)
class Options:
    """What to measure and where."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    weights: Path = Path("../shared/weights")
    """Folder with the ImageNet weights of MobileNetV2."""
    out: Path = Path("build/accuracy")
    """Catalogs, bundles, reports, and accuracy.json with the table."""
    parts: tuple[str, ...] = ALL_PARTS
    """Which parts, of naver2019, mwpd2020, fashion224, samples."""
    seeds: int = 5
    """Random samples of each set."""
    sample_rows: int = 1000
    """Rows of a sample that both train on."""
    sample_val_rows: int = 200
    """Further rows, for Aisle's early stopping and calibration."""


def main() -> None:
    """Measure the parts one after the other."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy", description=__doc__)
    unknown = sorted(set(options.parts) - set(ALL_PARTS))
    if unknown:
        raise SystemExit(f"--parts: expected some of {', '.join(ALL_PARTS)}, found {', '.join(unknown)}")
    console = Console(width=None if sys.stdout.isatty() else 200)  # a file wants the whole table
    place = Place(options.data, options.weights, options.out)
    lines: list[Line] = []
    for folder, needs_weights, measure in _measures(options):
        missing = [path for path in (place.data / folder, *[place.weights] * needs_weights) if not path.exists()]
        if missing:
            console.print(f"{folder}: skipped, {missing[0]} is missing; give its folder with --data or --weights")
            continue
        lines += measure(place)
        _write(options.out / "accuracy.json", lines)
        console.print(_table(lines))
    if not lines:
        console.print("nothing was measured")


def _measures(options: Options) -> list[tuple[str, bool, Callable[[Place], list[Line]]]]:
    """Folder of the set, whether it needs picture weights, and what measures it."""
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


def _write(path: Path, lines: list[Line]) -> None:
    values = [{**dataclasses.asdict(line), "is_met": line.is_met} for line in lines]
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _table(lines: list[Line]) -> Table:
    table = Table("what", "asked", "measured", "linear SVM", "met", "beside it")
    for line in lines:
        digits = 0 if line.asked >= 100 else 5  # one row of naver2019 is 0.00005
        asked = f"{'at most' if line.is_upper else 'at least'} {line.asked:,g}"
        baseline = "" if line.baseline is None else f"{line.baseline:.{digits}f}"
        table.add_row(
            line.what, asked, f"{line.measured:,.{digits}f}", baseline, "yes" if line.is_met else "NO", line.note
        )
    return table


if __name__ == "__main__":
    main()
