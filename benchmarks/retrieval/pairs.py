"""Measures training pairs made without people, on drawn galleries with planted truth, from drawing to found products.

The method is Allegro's, in a small shop: random pairs of an item against filtered ones.

python -m benchmarks.retrieval.pairs --items 200 --seed 0
"""

import csv
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from rich.table import Table

from benchmarks.commands import run_training
from catalog.pairs import PAIR_COLUMNS
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from demo.galleries.labelled_types import write_image_types
from demo.galleries.shop import compose_items, write_galleries, write_user_photos
from model.bundle.writing import derive_bundle
from model.machine.console import wide_console
from model.settings import TrainingSettings
from retrieval.benchmark.benchmark import measure
from retrieval.benchmark.queries import ask, catalog_queries
from retrieval.benchmark.temporary_index import temporary_index
from retrieval.commands.pairs_command import PairsCommand, run_pairs
from retrieval.embedding.description import EmbeddingDescription, write_embedding
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.pairs.image_types import WHOLE_PRODUCT_TYPES
from retrieval.settings import MetricSettings

_AT = (1, 5, 30)
_LABELS = {
    "untrained": "nothing", "random": "random pairs of an item", "all": "all pairs of an item",
    "filtered": "filtered pairs",
}  # fmt: skip
_Pair = tuple[str, str]


@dataclass(frozen=True)
class PairsBenchmark:
    """Draw galleries and users' photos, train image types, filter pairs, learn from them, and let the photos ask."""

    items: int = 200
    """Items of the shop, about a dozen pictures each."""
    user_photos: int = 2
    """Photos of each product by users; these ask."""
    type_pictures: int = 100
    """Labelled pictures of each image type to train on; 40 others test."""
    backbone: str = "EfficientNetLite1"
    """Image encoder; the classifier of image types reads it frozen."""
    image_weights: str = "imagenet"
    """Its weights: imagenet, or a file."""
    image_size: int = 160
    """Height and width of the pictures that it sees, pixels; as large as they are drawn."""
    finetune_layers: int = 40
    """Last layers of it that learn from the pairs before the projection does; 0 learns the projection alone."""
    finetune_steps: int = 300
    """Steps of the optimizer for that."""
    sets: tuple[Literal["random", "all", "filtered"], ...] = ("random", "filtered")
    """Pairs to learn from: as many random ones of an item as stay, all of an item, those that stay."""
    seeds: tuple[int, ...] = (0,)
    """Seeds that each set of pairs is learned with."""
    seed: int = 0
    """Seed of everything drawn, and of the random pairs."""
    work_dir: Path | None = None
    """Folder for all files, which stay; a temporary one without."""
    json: Path | None = None
    """File for the figures."""


@dataclass(frozen=True)
class _Files:
    """Everything that the chain writes."""

    root: Path

    @property
    def bundle(self) -> Path:
        return self.root / "models" / "types" / "1"

    @property
    def shop(self) -> CatalogSource:
        return CatalogSource(self.root / "shop" / "shop.csv", ReadOptions(), self.root / "cache")

    @property
    def users(self) -> CatalogSource:
        return CatalogSource(self.root / "shop" / "users.csv", ReadOptions(), self.root / "cache")

    def pairs(self, name: str) -> Path:
        return self.root / "pairs" / name


def main(settings: PairsBenchmark) -> dict[str, Any]:
    """Run the chain and return its figures."""
    with tempfile.TemporaryDirectory(prefix="aisle-pairs-") as temporary:
        files = _Files(settings.work_dir or Path(temporary))
        figures: dict[str, Any] = {
            "settings": {name: str(value) for name, value in asdict(settings).items()},
            "image_types": _image_types(files, settings),
        }
        _draw_shop(files, settings)
        run_pairs(
            PairsCommand(files.bundle, files.shop.path, files.pairs(""), files.bundle, cache_dir=files.shop.cache_dir)
        )
        figures["pairs"] = _pair_sets(files, settings.seed)
        figures["untrained"] = [_found(_untrained(files), files)]
        for name in settings.sets:
            figures[name] = [_learned(files, name, seed, settings) for seed in settings.seeds]
    means = {name: _mean(figures[name], "accuracy@5") for name in ("untrained", *settings.sets)}
    if "filtered" in means:
        figures["filtered_to"] = {name: means["filtered"] / means[name] for name in means if name != "filtered"}
    return figures


def _image_types(files: _Files, settings: PairsBenchmark) -> dict[str, float]:
    """Train the classifier on drawn pictures, and ask it about others."""
    num_pictures = {"train": settings.type_pictures, "test": 40}
    labelled = write_image_types(files.root / "types", num_pictures, settings.seed)
    flags = ["--cache-dir", files.shop.cache_dir]
    encoder = ["--backbone", settings.backbone, "--image-weights", settings.image_weights, "--finetune-layers", "0"]
    encoder += ["--image-size", str(settings.image_size)]
    seconds, _ = run_training("train", "--catalog", labelled["train"], "--bundle", files.bundle, *encoder, *flags)
    answers = files.root / "types" / "answers.csv"
    run_training("predict", "--bundle", files.bundle, "--catalog", labelled["test"], "--out", answers, *flags)
    truth = {row["product_id"]: row["category"] for row in _rows(labelled["test"])}
    right = [row["category_1"] == truth[row["product_id"]] for row in _rows(answers)]
    return {"accuracy": sum(right) / len(truth), "num_test": len(truth), "train_s": seconds}


def _draw_shop(files: _Files, settings: PairsBenchmark) -> None:
    items = compose_items(settings.items, settings.seed)
    write_galleries(files.shop.path.parent, items, settings.seed)
    write_user_photos(files.users.path.parent, items, settings.user_photos, settings.seed)


def _pair_sets(files: _Files, seed: int) -> dict[str, Any]:
    """Write as many random candidates as pairs stayed, and all of them; compare each set with what is planted."""
    kept = [(row["left_id"], row["right_id"]) for row in _rows(files.pairs("pairs.csv"))]
    dropped = [(row["left_id"], row["right_id"], row["rule"]) for row in _rows(files.pairs("dropped.csv"))]
    every = [*kept, *(pair[:2] for pair in dropped)]
    sets = {"filtered": kept, "random": random.Random(seed).sample(every, len(kept)), "all": every}
    planted = {row["product_id"]: (row["image_type"], row["shot"]) for row in _rows(files.shop.path)}
    is_good = {pair: _is_good(planted, pair) for pair in every}
    for name, pairs in sets.items():
        _write_pairs(files.pairs(f"{name}.csv"), pairs)
    return {
        "num_candidates": len(every),
        "num_kept": len(kept),
        "num_dropped": {rule: sum(pair[2] == rule for pair in dropped) for rule in sorted({p[2] for p in dropped})},
        "share_good": {name: sum(is_good[pair] for pair in pairs) / len(pairs) for name, pairs in sets.items()},
        "share_of_good_kept": sum(is_good[pair] for pair in kept) / sum(is_good.values()),
    }


def _is_good(planted: dict[str, tuple[str, str]], pair: _Pair) -> bool:
    """Two shots that each show the product as a whole."""
    (left_type, left_shot), (right_type, right_shot) = planted[pair[0]], planted[pair[1]]
    return left_shot != right_shot and {left_type, right_type} <= set(WHOLE_PRODUCT_TYPES)


def _untrained(files: _Files) -> Path:
    """The bundle before metric learning, whose vectors are the means with mirror images, as they are after it."""
    out = files.root / "models" / "untrained" / "1"
    embedding = EmbeddingDescription(is_mirrored=True)
    derive_bundle(files.bundle, out, lambda folder: write_embedding(folder, embedding))
    return out


def _learned(files: _Files, name: str, seed: int, settings: PairsBenchmark) -> dict[str, float]:
    from model.network.keras_backend import prepare_keras

    prepare_keras(TrainingSettings(seed=seed))
    from retrieval.learning.train import MetricJob, train_metric

    out = files.root / "models" / f"{name}-{seed}" / "1"
    job = MetricJob(
        files.bundle, (files.shop.path,), ReadOptions(), out, (), None, True, "none", out.with_name("rejects.csv"),
        files.shop.cache_dir, files.pairs(f"{name}.csv"),
    )  # fmt: skip
    tuned = {"finetune_layers": settings.finetune_layers, "finetune_steps": settings.finetune_steps}
    train_metric(job, replace(MetricSettings(), seed=seed, **tuned))
    return _found(out, files)


def _found(bundle: Path, files: _Files) -> dict[str, float]:
    """Let users' photos ask for their products among the shop's pictures, an item once."""
    embedder = Embedder.open(bundle)
    with temporary_index(embedder, [files.shop], "image") as engine, Rejects(None) as rejects:
        records = catalog_queries(embedder, files.users, rejects, "image", 0, 0)
        figures = measure(ask(engine, "image", records, max(_AT), from_outside=True), _AT).figures
    names = [f"{name}@{k}" for name in ("accuracy", "same_category") for k in _AT]
    return {name: figures[name] for name in (*names, "num_queries")}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_pairs(path: Path, pairs: Sequence[_Pair]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(PAIR_COLUMNS)
        writer.writerows((*pair, 1) for pair in pairs)


def _mean(runs: Sequence[dict[str, float]], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


def _table(figures: dict[str, Any]) -> Table:
    pairs = figures["pairs"]
    title = f"Users' photos against the shop's pictures, {figures['untrained'][0]['num_queries']} queries"
    table = Table("learned from", "true and not trivial", *(f"accuracy@{k}" for k in _AT), title=title)
    for name, label in _LABELS.items():
        if name in figures:
            share = pairs["share_good"].get(name)
            cells = [f"{_mean(figures[name], f'accuracy@{k}'):.4f}" for k in _AT]
            table.add_row(label, "" if share is None else f"{100 * share:.1f} %", *cells)
    ratios = [f"{ratio:.2f} times {name}" for name, ratio in figures.get("filtered_to", {}).items()]
    table.caption = (
        f"image types: {figures['image_types']['accuracy']:.4f} of {figures['image_types']['num_test']} right;"
        f" {pairs['num_kept']:,} of {pairs['num_candidates']:,} pairs stay, among them"
        f" {100 * pairs['share_of_good_kept']:.0f} % of the good ones; at 5 filtered is {' and '.join(ratios)}"
    )
    return table


if __name__ == "__main__":
    chosen = tyro.cli(PairsBenchmark, prog="python -m benchmarks.retrieval.pairs")
    measured = main(chosen)
    wide_console().print(_table(measured))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")
