"""Settings of the commands of `python -m labeling`; tyro builds the command lines from them."""

from dataclasses import dataclass

from model.settings import ImageSettings
from tokenizer.errors import require


@dataclass(frozen=True)
class LinearSettings:
    """Settings of the linear classifiers that learn from a catalog."""

    linear_cost: float = 0.1
    """Cost C of a training row on the wrong side of the margin; less believes single rows less."""
    max_train_rows: int = 300_000
    """Most rows that a model learns from; of more a sample is drawn."""
    image_weights: str = "imagenet"
    """Weights of the backbone that reads pictures: imagenet, a path, or none, which leaves pictures out."""
    max_lost_pictures: float = ImageSettings.max_lost_pictures
    """Share of the pictures that may be unreadable, 0 to 1; their rows count without them."""
    num_processes: int = 0
    """Models that learn at the same time; 0 is one per core."""
    seed: int = 0
    """Seed of all draws."""

    def __post_init__(self) -> None:
        require(self.linear_cost > 0, "linear_cost", "more than 0", self.linear_cost)
        require(self.max_train_rows >= 2, "max_train_rows", "2 or more", self.max_train_rows)
        is_share = 0 <= self.max_lost_pictures <= 1
        require(is_share, "max_lost_pictures", "0 to 1", self.max_lost_pictures)
        require(self.num_processes >= 0, "num_processes", "0 or more", self.num_processes)


@dataclass(frozen=True)
class AnswerSettings(LinearSettings):
    """Settings of the answers to a catalog's rows by models that did not learn from them."""

    num_folds: int = 5
    """Folds; each is answered by a model of the others. Near-duplicates share one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.num_folds >= 2, "num_folds", "2 or more", self.num_folds)


@dataclass(frozen=True)
class ConfusionSettings:
    """Limits from which categories count as not distinguished."""

    least_confusion: float = 0.6
    """Confusion from which categories are proposed for a merge: 0 is always distinguished, 1 is as good as a coin."""
    least_products: int = 20
    """Products of a category from which it is judged; of fewer a model could not have learned it."""

    def __post_init__(self) -> None:
        require(0 < self.least_confusion <= 1, "least_confusion", "more than 0, at most 1", self.least_confusion)
        require(self.least_products >= 2, "least_products", "2 or more", self.least_products)


@dataclass(frozen=True)
class MonthSettings:
    """The windows of months that models learn from, and the months that they are measured on."""

    windows: tuple[int, ...] = (1, 2, 3, 6, 0)
    """Months to learn from, the last ones; 0 is all, which is always measured."""
    half_lives: tuple[float, ...] = (2.0, 6.0)
    """Months after which a product counts half as much, of all months."""
    months_ahead: int = 6
    """Following months that each model is measured on."""
    origins: int = 6
    """Last months that a window ends with, each in turn; 0 is every month that another one follows."""

    def __post_init__(self) -> None:
        require(all(window >= 0 for window in self.windows), "windows", "0 or more each", self.windows)
        require(all(months > 0 for months in self.half_lives), "half_lives", "more than 0 each", self.half_lives)
        require(self.months_ahead >= 1, "months_ahead", "1 or more", self.months_ahead)
        require(self.origins >= 0, "origins", "0 or more", self.origins)


@dataclass(frozen=True)
class OverviewSettings:
    """The review that an overview reckons with."""

    hours: float = 10.0
    """Hours of review."""
    seconds_per_product: float = 20.0
    """Time that a person takes for one product."""
    gain: bool = True
    """Learn the suggestions and measure what they bring; takes as long as the rest."""

    def __post_init__(self) -> None:
        require(self.hours > 0, "hours", "more than 0", self.hours)
        require(self.seconds_per_product > 0, "seconds_per_product", "more than 0", self.seconds_per_product)


@dataclass(frozen=True)
class DistributionSettings:
    """Settings of the spread of products over categories."""

    head_products: int = 100
    """Products above which a category is of the head (many shots, Liu et al. 2019)."""
    tail_products: int = 20
    """Products below which it is of the tail (few shots)."""
    sampling_cap: int = 0
    """Most rows of a category in an epoch of `training train --sampling cap`; 0 is the median of the categories."""
    sampling_temperature: float = 5.0
    """T of n ** (1 / T) of `--sampling temperature`; 1 leaves the catalog as it is, a high one evens categories out."""

    def __post_init__(self) -> None:
        require(self.tail_products >= 1, "tail_products", "1 or more", self.tail_products)
        require(self.head_products >= self.tail_products, "head_products", "tail_products or more", self.head_products)
        require(self.sampling_cap >= 0, "sampling_cap", "0 or more", self.sampling_cap)
        require(self.sampling_temperature >= 1, "sampling_temperature", "1 or more", self.sampling_temperature)


@dataclass(frozen=True)
class CorrelationSettings:
    """Limits from which a correlation counts as spurious."""

    least_products: int = 5
    """Products with a word, in training groups and in held-out ones, from which it is judged; near-duplicates count
    once."""
    false_discovery_rate: float = 0.01
    """Share of the listed correlations that chance may have made (Benjamini and Hochberg 1995)."""
    most_correlations: int = 500
    """Pairs of word and category that are tried on the model, those that could mislead most products."""

    def __post_init__(self) -> None:
        require(self.least_products >= 2, "least_products", "2 or more", self.least_products)
        is_share = 0 < self.false_discovery_rate < 1
        require(is_share, "false_discovery_rate", "between 0 and 1", self.false_discovery_rate)
        require(self.most_correlations >= 1, "most_correlations", "1 or more", self.most_correlations)
