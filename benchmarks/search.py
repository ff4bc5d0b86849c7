"""Does a search find better settings than the defaults? One tuner against random search, under the same budget.

    python -m benchmarks.search --data ../shared/data --rows 20000 --budget-minutes 30

Trials train on a sample of the training file and are chosen by rows held back from the same file, by a hash of the
product id. The defaults and the best of each search are then trained with three seeds and judged on the full validation
file, which no trial has seen. Expected on 2 cores: more accuracy than the defaults by more than their seeds differ.
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
from rich.console import Console
from rich.table import Table

from model.bundle.bundle import load_bundle
from model.settings import load_settings

_HELD_BACK_OF = 10


@dataclass(frozen=True)
class Options:
    """What to search and for how long."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    set: str = "naver2019"
    """Which of them."""
    rows: int = 20_000
    """Training rows of a trial."""
    val_rows: int = 5_000
    """Held-back rows that choose between trials."""
    budget_minutes: float = 30.0
    """For each search."""
    trials: int = 30
    """Most trials of each search."""
    tuner: str = "hyperband"
    """Tuner to compare with random search."""
    workers: int = 2
    """Workers of each search."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the last trainings."""
    out: Path = Path("build/benchmarks/search")
    """Catalogs, searches and bundles; a second run goes on with what is there."""
    flags: str = ""
    """Further flags for tune and train, such as "--epochs 8"."""


def main() -> None:
    """Search twice, train, judge, print."""
    options = tyro.cli(Options, prog="python -m benchmarks.search", description=__doc__)
    console = Console(width=None if sys.stdout.isatty() else 160)
    source = options.data / options.set
    if not source.exists():
        console.print(f"skipped: {source} is missing; give the folder of the sets with --data")
        return
    options.out.mkdir(parents=True, exist_ok=True)
    train, chosen_by = split(source / "train.csv", options)
    configs: dict[str, Path | None] = {"defaults": None}
    told = {"defaults": ""}
    for tuner in dict.fromkeys((options.tuner, "random")):
        configs[tuner], told[tuner] = run_search(tuner, train, chosen_by, options)
    table = Table("settings", "search", "accuracy on the full validation file, mean", "seeds", "spread of seeds")
    means = {}
    scores_of: dict[str, list[float]] = {}
    for name, config in configs.items():
        known = scores_of["defaults"] if config is not None and is_default(config, options) else None
        scores = known or [
            judge(name, config, seed, train, chosen_by, source / "val.csv", options) for seed in options.seeds
        ]
        scores_of[name] = scores
        means[name] = statistics.mean(scores), max(scores) - min(scores)
        table.add_row(
            name, told[name], f"{means[name][0]:.4f}", " ".join(f"{s:.4f}" for s in scores), f"{means[name][1]:.4f}"
        )
    console.print(table)
    for tuner in configs:
        if tuner != "defaults":
            gain = means[tuner][0] - means["defaults"][0]
            spread = max(means[tuner][1], means["defaults"][1])
            said = "more" if gain > spread else "not more"
            console.print(f"{tuner}: {gain:+.4f} against the defaults, {said} than the spread of seeds, {spread:.4f}")


def split(train: Path, options: Options) -> tuple[Path, Path]:
    """Sample rows to train on and rows to choose by, told apart by a hash of their id."""
    samples = (options.out / "train.csv", options.out / "chosen-by.csv")
    wanted = {samples[0]: options.rows, samples[1]: options.val_rows}
    with train.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        heading = next(reader)
        at = heading.index("product_id")
        rows = sorted(reader, key=lambda row: _hash(row[at]))  # an even sample of a sorted file
    for sample, is_held_back in zip(samples, (False, True), strict=True):
        own = [row for row in rows if (_hash(row[at]) % _HELD_BACK_OF == 0) == is_held_back]
        with sample.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(heading)
            writer.writerows(own[: wanted[sample]])
    return samples


def run_search(tuner: str, train: Path, chosen_by: Path, options: Options) -> tuple[Path, str]:
    """One search, or what is left of it; returns best.toml and a line about it."""
    folder = options.out / f"search-{tuner}"
    started = time.monotonic()
    _run(
        "tune",
        "--train", train, "--val", chosen_by, "--search", folder, "--tuner", tuner, "--trials", options.trials,
        "--budget-minutes", options.budget_minutes, "--workers", options.workers,
        "--cache-dir", options.out / f"cache-{tuner}", *shlex.split(options.flags),
    )  # fmt: skip
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    best = max(float(row["score_joint_accuracy"]) for row in rows if row["score_joint_accuracy"])
    minutes = (time.monotonic() - started) / 60
    return folder / "best.toml", f"{len(rows)} trials in {minutes:.1f} min, best {best:.4f} on held-back rows"


def judge(
    name: str, config: Path | None, seed: int, train: Path, chosen_by: Path, val: Path, options: Options
) -> float:
    """Accuracy on the full validation file of a bundle trained with one seed."""
    bundle, report = options.out / f"{name}-{seed}", options.out / f"{name}-{seed}-report"
    cache = options.out / "cache-judge"
    if not (report / "metrics.json").exists():
        configured = ["--config", config] if config is not None else []
        # A flag would win over best.toml, which holds those of the search already.
        flags = shlex.split(options.flags) if config is None else []
        _run(
            "train", "--train", train, "--val", chosen_by, "--bundle", bundle, "--seed", seed, "--cache-dir", cache,
            *configured, *flags,
        )  # fmt: skip
        _run("evaluate", "--bundle", bundle, "--catalog", val, "--report", report, "--cache-dir", cache)
    return float(json.loads((report / "metrics.json").read_text(encoding="utf-8"))["accuracy"])


def is_default(config: Path, options: Options) -> bool:
    """Whether a search came back with the settings that it began with, whose bundles are trained already."""
    found = load_settings(config)
    made = load_bundle(options.out / f"defaults-{options.seeds[0]}").settings
    return replace(made, training=replace(made.training, seed=found.training.seed)) == found


def _run(command: str, *arguments: object) -> None:
    call: Sequence[str] = [sys.executable, "-m", "training", command, *map(str, arguments)]
    code = subprocess.run(call, check=False, stdout=sys.stderr).returncode
    if code:
        raise SystemExit(f"{' '.join(call)} ended with exit code {code}")


def _hash(product_id: str) -> int:
    return int.from_bytes(hashlib.md5(product_id.encode(), usedforsecurity=False).digest()[:8], "little")


if __name__ == "__main__":
    main()
