"""Settings of the commands of `python -m labeling`; tyro builds the command lines from them."""

from dataclasses import dataclass

from tokenizer.errors import require


@dataclass(frozen=True)
class AnswerSettings:
    """Settings of the answers to a catalog's rows by models that did not learn from them."""

    num_folds: int = 5
    """Folds; each is answered by a model of the others. Near-duplicates share one."""
    linear_cost: float = 0.1
    """Cost C of a training row on the wrong side of the margin; less believes single rows less."""
    max_train_rows: int = 300_000
    """Most rows that a model learns from; of more a sample is drawn."""
    image_weights: str = "imagenet"
    """Weights of the backbone that reads pictures: imagenet, a path, or none, which leaves pictures out."""
    num_processes: int = 0
    """Folds that are answered at the same time; 0 is one per core."""
    seed: int = 0
    """Seed of the folds and of all draws."""

    def __post_init__(self) -> None:
        require(self.num_folds >= 2, "num_folds", "2 or more", self.num_folds)
        require(self.linear_cost > 0, "linear_cost", "more than 0", self.linear_cost)
        require(self.max_train_rows >= 2, "max_train_rows", "2 or more", self.max_train_rows)
        require(self.num_processes >= 0, "num_processes", "0 or more", self.num_processes)


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
