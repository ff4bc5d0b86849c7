"""Recall and cost of `training add-category`: trains without some categories and adds each from a few examples.

    python -m benchmarks.accuracy.new_categories --data ../shared/data --weights ../shared/weights --examples 3 10

Categories are drawn from those with 20 training and 10 validation rows or more; all their rows are held out. Each is
added alone, several times from different examples, and compared with imprinted weights (Qi et al. 2018: the mean of the
normalised inputs of the head, as long as the old columns). Expected with 10 examples: fashion224 finds about 0.97
for 0.1 points of the old categories' accuracy, mwpd2020 about 0.55 for 0.1 points.
"""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.table import Table

from benchmarks.accuracy.catalog_variants import read_rows, write_rows
from benchmarks.commands import run_training
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.bundle.bundle import Bundle, load_bundle
from model.machine.console import wide_console
from model.network.wider_classifier import load_classifier, widen_classifier
from training.new_category.cost import joint_answers, measure_cost
from training.new_category.head_columns import HeadColumns, LabelledRows
from training.new_category.head_probe import HeadProbe, ProbedRows

#: Number of held-out categories by set.
SETS = {"fashion224": 4, "mwpd2020": 6}
_MIN_TRAIN_ROWS, _MIN_VAL_ROWS = 20, 10
_MAX_ROWS = 20_000
_WEIGHTS = "mobilenet_v2_1.0_224_notop.weights.h5"


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    data: Path = Path("../shared/data")
    """Folder with the benchmark sets."""
    weights: Path = Path("../shared/weights")
    """Folder with the ImageNet weights of MobileNetV2."""
    out: Path = Path("build/new-categories")
    """Folder for catalogs and bundles; existing bundles are reused."""
    sets: tuple[str, ...] = tuple(SETS)
    """Sets to measure, of fashion224 and mwpd2020."""
    examples: tuple[int, ...] = (3, 10)
    """Examples of a new category."""
    draws: int = 3
    """Number of times that each category is added, from different examples."""
    seed: int = 0
    """Random seed of the held-out categories, of the training and of the draws."""


@dataclass(frozen=True)
class Figures:
    """Results of adding a category: recall on its other rows, and loss of accuracy of the old ones in points."""

    recall: float
    cost_points: float


@dataclass(frozen=True, eq=False)
class ProbedSet:
    """The inputs of the heads for one set: validation rows of the old categories, and rows of the held-out ones."""

    columns: HeadColumns
    old: LabelledRows
    new: ProbedRows


def main() -> None:
    """Measure the sets in order."""
    options = tyro.cli(Options, prog="python -m benchmarks.accuracy.new_categories", description=__doc__)
    console = wide_console()  # a file gets the whole table
    table = Table("set", "examples", "columns", "tries", "recall (sd, least)", "cost in points (most)")
    for name in options.sets:
        if not (options.data / name).exists():
            console.print(f"{name}: skipped, {options.data / name} is missing; give its folder with --data")
            continue
        bundle, categories = hold_out(name, options)
        probed = probe(bundle, options.out / name, options.out / "cache")
        for num_examples in options.examples:
            found = [
                figures
                for category in categories
                for figures in costs_of(bundle, probed, category, num_examples, options)
            ]
            for kind in ("fitted", "imprinted"):
                table.add_row(name, str(num_examples), kind, *_cells([figures[kind] for figures in found]))
    console.print(table)


def hold_out(name: str, options: Options) -> tuple[Bundle, list[str]]:
    """Train a bundle without some categories; return it with these. Their rows are written to new.csv."""
    train, val = (read_rows(options.data / name / f"{split}.csv") for split in ("train", "val"))
    in_train, in_val = (Counter(row["category"] for row in rows) for rows in (train, val))
    eligible = [c for c in in_train if in_train[c] >= _MIN_TRAIN_ROWS and in_val[c] >= _MIN_VAL_ROWS]
    chosen = random.Random(options.seed).sample(sorted(eligible), SETS[name])
    folder = options.out / name
    write_rows(folder / "new.csv", [row for row in (*train, *val) if row["category"] in chosen])
    for split, rows in (("train", train), ("val", val)):
        write_rows(folder / f"{split}.csv", [row for row in rows if row["category"] not in chosen])
    if not (folder / "bundle").exists():
        flags: list[str | Path] = ["--seed", str(options.seed)]
        if name == "fashion224":
            flags += ["--image-weights", options.weights / _WEIGHTS]
        catalogs = ("--train", folder / "train.csv", "--val", folder / "val.csv")
        run_training("train", *catalogs, "--bundle", folder / "bundle", "--cache-dir", options.out / "cache", *flags)
    return load_bundle(folder / "bundle"), chosen


def probe(bundle: Bundle, folder: Path, cache_dir: Path) -> ProbedSet:
    """Compute the inputs of the heads for the old categories' validation rows and all rows of the new ones."""
    classifier = load_classifier(bundle.path)
    wide = widen_classifier(classifier, bundle.taxonomy.num_leaves, 1)
    with closing(HeadProbe(bundle, wide, cache_dir)) as head_probe, Rejects(None) as rejects:
        old, new = (
            head_probe.probe(folder / f"{name}.csv", ReadOptions(), rejects, _MAX_ROWS) for name in ("val", "new")
        )
    labels = np.array([bundle.taxonomy.class_of(row.category) for row in old.rows])
    return ProbedSet(HeadColumns.of(bundle, classifier), LabelledRows(labels, old.presence, old.views), new)


def costs_of(
    bundle: Bundle, probed: ProbedSet, category: str, num_examples: int, options: Options
) -> Iterator[dict[str, Figures]]:
    """Add a category `draws` times; yield the results by the kind of columns."""
    num_old = bundle.taxonomy.num_leaves
    of_category = np.array([i for i, row in enumerate(probed.new.rows) if row.category == category])
    for draw in range(options.draws):
        order = np.random.default_rng([options.seed, draw]).permutation(of_category)
        examples, further = (_new_rows(probed.new, part, num_old) for part in np.split(order, [num_examples]))
        both = _joined(probed.old, further)
        measured = measure_cost(probed.columns, examples, both, bundle.taxonomy, [category])
        [leaf] = measured.new_leaves
        cost = measured.accuracy_before - measured.accuracy_after
        imprinted = joint_answers(both, probed.columns, *_imprinted(probed.columns, examples))
        is_old = both.labels < num_old
        lost = measured.accuracy_before - (imprinted[is_old] == both.labels[is_old]).mean()
        yield {
            "fitted": Figures(leaf.num_found_further / leaf.num_further, 100 * cost),
            "imprinted": Figures(float((imprinted[~is_old] == num_old).mean()), 100 * float(lost)),
        }


def _imprinted(columns: HeadColumns, examples: LabelledRows) -> tuple[np.ndarray, np.ndarray]:
    kernel, biases = columns.columns["joint"]
    inputs = examples.views["joint"].inputs
    mean = (inputs / np.linalg.norm(inputs, axis=1, keepdims=True)).mean(axis=0)
    length = np.linalg.norm(kernel, axis=0).mean() / np.linalg.norm(mean)
    return mean[:, None] * length, np.array([biases.mean()])


def _new_rows(rows: ProbedRows, kept: np.ndarray, label: int) -> LabelledRows:
    return LabelledRows(np.full(len(kept), label), rows.presence[kept], rows.views_of(kept))


def _joined(one: LabelledRows, two: LabelledRows) -> LabelledRows:
    views = {name: view.joined(two.views[name]) for name, view in one.views.items()}
    return LabelledRows(np.concatenate([one.labels, two.labels]), np.concatenate([one.presence, two.presence]), views)


def _cells(figures: list[Figures]) -> tuple[str, str, str]:
    recalls, costs = [one.recall for one in figures], [one.cost_points for one in figures]
    return (
        str(len(figures)),
        f"{np.mean(recalls):.3f} ({np.std(recalls):.3f}, {min(recalls):.2f})",
        f"{np.mean(costs):.2f} ({max(costs):.2f})",
    )


if __name__ == "__main__":
    main()
