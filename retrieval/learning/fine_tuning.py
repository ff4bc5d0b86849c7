"""Fine-tuning by metric learning: the last layers of a backbone learn from the pictures which products are the same."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from tqdm import tqdm

from catalog.pictures.source import PictureSource
from catalog.rejects import Rejects
from catalog.rows import read_catalog
from model.errors import PictureError, TrainingError
from model.network.image_encoder import backbone_of, freeze
from model.settings import ImageSettings
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.learning.catalog_examples import product_names
from retrieval.learning.examples import Examples
from retrieval.learning.metric_fitting import Schedule, fit_metric
from retrieval.learning.projection_training import StackedEntries
from retrieval.settings import MetricSettings
from training.encoding.picture_encoding import PictureEncoder
from training.network.backbone_cut import BackboneCut, cut_backbone

_CHUNK_ROWS = 512
_log = logging.getLogger("aisle.retrieval")


def fine_tune(
    image_encoder: keras.Model,
    image: ImageSettings,
    sources: Sequence[CatalogSource],
    settings: MetricSettings,
    products_of_pairs: Mapping[str, str] | None = None,
) -> None:
    """Train the last `settings.finetune_layers` layers of an image encoder's backbone, in place.

    The frozen part runs once a picture, and what it gives is kept in the cache folder.

    Args:
        image: settings that the encoder was built with.
        sources: catalogs with pictures, and group_id or category.
        products_of_pairs: product by product_id, in place of these.
    Raises:
        TrainingError: too few pictures, or the loss is no number.
        CatalogError: a catalog cannot be read.
    """
    image = dataclasses.replace(image, finetune_layers=settings.finetune_layers)
    freeze(backbone_of(image_encoder), image)
    cut = cut_backbone(image_encoder)
    examples = _examples(cut, image, sources, products_of_pairs)
    _log.info("the last layers of the image encoder learn from %d pictures", len(examples.labels))
    vectors = _build_vectors(cut, settings)
    fit_metric(
        vectors, examples, settings, Schedule("Fine-tune", settings.finetune_steps, settings.finetune_learning_rate)
    )


def _build_vectors(cut: BackboneCut, settings: MetricSettings) -> keras.Model:
    """Activations behind the frozen layers, laid flat, to (B, 1, D) unit vectors."""
    keras.utils.set_random_seed(settings.seed)
    flat = keras.Input((int(np.prod(cut.shape)),), name="image")
    features = cut.trained(keras.layers.Reshape(cut.shape, name="activations")(flat))
    kept = keras.layers.Dropout(settings.dropout_rate, seed=settings.seed, name="image_dropout")(features)
    projected = keras.layers.Dense(settings.dim, name="image_projection")(kept)
    stacked = StackedEntries(name="entries")([projected])
    return keras.Model({"image": flat}, keras.layers.UnitNormalization(name="unit_length")(stacked), name="vectors")


def _examples(
    cut: BackboneCut,
    image: ImageSettings,
    sources: Sequence[CatalogSource],
    products_of_pairs: Mapping[str, str] | None,
) -> Examples:
    """Activations of the rows with a picture and a product."""
    num_views = 1 if cut.is_at_pixels else 2
    encoder = PictureEncoder(cut.frozen, image, sources[0].cache_dir, cut.dtype, is_mirrored=num_views == 2)
    rows, keys = [], []
    for source in sources:
        pictures_dir = source.cache_dir / "pictures"
        with (
            Rejects(None) as rejects,
            PictureSource(source.path.parent, pictures_dir) as pictures,
            tqdm(desc=f"Frozen layers, {source.path.name}", unit=" rows", unit_scale=True) as bar,
        ):
            for chunk in read_catalog(source.path, source.read_options, _CHUNK_ROWS, rejects):
                with_image = [row for row in chunk if row.image]
                found = encoder.embed(pictures.read_many([row.image for row in with_image]))
                for row, key in zip(with_image, found, strict=True):
                    if not isinstance(key, PictureError):
                        rows.append(row)
                        keys.append(key)
                bar.update(len(chunk))
    if not rows:
        raise TrainingError("expected pictures to fine-tune with, found none that can be read; leave --finetune-layers")
    products, kept = product_names(rows, sources, products_of_pairs)
    names = sorted({products[i] for i in kept})
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[products[i]] for i in kept], np.int32)
    positions = encoder.cache.rows([keys[i] for i in kept])
    activations = encoder.cache.features()[positions].reshape(len(kept), num_views, -1)
    everywhere, nowhere = np.ones(len(kept), bool), np.zeros(len(kept), bool)
    return Examples(labels, names, activations, everywhere, None, nowhere)
