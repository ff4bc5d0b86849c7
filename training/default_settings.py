"""Settings for a catalog that comes without a config file: by how many rows it has, and whether they show pictures."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from catalog.statistics import CatalogStatistics
from model.settings import ImageSettings, Settings, settings_from_dict, settings_to_dict

#: Rows from which on the defaults of `Settings` fit: steps are many and classes well filled by then.
MANY_ROWS = 50_000
_VERY_MANY_ROWS = 100_000
_BATCH_SIZE = 64
_MOST_EPOCHS = 60

# Chosen on held-back rows of the training files of mwpd2020 and fashion224, see benchmarks/RESULTS.md.
_FEW_ROWS: dict[str, dict[str, Any]] = {
    "tokenizer": {"ngram_min_count": 1, "character_orders": (1, 2, 3, 4)},
    "training": {"batch_size": _BATCH_SIZE, "learning_rate": 3e-3},
}
# Below this, n-grams are so few that more buckets gave nothing; with 20,000 rows they gave nearly a point.
_ROWS_FOR_MANY_BUCKETS, _FEW_BUCKETS = 15_000, 65_536
# Below this, most words of a product to come have hardly been seen; with more, the machines over them take long to fit.
_ROWS_WITHOUT_PRETRAINED_WORDS = 20_000
# So few that a class has a handful of rows: parents and lone fields in the linear head then cost more than they give.
_VERY_FEW_ROWS = 5_000
_LINEAR_OF_VERY_FEW = {"linear_parent_weight": 0.0, "linear_single_field_weight": 0.1}
_FEW_TEXTS: dict[str, dict[str, Any]] = {
    "fields": {"name_ngrams": 256},
    "model": {"ngram_dropout_rate": 0.0, "modality_dropout_rate": 0.05},
}
# Much dropout on the name, whose words often give the answer away, so that the joint head learns to look, too.
_FEW_PICTURES: dict[str, dict[str, Any]] = {
    "fields": {"name_dropout_rate": 0.6, "image_dropout_rate": 0.4, "image_loss_weight": 2.0},
    "model": {
        "hidden_dim": 64, "fcl_dim": 512, "ngram_dropout_rate": 0.5, "joint_dropout_rate": 0.5,
        "modality_dropout_rate": 0.4,
    },
}  # fmt: skip
# Where the activations are small, so that what is trained costs little; other backbones stay frozen unless asked for.
_FINETUNE_LAYERS = {"MobileNetV2": 65}
_FINETUNE_STEPS, _FINETUNE_BATCH_SIZE = 700, 64
_LEAST_FINETUNE_EPOCHS, _MOST_FINETUNE_EPOCHS = 3, 20
# Very few texts are learned in few steps: 20 epochs of 1,000 rows were as good as 60 on mwpd2020 and fashion224, and
# half a point short on naver2019; so half as many again, see benchmarks/RESULTS.md.
_LEAST_STEPS = {"texts": 1_500, "pictures": 1_000, "very few texts": 480}
_LEAST_EPOCHS = {"texts": 12, "pictures": 10, "very few texts": 20}


@dataclass(frozen=True)
class CatalogSize:
    """Size of a catalog, by which defaults are chosen.

    Args:
        num_rows: good rows.
        has_pictures: whether at least half of them show one.
    """

    num_rows: int
    has_pictures: bool


def catalog_size(statistics: CatalogStatistics) -> CatalogSize:
    """Return the size of a catalog."""
    num_rows = statistics.num_rows
    return CatalogSize(num_rows, num_rows > 0 and 2 * statistics.field_counts["image"] >= num_rows)


def default_settings(size: CatalogSize, backbone: str = ImageSettings().backbone) -> Settings:
    """Few rows get many small steps, finer n-grams and a dropout that suits them; pictures a fine-tuned backbone.

    Args:
        backbone: the one that the settings will have.
    """
    values = settings_to_dict(Settings())
    if size.num_rows >= MANY_ROWS:
        if size.num_rows >= _VERY_MANY_ROWS:
            values["training"]["epochs"] = 6
        return settings_from_dict(values, "defaults")
    kind, special = ("pictures", _FEW_PICTURES) if size.has_pictures else ("texts", _FEW_TEXTS)
    for chosen in (_FEW_ROWS, special):
        for group, entries in chosen.items():
            values[group] |= entries
    if size.num_rows < _ROWS_FOR_MANY_BUCKETS:
        values["tokenizer"]["hash_buckets"] = _FEW_BUCKETS
    if size.num_rows < _ROWS_WITHOUT_PRETRAINED_WORDS and not size.has_pictures:
        values["tokenizer"]["pretrained_words"] = "on"
    if size.num_rows < _VERY_FEW_ROWS:
        values["linear"] |= _LINEAR_OF_VERY_FEW
        kind = kind if size.has_pictures else "very few texts"
    steps_an_epoch = max(size.num_rows, 1) / _BATCH_SIZE
    epochs = min(_MOST_EPOCHS, max(_LEAST_EPOCHS[kind], math.ceil(_LEAST_STEPS[kind] / steps_an_epoch)))
    values["training"] |= {"epochs": epochs, "patience": epochs}  # the learning rate has to reach its end
    if size.has_pictures and backbone in _FINETUNE_LAYERS:
        passes = math.ceil(_FINETUNE_STEPS / math.ceil(max(size.num_rows, 1) / _FINETUNE_BATCH_SIZE))
        values["image"] |= {
            "finetune_layers": _FINETUNE_LAYERS[backbone],
            "finetune_epochs": min(_MOST_FINETUNE_EPOCHS, max(_LEAST_FINETUNE_EPOCHS, passes)),
        }
    return settings_from_dict(values, "defaults")


def describe(size: CatalogSize, settings: Settings) -> str:
    """The choice as a sentence for people."""
    usual = Settings()
    changes = [
        f"{entry.name} {value}"
        for group in dataclasses.fields(Settings)
        for entry in dataclasses.fields(getattr(settings, group.name))
        if (value := getattr(getattr(settings, group.name), entry.name))
        != getattr(getattr(usual, group.name), entry.name)
    ]
    what = f"{size.num_rows:,} rows {'with' if size.has_pictures else 'without'} pictures"
    return f"defaults for {what}: {', '.join(changes) or 'the usual ones'}; flags win, --config replaces them"
