"""From two catalogs and the settings to what a network is built from and trained on."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import keras

from catalog.labels.label_space import LabelSpace, find_labels
from catalog.read_options import ReadOptions
from catalog.rejects import common_reason
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
from training.sampling.choice import row_draw
from training.sampling.row_draw import RowDraw

#: Image encoders kept in memory; each is some tens of megabytes.
_NUM_KEPT = 2


@dataclass(frozen=True, eq=False)
class Catalogs:
    """Catalogs to train on.

    Args:
        val: rows that say which epoch is best; None trains to the last epoch and looks at no other rows.
        labels: the tree and the class of each label.
        fields: those that the catalogs have.
    """

    train: ParsedCatalog
    val: ParsedCatalog | None
    labels: LabelSpace
    fields: tuple[str, ...]


def read_catalogs(train: Path, val: Path, options: ReadOptions, taxonomy: Path | None, cache_dir: Path) -> Catalogs:
    """Parse a training and a validation file.

    Args:
        options: how the two are read.
        taxonomy: the shop's tree, or None for what the labels span.
    Raises:
        AisleError: a file cannot be read, or has no usable row.
    """
    parsed = parse_catalog(train, options, cache_dir)
    labels, fields = find_labels(parsed.statistics, taxonomy, options.separator), parsed.statistics.frequent_fields()
    return Catalogs(parsed, parse_catalog(val, options, cache_dir), labels, fields)


@dataclass(frozen=True)
class Prepared:
    """Inputs of a training.

    Args:
        encoder: by which the catalogs were encoded.
        image_encoder: fine-tuned, where the settings say so; None without pictures.
        train, val: the two catalogs, each with at least one row; val is None where no other rows are looked at.
        draw: of the training rows; None where every epoch has each of them once.
    """

    shape: ClassifierShape
    labels: LabelSpace
    encoder: CatalogEncoder
    image_encoder: keras.Model | None
    train: EncodedCatalog
    val: EncodedCatalog | None
    draw: RowDraw | None

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the training catalog."""
        return self.encoder.tokenizer

    @property
    def pictures(self) -> PictureEncoder | None:
        """The image encoder as it embeds; None without pictures."""
        return self.encoder.pictures


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

    def prepare(self, settings: Settings) -> Prepared:
        """Encode both catalogs.

        Raises:
            AisleError: a catalog cannot be read or has no usable row, or a setting does not fit it.
        """
        labels, fields = self.catalogs.labels, chosen_fields(self.catalogs.fields, settings.model.fields)
        tokenizer, tokenizer_dir = fitted_tokenizer(
            self.catalogs.train,
            text_fields(fields, settings.fields),
            settings.tokenizer,
            settings.training.seed,
            self.cache_dir,
        )
        texts = CatalogEncoder(tokenizer, tokenizer_dir, labels, fields, settings.image, None, self.cache_dir)
        image_encoder = pictures = None
        if "image" in fields:
            image_encoder, pictures = self._image_encoder(texts, settings)
        encoder = dataclasses.replace(texts, pictures=pictures)
        train, val = self._encode(encoder, settings.training.max_rejected_rows)
        width = image_encoder.outputs[0].shape[-1] if image_encoder is not None else 0
        shape = ClassifierShape(fields, labels.taxonomy.num_leaves, width)
        draw = row_draw(self.catalogs.train, train, shape.num_classes, settings.sampling)
        return Prepared(shape, labels, encoder, image_encoder, train, val, draw)

    def encode(self, catalog: ParsedCatalog, prepared: Prepared) -> EncodedCatalog:
        """Encode another catalog as those that were prepared.

        Raises:
            TrainingError: it has no usable row.
        """
        return self._encode_one(catalog, prepared.encoder, "others")

    def _encode_one(
        self, catalog: ParsedCatalog, encoder: CatalogEncoder, part: str, max_rejected_rows: float = 1.0
    ) -> EncodedCatalog:
        """Encode one of the catalogs.

        Args:
            part: names the rejects file.
            max_rejected_rows: share of its rows that may be rejected.
        Raises:
            TrainingError: it has no usable row, or too many are rejected.
        """
        rejects = self.work_dir / f"rejects-{part}.csv"
        encoded = encoder.encode(catalog, rejects)
        if not len(encoded):
            reason = common_reason(rejects) if encoded.num_rejects else "it has none at all"
            raise TrainingError(f"{catalog.path} has no usable row: {reason or f'the reasons are in {rejects}'}")
        num_rows = len(encoded) + encoded.num_rejects
        if encoded.num_rejects > max_rejected_rows * num_rows:
            reason = common_reason(rejects) or f"the reasons are in {rejects}"
            raise TrainingError(
                f"{catalog.path}: {encoded.num_rejects:,} of {num_rows:,} rows are rejected: {reason}. Correct them, or"
                " allow the loss with --max-rejected-rows 1"
            )
        return encoded

    def _encode(
        self, encoder: CatalogEncoder, max_rejected_rows: float
    ) -> tuple[EncodedCatalog, EncodedCatalog | None]:
        train, val = self.catalogs.train, self.catalogs.val
        encoded = self._encode_one(train, encoder, "train", max_rejected_rows)
        return encoded, None if val is None else self._encode_one(val, encoder, "val", max_rejected_rows)

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
        catalogs = self._encode(dataclasses.replace(texts, fields=("image",), pictures=frozen), max_rejected_rows=1.0)
        tune_pictures(cut, catalogs, self.catalogs.labels.taxonomy.num_leaves, settings, self.cache_dir)


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
