"""Measures matchers on public pairs: F1, calibration, the promise over random splits, pairs per second.

python -m benchmarks.retrieval.matching --data ../shared/data/matching
"""

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.machine.console import wide_console
from retrieval.commands.train_matcher_command import labelled
from retrieval.matching.matcher.match_metrics import match_metrics
from retrieval.matching.matcher.matcher import KnownPairs, Matcher, PairScorer
from retrieval.matching.matcher.matcher_training import LabelledPairs, MatcherTrainer
from retrieval.matching.offers.offer_reading import read_offers
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.training import train_without_pairs
from retrieval.settings import MatcherSettings
from training.ensemble.precision_contract import precision_threshold

_NUM_SPLITS = 200


@dataclass(frozen=True)
class MatchingBenchmark:
    """Train on the train pairs of each set, measure on its validation pairs."""

    data: Path
    """Folder of sets, each with catalog.csv, train_pairs.csv and val_pairs.csv."""
    sets: tuple[str, ...] = ()
    """Names of the sets; all by default."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of folds and trees."""
    without_pairs: bool = False
    """Also learn from planted edits alone."""
    json: Path | None = None
    """File for the figures."""


def measured(folder: Path, settings: MatchingBenchmark) -> dict[str, Any]:
    """Figures of one set, by seed and their mean."""
    with Rejects(None) as rejects:
        table = read_offers(folder / "catalog.csv", ReadOptions(), rejects)
        train = labelled(table, (folder / "train_pairs.csv",), rejects)
        val = labelled(table, (folder / "val_pairs.csv",), rejects)
    by_seed = [_trained(table, train, val, MatcherSettings(seed=seed)) for seed in settings.seeds]
    numbers = [name for name, value in by_seed[0].items() if isinstance(value, float)]
    mean = {name: float(np.mean([figures[name] for figures in by_seed])) for name in numbers}
    spread = {name: float(np.std([figures[name] for figures in by_seed])) for name in numbers}
    figures: dict[str, Any] = {"mean": mean, "deviation": spread}
    if settings.without_pairs:
        without = train_without_pairs(table, MatcherSettings(seed=settings.seeds[0]), None)
        figures["without_pairs"] = _on(without, table, val)
    return figures


def _trained(table: OfferTable, train: LabelledPairs, val: LabelledPairs, settings: MatcherSettings) -> dict[str, Any]:
    started_s = time.perf_counter()
    matcher = MatcherTrainer(table, train, settings).train("pairs", "")
    seconds = time.perf_counter() - started_s
    cross_fitted = matcher.description.metrics["cross_fitted"]
    return {
        **_on(matcher, table, val),
        "training_seconds": seconds,
        "cross_fitted_f1": cross_fitted["f1"],
        "cross_fitted_promised_recall": cross_fitted["promised_recall"],
        **promise_over_splits(matcher.known, settings),
    }


def _on(matcher: Matcher, table: OfferTable, val: LabelledPairs) -> dict[str, Any]:
    """Figures on validation pairs; the time includes what is computed once for the catalog."""
    fresh = OfferTable(table.product_ids, table.offers)
    started_s = time.perf_counter()
    probabilities = PairScorer(matcher, fresh).probabilities(val.left, val.right)
    seconds = time.perf_counter() - started_s
    description = matcher.description
    figures = match_metrics(probabilities, val.same, description.f1_threshold, description.promised_threshold)
    return {**figures, "pairs_s": len(val.same) / seconds}


def promise_over_splits(known: KnownPairs, settings: MatcherSettings) -> dict[str, float]:
    """Choose the threshold on a random half of the pairs, measure it on the other, many times."""
    random = np.random.default_rng(settings.seed)
    precisions, recalls = [], []
    for _ in range(_NUM_SPLITS):
        order = random.permutation(len(known.same))
        chosen, rest = np.array_split(order, 2)
        threshold = precision_threshold(
            known.probabilities[chosen], known.same[chosen], settings.precision, settings.confidence
        )
        found = known.probabilities[rest] >= threshold
        precisions.append(float(known.same[rest][found].mean()) if found.any() else 1.0)
        recalls.append(float((found & known.same[rest]).sum() / max(known.same[rest].sum(), 1)))
    return {
        "splits_kept": float(np.mean(np.array(precisions) >= settings.precision)),
        "splits_mean_precision": float(np.mean(precisions)),
        "splits_least_precision": float(np.min(precisions)),
        "splits_mean_recall": float(np.mean(recalls)),
    }


def main(settings: MatchingBenchmark) -> dict[str, Any]:
    """Measure every set."""
    names = settings.sets or tuple(sorted(path.name for path in settings.data.iterdir() if path.is_dir()))
    return {name: measured(settings.data / name, settings) for name in names}


if __name__ == "__main__":
    benchmark = tyro.cli(MatchingBenchmark, prog="python -m benchmarks.retrieval.matching")
    found = {"settings": dataclasses.asdict(benchmark) | {"data": str(benchmark.data), "json": None}, **main(benchmark)}
    wide_console().print_json(json.dumps(found, default=str))
    if benchmark.json is not None:
        benchmark.json.write_text(json.dumps(found, indent=1, default=str), encoding="utf-8")
