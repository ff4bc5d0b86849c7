"""Rows that an epoch draws, and what that makes of the categories' shares."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.settings import SamplingSettings


@dataclass(frozen=True, eq=False)
class RowDraw:
    """Draws the rows of each epoch anew, and knows the shares before and after it.

    Rows are drawn systematically (Madow and Madow 1944): one that is to come 2.3 times comes 2 or 3 times, and a
    stratum that is to have 40 rows has 40 in every epoch; chance decides which rows those are.

    Args:
        counts: (N,) float64 above 0, how often an epoch draws each row on average; their sum is whole.
        strata: (N,) int, of rows that stand together: the category, and the group inside it.
        true_shares: (K,) float64, of each category among products, above 0.
        drawn_shares: (K,) float64, of each category among drawn rows, above 0.
        logit_adjustment: tau.
    """

    counts: np.ndarray
    strata: np.ndarray
    true_shares: np.ndarray
    drawn_shares: np.ndarray
    logit_adjustment: float

    @cached_property
    def num_rows(self) -> int:
        """Rows that an epoch draws, L."""
        return round(float(self.counts.sum()))

    def rows(self, seed: int, epoch: int) -> np.ndarray:
        """(L,) int64, the rows of one epoch, a repeated one several times; the same for the same seed and epoch."""
        random = np.random.default_rng((seed, epoch, 1))
        order = random.permutation(len(self.counts))
        order = order[np.argsort(self.strata[order], kind="stable")]
        marks = random.random() + np.arange(self.num_rows)
        drawn = np.searchsorted(np.cumsum(self.counts[order]), marks, side="right")
        return np.asarray(order[np.minimum(drawn, len(order) - 1)], np.int64)

    @property
    def changes_answers(self) -> bool:
        """True if a model of these rows answers some categories more often than they occur."""
        return max(float(np.ptp(self.network_offsets)), float(np.ptp(self.linear_offsets))) > 1e-6

    @property
    def loss_offsets(self) -> np.ndarray:
        """(K,) float32 that the loss adds to the logits (Menon et al. 2021): tau log of the drawn share."""
        return np.asarray(self.logit_adjustment * np.log(self.drawn_shares), np.float32)

    @property
    def network_offsets(self) -> np.ndarray:
        """(K,) float32 that turn the network's calibrated logits into those for the true shares.

        The loss makes logits + tau log(drawn) those for the drawn shares, and log(true / drawn) leads on from there
        (Saerens, Latinne and Decaestecker 2002).
        """
        return self.loss_offsets + self.linear_offsets

    @property
    def linear_offsets(self) -> np.ndarray:
        """(K,) float32, the same of a model that learned the drawn rows by a plain loss."""
        return np.asarray(np.log(self.true_shares) - np.log(self.drawn_shares), np.float32)


def draw_by_category(
    labels: np.ndarray,
    num_classes: int,
    settings: SamplingSettings,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> RowDraw:
    """The draw that the settings ask for.

    An epoch has as many rows as the catalog; with a cap only those below it.

    Args:
        labels: (N,) int, the category of each row.
        num_classes: K; a category without rows is taken for as rare as the rarest.
        weights: (N,) above 0, what a row counts by its age; None for 1 each.
        groups: (N,) int, the group of each row, which weighs the same as the others of its category; None for none.
    """
    weights = np.ones(len(labels)) if weights is None else weights * (len(labels) / weights.sum())
    masses = np.bincount(labels, weights, num_classes)
    wanted = rows_of_categories(masses, settings)
    num_groups = len(labels) if groups is None else int(groups.max()) + 1
    keys = labels.astype(np.int64) * num_groups + (0 if groups is None else groups)
    found, strata = np.unique(keys, return_inverse=True)
    groups_of_class = np.bincount(found // num_groups, minlength=num_classes)
    within = weights / np.bincount(strata, weights)[strata] / groups_of_class[labels]
    counts = within * wanted[labels]
    num_rows = max(int(counts.sum() + 1e-6), 1)  # rounded down, so that a cap holds
    counts *= num_rows / counts.sum()
    return RowDraw(counts, strata, _shares(masses), _shares(wanted), settings.logit_adjustment)


def rows_of_categories(masses: np.ndarray, settings: SamplingSettings) -> np.ndarray:
    """(K,) float64 rows of each category in an epoch.

    cap: at most so many; sqrt: shares that grow with the square root (Mahajan et al. 2018); temperature: with another
    root (Arivazhagan et al. 2019). The last two keep the epoch's size.

    Args:
        masses: (K,) rows that each has, weighted by age, some above 0.
    """
    if settings.sampling == "cap":
        cap = settings.sampling_cap or default_cap(masses)
        return np.minimum(masses, float(cap))
    roots = {"none": 1.0, "sqrt": 2.0, "temperature": settings.sampling_temperature}
    shares = masses ** (1 / roots[settings.sampling])
    return np.asarray(shares * (masses.sum() / shares.sum()))


def default_cap(masses: np.ndarray) -> int:
    """The median of the categories that have rows."""
    return max(int(np.median(masses[masses > 0])), 1)


def _shares(masses: np.ndarray) -> np.ndarray:
    """(K,) shares above 0, which sum to 1."""
    floored = np.maximum(masses, masses[masses > 0].min())
    return np.asarray(floored / floored.sum())
