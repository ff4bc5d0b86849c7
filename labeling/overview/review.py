"""A review of the most suspicious products first: how many wrong labels it is expected to find in some hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.issues.label_issues import LabelIssues
from labeling.overview.noise_model import NoiseModel
from labeling.settings import OverviewSettings

_SECONDS_PER_HOUR = 3600
_NUM_RESAMPLES = 40
#: Rows that resamples are drawn from; more would not narrow what the model itself leaves open.
_SAMPLED_ROWS = 20_000
_INTERVAL = (0.025, 0.975)
_MOST = 0.95


@dataclass(frozen=True)
class Expected:
    """An expected number with its 95 % interval."""

    value: float
    low: float
    high: float

    def of(self, total: int) -> Expected:
        """The share of so many."""
        return Expected(*(number / max(total, 1) for number in (self.value, self.low, self.high)))


@dataclass(frozen=True, eq=False)
class Review:
    """The products in the order of the list, and what is expected of reviewing the first ones.

    Args:
        wrong: (N,) float64, the probability that each row's label is wrong.
        num_reviewed: products that there is time for.
        expected_wrong: of all.
        expected_found: of those reviewed.
    """

    issues: LabelIssues
    settings: OverviewSettings
    wrong: np.ndarray
    num_reviewed: int
    expected_wrong: Expected
    expected_found: Expected

    @classmethod
    def of(cls, issues: LabelIssues, settings: OverviewSettings, seed: int) -> Review:
        """Fit a noise model, and again to resamples of groups of near-duplicates (bootstrap, Efron 1979).

        Args:
            seed: of the resamples.
        """
        answers, classes = issues.answers, issues.catalog.classes.astype(np.int64)
        taxonomy = issues.catalog.labels.taxonomy
        model = NoiseModel.fit(answers, classes, taxonomy)
        wrong = model.wrong(answers, classes, taxonomy)
        num_judged = int((~np.isnan(answers.given)).sum())
        num_reviewed = min(int(settings.hours * _SECONDS_PER_HOUR / settings.seconds_per_product), num_judged)
        rows = issues.order[:num_reviewed]
        shares = _resampled(model, issues, rows, seed)
        total, found = float(wrong.sum()), float(wrong[rows].sum())
        return cls(
            issues, settings, wrong, num_reviewed,
            _interval(total, shares[:, 0] * num_judged), _interval(found, shares[:, 1] * num_reviewed),
        )  # fmt: skip

    @property
    def reviewed(self) -> np.ndarray:
        """The rows that there is time for, the most suspicious first."""
        return self.issues.order[: self.num_reviewed]

    @property
    def likely_wrong(self) -> np.ndarray:
        """Of these the rows whose label is rather wrong than right."""
        return self.reviewed[self.wrong[self.reviewed] > 1 / 2]

    def found_after(self, num_products: np.ndarray) -> np.ndarray:
        """Expected wrong labels among the first so many products."""
        return np.asarray(np.concatenate([[0.0], np.cumsum(self.wrong[self.issues.order])])[num_products])

    @property
    def hours_of_most(self) -> float:
        """The time after which 19 of 20 wrong labels are found that all the hours are expected to find."""
        found = np.cumsum(self.wrong[self.reviewed])
        enough = np.searchsorted(found, _MOST * self.expected_found.value) + 1
        return float(self.hours_of(np.minimum(enough, self.num_reviewed)))

    def hours_of(self, num_products: np.ndarray) -> np.ndarray:
        """The time that they take."""
        return num_products * self.settings.seconds_per_product / _SECONDS_PER_HOUR


def _resampled(model: NoiseModel, issues: LabelIssues, reviewed: np.ndarray, seed: int) -> np.ndarray:
    """(R, 2) by resample the share of wrong labels among the judged rows, and among those reviewed."""
    draw = np.random.default_rng(seed)
    judged = np.flatnonzero(~np.isnan(issues.answers.given))
    sample = np.sort(draw.permutation(judged)[:_SAMPLED_ROWS])
    is_reviewed = np.isin(sample, reviewed)
    groups, positions = np.unique(issues.catalog.groups[sample], return_inverse=True)
    chances = np.full(len(groups), 1 / len(groups))
    weights = [draw.multinomial(len(groups), chances)[positions].astype(np.float64) for _ in range(_NUM_RESAMPLES)]
    classes = issues.catalog.classes[sample].astype(np.int64)
    refitted = model.resampled(issues.answers.take(sample), classes, issues.catalog.labels.taxonomy, weights)
    found = [
        [_share(wrong, one), _share(wrong[is_reviewed], one[is_reviewed])]
        for wrong, one in zip(refitted, weights, strict=True)
    ]
    return np.array(found)


def _share(wrong: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float(weights @ wrong) / total if total else 0.0


def _interval(value: float, resampled: np.ndarray) -> Expected:
    low, high = np.quantile(resampled, _INTERVAL)
    return Expected(value, min(float(low), value), max(float(high), value))
