"""The command `python -m retrieval train`: metric learning; out is a bundle."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.settings import TrainingSettings
from retrieval.benchmark.benchmark import measure
from retrieval.benchmark.queries import Asked, ask, catalog_queries
from retrieval.benchmark.temporary_index import temporary_index
from retrieval.embedding.crop import CropName
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.settings import MetricSettings

_DEEPEST = 30


@dataclass(frozen=True)
class TrainCommand:
    """Learn vectors in which the same product lies together, from pairs, from group_id, or else from categories."""

    bundle: Path
    """Bundle to start from."""
    catalog: tuple[Path, ...]
    """Catalogs to learn from, one or more."""
    out: Path
    """Folder of the new bundle; it serves like any other."""
    val: Path | None = None
    """Catalog to measure on: its products look for their like in the training catalogs, before and after."""
    pairs: Path | None = None
    """Pairs of rows of the catalogs, CSV with left_id, right_id and same (1 or 0), such as retrieval pairs makes: rows
    that pairs connect are one product, those in no pair are left out."""
    backbones: tuple[str, ...] = ()
    """Image encoders, side by side: bundle (its own), EfficientNetLite1, EfficientNetLite2, a backbone of
    keras.applications, or NAME=WEIGHTS with a .weights.h5 or .keras file; by default the bundle's own."""
    image_encoder: Path | None = None
    """The shop's own ONNX image encoder, such as a CLIP, described by a TOML file of its name beside it."""
    mirrored: bool = True
    """Encode each picture and its mirror image, and take their mean; twice the time, and better vectors."""
    crop: CropName = "none"
    """auto cuts pictures to what stands out in them."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    rejects: Path | None = None
    """Rows that could not be used, CSV; by default OUT.rejects.csv."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and features, shared by all runs."""
    settings: Annotated[MetricSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=MetricSettings)
    """Settings of metric learning."""


def run_train(command: TrainCommand) -> str:
    """Learn, and say what was learned from."""
    from model.network.keras_backend import prepare_keras

    prepare_keras(TrainingSettings(seed=command.settings.seed))
    from retrieval.learning.train import MetricJob, train_metric

    job = MetricJob(
        command.bundle,
        command.catalog,
        command.read_options,
        command.out,
        command.backbones,
        command.image_encoder,
        command.mirrored,
        command.crop,
        command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv"),
        command.cache_dir,
        command.pairs,
    )
    trained = train_metric(job, command.settings)
    lines = [
        f"learned from {trained['num_rows']} rows of {trained['num_products']} products;"
        f" {' and '.join(trained['kinds'])} vectors of {trained['dim']} numbers"
    ]
    if command.val is not None:
        lines += _gain_lines(command, job.read_options)
    return "\n".join([*lines, f"bundle in {command.out}"])


def _gain_lines(command: TrainCommand, options: ReadOptions) -> list[str]:
    """Measure the gain: products of --val look for their like in the training catalogs, before and after."""
    asked = [_measured(command, bundle, options) for bundle in (command.bundle, command.out)]
    at = tuple(k for k in (1, 5, 30) if k <= asked[0].ranked.is_hit.shape[1])
    before, after = (measure(each, at).figures for each in asked)
    names = [f"{name}@{k}" for name in ("same_product", "same_category", "accuracy") for k in at]
    lines = [f"{name} {before[name]:.4f} before, {after[name]:.4f} now" for name in names if name in before]
    return [f"{command.val}, {before['num_queries']} queries, same product by {before['relevance']}:", *lines]


def _measured(command: TrainCommand, bundle: Path, options: ReadOptions) -> Asked:
    assert command.val is not None
    embedder = Embedder.open(bundle)
    space = next(space for space in ("joint", "image", "text") if space in embedder.dims)
    sources = [CatalogSource(path, command.read_options, command.cache_dir) for path in command.catalog]
    queries = CatalogSource(command.val, options, command.cache_dir)
    with temporary_index(embedder, sources, space) as engine, Rejects(None) as rejects:
        records = catalog_queries(embedder, queries, rejects, space, 0, 0)
        return ask(engine, space, records, _DEEPEST, from_outside=True)
