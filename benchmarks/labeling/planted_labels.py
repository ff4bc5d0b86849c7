"""Measures how many planted wrong labels `labeling issues` ranks first, on a real catalog.

    python -m benchmarks.labeling.planted_labels --catalog train.csv --kind sibling --seeds 0 1 2

A share of the labels is replaced, by any other category (symmetric) or by one under the same parent (sibling). Prints
a JSON object a seed: of as many top rows as were planted, and of half as many, the share of planted ones; how often the
right label is suggested for those found; and the estimated number of wrong labels, natural ones included.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from labeling.answers.labelled_catalog import LabelledCatalog, read_labelled
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.issues.confident_learning import confident_joint
from labeling.settings import AnswerSettings
from model.machine.console import wide_console


@dataclass(frozen=True)
class PlantedLabels:
    """Plant wrong labels and look for them."""

    catalog: Path
    """Labelled catalog."""
    kind: Literal["symmetric", "sibling"] = "symmetric"
    """Replacement of a label: any other category, or one under the same parent."""
    rate: float = 0.1
    """Share of the labels that is replaced."""
    max_rows: int = 0
    """Rows to draw; 0 takes all."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of what is planted and of the folds."""
    image_weights: str = "none"
    """See AnswerSettings."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""


def measured(settings: PlantedLabels, catalog: LabelledCatalog, seed: int) -> Mapping[str, object]:
    """Plant with one seed, and rank."""
    random = np.random.default_rng(seed)
    true = catalog.classes.astype(np.int32)
    planted = _planted(catalog, settings, random)
    is_wrong = planted != true
    started_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        answers = answer_out_of_fold(catalog, AnswerSettings(seed=seed), Path(folder), planted)
    seconds = time.perf_counter() - started_s
    order, count = np.argsort(np.nan_to_num(answers.given, nan=1.0), kind="stable"), int(is_wrong.sum())
    found = order[:count][is_wrong[order[:count]]]
    joint = confident_joint(answers, planted.astype(np.int64), catalog.labels.taxonomy.num_leaves)
    return {
        "seed": seed,
        "rows": len(true),
        "planted": count,
        "of_as_many": round(float(is_wrong[order[:count]].mean()), 4),
        "of_half_as_many": round(float(is_wrong[order[: count // 2]].mean()), 4),
        "named": round(float((answers.suggested(planted.astype(np.int64))[found] == true[found]).mean()), 4),
        "estimated": joint.num_issues,
        "seconds": round(seconds),
    }


def _planted(catalog: LabelledCatalog, settings: PlantedLabels, random: np.random.Generator) -> np.ndarray:
    """(N,) int32, the classes with some of them replaced."""
    leaves = catalog.labels.taxonomy.leaves
    parents = [leaf.rpartition(">")[0] if settings.kind == "sibling" else "" for leaf in leaves]
    members: dict[str, list[int]] = {}
    for number, parent in enumerate(parents):
        members.setdefault(parent, []).append(number)
    classes = catalog.classes.astype(np.int32).copy()
    for row in np.flatnonzero(random.random(len(classes)) < settings.rate).tolist():
        others = [number for number in members[parents[classes[row]]] if number != classes[row]]
        if others:
            classes[row] = others[random.integers(len(others))]
    return classes


def _drawn(path: Path, max_rows: int, folder: Path) -> Path:
    """A file of some rows of a CSV, drawn once and for all seeds."""
    if not max_rows:
        return path
    heading, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    chosen = np.sort(np.random.default_rng(0).permutation(len(lines))[:max_rows])
    drawn = folder / path.name
    drawn.write_text(heading + "".join(lines[number] for number in chosen), encoding="utf-8")
    return drawn


def main(settings: PlantedLabels) -> None:
    """Measure each seed, and print."""
    with tempfile.TemporaryDirectory() as folder:
        path = _drawn(settings.catalog, settings.max_rows, Path(folder))
        rejects = Path(folder) / "rejects.csv"
        catalog = read_labelled(path, ReadOptions(), None, rejects, settings.cache_dir, settings.image_weights)
        for seed in settings.seeds:
            wide_console().print_json(json.dumps(measured(settings, catalog, seed)))


if __name__ == "__main__":
    main(tyro.cli(PlantedLabels))
