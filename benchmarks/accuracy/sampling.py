"""Training on a long tail: ways to sample compared by macro F1, by head and tail, and by calibration; prints a table.

    make bench-sampling DATA=../shared/data ARGS="--rows 20000 --seeds 3"
    python -m benchmarks.accuracy.sampling --out build/sampling

naver2019's categories are of about one size, so a tail is made: in the rows that train (--rows) and those that
calibrate (--val-rows), drawn from its training file, shares fall from the first category to the last exponentially,
--imbalance times in all (Cui et al. 2019), in an order of categories that chance gives. All rows of val.csv measure,
each weighed so that categories have the same shares there: accuracy, macro F1 and calibration errors are those of the
long tail, while rare categories are measured on as many rows as frequent ones. Head, middle and tail are thirds of the
categories. Each method is trained once and assembled twice, with --prior-correction on and off. Finished runs are found
in sampling.json and not made again.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import tyro
from rich.table import Table

from benchmarks.accuracy.catalog_variants import Row, read_rows, write_rows
from benchmarks.commands import run_training
from model.machine.console import wide_console
from training.metrics.confidence import NUM_BINS

#: Flags by method.
_FLAGS: dict[str, tuple[str, ...]] = {
    "none": (),
    "cap": ("--sampling", "cap"),
    "sqrt": ("--sampling", "sqrt"),
    "temperature": ("--sampling", "temperature"),
    "adjustment": ("--logit-adjustment", "1"),
}
_PARTS = ("head", "middle", "tail")


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with naver2019."""
    out: Path = Path("build/sampling")
    """Catalogs, and sampling.json with every run."""
    rows: int = 8_000
    """Training rows."""
    val_rows: int = 2_000
    """Rows that calibrate, of the same shares."""
    imbalance: float = 50.0
    """Rows of the largest category for each of the smallest."""
    methods: tuple[str, ...] = tuple(_FLAGS)
    """Methods, of none, cap (at the median), sqrt, temperature (T 5), adjustment (tau 1)."""
    seeds: int = 1
    """Seeds of the rows, of the order of the categories and of training."""
    train_flags: str = ""
    """Further flags for every training, separated by blanks."""

    def __post_init__(self) -> None:
        unknown = [method for method in self.methods if method not in _FLAGS]
        if unknown:
            raise SystemExit(f"--methods: expected some of {', '.join(_FLAGS)}, found {', '.join(unknown)}")


@dataclass(frozen=True)
class Run:
    """One bundle."""

    method: str
    correction: str
    seed: int

    def flags(self) -> list[str]:
        """Flags for the training."""
        return [*_FLAGS[self.method], "--prior-correction", self.correction, "--seed", str(self.seed)]


def main() -> None:
    """Measure what sampling.json does not have yet."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.sampling", description=__doc__)
    console = wide_console()
    folder = options.data / "naver2019"
    if not folder.exists():
        raise SystemExit(f"{folder} is missing; give its folder with --data")
    record = options.out / "sampling.json"
    found = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    wanted = {f"{run.method} {run.correction} seed {run.seed} {_rest(options)}": run for run in runs(options)}
    for key, run in wanted.items():
        if key not in found:
            console.print(key)
            found[key] = {**dataclasses.asdict(run), **measure(run, options)}
            record.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(table([found[key] for key in wanted]))


def runs(options: Options) -> Iterator[Run]:
    """All bundles; one of rows as they come has nothing to correct."""
    for seed in range(options.seeds):
        for method in options.methods:
            for correction in ("on",) if method == "none" else ("on", "off"):
                yield Run(method, correction, seed)


def measure(run: Run, options: Options) -> dict[str, float]:
    """Train, and answer the rows that measure.

    Returns:
        see `figures`, and the time of training, seconds; that of `off` is without the network's.
    """
    catalogs = options.out / f"{options.rows}-{options.val_rows}-{options.imbalance:g}-{run.seed}"
    shares = _write_catalogs(catalogs, run.seed, options)
    bundle, answers, cache = options.out / "bundle", options.out / "answers.csv", options.out / "cache"
    work_dir = catalogs / f"{run.method} {options.train_flags}".strip().replace("/", " ")
    flags: list[str | Path] = ["--cache-dir", cache, "--work-dir", work_dir, "--resume", "--overlap", "keep"]
    flags += [*run.flags(), *options.train_flags.split()]
    train, val, test = (catalogs / f"{part}.csv" for part in ("train", "val", "test"))
    train_s, _ = run_training("train", "--train", train, "--val", val, "--bundle", bundle, *flags)
    run_training("predict", "--bundle", bundle, "--catalog", test, "--out", answers, "--cache-dir", cache)
    labels = {row["product_id"]: row["category"] for row in read_rows(test)}
    answered = read_rows(answers)
    given = [labels[row["product_id"]] for row in answered]
    probabilities = np.array([float(row["probability"]) for row in answered])
    return {"train_s": train_s, **figures(given, [row["category"] for row in answered], probabilities, shares)}


def figures(
    labels: Sequence[str], answers: Sequence[str], probabilities: np.ndarray, shares: dict[str, float]
) -> dict[str, float]:
    """Figures of a catalog whose categories have certain shares.

    Args:
        labels, answers: the category of each row, given and answered.
        probabilities: (N,) of the answers, 0 to 1.
        shares: of each category, the largest first; all of them have rows.
    Returns:
        accuracy, macro_f1 and calibration_error (15 bins of equal mass) with rows weighed by these shares; head, middle
        and tail: mean accuracy of the categories of each third; tail_surplus: mean probability less accuracy of the
        answers that name a category of the tail, above 0 where these are too sure.
    """
    names = {category: number for number, category in enumerate(shares)}
    given, found = (np.array([names[category] for category in column]) for column in (labels, answers))
    counts = np.bincount(given, minlength=len(names))
    weights = (np.array(list(shares.values())) / counts)[given]
    is_right = given == found
    own, said, right = (
        np.bincount(*pair, minlength=len(names))
        for pair in ((given, weights), (found, weights), (given, weights * is_right))
    )
    recalls = right / own
    thirds = np.array_split(recalls, len(_PARTS))
    in_tail = found >= len(names) - len(thirds[-1])
    surplus = np.average((probabilities - is_right)[in_tail], weights=weights[in_tail]) if in_tail.any() else 0.0
    return {
        "accuracy": float(right.sum()),
        "macro_f1": float((2 * right / (own + said)).mean()),
        **{part: float(third.mean()) for part, third in zip(_PARTS, thirds, strict=True)},
        "calibration_error": _calibration_error(probabilities, is_right, weights),
        "tail_surplus": float(surplus),
    }


def _calibration_error(probabilities: np.ndarray, is_right: np.ndarray, weights: np.ndarray) -> float:
    """Expected calibration error over bins of equal weight (Guo et al. 2017, bins of Nixon et al. 2019)."""
    order = np.argsort(probabilities, kind="stable")
    bins = np.minimum((np.cumsum(weights[order]) / weights.sum() * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = np.bincount(bins, (weights * (probabilities - is_right))[order], NUM_BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def _rest(options: Options) -> str:
    """A key of the run's settings."""
    return f"of {options.rows} {options.val_rows} {options.imbalance:g} {options.train_flags}".strip()


def _write_catalogs(folder: Path, seed: int, options: Options) -> dict[str, float]:
    """Write train.csv, val.csv and test.csv once; returns the shares of the categories, the largest first."""
    note = folder / "shares.json"
    if not note.exists():
        source = options.data / "naver2019"
        rows = read_rows(source / "train.csv")
        random = np.random.default_rng(seed)
        names = random.permutation(sorted({row["category"] for row in rows})).tolist()
        falling = options.imbalance ** (-np.arange(len(names)) / (len(names) - 1))
        shares = dict(zip(names, (falling / falling.sum()).tolist(), strict=True))
        for part, drawn in zip(("train", "val"), _draw(rows, shares, options, random), strict=True):
            write_rows(folder / f"{part}.csv", drawn)
        write_rows(folder / "test.csv", [row for row in read_rows(source / "val.csv") if row["category"] in shares])
        note.write_text(json.dumps(shares, ensure_ascii=False), encoding="utf-8")
    return dict(json.loads(note.read_text(encoding="utf-8")))


def _draw(
    rows: Sequence[Row], shares: dict[str, float], options: Options, random: np.random.Generator
) -> tuple[list[Row], list[Row]]:
    """Disjoint rows that train and that calibrate, at least one of each category."""
    by_category: dict[str, list[Row]] = defaultdict(list)
    for number in random.permutation(len(rows)):
        by_category[rows[number]["category"]].append(rows[number])
    train: list[Row] = []
    val: list[Row] = []
    for category, share in shares.items():
        sizes = [max(round(share * total), 1) for total in (options.rows, options.val_rows)]
        if sum(sizes) > len(by_category[category]):
            raise SystemExit(
                f"expected {sum(sizes)} rows of {category}, found {len(by_category[category])}; give fewer --rows, or"
                " less --imbalance"
            )
        train += by_category[category][: sizes[0]]
        val += by_category[category][sizes[0] : sum(sizes)]
    return train, val


def table(results: list[dict]) -> Table:
    """A row for each method and correction, means over the seeds."""
    groups: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for result in results:
        groups[result["method"], result["correction"]].append(result)
    names = ("accuracy", "macro_f1", *_PARTS, "calibration_error", "tail_surplus")
    made = Table("method", "correction", "seeds", *(name.replace("_", " ") for name in names), "training s")
    for (method, correction), found in groups.items():
        means = [f"{fmean(result[name] for result in found):.4f}" for name in names]
        seconds = f"{fmean(result['train_s'] for result in found):.0f}"
        made.add_row(method, "" if method == "none" else correction, str(len(found)), *means, seconds)
    return made


if __name__ == "__main__":
    main()
