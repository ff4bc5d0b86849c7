"""When a trial is not worth going on with."""

from training.tune.median_rule import falls_behind

OTHERS = [[0.1, 0.5], [0.2, 0.6], [0.3, 0.7], [0.4, 0.8, 0.9]]


def test_the_median_of_the_best_so_far_by_eye() -> None:
    """After two epochs the others have 0.5 0.6 0.7 0.8, median 0.65."""
    assert falls_behind([0.0, 0.64], OTHERS)
    assert not falls_behind([0.0, 0.65], OTHERS)
    assert not falls_behind([0.66, 0.1], OTHERS)  # its best counts


def test_too_early_or_too_few_to_tell() -> None:
    assert not falls_behind([0.0], OTHERS)
    assert not falls_behind([0.0, 0.0], OTHERS[:3])
    assert not falls_behind([0.0, 0.0, 0.0], OTHERS)  # only one of them came so far
