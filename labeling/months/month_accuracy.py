"""The accuracy of each model in each following month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labeling.months.dated_catalog import DatedCatalog
from labeling.months.month_fits import MonthFit
from labeling.months.window import Window
from labeling.standard_error import standard_error


@dataclass(frozen=True)
class MonthAccuracy:
    """One model in one month.

    Args:
        origin: the last month that it learned from.
        trained_products: that it learned from.
        months_ahead: from the origin to the tested month.
        standard_error: of the accuracy, near-duplicates together.
        known_products: whose category is among the rows that it learned from.
        new_products: that are no near-duplicate of a row that it learned from.
        accuracy_known, accuracy_new: of these; NaN without any.
    """

    origin: int
    window: Window
    trained_products: int
    month: int
    months_ahead: int
    products: int
    accuracy: float
    standard_error: float
    known_products: int
    accuracy_known: float
    new_products: int
    accuracy_new: float
    standard_error_new: float

    @property
    def listed_again(self) -> float:
        """The share of near-duplicates of rows that it learned from."""
        return 1 - self.new_products / self.products


def month_accuracies(dated: DatedCatalog, fits: Sequence[MonthFit]) -> Iterator[MonthAccuracy]:
    """Measure all models, in their order, month by month."""
    classes, groups = dated.catalog.classes, dated.catalog.groups
    for fit in fits:
        is_right = fit.answers == classes[fit.tested]
        is_known = np.isin(classes[fit.tested], classes[fit.trained])
        is_new = ~np.isin(groups[fit.tested], groups[fit.trained])
        months = dated.months[fit.tested]
        for month in np.unique(months).tolist():
            own = months == month
            new = own & is_new
            yield MonthAccuracy(
                fit.origin,
                fit.window,
                len(fit.trained),
                month,
                month - fit.origin,
                int(own.sum()),
                float(is_right[own].mean()),
                standard_error(is_right[own], groups[fit.tested[own]]),
                int((own & is_known).sum()),
                _mean(is_right[own & is_known]),
                int(new.sum()),
                _mean(is_right[new]),
                standard_error(is_right[new], groups[fit.tested[new]]) if new.any() else float("nan"),
            )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
