"""Gain of a hyperparameter search over the defaults, with one tuner and with random search, under the same budget.

    python -m benchmarks.accuracy.search --data ../shared/data --rows 20000 --budget-minutes 30

Trials train on a sample of the training file and are ranked on held-out rows of the same file, by a hash of the product
id. The defaults and the best settings of each search are then trained with three seeds and evaluated on the full
validation file, which no trial has used. Expected on 2 cores: a gain over the defaults beyond the spread of seeds.
"""

import csv
import hashlib
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.table import Table

from model.bundle.bundle import load_bundle
from model.machine.console import wide_console
from model.settings import load_settings

_HELD_OUT_OF = 10


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    set: str = "naver2019"
    """Name of the set."""
    rows: int = 20_000
    """Training rows of a trial."""
    val_rows: int = 5_000
    """Held-out rows that rank the trials."""
    budget_minutes: float = 30.0
    """Time budget of each search, minutes."""
    trials: int = 30
    """Most trials of each search."""
    tuner: str = "hyperband"
    """Tuner to compare with random search."""
    workers: int = 2
    """Workers of each search."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the final trainings."""
    out: Path = Path("build/benchmarks/search")
    """Folder for catalogs, searches and bundles; a second run resumes."""
    flags: str = ""
    """Further flags for tune and train, such as "--epochs 8"."""


def main() -> None:
    """Search twice, train, evaluate, print."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.search", description=__doc__)
    console = wide_console()
    source = options.data / options.set
    if not source.exists():
        console.print(f"skipped: {source} is missing; give the folder of the sets with --data")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    train, held_out = split(source / "train.csv", options)
    configs: dict[str, Path | None] = {"defaults": None}
    notes = {"defaults": ""}
    for tuner in dict.fromkeys((options.tuner, "random")):
        configs[tuner], notes[tuner] = run_search(tuner, train, held_out, options)
    table = Table("settings", "search", "accuracy on the full validation file, mean", "seeds", "spread of seeds")
    means = {}
    scores_of: dict[str, list[float]] = {}
    for name, config in configs.items():
        known = scores_of["defaults"] if config is not None and is_default(config, options) else None
        scores = known or [
            final_accuracy(name, config, seed, train, held_out, source / "val.csv", options) for seed in options.seeds
        ]
        scores_of[name] = scores
        means[name] = statistics.mean(scores), max(scores) - min(scores)
        table.add_row(
            name, notes[name], f"{means[name][0]:.4f}", " ".join(f"{s:.4f}" for s in scores), f"{means[name][1]:.4f}"
        )
    console.print(table)
    for tuner in configs:
        if tuner != "defaults":
            gain = means[tuner][0] - means["defaults"][0]
            spread = max(means[tuner][1], means["defaults"][1])
            verdict = "more" if gain > spread else "not more"
            console.print(f"{tuner}: {gain:+.4f} over the defaults, {verdict} than the spread of seeds, {spread:.4f}")


def split(train: Path, options: Options) -> tuple[Path, Path]:
    """Sample training rows and held-out rows, divided by a hash of their id."""
    samples = (options.out / "train.csv", options.out / "held-out.csv")
    sizes = {samples[0]: options.rows, samples[1]: options.val_rows}
    with train.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        heading = next(reader)
        at = heading.index("product_id")
        rows = sorted(reader, key=lambda row: _hash(row[at]))  # a uniform sample of a sorted file
    for sample, is_held_out in zip(samples, (False, True), strict=True):
        own = [row for row in rows if (_hash(row[at]) % _HELD_OUT_OF == 0) == is_held_out]
        with sample.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(heading)
            writer.writerows(own[: sizes[sample]])
    return samples


def run_search(tuner: str, train: Path, held_out: Path, options: Options) -> tuple[Path, str]:
    """Run or resume one search; return best.toml and a line about it."""
    folder = options.out / f"search-{tuner}"
    started = time.monotonic()
    _run(
        "tune",
        "--train", train, "--val", held_out, "--search", folder, "--tuner", tuner, "--trials", options.trials,
        "--budget-minutes", options.budget_minutes, "--workers", options.workers,
        "--cache-dir", options.out / f"cache-{tuner}", *shlex.split(options.flags),
    )  # fmt: skip
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    best = max(float(row["score_joint_accuracy"]) for row in rows if row["score_joint_accuracy"])
    minutes = (time.monotonic() - started) / 60
    return folder / "best.toml", f"{len(rows)} trials in {minutes:.1f} min, best {best:.4f} on held-out rows"


def final_accuracy(
    name: str, config: Path | None, seed: int, train: Path, held_out: Path, test: Path, options: Options
) -> float:
    """Train a bundle with one seed and return its accuracy on the full validation file."""
    bundle, report = options.out / f"{name}-{seed}", options.out / f"{name}-{seed}-report"
    cache = options.out / "cache-final"
    if not (report / "metrics.json").exists():
        configured = ["--config", config] if config is not None else []
        # Flags would override best.toml, which already contains those of the search.
        flags = shlex.split(options.flags) if config is None else []
        _run(
            "train", "--train", train, "--val", held_out, "--bundle", bundle, "--seed", seed, "--cache-dir", cache,
            *configured, *flags,
        )  # fmt: skip
        _run("evaluate", "--bundle", bundle, "--catalog", test, "--report", report, "--cache-dir", cache)
    return float(json.loads((report / "metrics.json").read_text(encoding="utf-8"))["accuracy"])


def is_default(config: Path, options: Options) -> bool:
    """Return True when the best settings of a search are the defaults, whose bundles are already trained."""
    found = load_settings(config)
    defaults = load_bundle(options.out / f"defaults-{options.seeds[0]}").settings
    return replace(defaults, training=replace(defaults.training, seed=found.training.seed)) == found


def _run(command: str, *arguments: object) -> None:
    call: Sequence[str] = [sys.executable, "-m", "training", command, *map(str, arguments)]
    code = subprocess.run(call, check=False, stdout=sys.stderr).returncode
    if code:
        raise SystemExit(f"{' '.join(call)} ended with exit code {code}")


def _hash(product_id: str) -> int:
    return int.from_bytes(hashlib.md5(product_id.encode(), usedforsecurity=False).digest()[:8], "little")


if __name__ == "__main__":
    main()
