"""From two catalogs and the settings to what a network is built from and trained on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras

from model.classifier import ClassifierShape
from model.errors import SettingsError, TrainingError
from model.image_encoder import build_image_encoder
from model.settings import ImageSettings, Settings
from tokenizer.tokenizer import Tokenizer
from training.encoded_catalog import CatalogEncoder, EncodedCatalog
from training.labels import LabelSpace, read_labels
from training.picture_encoding import PictureEncoder
from training.survey import survey_fields
from training.word_store import fitted_tokenizer

#: Frozen image encoders kept in memory; each is some tens of megabytes.
_NUM_KEPT = 2


@dataclass(frozen=True)
class Catalogs:
    """Where the rows are.

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
    """What training needs.

    Args:
        image_encoder: None without pictures.
        pictures: the frozen image encoder as it embeds; None without pictures and in fine-tuning.
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
        self._frozen: dict[tuple[ImageSettings, int], tuple[keras.Model, PictureEncoder]] = {}

    @cached_property
    def catalog_fields(self) -> tuple[str, ...]:
        """Fields that the training catalog has."""
        return survey_fields(self.catalogs.train, self.catalogs.columns)

    @cached_property
    def labels(self) -> LabelSpace:
        """The tree and the class of each label."""
        return read_labels(self.catalogs.train, self.catalogs.columns, self.catalogs.taxonomy)

    def prepare(self, settings: Settings) -> Prepared:
        """Encode both catalogs.

        Raises:
            AisleError: a catalog cannot be read or has no usable row, or a setting does not fit it.
        """
        seed, where = settings.training.seed, self.catalogs
        fields = chosen_fields(self.catalog_fields, settings.model.fields)
        tokenizer, tokenizer_dir = fitted_tokenizer(
            where.train, where.columns, fields, settings.tokenizer, seed, self.cache_dir
        )
        image_encoder, pictures = self._image_encoder(settings.image, seed) if "image" in fields else (None, None)
        encoder = CatalogEncoder(
            tokenizer,
            tokenizer_dir,
            self.labels,
            where.columns,
            fields,
            settings.image,
            pictures,
            keep_pixels=image_encoder is not None and pictures is None,
            cache_dir=self.cache_dir,
        )
        train = encoder.encode(where.train, self.work_dir / "rejects-train.csv")
        val = encoder.encode(where.val, self.work_dir / "rejects-val.csv")
        for catalog, path in ((train, where.train), (val, where.val)):
            if not len(catalog):
                raise TrainingError(f"{path} has no usable row; the reasons are in {self.work_dir}/rejects-*.csv")
        width = image_encoder.outputs[0].shape[-1] if image_encoder is not None else 0
        shape = ClassifierShape(fields, self.labels.taxonomy.num_leaves, width)
        return Prepared(shape, self.labels, tokenizer, image_encoder, pictures, train, val)

    def _image_encoder(self, settings: ImageSettings, seed: int) -> tuple[keras.Model, PictureEncoder | None]:
        if settings.finetune_layers != 0:
            return build_image_encoder(settings, seed), None  # training changes it, so that each run needs its own
        key = (settings, seed)
        if key not in self._frozen:
            if len(self._frozen) == _NUM_KEPT:
                del self._frozen[next(iter(self._frozen))]
            image_encoder = build_image_encoder(settings, seed)
            self._frozen[key] = image_encoder, PictureEncoder(image_encoder, settings, self.cache_dir)
        return self._frozen[key]


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
