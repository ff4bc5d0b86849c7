"""Settings of the retrieval commands; tyro builds the command lines from them."""

from dataclasses import dataclass
from typing import Literal

from tokenizer.errors import require


@dataclass(frozen=True)
class IndexSettings:
    """Settings of an index; stored with it."""

    recall: float = 0.95
    """Share of the ten nearest products that an approximate search shall find, 0 to 1; the search looks as far as it
    has to for that, as measured on products of the index."""
    max_neighbors: int = 16
    """Links of a product in the graph on each level; more find more, and cost memory and time to build."""
    build_candidates: int = 128
    """Candidates for those links when a product is inserted."""
    max_search_candidates: int = 1024
    """Most candidates that a search keeps on its way, where recall would want more."""

    power_safe: bool = False
    """Let every change wait until the disk has it, some 5 to 20 ms, so that a power cut loses none; a killed process
    loses none either way."""

    def __post_init__(self) -> None:
        require(0 < self.recall <= 1, "recall", "above 0 up to 1", self.recall)
        require(self.max_neighbors >= 4, "max_neighbors", "4 or more", self.max_neighbors)
        require(self.build_candidates >= 16, "build_candidates", "16 or more", self.build_candidates)
        require(self.max_search_candidates >= 16, "max_search_candidates", "16 or more", self.max_search_candidates)


@dataclass(frozen=True)
class MetricSettings:
    """Settings of metric learning."""

    loss: Literal["contrastive", "triplet", "arcface"] = "contrastive"
    """contrastive: supervised contrastive (Khosla et al. 2020). triplet: hinge over triplets (Wang et al. 2014).
    arcface: additive angular margin to a learned vector of each product (Deng et al. 2019)."""
    dim: int = 256
    """Numbers in a vector."""
    steps: int = 800
    """Steps of the optimizer."""
    batch_products: int = 40
    """Products in a batch."""
    batch_entries: int = 6
    """Entries of each product in a batch: pictures and texts of it."""
    near_share: float = 0.25
    """Share of a batch's products that are chosen because they look most like the others, by vectors of the epoch
    before; the rest is drawn from all."""
    learning_rate: float = 3e-3
    """Highest learning rate; decays to 0 along a cosine."""
    weight_decay: float = 1e-4
    """Of the weights, a step."""
    dropout_rate: float = 0.4
    """Features hidden in a step, 0 to 1."""
    temperature: float = 0.07
    """contrastive: of the softmax over similarities."""
    margin: float = 0.2
    """triplet: by which a product's own entries shall be nearer than others; arcface: the angle, radians."""
    arcface_scale: float = 32.0
    """arcface: by which cosines are multiplied."""
    finetune_layers: int = 0
    """Last layers of the first image encoder that learn from the pictures before the projection does: 0 none, -1
    all."""
    finetune_steps: int = 400
    """Steps of the optimizer for that."""
    finetune_learning_rate: float = 3e-4
    """Highest learning rate for that."""
    text_weight: float = 0.5
    """Weight of the texts in the joint vector, 0 to 1."""
    seed: int = 0
    """Seed of every random choice."""

    def __post_init__(self) -> None:
        for name in ("dim", "steps", "finetune_steps", "batch_products", "batch_entries"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        require(self.batch_products >= 2, "batch_products", "2 or more", self.batch_products)
        require(self.batch_entries >= 2, "batch_entries", "2 or more", self.batch_entries)
        for name in ("near_share", "text_weight"):
            require(0 <= getattr(self, name) <= 1, name, "0 to 1", getattr(self, name))
        require(0 <= self.dropout_rate < 1, "dropout_rate", "0 to below 1", self.dropout_rate)
        require(self.finetune_layers >= -1, "finetune_layers", "-1 or more", self.finetune_layers)
        for name in ("learning_rate", "finetune_learning_rate", "temperature", "margin", "arcface_scale"):
            require(getattr(self, name) > 0, name, "more than 0", getattr(self, name))
        require(self.weight_decay >= 0, "weight_decay", "0 or more", self.weight_decay)


@dataclass(frozen=True)
class MatcherSettings:
    """Settings of a matcher."""

    precision: float = 0.98
    """Share of the pairs called the same under the promise that are, 0 to 1."""
    confidence: float = 0.95
    """How sure it is that the promise holds, 0 to 1."""
    num_folds: int = 5
    """Parts of the pairs; each is measured by what was learned from the others."""
    num_models: int = 3
    """Models of trees, of different seeds, whose probabilities are averaged."""
    num_trees: int = 400
    """Trees of each."""
    num_leaves: int = 12
    """Most leaves of a tree."""
    learning_rate: float = 0.03
    """What a tree counts."""
    least_pairs_of_leaf: int = 15
    """Pairs that a leaf has at least."""
    leaf_penalty: float = 3.0
    """L2 penalty on the value of a leaf."""
    feature_share: float = 0.25
    """Features that a split chooses among, 0 to 1."""
    word_strength: float = 0.3
    """Inverse of the penalty on what single words say; more lets rare words say more."""
    seed: int = 0
    """Seed of folds and trees."""

    def __post_init__(self) -> None:
        for name in ("precision", "confidence"):
            require(0 < getattr(self, name) < 1, name, "above 0 and below 1", getattr(self, name))
        for name in ("learning_rate", "feature_share"):
            require(0 < getattr(self, name) <= 1, name, "above 0 up to 1", getattr(self, name))
        for name in ("num_folds", "num_leaves"):
            require(getattr(self, name) >= 2, name, "2 or more", getattr(self, name))
        for name in ("num_models", "num_trees", "least_pairs_of_leaf"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        for name in ("leaf_penalty", "word_strength"):
            require(getattr(self, name) > 0, name, "above 0", getattr(self, name))


@dataclass(frozen=True)
class PairSettings:
    """Settings of the filter that makes training pairs from galleries."""

    hash_distance: int = 6
    """Most bits, of 64, in which the perceptual hashes of near-duplicates differ."""
    vector_similarity: float = 0.95
    """Least cosine of the image encoder's features of near-duplicates, -1 to 1."""
    max_items: int = 3
    """Most items that have the same picture; one that more have, such as a size chart, makes no pair."""
    max_item_pairs: int = 500
    """Most candidate pairs of an item, drawn by chance where its pictures make more."""
    seed: int = 0
    """Seed of the drawing."""

    def __post_init__(self) -> None:
        require(0 <= self.hash_distance <= 64, "hash_distance", "0 to 64", self.hash_distance)
        require(-1 <= self.vector_similarity <= 1, "vector_similarity", "-1 to 1", self.vector_similarity)
        for name in ("max_items", "max_item_pairs"):
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
