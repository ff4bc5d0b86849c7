"""The command `python -m training train`: a catalog in, a bundle out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.settings import Settings
from training.commands.command_parts import FlatSettings
from training.commands.noise_estimate import with_noise_of


@dataclass(frozen=True)
class TrainCommand:
    """Train a bundle from a labelled catalog: one file, or one to train on and one to calibrate with."""

    bundle: Path
    """Folder to write to; an existing bundle is replaced."""
    catalog: Path | None = None
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet; split by near-duplicates and categories."""
    train: Path | None = None
    """In its place a training catalog, with --val."""
    val: Path | None = None
    """Catalog for early stopping and calibration, without what --train has."""
    config: Path | None = None
    """TOML file with settings, in place of the defaults for the size of the catalog; flags override it."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    work_dir: Path | None = None
    """State for --resume, split, rejects and TensorBoard logs; by default BUNDLE.train beside the bundle."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs and picture features, shared by all runs."""
    resume: bool = False
    """Resume after an interruption, with the same result."""
    noise_from: Path | None = None
    """Folder that `python -m labeling issues` wrote; its share of wrong labels is --noise-rate."""
    settings: FlatSettings = field(default_factory=Settings)
    """Settings of the model and its training."""


def run_train(command: TrainCommand) -> str:
    """Train, and say what the bundle answers and what it learned."""
    from model.network.keras_backend import prepare_keras

    settings = command.settings
    if command.noise_from is not None:
        settings = with_noise_of(settings, command.noise_from)
    prepare_keras(settings.training)
    from training.report.contract_text import contract_lines, lower_promises_line
    from training.train import TrainJob, train

    work_dir = command.work_dir or command.bundle.with_name(f"{command.bundle.name}.train")
    job = TrainJob(
        command.catalog,
        command.train,
        command.val,
        command.bundle,
        command.read_options,
        command.taxonomy,
        work_dir,
        command.cache_dir,
        command.resume,
    )
    metrics = train(job, settings)
    products = metrics["training_products"]
    num_categories = sum(count > 0 for count in products)
    lines = [
        f"accuracy {metrics['accuracy']:.4f} on {metrics['count']} products that the model did not learn",
        *contract_lines(metrics["contract"]),
        lower_promises_line(metrics["lower_promises"]),
        f"bundle in {command.bundle}: {sum(products):,} products of {num_categories:,} categories learned",
    ]
    return "\n".join(filter(None, lines))
