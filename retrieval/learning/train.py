"""Metric learning from beginning to end: a bundle and catalogs in, a bundle with an embedding of its own out."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.bundle.bundle import load_bundle
from model.bundle.writing import check_bundle_target, derive_bundle
from model.bundle_files import FILES
from model.errors import SettingsError
from model.network.image_encoder import load_image_encoder
from retrieval.embedding.crop import CropName
from retrieval.embedding.description import (
    FOLDER,
    OWN_ENCODER,
    PROJECTION_FILE,
    EmbeddingDescription,
    EncoderDescription,
    write_embedding,
)
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.learning.backbones import add_backbones, build_backbone, write_encoder
from retrieval.learning.catalog_examples import read_examples, read_products_of_pairs
from retrieval.learning.fine_tuning import fine_tune
from retrieval.learning.projection_training import train_projection
from retrieval.settings import MetricSettings


@dataclass(frozen=True)
class MetricJob:
    """Inputs and output of metric learning.

    Args:
        catalogs: rows with group_id or category, of one file or several.
        backbones, image_encoder: see `retrieval.learning.backbones.add_backbones`; no backbone is the bundle's own,
            unless an image encoder is given.
        pairs: file that says which rows are the same product, in place of group_id and category.
    """

    bundle: Path
    catalogs: tuple[Path, ...]
    read_options: ReadOptions
    out: Path
    backbones: tuple[str, ...]
    image_encoder: Path | None
    is_mirrored: bool
    crop: CropName
    rejects: Path
    cache_dir: Path
    pairs: Path | None = None

    @property
    def sources(self) -> list[CatalogSource]:
        """The catalogs, to be read."""
        return [CatalogSource(path, self.read_options, self.cache_dir) for path in self.catalogs]


def train_metric(job: MetricJob, settings: MetricSettings) -> dict[str, Any]:
    """Learn an embedding and write the bundle.

    Returns:
        what the bundle says of it: loss, settings, products and rows learned from.
    Raises:
        BundleError, CatalogError, SettingsError, TrainingError: see the parts.
    """
    check_bundle_target(job.out)
    with Rejects(job.rejects) as rejects, ExitStack() as staging:
        products = None if job.pairs is None else read_products_of_pairs(job.pairs, job.sources, rejects)
        staged = staging.enter_context(_encoder_bundle(job, settings, products))
        embedder = Embedder.open(staged)
        examples = read_examples(embedder, job.sources, rejects, products)
        projection = train_projection(examples, settings)
        trained = {
            **dataclasses.asdict(settings),
            "num_products": len(examples.names),
            "num_rows": len(examples.labels),
            "kinds": list(projection.kinds),
            "pairs": str(job.pairs or ""),
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
def _encoder_bundle(
    job: MetricJob, settings: MetricSettings, products_of_pairs: Mapping[str, str] | None
) -> Iterator[Path]:
    """The bundle with the image encoders that were asked for and no projection, for as long as features are made."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{job.out.name}.", dir=job.out.parent) as temporary:
        staged = Path(temporary) / "bundle"

        def add_encoders(folder: Path) -> None:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            backbones = _backbones(job)
            tuned: tuple[EncoderDescription, ...] = ()
            if settings.finetune_layers:
                tuned = (_tuned(folder, backbones, job, settings, products_of_pairs),)
                backbones = backbones[1:]
            encoders, text = add_backbones(folder, backbones, job.image_encoder, job.cache_dir)
            write_embedding(folder, EmbeddingDescription((*tuned, *encoders), job.is_mirrored, job.crop, text=text))

        derive_bundle(job.bundle, staged, add_encoders)
        yield staged


def _tuned(
    folder: Path,
    backbones: Sequence[str],
    job: MetricJob,
    settings: MetricSettings,
    products_of_pairs: Mapping[str, str] | None,
) -> EncoderDescription:
    """Fine-tune the first backbone, and write it into the folder of a bundle."""
    bundle = load_bundle(job.bundle)
    if not backbones or (backbones[0] == OWN_ENCODER and "image" not in bundle.fields):
        raise SettingsError(
            "--finetune-layers: expected a backbone of Keras to be tuned, found none; name one with --backbones"
        )
    if backbones[0] == OWN_ENCODER:
        encoder, image = load_image_encoder(folder / FILES.image_encoder), bundle.settings.image
    else:
        encoder, image = build_backbone(backbones[0])
    fine_tune(encoder, image, job.sources, settings, products_of_pairs)
    name = image.backbone if backbones[0] == OWN_ENCODER else backbones[0].partition("=")[0]
    return write_encoder(encoder, image.image_size, folder, f"{name}-tuned")


def _backbones(job: MetricJob) -> Sequence[str]:
    if job.backbones:
        return job.backbones
    return () if job.image_encoder else (OWN_ENCODER,)
