"""Sets of given fields, and what the precision contract asks of each."""

import numpy as np
import pytest

from model.prediction.answers import answer
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetThresholds, proper_subsets, subset_code, subset_codes
from model.taxonomy import Taxonomy

FIELDS = ("name", "mall_category", "image")
TREE = Taxonomy(("A>x", "A>y", "B"))
CONTRACT = Calibration(
    thresholds=(0.7, 0.9), subset_thresholds={"image": (0.8, 2.0), "name mall_category": (0.6, 0.95)}
)


def flags(*given: str) -> np.ndarray:
    return np.array([[field in given for field in FIELDS]], np.float32)


def test_the_number_of_a_set_is_that_of_its_rows() -> None:
    sets = [(), *proper_subsets(FIELDS), FIELDS]
    codes = [subset_code(given, FIELDS) for given in sets]
    assert sorted(codes) == list(range(8))
    np.testing.assert_array_equal(subset_codes(np.concatenate([flags(*given) for given in sets])), codes)


def test_proper_subsets_lack_a_field() -> None:
    assert list(proper_subsets(("name",))) == []
    assert list(proper_subsets(FIELDS))[2:5] == [("image",), ("name", "mall_category"), ("name", "image")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (FIELDS, (0.7, 0.9)),
        (("name",), (0.7, 0.9)),
        (("image",), (0.8, 2.0)),
        (("name", "mall_category"), (0.7, 0.95)),  # both promises have to be kept
        ((), (0.7, 0.9)),
    ],
)
def test_thresholds_by_given_fields(given: tuple[str, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_array_equal(SubsetThresholds(CONTRACT, FIELDS).of_rows(flags(*given)), np.float32([expected]))


def test_equal_probabilities_are_accepted_by_what_is_given() -> None:
    sets = (FIELDS, ("image",), ("name", "mall_category"), ("image",))
    logits = np.log(np.float32([[0.91, 0.05, 0.04], [0.91, 0.05, 0.04], [0.91, 0.05, 0.04], [0.7, 0.09, 0.21]]))
    thresholds = SubsetThresholds(CONTRACT, FIELDS).of_rows(np.concatenate([flags(*given) for given in sets]))
    assert answer(logits, np.zeros((4, 1), np.float32), TREE, CONTRACT, thresholds, 1).accepted_depths.tolist() == [
        2,
        1,
        1,
        0,
    ]


def test_a_model_of_one_field() -> None:
    found = SubsetThresholds(Calibration(thresholds=(0.5,)), ("name",)).of_rows(np.ones((3, 1), np.float32))
    assert found.tolist() == [[0.5]] * 3
