"""The window that answers the next month best, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from labeling.months.dated_catalog import DatedCatalog
from labeling.months.month_fits import MonthFit
from labeling.months.window import ALL_MONTHS, Window
from labeling.standard_error import standard_error

#: Probability that a window is called better although all are equally good.
_FALSE_ALARM = 0.05


@dataclass(frozen=True)
class WindowScore:
    """One window in the months right after its origins, all together.

    Args:
        accuracy, standard_error: of all products of these months.
        accuracy_new: of those that are no near-duplicates of rows that any window learned from; NaN without any.
        gain: in accuracy over a model of all months, of the same products.
        gain_error: its standard error, paired by product, near-duplicates together.
    """

    window: Window
    accuracy: float
    standard_error: float
    accuracy_new: float
    gain: float
    gain_error: float

    def p_value(self, num_compared: int) -> float:
        """The probability of a gain or loss as large by chance in one of several windows (Bonferroni)."""
        if not self.gain_error:
            return 1.0 if not self.gain else 0.0
        return float(min(1.0, num_compared * 2 * norm.sf(abs(self.gain) / self.gain_error)))


@dataclass(frozen=True, eq=False)
class NextMonth:
    """The comparison of all windows.

    Args:
        scores: a window each, in the order of the windows.
        products: that were answered by each.
        new_products: that are no near-duplicates of a row up to their origin.
        num_origins: months after which the next one was answered.
    """

    scores: list[WindowScore]
    products: int
    new_products: int
    num_origins: int

    @property
    def best(self) -> WindowScore:
        """The most accurate window; of equals all months."""
        return max(self.scores, key=lambda score: (score.accuracy, score.window == ALL_MONTHS))

    @property
    def all_months(self) -> WindowScore:
        """The window that training takes where nothing is said."""
        return next(score for score in self.scores if score.window == ALL_MONTHS)

    @property
    def p_value(self) -> float:
        """Of the best window against all months."""
        return self.best.p_value(len(self.scores) - 1)

    @property
    def is_sure(self) -> bool:
        """True if the best window is better than all months beyond chance."""
        return self.best.window != ALL_MONTHS and self.p_value < _FALSE_ALARM

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the best window's gain, as one of several."""
        half = float(norm.isf(_FALSE_ALARM / 2 / max(1, len(self.scores) - 1))) * self.best.gain_error
        return self.best.gain - half, self.best.gain + half


def compare_windows(dated: DatedCatalog, fits: Sequence[MonthFit]) -> NextMonth:
    """Compare the models of all windows that are not thinned on the month after each origin.

    Args:
        fits: of the same origins for each window, all months among them.
    """
    by_window: dict[Window, list[MonthFit]] = {}
    for fit in fits:
        if not fit.window.is_thinned:
            by_window.setdefault(fit.window, []).append(fit)
    reference = by_window[ALL_MONTHS]
    firsts = [dated.months[fit.tested] == dated.months[fit.tested].min() for fit in reference]
    rows = np.concatenate([fit.tested[first] for fit, first in zip(reference, firsts, strict=True)])
    classes, groups = dated.catalog.classes[rows], dated.catalog.groups
    is_new = np.concatenate(
        [
            ~np.isin(groups[fit.tested[first]], groups[(dated.months >= 0) & (dated.months <= fit.origin)])
            for fit, first in zip(reference, firsts, strict=True)
        ]
    )
    is_right = {
        window: np.concatenate([fit.answers[first] for fit, first in zip(own, firsts, strict=True)]) == classes
        for window, own in by_window.items()
    }
    scores = []
    for window, right in is_right.items():
        gains = right.astype(np.float64) - is_right[ALL_MONTHS]
        scores.append(
            WindowScore(
                window,
                float(right.mean()),
                standard_error(right, groups[rows]),
                float(right[is_new].mean()) if is_new.any() else float("nan"),
                float(gains.mean()),
                standard_error(gains, groups[rows]),
            )
        )
    return NextMonth(scores, len(rows), int(is_new.sum()), len(reference))
