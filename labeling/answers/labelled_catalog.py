"""A labelled catalog as the commands read it: encoded rows, their classes, and groups of near-duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from catalog.labels.label_space import LabelSpace, find_labels
from catalog.read_options import ReadOptions
from catalog.rejects import see_rejects
from model.errors import TrainingError
from model.settings import ImageSettings, Settings, text_fields
from tokenizer.tokenizer import Tokenizer
from training.default_settings import catalog_size, default_settings
from training.encoding.encoded_catalog import CatalogEncoder, EncodedCatalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.encoding.tokenizer_cache import fitted_tokenizer
from training.ensemble.ngram_matrix import ngram_field_weights
from training.splitting.catalog_groups import CatalogRows, near_duplicate_groups, read_rows

if TYPE_CHECKING:
    from training.encoding.picture_encoding import PictureEncoder


@dataclass(frozen=True, eq=False)
class LabelledCatalog:
    """The usable rows of a catalog, N of them.

    Args:
        encoded: their arrays; "rows" are their places in `parsed`.
        encoded_folder: where these lie, for other processes.
        tokenizer: that encoded them.
        field_weights: of the n-grams of each text field.
        cache_dir: where what is computed is kept.
    """

    parsed: ParsedCatalog
    labels: LabelSpace
    encoded: EncodedCatalog
    encoded_folder: Path
    tokenizer: Tokenizer
    field_weights: Mapping[str, float]
    settings: Settings
    cache_dir: Path

    @property
    def classes(self) -> np.ndarray:
        """(N,) int32, the class that each row was given."""
        return np.asarray(self.encoded.arrays["labels"])

    @cached_property
    def rows(self) -> CatalogRows:
        """The texts and pictures by which the rows are compared."""
        fields = self.parsed.statistics.frequent_fields()
        found = read_rows(self.parsed, fields, self.settings.image, self.cache_dir)
        kept = np.asarray(self.encoded.arrays["rows"])
        return CatalogRows(
            [found.product_ids[row] for row in kept],
            [found.texts[row] for row in kept],
            [found.labels[row] for row in kept],
            found.contents[kept],
            found.picture_keys[kept],
        )

    @cached_property
    def groups(self) -> np.ndarray:
        """(N,) int, the group of near-duplicates of each row: near-equal texts and equal pictures."""
        image = replace(self.settings.image, image_weights="none")
        return near_duplicate_groups(self.rows, [self.parsed], image, self.settings.training.seed, self.cache_dir)

    def __len__(self) -> int:
        return len(self.encoded)


def read_labelled(
    path: Path,
    options: ReadOptions,
    taxonomy: Path | None,
    rejects: Path,
    cache_dir: Path,
    image_weights: str,
    max_lost_pictures: float = ImageSettings.max_lost_pictures,
) -> LabelledCatalog:
    """Read and encode a catalog; what an earlier run has encoded is found again.

    Args:
        options: how its file is read.
        taxonomy: the shop's tree, or None for what the labels span.
        rejects: gets the rows that could not be used.
        image_weights: of the backbone that reads pictures; "none" leaves pictures out.
        max_lost_pictures: share of the pictures that may be unreadable, 0 to 1; their rows count without them.
    Raises:
        AisleError: the file cannot be read, or has no usable row.
    """
    parsed = parse_catalog(path, options, cache_dir)
    labels = find_labels(parsed.statistics, taxonomy, options.separator)
    settings = default_settings(catalog_size(parsed.statistics))
    settings = replace(settings, tokenizer=replace(settings.tokenizer, pretrained_words="off"))
    image = replace(settings.image, image_weights=image_weights, finetune_layers=0, max_lost_pictures=max_lost_pictures)
    settings = replace(settings, image=image)
    reads_pictures = "image" in parsed.statistics.frequent_fields() and image_weights != "none"
    fields = tuple(field for field in parsed.statistics.frequent_fields() if field != "image" or reads_pictures)
    texts = [replace(field, num_tokens=0) for field in text_fields(fields, settings.fields)]
    tokenizer, folder = fitted_tokenizer(parsed, texts, settings.tokenizer, settings.training.seed, cache_dir)
    pictures = _picture_encoder(settings, cache_dir) if reads_pictures else None
    encoder = CatalogEncoder(tokenizer, folder, labels, fields, settings.image, pictures, cache_dir)
    encoded = encoder.encode(parsed, rejects)
    if not len(encoded):
        raise TrainingError(f"{path} has no usable row{see_rejects(rejects)}")
    weights = ngram_field_weights(fields, settings.fields)
    return LabelledCatalog(parsed, labels, encoded, encoder.folder(parsed), tokenizer, weights, settings, cache_dir)


def _picture_encoder(settings: Settings, cache_dir: Path) -> PictureEncoder:
    from model.network.image_encoder import build_image_encoder  # Keras, which texts alone do without
    from training.encoding.picture_encoding import PictureEncoder

    return PictureEncoder(build_image_encoder(settings.image, settings.training.seed), settings.image, cache_dir)
