"""The tables of `labeling months`."""

import math
from pathlib import Path

from catalog.months import month_name
from labeling.months.months import Months
from labeling.output_files import write_table

_MONTH_COLUMNS = (
    "trained_on", "window", "window_months", "half_life_months", "same_rows", "trained_products", "tested_month",
    "months_ahead", "products", "accuracy", "standard_error", "products_of_known_categories", "accuracy_known",
    "listed_again_share", "new_products", "accuracy_new", "standard_error_new",
)  # fmt: skip
_CURVE_COLUMNS = ("window", "same_rows", "months", "trained_products", "accuracy", "standard_error")
_WINDOW_COLUMNS = (
    "window", "flags", "accuracy", "standard_error", "accuracy_new", "gain_over_all_months", "gain_standard_error",
    "p_value",
)  # fmt: skip


def write_months(folder: Path, months: Months) -> None:
    """Write months.csv, every model in every month; curve.csv; windows.csv, each window in the next month.

    Raises:
        LabelingError: the disk refuses.
    """
    rows = (
        (
            f"{month_name(one.window.first_month(months.dated, one.origin))}..{month_name(one.origin)}",
            one.window.name, one.window.num_months or "", one.window.half_life_months or "",
            int(one.window.is_thinned), one.trained_products, month_name(one.month), one.months_ahead, one.products,
            _share(one.accuracy), _share(one.standard_error), one.known_products, _share(one.accuracy_known),
            _share(one.listed_again), one.new_products, _share(one.accuracy_new), _share(one.standard_error_new),
        )
        for one in months.accuracies
    )  # fmt: skip
    write_table(folder / "months.csv", _MONTH_COLUMNS, rows)
    lines = ((0, months.curve.all_rows), (1, months.curve.same_rows))
    points = (
        (
            point.window.name, same_rows, f"{point.num_months:.1f}", f"{point.trained_products:.0f}",
            _share(point.accuracy), _share(point.standard_error),
        )
        for same_rows, line in lines
        for point in line
    )  # fmt: skip
    write_table(folder / "curve.csv", _CURVE_COLUMNS, points)
    scores = months.next_month.scores
    compared = (
        (
            score.window.name, score.window.flags, _share(score.accuracy), _share(score.standard_error),
            _share(score.accuracy_new), f"{score.gain:.4f}", _share(score.gain_error),
            f"{score.p_value(len(scores) - 1):.3g}",
        )
        for score in scores
    )  # fmt: skip
    write_table(folder / "windows.csv", _WINDOW_COLUMNS, compared)


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
