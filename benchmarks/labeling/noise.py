"""Training through wrong labels: methods compared on planted noise, by their accuracy on clean rows; prints a table.

    make bench-noise DATA=../shared/data ARGS="--rates 0 0.4 --kinds sibling --methods default selfie"
    python -m benchmarks.labeling.noise --out build/noise --seeds 3

A fixed sample of naver2019's training rows (--rows) and another one that calibrates get wrong labels (both, as a shop
has them); rows of val.csv, whose labels are as they came, measure. `default` is what train does, `fixed-cost` is that
with --linear-cost 1; `pruned` is the default without the rows that `labeling issues` counts as wrong, `reviewed` with
their right labels, as people would give them; the others are --noise METHOD beside the default, SELFIE and co-teaching
with a tau that is right, halved and doubled. Finished runs are found in noise.json and not made again. Each run takes
some minutes on 2 cores.
"""

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import tyro
from rich.table import Table

from benchmarks.accuracy.catalog_variants import Row, draw_samples, read_rows, write_rows
from benchmarks.commands import run_training
from benchmarks.labeling.corrections import issue_corrections, refurbished_corrections
from benchmarks.labeling.label_review import PRUNED, REVIEWED, cleaned_catalog
from benchmarks.labeling.planted_noise import KINDS, plant
from model.machine.console import wide_console

#: Flags by method; those of the second kind are given a tau.
_FLAGS: dict[str, tuple[str, ...]] = {
    "default": (),
    "fixed-cost": ("--linear-cost", "1.0"),
    "smoothing": ("--noise", "smoothing"),
    "elr": ("--noise", "elr"),
    "selfie": ("--noise", "selfie"),
    "coteaching": ("--noise", "coteaching"),
    PRUNED: (),
    REVIEWED: (),
}
_WITH_TAU = ("selfie", "coteaching")
#: Where nothing is planted, what a shop would guess.
_TAU_OF_CLEAN = 0.1
_MOST_TAU = 0.9


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with naver2019."""
    out: Path = Path("build/noise")
    """Catalogs, and noise.json with every run."""
    rows: int = 20_000
    """Training rows."""
    val_rows: int = 2_000
    """Rows that calibrate; they have wrong labels, too."""
    test_rows: int = 5_000
    """Clean rows that measure."""
    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    """Shares of wrong labels."""
    kinds: tuple[str, ...] = KINDS
    """Kinds of wrong labels, of symmetric, sibling, instance."""
    methods: tuple[str, ...] = tuple(_FLAGS)
    """Methods, of default, fixed-cost, smoothing, elr, selfie, coteaching, pruned, reviewed."""
    taus: tuple[float, ...] = (1.0, 0.5, 2.0)
    """Factors of the right tau that SELFIE and co-teaching are given."""
    seeds: int = 3
    """Seeds of the planted labels and of training; the rows stay the same."""
    train_flags: str = ""
    """Further flags for every training, separated by blanks."""

    def __post_init__(self) -> None:
        for name, known in (("kinds", KINDS), ("methods", tuple(_FLAGS))):
            unknown = [value for value in getattr(self, name) if value not in known]
            if unknown:
                raise SystemExit(f"--{name}: expected some of {', '.join(known)}, found {', '.join(unknown)}")


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        tau_factor: of the right share; 0 for a method that is given none.
        kind: "none" where nothing is planted.
    """

    method: str
    kind: str
    rate: float
    tau_factor: float
    seed: int

    @property
    def name(self) -> str:
        """Name of the run in noise.json."""
        tau = f" tau x{self.tau_factor:g}" if self.tau_factor else ""
        return f"{self.kind} {self.rate:g} {self.method}{tau} seed {self.seed}"

    @property
    def network(self) -> "Run":
        """The run whose network is the same, so that it is trained once."""
        return dataclasses.replace(self, method="default") if self.method == "fixed-cost" else self

    def flags(self) -> list[str]:
        """Flags for the training."""
        flags = [*_FLAGS[self.method], "--seed", str(self.seed)]
        if self.tau_factor:
            tau = min(self.tau_factor * (self.rate or _TAU_OF_CLEAN), _MOST_TAU)
            flags += ["--noise-rate", f"{tau:g}"]
        return flags


def main() -> None:
    """Measure what noise.json does not have yet."""
    options = tyro.cli(Options, prog="python -m benchmarks.labeling.noise", description=__doc__)
    console = wide_console()
    folder = options.data / "naver2019"
    if not folder.exists():
        raise SystemExit(f"{folder} is missing; give its folder with --data")
    record = options.out / "noise.json"
    found = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    wanted = {f"{run.name} {_rest(options)}".strip(): run for run in runs(options)}
    for key, run in wanted.items():
        if key not in found:
            console.print(key)
            found[key] = {**dataclasses.asdict(run), **measure(run, options)}
            record.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(table([found[key] for key in wanted]))


def runs(options: Options) -> Iterator[Run]:
    """All trainings; without planted labels the kind does not matter."""
    places = [(kind, rate) for kind in options.kinds for rate in options.rates if rate]
    if 0.0 in options.rates:
        places.insert(0, ("none", 0.0))
    for seed in range(options.seeds):
        for kind, rate in places:
            for method in options.methods:
                for factor in options.taus if method in _WITH_TAU else (0.0,):
                    yield Run(method, kind, rate, factor, seed)


def measure(run: Run, options: Options) -> dict[str, float]:
    """Train and answer the clean rows.

    Returns:
        accuracies on clean rows, of the joint answer and of single heads, 0 to 1, and the time of training, seconds;
        that of fixed-cost after default is without the network's. Of methods that correct labels also precision and
        recall of that.
    """
    right = _right_rows(options)
    train, val = _catalogs(run, options, right)
    test = _test_catalog(options)
    bundle, report = options.out / "bundle", options.out / "report"
    work = options.out / "states" / hashlib.sha256(f"{run.network.name} {_rest(options)}".encode()).hexdigest()[:16]
    flags: list[str | Path] = ["--cache-dir", options.out / "cache", "--work-dir", work]
    flags += ["--resume", "--overlap", "keep", *run.flags(), *options.train_flags.split()]
    train_s, _ = run_training("train", "--train", train, "--val", val, "--bundle", bundle, *flags)
    run_training(
        "evaluate", "--bundle", bundle, "--catalog", test, "--report", report, "--cache-dir", options.out / "cache"
    )
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    heads = {f"{name}_head": head["accuracy"] for name, head in metrics["heads"].items()}
    found = {"accuracy": metrics["accuracy"], "train_s": train_s, **heads}
    given = read_rows(val.with_name("train.csv"))
    if run.method == "selfie":
        found |= refurbished_corrections(work / "state", given, right[: options.rows])
    if run.method == PRUNED:
        found |= issue_corrections(train, given, right[: options.rows])
    return found


def _rest(options: Options) -> str:
    """A key of the run's settings, different for runs of the same name."""
    return f"of {options.rows} {options.train_flags}".strip()


def _right_rows(options: Options) -> list[Row]:
    """Training rows, then those that calibrate, with the labels that they came with."""
    rows = read_rows(options.data / "naver2019" / "train.csv")
    return [row for part in draw_samples(rows, (options.rows, options.val_rows), seed=0) for row in part]


def _catalogs(run: Run, options: Options, right: list[Row]) -> tuple[Path, Path]:
    folder = options.out / f"{run.kind}-{run.rate:g}-{run.seed}-{options.rows}"
    train, val = folder / "train.csv", folder / "val.csv"
    if not val.exists():
        both = plant(right, run.kind, run.rate, run.seed) if run.rate else right
        write_rows(train, both[: options.rows])
        write_rows(val, both[options.rows :])
    if run.method in (PRUNED, REVIEWED):
        train = cleaned_catalog(train, right[: options.rows], run.method, options.out / "cache")
    return train, val


def _test_catalog(options: Options) -> Path:
    path = options.out / f"test-{options.test_rows}.csv"
    if not path.exists():
        rows = read_rows(options.data / "naver2019" / "val.csv")
        write_rows(path, draw_samples(rows, (options.test_rows,), seed=0)[0])
    return path


def table(results: list[dict]) -> Table:
    """A row for each method and noise, means over the seeds."""
    groups: dict[tuple[str, float, str, float], list[dict]] = defaultdict(list)
    for result in results:
        groups[result["kind"], result["rate"], result["method"], result["tau_factor"]].append(result)
    made = Table(
        "noise", "method", "tau", "seeds", "accuracy (least)", "network", "linear", "corrections", "training s"
    )
    for (kind, rate, method, factor), found in groups.items():
        accuracies = [result["accuracy"] for result in found]
        heads = (_mean(found, f"{name}_head") for name in ("name", "linear"))
        tau = f"x {factor:g}" if factor else ""
        least = f"{fmean(accuracies):.4f} ({min(accuracies):.4f})"
        seconds = f"{fmean(result['train_s'] for result in found):.0f}"
        corrections = "precision {}, recall {}".format(*(_mean(found, name) for name in ("precision", "recall")))
        cells = (tau, str(len(found)), least, *heads, corrections if "precision" in found[0] else "", seconds)
        made.add_row(f"{kind} {rate:.0%}" if rate else "none", method, *cells)
    return made


def _mean(results: list[dict], name: str) -> str:
    values = [result[name] for result in results if name in result]
    return f"{fmean(values):.4f}" if values else ""


if __name__ == "__main__":
    main()
