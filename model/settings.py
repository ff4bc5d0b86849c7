"""Every knob of Aisle that shapes a model: one frozen dataclass a group, default, unit and meaning.

The command line is made from these classes (`training/commands/train_command.py`), a TOML file may set the
same names in a table per group (`[tokenizer] min_count = 3`), and a bundle stores them.
"""

import dataclasses
import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typing_extensions import Doc

from model.errors import SettingsError
from model.product import FIELD_SPECS, FIELDS, FieldSpec
from tokenizer.errors import require
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField

Activation = Literal["relu", "gelu", "silu", "selu", "elu", "tanh", "leaky_relu"]


@dataclass(frozen=True)
class ModelSettings:
    """The network."""

    fields: tuple[str, ...] = ()
    """Fields to read; none named: all that the catalog has."""
    hidden_dim: int = 128
    """Convolution filters per width (1, 2, 3, 4)."""
    fcl_dim: int = 256
    """Units of each branch's dense layer and of the joint embedding."""
    cnn_activation: Activation = "relu"
    """Activation after the convolutions."""
    fcl_activation: Activation = "relu"
    """Activation after the dense layers."""
    ngram_dim: int = 128
    """Dimensions of an n-gram's vector."""
    ngram_rows: int = 131_072
    """Most rows of the network's n-gram table, a power of two; of more hash buckets neighbours share one."""
    joint_dropout_rate: float = 0.3
    """Dropout before the joint head, 0 to 1."""
    ngram_dropout_rate: float = 0.3
    """Share of n-grams hidden in training, 0 to 1."""
    modality_dropout_rate: float = 0.2
    """Share of rows whose joint head sees one field only in training, and chance to miss each field elsewhere."""

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "fcl_dim", "ngram_dim"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        is_power = self.ngram_rows > 0 and self.ngram_rows & (self.ngram_rows - 1) == 0
        require(is_power, "ngram_rows", "a power of two", self.ngram_rows)
        for name in (entry.name for entry in dataclasses.fields(self) if entry.name.endswith("_dropout_rate")):
            require(0 <= getattr(self, name) < 1, name, "0 to below 1", getattr(self, name))
        for name in self.fields:
            require(name in FIELDS, "fields", f"some of {', '.join(FIELDS)}{_hint(name, FIELDS)}", name)


def _field_entries(spec: FieldSpec) -> Iterator[tuple[str, type, float, str]]:
    """Settings of one field: name, type, default and meaning."""
    if spec.num_tokens:
        yield f"{spec.name}_length", int, spec.num_tokens, f"Tokens of {spec.words} that the CNN reads."
    if spec.kind == "text":
        yield f"{spec.name}_ngrams", int, spec.num_ngrams, f"Most hashed n-grams kept of {spec.words}, heaviest first."
        meaning = f"Weight of the n-grams of {spec.words} in the linear SVM; without a name each field's is 1."
        yield f"linear_{spec.name}_weight", float, spec.linear_weight, meaning
    if spec.has_head:
        yield f"{spec.name}_dropout_rate", float, spec.dropout_rate, f"Dropout in the branch of {spec.words}, 0 to 1."
        yield f"{spec.name}_loss_weight", float, 0.3, f"Weight of the loss of the head of {spec.words}."


def _check_field_settings(settings: Any) -> None:
    for entry in dataclasses.fields(settings):
        name, value = entry.name, getattr(settings, entry.name)
        if name.endswith(("_length", "_ngrams")):
            require(value >= 1, name, "1 or more", value)
        elif name.endswith("_dropout_rate"):
            require(0 <= value < 1, name, "0 to below 1", value)
        elif name.endswith("_loss_weight"):
            require(value >= 0, name, "0 or more", value)
        else:
            require(value > 0, name, "more than 0", value)


if TYPE_CHECKING:

    @dataclass(frozen=True)
    class FieldSettings:
        """Settings of single fields; see `_field_entries`."""

        def __init__(self, **values: float) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
else:
    FieldSettings = dataclasses.make_dataclass(
        "FieldSettings",
        [
            (name, Annotated[kind, Doc(meaning)], field(default=default))
            for spec in FIELD_SPECS
            for name, kind, default, meaning in _field_entries(spec)
        ],
        namespace={"__post_init__": _check_field_settings, "__doc__": "Single fields."},
        frozen=True,
    )
    FieldSettings.__module__ = __name__


def text_fields(fields: Iterable[str], settings: FieldSettings) -> list[TextField]:
    """Text fields among `fields` as the tokenizer encodes them."""
    return [
        TextField(
            spec.name,
            FIELDS.index(spec.ngrams_as or spec.name),
            getattr(settings, f"{spec.name}_length") if spec.num_tokens else 0,
            getattr(settings, f"{spec.name}_ngrams"),
            spec.max_chars,
            spec.has_characters,
            spec.max_word_order,
        )
        for spec in FIELD_SPECS
        if spec.kind == "text" and spec.name in fields
    ]


@dataclass(frozen=True)
class LinearSettings:
    """The linear head: a support vector machine over the hashed n-grams, fitted beside the network."""

    linear_head: Literal["auto", "on", "off"] = "auto"
    """`auto` leaves it out where rows times categories make it too slow or too large."""
    linear_cost: float | Literal["auto"] = "auto"
    """Cost C of a training row on the wrong side of the margin; less makes weights smaller, and wrong labels matter
    less. `auto` takes 1, or 0.3 or 0.1 where that answers clearly more held-back training rows as they are labelled."""
    linear_parent_weight: float = 0.25
    """Share that the SVMs of a leaf's parents have in its score; 0 asks the leaves' only."""
    linear_single_field_weight: float = 0.3
    """Weight of a row that is repeated with one text field only, so that each is answered alone. Without its name its
    weight is 1, for n-grams have weights of their own there. 0: no row is repeated."""
    linear_rank: int = 512
    """Most dimensions of an n-gram's vector in this head; more categories than that are compressed."""

    def __post_init__(self) -> None:
        if self.linear_cost != "auto":
            require(self.linear_cost > 0, "linear_cost", "more than 0", self.linear_cost)
        for name in ("linear_parent_weight", "linear_single_field_weight"):
            require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        require(self.linear_rank >= 1, "linear_rank", "1 or more", self.linear_rank)


@dataclass(frozen=True)
class NeighborSettings:
    """Nearest training products by text, whose categories count in the joint answer."""

    neighbor_head: Literal["auto", "on", "off"] = "auto"
    """`auto` keeps them where they answer clearly more of the validation catalog right beside a linear SVM."""
    neighbor_count: int = 50
    """Training products that count, the most similar ones."""
    neighbor_max_frequency: int = 300
    """N-grams that more training products have are not compared: they take time and say little."""

    def __post_init__(self) -> None:
        require(self.neighbor_count >= 1, "neighbor_count", "1 or more", self.neighbor_count)
        require(self.neighbor_max_frequency >= 2, "neighbor_max_frequency", "2 or more", self.neighbor_max_frequency)


@dataclass(frozen=True)
class ImageSettings:
    """The picture branch."""

    backbone: str = "MobileNetV2"
    """Any classification backbone of keras.applications, by its class name."""
    image_size: int = 224
    """Height and width of the picture the backbone sees, pixels."""
    image_weights: str = "imagenet"
    """`imagenet` (downloaded by Keras), `none` (random), or a .weights.h5 / .keras file."""
    finetune_layers: int = 0
    """Last backbone layers that learn the categories from the pictures alone, before the rest is trained on their
    features: 0 none, -1 all."""
    finetune_epochs: int = 6
    """Passes over the pictures for that."""
    finetune_learning_rate: float = 1e-3
    """Highest learning rate for that; rises and decays as the network's does."""
    max_image_bytes: int = 20_000_000
    """A larger encoded picture is refused, bytes."""
    max_image_pixels: int = 50_000_000
    """A picture whose header announces more pixels is refused."""
    max_lost_pictures: float = 0.5
    """Share of a catalog's pictures that may be unreadable, 0 to 1; their rows count without them. Where more are,
    paths are wrong, and a command stops."""

    def __post_init__(self) -> None:
        for name in ("image_size", "finetune_epochs", "max_image_bytes", "max_image_pixels"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        require(self.finetune_learning_rate > 0, "finetune_learning_rate", "more than 0", self.finetune_learning_rate)
        require(self.finetune_layers >= -1, "finetune_layers", "-1 or more", self.finetune_layers)
        require(0 <= self.max_lost_pictures <= 1, "max_lost_pictures", "0 to 1", self.max_lost_pictures)


@dataclass(frozen=True)
class TrainingSettings:
    """The optimisation."""

    batch_size: int = 512
    """Rows per step."""
    epochs: int = 10
    """Most passes over the training catalog."""
    optimizer: Literal["Adam", "Adagrad", "Adadelta", "SGD"] = "Adam"
    """Keras optimizer."""
    learning_rate: float = 2e-3
    """Highest learning rate; decays to 0 along a cosine after the warm-up."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises from 0."""
    label_smoothing: float = 0.05
    """Probability mass spread over the other categories, 0 to 1."""
    joint_loss_weight: float = 1.0
    """Weight of the joint head's loss."""
    patience: int = 3
    """Epochs without a better joint validation score before training stops."""
    seed: int = 0
    """Seed of every random choice."""
    precision_policy: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Keras dtype policy."""
    backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"
    """Keras backend that trains; KERAS_BACKEND in the environment wins."""
    calibration: Literal["auto", "held-out", "out-of-fold"] = "auto"
    """Rows that temperatures, weights and thresholds are fitted on: held out of training, or all rows, each answered by
    a model that was trained on the other folds. `auto`: out of fold for one file of few rows."""
    overlap: Literal["refuse", "drop", "keep"] = "refuse"
    """Rows that training and validation file share: end with their number, leave them out of training, or keep them
    because new products will repeat old ones as often."""
    num_folds: int = 5
    """Folds for that, each a training of its own."""
    max_rejected_rows: float = 0.5
    """Share of a catalog's rows that may be rejected, 0 to 1; where more are, training stops before its work."""
    allow_leaks: bool = False
    """Train although a text field holds the label in nearly all rows, because products to come have it, too."""
    precision_target: float = 0.98
    """Precision the contract promises for accepted answers, 0 to 1; --precision for short."""
    precision_confidence: float = 0.95
    """Confidence with which the promise holds, 0 to 1; --confidence for short."""

    def __post_init__(self) -> None:
        require(self.num_folds >= 2, "num_folds", "2 or more", self.num_folds)
        for name in ("batch_size", "epochs", "patience"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        for name in ("warmup_steps", "seed", "joint_loss_weight"):
            require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        require(self.learning_rate > 0, "learning_rate", "more than 0", self.learning_rate)
        require(0 <= self.label_smoothing < 1, "label_smoothing", "0 to below 1", self.label_smoothing)
        require(0 <= self.max_rejected_rows <= 1, "max_rejected_rows", "0 to 1", self.max_rejected_rows)
        for name in ("precision_target", "precision_confidence"):
            require(0 < getattr(self, name) < 1, name, "between 0 and 1", getattr(self, name))


@dataclass(frozen=True)
class NoiseSettings:
    """Training through wrong labels; what the network learns, not the linear SVM."""

    noise: Literal["none", "smoothing", "elr", "selfie", "coteaching"] = "none"
    """Label smoothing (Lukasik et al. 2020), early-learning regularization (Liu et al. 2020), SELFIE (Song, Kim, Lee
    2019) or co-teaching (Han et al. 2018); `none` learns every label as it is given."""
    noise_rate: float = 0.0
    """Share of wrong labels (tau), 0 to below 1, which SELFIE and co-teaching need; 0: not known."""
    noise_smoothing: float = 0.3
    """Label smoothing of `smoothing`, in place of label_smoothing."""
    noise_warmup_epochs: int = 3
    """SELFIE: epochs that learn every label. Co-teaching: epochs over which the share of rows left out rises to tau."""
    elr_weight: float = 3.0
    """Weight of the early-learning term beside the cross-entropy (lambda)."""
    elr_momentum: float = 0.7
    """Share of a row's target that is kept when the network answers the row again (beta), 0 to below 1."""
    elr_classes: int = 8
    """Most probable categories that a row's target keeps."""
    selfie_history: int = 4
    """Last answers to a row that vote on its label (q), one an epoch, 2 bytes each."""
    selfie_agreeing_votes: int = 4
    """Votes for one category that refurbish a row; all of them is the paper's threshold for its 10 classes."""
    selfie_restarts: int = 1
    """Times that training begins anew and keeps the refurbished labels; each takes all epochs again. The paper's: 2."""
    selfie_class_quota: float = 0.5
    """Share of each category's rows that are learned in any case, those of the least loss, so that rare categories are
    not starved; 0 is the paper's rule."""

    def __post_init__(self) -> None:
        for name in ("noise_rate", "noise_smoothing", "elr_momentum"):
            require(0 <= getattr(self, name) < 1, name, "0 to below 1", getattr(self, name))
        for name in ("noise_warmup_epochs", "elr_classes", "selfie_history", "selfie_agreeing_votes"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        for name in ("elr_weight", "selfie_restarts"):
            require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        require(0 <= self.selfie_class_quota <= 1, "selfie_class_quota", "0 to 1", self.selfie_class_quota)
        votes, most = self.selfie_agreeing_votes, self.selfie_history
        require(votes <= most, "selfie_agreeing_votes", f"at most selfie_history, {most}", votes)


SamplingName = Literal["none", "cap", "sqrt", "temperature"]


@dataclass(frozen=True)
class SamplingSettings:
    """Training rows where categories are of unequal size, or products of unequal age."""

    sampling: SamplingName = "none"
    """Rows of a category in an epoch, drawn anew for each: all of them, at most sampling_cap, or a share that grows
    with the square root of its rows (Mahajan et al. 2018) or with another root (Arivazhagan et al. 2019)."""
    sampling_cap: int = 0
    """`cap`: most rows of a category in an epoch; 0 is the median of the categories."""
    sampling_temperature: float = 5.0
    """`temperature`: T of n ** (1 / T), 1 or more; 1 draws rows as the catalog has them, a high one all categories
    alike."""
    balance_by: str = ""
    """Column whose values weigh the same within each category, such as mall, brand or month; a category's share stays
    what `sampling` says."""
    logit_adjustment: float = 0.0
    """Times that the logarithm of a category's share is added to its logits in the loss (tau, Menon et al. 2021); 1
    makes up for unequal shares, 0 adds nothing."""
    prior_correction: Literal["on", "off"] = "on"
    """`on` turns probabilities back to the catalog's own shares after training; with `off` rare categories are answered
    more often than they occur."""
    window_months: int = 0
    """Months of the training catalog that count, its last ones; 0 is all; --window for short."""
    half_life_months: float = 0.0
    """Months after which a row counts half; 0: rows of all months count the same; --half-life for short."""

    def __post_init__(self) -> None:
        for name in ("sampling_cap", "logit_adjustment", "window_months", "half_life_months"):
            require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        require(self.sampling_temperature >= 1, "sampling_temperature", "1 or more", self.sampling_temperature)

    @property
    def is_plain(self) -> bool:
        """True if an epoch learns every training row once, by its plain loss."""
        changes = (self.balance_by, self.logit_adjustment, self.half_life_months)
        return self.sampling == "none" and not any(changes)


@dataclass(frozen=True)
class Settings:
    """All groups; what a bundle stores and a config file may set."""

    fields: FieldSettings = field(default_factory=FieldSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)
    neighbors: NeighborSettings = field(default_factory=NeighborSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)


def settings_to_dict(settings: Settings) -> dict[str, dict[str, Any]]:
    """Nested plain values, ready for JSON or TOML."""
    return dataclasses.asdict(settings)


def settings_from_dict(values: dict[str, Any], source: str) -> Settings:
    """Build Settings from nested plain values; what is not named keeps its default.

    Args:
        values: {group: {name: value}}.
        source: where the values come from, for the error text.
    Raises:
        SettingsError: unknown group or name, or a value of the wrong type.
    """
    groups = {f.name: f.default_factory for f in dataclasses.fields(Settings)}
    built: dict[str, Any] = {}
    for group, entries in values.items():
        if group not in groups:
            raise SettingsError(
                f"{source}: unknown table [{group}]; the tables are {', '.join(groups)}{_hint(group, groups)}"
            )
        if not isinstance(entries, dict):
            raise SettingsError(f"{source}: '{group}' has to be a table of settings, found {entries!r}")
        built[group] = _group_from_dict(typing.cast(type, groups[group]), entries, f"{source}: [{group}]")
    return Settings(**built)


def settings_to_toml(settings: Settings) -> str:
    """A config file that `load_settings` reads back to the same settings."""
    lines = []
    for group, entries in settings_to_dict(settings).items():
        lines += [f"[{group}]", *(f"{name} = {_toml_value(value)}" for name, value in entries.items()), ""]
    return "\n".join(lines)


def load_settings(path: Path) -> Settings:
    """Read a TOML config file.

    Raises:
        SettingsError: the file is missing, no TOML, or names an unknown setting.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"config file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"config file {path} is not TOML: {error}") from error
    return settings_from_dict(values, str(path))


def _group_from_dict(group_class: type, entries: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(group_class)
    for name, value in entries.items():
        if name not in hints:
            raise SettingsError(f"{where}: unknown setting '{name}'{_hint(name, hints)}")
        entries = {**entries, name: _checked(value, hints[name], f"{where} {name}")}
    return group_class(**entries)


def _checked(value: Any, hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise SettingsError(f"{where}: expected one of {', '.join(typing.get_args(hint))}, found {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise SettingsError(f"{where}: expected a list, found {value!r}")
        return tuple(_checked(item, typing.get_args(hint)[0], where) for item in value)
    if origin is typing.Union:  # of a number and a word
        words = next(option for option in typing.get_args(hint) if typing.get_origin(option) is Literal)
        number = next(option for option in typing.get_args(hint) if option is not words)
        return _checked(value, words if isinstance(value, str) else number, where)
    if origin is types.UnionType:
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise SettingsError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value


def _toml_value(value: Any) -> str:
    """JSON writes text, numbers, truth and lists as TOML does."""
    return json.dumps(value, ensure_ascii=False)


def _hint(name: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
