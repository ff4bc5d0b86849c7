"""The command `python -m labeling months`: how much of the past is worth learning from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from labeling.commands.labelled_source import read_source
from labeling.months.month_files import write_months
from labeling.months.months import measure_months
from labeling.months.verdict import new_products_said, verdict
from labeling.settings import LinearSettings, MonthSettings


@dataclass(frozen=True)
class MonthsCommand:
    """Learn from windows of months, and measure each on the months that follow. Changes nothing."""

    catalog: Path
    """Labelled catalog with a column month: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder for months.csv, windows.csv, curve.csv, report.html with its plots, rejects.csv and finished models."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""
    months: Annotated[MonthSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=MonthSettings)
    settings: Annotated[LinearSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=LinearSettings)


def run_months(command: MonthsCommand) -> str:
    """Measure, write the files, and say which window is best for the next month."""
    from labeling.months.report.report import write_report  # matplotlib, which other commands do without

    catalog = read_source(command, command.out)
    months = measure_months(catalog, command.months, command.settings, command.out / "models")
    write_months(command.out, months)
    write_report(command.out, months)
    undated = months.dated.num_undated
    left_out = f"; {undated:,} products have no month that can be read and are left out" if undated else ""
    return f"{verdict(months)}\n{new_products_said(months)}{left_out}; see {command.out / 'report.html'}"
