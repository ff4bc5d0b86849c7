"""Metric learning from beginning to end: a bundle and catalogs in, a bundle with an embedding of its own out."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.rejects import Rejects
from model.bundle.writing import check_bundle_target, derive_bundle
from retrieval.embedding.crop import CropName
from retrieval.embedding.description import (
    FOLDER,
    OWN_ENCODER,
    PROJECTION_FILE,
    EmbeddingDescription,
    write_embedding,
)
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.learning.backbones import add_backbones
from retrieval.learning.catalog_examples import read_examples
from retrieval.learning.projection_training import train_projection
from retrieval.settings import MetricSettings


@dataclass(frozen=True)
class MetricJob:
    """What is to be learned from what.

    Args:
        catalogs: rows with group_id or category, of one file or several.
        backbones, image_encoder: see `retrieval.learning.backbones.add_backbones`; no backbone is the bundle's own,
            unless an image encoder is given.
    """

    bundle: Path
    catalogs: tuple[Path, ...]
    columns: Mapping[str, str]
    out: Path
    backbones: tuple[str, ...]
    image_encoder: Path | None
    is_mirrored: bool
    crop: CropName
    rejects: Path
    cache_dir: Path


def train_metric(job: MetricJob, settings: MetricSettings) -> dict[str, Any]:
    """Learn an embedding and write the bundle.

    Returns:
        what the bundle says of it: loss, settings, products and rows learned from.
    Raises:
        BundleError, CatalogError, SettingsError, TrainingError: see the parts.
    """
    check_bundle_target(job.out)
    with _encoder_bundle(job) as staged, Rejects(job.rejects) as rejects:
        embedder = Embedder.open(staged)
        sources = [CatalogSource(path, job.columns, job.cache_dir) for path in job.catalogs]
        examples = read_examples(embedder, sources, rejects)
        projection = train_projection(examples, settings)
        trained = {
            **dataclasses.asdict(settings),
            "num_products": len(examples.names),
            "num_rows": len(examples.labels),
            "kinds": list(projection.kinds),
        }

        def add_projection(folder: Path) -> None:
            projection.save(folder / PROJECTION_FILE)
            write_embedding(
                folder,
                dataclasses.replace(
                    embedder.embedding, has_projection=True, text_weight=settings.text_weight, trained=trained
                ),
            )

        derive_bundle(staged, job.out, add_projection)
    return trained


@contextmanager
def _encoder_bundle(job: MetricJob) -> Iterator[Path]:
    """The bundle with the image encoders that were asked for and no projection, for as long as features are made."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{job.out.name}.", dir=job.out.parent) as temporary:
        staged = Path(temporary) / "bundle"

        def add_encoders(folder: Path) -> None:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            encoders, text = add_backbones(folder, _backbones(job), job.image_encoder, job.cache_dir)
            embedding = EmbeddingDescription(encoders, job.is_mirrored, job.crop, text=text)
            write_embedding(folder, embedding)

        derive_bundle(job.bundle, staged, add_encoders)
        yield staged


def _backbones(job: MetricJob) -> Sequence[str]:
    if job.backbones:
        return job.backbones
    return () if job.image_encoder else (OWN_ENCODER,)
