"""Rows that training and validation file share: with them the precision contract would promise too much."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from model.errors import CatalogError
from training.splitting.catalog_groups import CatalogRows

#: Most validation rows that may equal a training row, and that may be near-duplicates of one, as shares. Shops repeat
#: themselves, and products to come will, too: of mwpd2020's official validation rows 2.4 % equal a training row and 9 %
#: are near-duplicates of one; of fashion224's, whose names follow patterns, 38 %.
_MAX_EQUAL_SHARE, _MAX_NEAR_SHARE = 0.05, 0.5
#: Nor may they be more than the training rows repeat each other, half as much again, but for chance, which exceeds this
#: once in a thousand files.
_SLACK, _CONFIDENCE = 1.5, 0.999


@dataclass(frozen=True, eq=False)
class Overlap:
    """Validation rows that the training file has, too.

    Args:
        num_val: validation rows.
        num_ids, num_equal, num_near: with the product_id of a training row; equal to one in all texts and the picture;
            near-duplicates of one, equal ones included.
        max_equal, max_near: most that a shop that repeats itself like the training file would have.
        is_shared: (number of training rows,) bool, rows that a validation row shares in one of these ways.
    """

    num_val: int
    num_ids: int
    num_equal: int
    num_near: int
    max_equal: int
    max_near: int
    is_shared: np.ndarray

    @property
    def is_too_large(self) -> bool:
        """True if the validation rows would not show how the model answers products to come."""
        return self.num_ids > 0 or self.num_equal > self.max_equal or self.num_near > self.max_near

    def sentence(self) -> str:
        """The counts."""
        return (
            f"{self.num_ids} of {self.num_val} validation rows have the product_id of a training row,"
            f" {self.num_equal} equal one in texts and picture, {self.num_near} are near-duplicates of one"
        )


def find_overlap(train: CatalogRows, val: CatalogRows, groups: np.ndarray) -> Overlap:
    """Compare a training with a validation file.

    Args:
        groups: of near-duplicates, of the training rows, then of the validation rows.
    """
    train_groups, val_groups = groups[: len(train)], groups[len(train) :]
    ids = set(train.product_ids) & set(val.product_ids)
    is_equal = np.isin(val.contents, train.contents[train.contents != 0])
    is_near = np.isin(val_groups, train_groups)
    shared_contents = np.isin(train.contents, val.contents[is_equal])
    shared_ids = np.array([product_id in ids for product_id in train.product_ids], bool)
    return Overlap(
        len(val),
        sum(product_id in ids for product_id in val.product_ids),
        int(is_equal.sum()),
        int(is_near.sum()),
        _most(train.contents[train.contents != 0], len(val), _MAX_EQUAL_SHARE),
        _most(train_groups, len(val), _MAX_NEAR_SHARE),
        shared_ids | shared_contents | np.isin(train_groups, val_groups),
    )


def refuse_overlap(overlap: Overlap, train_name: str, val_name: str) -> None:
    """Raise CatalogError when the files share too much."""
    if overlap.is_too_large:
        raise CatalogError(
            f"{val_name}: expected products that {train_name} does not have, found that {overlap.sentence()}; the"
            " promised precision would be measured on what the model learned by heart. Give other rows, or one file"
            " with --catalog, which is split without overlap, or --overlap drop, which leaves them out of training"
        )


def _most(keys: np.ndarray, num_val: int, max_share: float) -> int:
    """Rows of `num_val` that repeat a training row where they repeat them as the training rows each other."""
    if not len(keys):
        return 0
    _, positions, counts = np.unique(keys, return_inverse=True, return_counts=True)
    share = min(_SLACK * float((counts[positions] > 1).mean()), 1.0)
    return int(min(binom.ppf(_CONFIDENCE, num_val, share) if share else 0, max_share * num_val))
