"""Months of a catalog."""

import pytest

from catalog.months import month_name, month_number


@pytest.mark.parametrize(
    "text", ["2026-03", "2026/3", "2026.03.31", "202603", "20260331", "2026-03-31T10:00:00Z", "2026-03-31 10:00"]
)
def test_a_month_is_read_however_it_is_written(text: str):
    assert month_name(month_number(text) or 0) == "2026-03"


def test_months_follow_each_other_over_the_year():
    numbers = [month_number(text) for text in ("2025-11", "2025-12", "2026-01")]
    assert numbers[0] is not None
    assert numbers == [numbers[0] + step for step in range(3)]


@pytest.mark.parametrize("text", ["", "March", "2026", "2026-13", "2026-00", "26-03", "20263", "202613"])
def test_what_names_no_month_is_unknown(text: str):
    assert month_number(text) is None
