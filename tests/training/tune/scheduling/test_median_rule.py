"""The median stopping rule."""

from training.tune.scheduling.median_rule import is_below_median

OTHERS = [[0.1, 0.5], [0.2, 0.6], [0.3, 0.7], [0.4, 0.8, 0.9]]


def test_the_median_of_the_best_so_far_by_eye() -> None:
    """Check a trial when the others have 0.5 0.6 0.7 0.8 after two epochs, median 0.65."""
    assert is_below_median([0.0, 0.64], OTHERS)
    assert not is_below_median([0.0, 0.65], OTHERS)
    assert not is_below_median([0.66, 0.1], OTHERS)  # the best epoch counts


def test_too_few_epochs_or_trials() -> None:
    assert not is_below_median([0.0], OTHERS)
    assert not is_below_median([0.0, 0.0], OTHERS[:3])
    assert not is_below_median([0.0, 0.0, 0.0], OTHERS)  # only one of them has as many epochs
