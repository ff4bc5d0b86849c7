"""The page about months: how much of the past to learn from, and how long a model lasts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from catalog.months import month_name
from labeling.months.month_accuracy import MonthAccuracy
from labeling.months.months import Months
from labeling.months.report.plots import curve_plot, months_ahead_plot
from labeling.months.verdict import new_products_said, verdict
from training.report.page_environment import page_environment
from training.report.plots import DARK, LIGHT, Palette, data_url

REPORT_FILE = "report.html"
_NUM_ROWS = 60


def write_report(folder: Path, months: Months) -> None:
    """Write report.html, one self-contained file, and its plots beside it as PNG."""
    plots: dict[str, Callable[[Palette], bytes]] = {
        "months_ahead": partial(months_ahead_plot, months.accuracies),
        "curve": partial(curve_plot, months.curve),
    }
    pictures = {}
    for name, plot in plots.items():
        light = plot(LIGHT)
        (folder / f"{name}.png").write_bytes(light)
        pictures[name] = {"light": data_url(light), "dark": data_url(plot(DARK))}
    last = [one for one in months.accuracies if not one.window.is_thinned and one.months_ahead == 1]
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        catalog=months.dated.catalog.parsed.path.name,
        num_rows=len(months.dated.months),
        months=[(month_name(month), len(months.dated.rows_of(month))) for month in months.dated.distinct],
        num_undated=months.dated.num_undated,
        verdict=_sentence(verdict(months)),
        new_products=_sentence(new_products_said(months)),
        found=months.next_month,
        curve=months.curve,
        pictures=pictures,
        rows=[_row(months, one) for one in last[::-1][:_NUM_ROWS]],
    )  # fmt: skip
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _row(months: Months, one: MonthAccuracy) -> dict[str, object]:
    first = month_name(one.window.first_month(months.dated, one.origin))
    last = month_name(one.origin)
    trained = last if first == last else f"{first} to {last}"
    return {"trained": trained, "month": month_name(one.month), "one": one}
