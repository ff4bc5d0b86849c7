"""Ready experiments: what backbone, loss, projection, crop, mirror images, text and several pictures an item change."""

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from catalog.rejects import Rejects
from model.errors import SettingsError
from retrieval.benchmark.benchmark import measure
from retrieval.benchmark.queries import Asked, ask, catalog_queries
from retrieval.benchmark.temporary_index import temporary_index
from retrieval.embedding.crop import CropName
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.index.engine import IndexEngine
from retrieval.index.record import IndexRecord, Space
from retrieval.settings import MetricSettings

StudyName = Literal["backbone", "loss", "projection", "crop", "mirrored", "text_weight", "item_mean"]


@dataclass(frozen=True)
class Variant:
    """One way to make vectors.

    Args:
        backbones: see `MetricJob`; empty is the bundle's own.
        settings: changes to the settings of metric learning; None is no metric learning.
        is_item_mean: whether the pictures of an item become one vector.
    """

    name: str
    backbones: tuple[str, ...] = ()
    settings: dict[str, Any] | None = field(default_factory=dict)
    is_mirrored: bool = False
    crop: CropName = "none"
    is_item_mean: bool = False


_LITE = ("EfficientNetLite1", "EfficientNetLite2")
_FROZEN = Variant("no metric learning", settings=None)
STUDIES: dict[StudyName, tuple[Variant, ...]] = {
    "backbone": (
        _FROZEN,
        Variant("own"),
        *(Variant(name, (name,)) for name in _LITE),
        Variant("own + EfficientNetLite1", ("bundle", _LITE[0])),
        Variant("own + both EfficientNetLite", ("bundle", *_LITE)),
    ),
    "loss": (_FROZEN, *(Variant(loss, settings={"loss": loss}) for loss in ("contrastive", "triplet", "arcface"))),
    "projection": (_FROZEN, *(Variant(f"{dim} numbers", settings={"dim": dim}) for dim in (64, 128, 256, 512))),
    "crop": (Variant("whole picture"), Variant("cropped", crop="auto")),
    "mirrored": (Variant("picture"), Variant("mean with its mirror image", is_mirrored=True)),
    "text_weight": tuple(
        Variant(f"text weight {weight:g}", settings={"text_weight": weight}) for weight in (0.0, 0.25, 0.5, 0.75, 1.0)
    ),
    "item_mean": (Variant("each picture"), Variant("mean of an item's pictures", is_item_mean=True)),
}


@dataclass(frozen=True)
class StudyJob:
    """Bundle and catalogs that studies measure on.

    Args:
        catalog: learned from and searched.
        queries: its products ask.
        seeds: each variant is trained with each.
    """

    bundle: Path
    catalog: CatalogSource
    queries: CatalogSource
    seeds: tuple[int, ...]
    at: tuple[int, ...]


def run_study(name: StudyName, job: StudyJob, settings: MetricSettings) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Measure the variants of a study, one by one: its name, and the figures of each seed.

    Raises:
        SettingsError: the bundle lacks what a study varies.
    """
    bundle = Embedder.open(job.bundle)
    if name == "text_weight" and "joint" not in bundle.dims:
        raise SettingsError("--studies text_weight: expected a bundle that reads pictures and texts, found another")
    for variant in STUDIES[name]:
        seeds = job.seeds if variant.settings is not None else job.seeds[:1]
        yield variant.name, [_measured(variant, job, settings, seed) for seed in seeds]


def _measured(variant: Variant, job: StudyJob, settings: MetricSettings, seed: int) -> dict[str, Any]:
    from retrieval.learning.train import MetricJob, train_metric  # loads Keras

    with tempfile.TemporaryDirectory(prefix="aisle-study-") as folder:
        bundle = job.bundle
        if variant.settings is not None:
            bundle = Path(folder) / "bundle"
            metric_job = MetricJob(
                job.bundle, (job.catalog.path,), job.catalog.read_options, bundle, variant.backbones, None,
                variant.is_mirrored, variant.crop, Path(folder) / "rejects.csv", job.catalog.cache_dir,
            )  # fmt: skip
            train_metric(metric_job, dataclasses.replace(settings, **variant.settings, seed=seed))
        embedder = Embedder.open(bundle)
        space = next(space for space in ("joint", "image", "text") if space in embedder.dims)
        asked = _asked(embedder, job, space, variant.is_item_mean)
    return measure(asked, job.at).figures


def _asked(embedder: Embedder, job: StudyJob, space: Space, is_item_mean: bool) -> Asked:
    with temporary_index(embedder, [job.catalog], space) as engine, Rejects(None) as rejects:
        if is_item_mean:
            _merge_items(engine, space)
        records = catalog_queries(embedder, job.queries, rejects, space, 0, 0)
        return ask(engine, space, records, max(job.at), from_outside=True)


def _merge_items(engine: IndexEngine, space: Space) -> None:
    """Put one entry in the place of each item's pictures, with the mean of their vectors."""
    items: dict[str, list[IndexRecord]] = {}
    for record in engine.scan():
        if record.attributes.item_id and space in record.vectors:
            items.setdefault(record.attributes.item_id, []).append(record)
    for records in items.values():
        engine.delete([record.product_id for record in records[1:]])
    engine.upsert([_mean(records, space) for records in items.values()])


def _mean(records: Sequence[IndexRecord], space: Space) -> IndexRecord:
    mean = np.mean([record.vectors[space] for record in records], axis=0)
    return IndexRecord(records[0].product_id, records[0].attributes, {space: mean / np.linalg.norm(mean)})
