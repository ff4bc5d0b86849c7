"""Accuracy by group, and the worst one, which is never named by chance."""

import numpy as np
import pytest

from training.metrics.contract import share_interval
from training.metrics.groups import Grouping, group_metrics


def rows_of(*groups: tuple[str, int, int]) -> tuple[Grouping, np.ndarray]:
    """Rows of groups given by name, products, and how many of them are right."""
    values = [name for name, count, _ in groups for _ in range(count)]
    return Grouping.of_values(values), np.concatenate([np.arange(count) < right for _, count, right in groups])


def test_groups_by_eye() -> None:
    malls, is_right = rows_of(("A", 50, 50), ("B", 100, 60), ("C", 3, 0), ("", 7, 0))
    found = group_metrics({"mall": malls}, is_right)
    (mall,) = found["groups"]
    assert (mall["grouping"], mall["num_groups"], mall["num_judged"]) == ("mall", 3, 2)
    assert [entry["group"] for entry in mall["worst"]] == ["B", "A"]
    assert found["worst_group"] == {
        "grouping": "mall",
        "group": "B",
        "count": 100,
        "accuracy": 0.6,
        "interval": list(share_interval(60, 100, 0.975)),
        "is_surely_worse": False,  # of all it is 110 of 160, within the interval
    }


def test_a_small_group_does_not_win_by_chance() -> None:
    malls, is_right = rows_of(("large", 400, 200), ("small", 12, 4), ("rest", 1000, 950))
    worst = group_metrics({"mall": malls}, is_right)["worst_group"]
    assert (worst["group"], worst["is_surely_worse"]) == ("large", True)


def test_the_more_groups_there_are_the_wider_their_intervals() -> None:
    few, is_right = rows_of(("bad", 40, 32), ("good", 400, 380))
    assert group_metrics({"mall": few}, is_right)["worst_group"]["is_surely_worse"]
    many, is_right = rows_of(("bad", 40, 32), *((f"good {i}", 40, 38) for i in range(60)))
    assert not group_metrics({"mall": many}, is_right)["worst_group"]["is_surely_worse"]


def test_near_duplicates_count_once() -> None:
    malls, is_right = rows_of(("copies", 60, 20), ("bad", 60, 30), ("good", 60, 60))
    weights = np.where(malls.numbers == 0, 1 / 5, 1.0)
    assert group_metrics({"mall": malls}, is_right)["worst_group"]["group"] == "copies"
    found = group_metrics({"mall": malls}, is_right, weights)
    assert found["worst_group"]["group"] == "bad"
    entry = next(one for one in found["groups"][0]["worst"] if one["group"] == "copies")
    assert (entry["count"], entry["accuracy"]) == (60, pytest.approx(1 / 3))
    assert group_metrics({"mall": malls}, is_right, weights / 2)["groups"][0]["num_judged"] == 2


def test_the_worst_of_all_groupings_comes_first() -> None:
    malls, is_right = rows_of(("A", 100, 70), ("B", 100, 90))
    halves = Grouping(["right", "wrong"], np.where(is_right, 0, 1))
    found = group_metrics({"mall": malls, "half": halves}, is_right)
    assert found["worst_group"]["grouping"] == "half"
    assert found["worst_group"]["accuracy"] == 0


def test_without_groups_to_compare_none_is_the_worst() -> None:
    one, is_right = rows_of(("A", 100, 70))
    small, _ = rows_of(("A", 95, 0), ("B", 5, 0))
    assert group_metrics({"mall": one, "brand": Grouping.of_values([""] * 100)}, is_right) == {
        "groups": [],
        "worst_group": None,
    }
    found = group_metrics({"mall": small}, is_right)
    assert [entry["group"] for entry in found["groups"][0]["worst"]] == ["A"]
    nothing = group_metrics({"mall": Grouping.of_values([])}, np.zeros(0, bool))
    assert nothing == {"groups": [], "worst_group": None}
