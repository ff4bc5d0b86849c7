"""A correlation that fails in some groups, with its cost and examples."""

from __future__ import annotations

from dataclasses import dataclass

from labeling.correlations.features import Feature


@dataclass(frozen=True)
class Example:
    """A product that a feature misleads.

    Args:
        row: of the catalog.
        answered: class that it was answered with, its group held out.
        without: class that it is answered with without the feature.
    """

    row: int
    answered: int
    without: int


@dataclass(frozen=True)
class Correlation:
    """A feature that predicts a category in training groups, and not in some held-out groups, where it fails.

    Args:
        train_share: of training products with the feature, those in the category; of the groups where it fails.
        held_share: the same of the held-out products there.
        held_products: held-out products with the feature there.
        reliance: mean fall of the category's probability when the feature is taken out of held-out products that were
            answered with the category.
        misled: held-out products that are answered with the category wrongly, and otherwise without the feature.
        made_wrong: those of them that are answered rightly without the feature.
        made_right: held-out products that are answered with the category rightly, and wrongly without the feature.
        is_estimated: whether the last three are of a sample.
        holds_in, fails_in: groups with the feature, by the nearer of the two shares, those with most products first.
        examples: products that it makes wrong, then those that it misleads.
    """

    feature: Feature
    category: str
    train_share: float
    held_share: float
    held_products: int
    reliance: float
    misled: int
    made_wrong: int
    made_right: int
    is_estimated: bool
    holds_in: list[str]
    fails_in: list[str]
    examples: list[Example]

    @property
    def cost(self) -> int:
        """Products that it makes wrong, less those that it makes right."""
        return self.made_wrong - self.made_right
