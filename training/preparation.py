"""From two catalogs and the settings to what a network is built from and trained on."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras

from catalog.labels import LabelSpace, find_labels
from model.errors import SettingsError, TrainingError
from model.network.classifier import ClassifierShape
from model.network.image_encoder import build_image_encoder
from model.settings import Settings, text_fields
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import CatalogEncoder, EncodedCatalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.encoding.picture_encoding import PictureEncoder
from training.encoding.tokenizer_cache import fitted_tokenizer
from training.network.backbone_cut import cut_backbone
from training.network.picture_tuning import tune_pictures, tuning_key

#: Image encoders kept in memory; each is some tens of megabytes.
_NUM_KEPT = 2


@dataclass(frozen=True)
class Catalogs:
    """Catalogs to train on.

    Args:
        columns: our column name to the files' heading.
        taxonomy: the shop's tree, or None for what the labels span.
    """

    train: Path
    val: Path
    columns: dict[str, str]
    taxonomy: Path | None


@dataclass(frozen=True)
class Prepared:
    """Inputs of a training.

    Args:
        image_encoder: fine-tuned, where the settings say so; None without pictures.
        pictures: the same as it embeds.
        train, val: the two catalogs, each with at least one row.
    """

    shape: ClassifierShape
    labels: LabelSpace
    tokenizer: Tokenizer
    image_encoder: keras.Model | None
    pictures: PictureEncoder | None
    train: EncodedCatalog
    val: EncodedCatalog


class Preparation:
    """Prepares the same catalogs for one settings after the other; what these do not change is done once.

    Args:
        work_dir: gets the rejects files.
        cache_dir: tokenizers, encoded catalogs, picture features; shared by all runs.
    """

    def __init__(self, catalogs: Catalogs, work_dir: Path, cache_dir: Path):
        self.catalogs = catalogs
        self.work_dir = work_dir
        self.cache_dir = cache_dir
        self._image_encoders: dict[str, tuple[keras.Model, PictureEncoder]] = {}

    @cached_property
    def train(self) -> ParsedCatalog:
        """The training catalog."""
        return parse_catalog(self.catalogs.train, self.catalogs.columns, self.cache_dir)

    @cached_property
    def val(self) -> ParsedCatalog:
        """The validation catalog."""
        return parse_catalog(self.catalogs.val, self.catalogs.columns, self.cache_dir)

    @cached_property
    def catalog_fields(self) -> tuple[str, ...]:
        """Fields that the training catalog has."""
        return self.train.statistics.frequent_fields()

    @cached_property
    def labels(self) -> LabelSpace:
        """The tree and the class of each label."""
        return find_labels(self.train.statistics, self.catalogs.taxonomy)

    def prepare(self, settings: Settings) -> Prepared:
        """Encode both catalogs.

        Raises:
            AisleError: a catalog cannot be read or has no usable row, or a setting does not fit it.
        """
        seed = settings.training.seed
        fields = chosen_fields(self.catalog_fields, settings.model.fields)
        tokenizer, tokenizer_dir = fitted_tokenizer(
            self.train,
            text_fields(fields, settings.fields),
            settings.tokenizer,
            seed,
            self.cache_dir,
        )
        texts = CatalogEncoder(tokenizer, tokenizer_dir, self.labels, fields, settings.image, None, self.cache_dir)
        image_encoder = pictures = None
        if "image" in fields:
            image_encoder, pictures = self._image_encoder(texts, settings)
        train, val = self._encode(dataclasses.replace(texts, pictures=pictures))
        width = image_encoder.outputs[0].shape[-1] if image_encoder is not None else 0
        shape = ClassifierShape(fields, self.labels.taxonomy.num_leaves, width)
        return Prepared(shape, self.labels, tokenizer, image_encoder, pictures, train, val)

    def _encode(self, encoder: CatalogEncoder) -> tuple[EncodedCatalog, EncodedCatalog]:
        train = encoder.encode(self.train, self.work_dir / "rejects-train.csv")
        val = encoder.encode(self.val, self.work_dir / "rejects-val.csv")
        for catalog, path in ((train, self.train.path), (val, self.val.path)):
            if not len(catalog):
                raise TrainingError(f"{path} has no usable row; the reasons are in {self.work_dir}/rejects-*.csv")
        return train, val

    def _image_encoder(self, texts: CatalogEncoder, settings: Settings) -> tuple[keras.Model, PictureEncoder]:
        """The image encoder, fine-tuned where the settings say so, and as it embeds; the last few are kept."""
        kept, key = self._image_encoders, tuning_key(settings)
        if key not in kept:
            if len(kept) == _NUM_KEPT:
                del kept[next(iter(kept))]
            image_encoder = build_image_encoder(settings.image, settings.training.seed)
            if image_encoder.trainable_weights:
                self._tune(image_encoder, texts, settings)
            kept[key] = image_encoder, PictureEncoder(image_encoder, settings.image, self.cache_dir)
        return kept[key]

    def _tune(self, image_encoder: keras.Model, texts: CatalogEncoder, settings: Settings) -> None:
        cut = cut_backbone(image_encoder)
        frozen = PictureEncoder(cut.frozen, settings.image, self.cache_dir, cut.dtype, not cut.is_at_pixels)
        catalogs = self._encode(dataclasses.replace(texts, fields=("image",), pictures=frozen))
        tune_pictures(cut, catalogs, self.labels.taxonomy.num_leaves, settings, self.cache_dir)


def chosen_fields(catalog_fields: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The fields that the model reads, in the catalog's order.

    Args:
        wanted: those of the settings; empty for all that the catalog has.
    Raises:
        SettingsError: the catalog lacks one.
    """
    lacking = [field for field in wanted if field not in catalog_fields]
    if lacking:
        raise SettingsError(
            f"fields: expected fields that the catalog has ({', '.join(catalog_fields)}), found {', '.join(lacking)};"
            " leave these out, or name their headings with --columns"
        )
    return tuple(field for field in catalog_fields if field in wanted or not wanted)
