"""The command `python -m labeling correlations`: what predicts a category in some groups and misleads in others."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from labeling.commands.labelled_source import read_source
from labeling.correlations.correlation_files import write_correlations, write_groups, write_summary
from labeling.correlations.correlations import Correlations, find_correlations
from labeling.correlations.group_column import GroupColumn
from labeling.correlations.report.report import write_report
from labeling.settings import AnswerSettings, CorrelationSettings


@dataclass(frozen=True)
class CorrelationsCommand:
    """Find words and brands that predict a category in some groups of products, such as malls, and mislead in others.

    Changes nothing.
    """

    catalog: Path
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder for correlations.csv, groups.csv, summary.json, report.html, rejects.csv and finished folds."""
    by: str = ""
    """Column of the groups, such as mall, month, brand or mall_category; by default the first of the first three that
    has two values or more."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""
    correlations: Annotated[CorrelationSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=CorrelationSettings)
    settings: Annotated[AnswerSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=AnswerSettings)


def run_correlations(command: CorrelationsCommand) -> str:
    """Answer groups that are held out, write the files, and say what misleads and which group is the worst."""
    catalog = read_source(command, command.out)
    groups = GroupColumn.of(catalog, command.by)
    found = find_correlations(catalog, groups, command.settings, command.correlations, command.out)
    write_correlations(command.out, found)
    write_groups(command.out, found)
    write_summary(command.out, found)
    write_report(command.out, found)
    return _said(found, command.out / "report.html")


def _said(found: Correlations, page: Path) -> str:
    column, worst = found.groups.column.replace("_", " "), found.worst_group
    named = f"; the worst {column} is {worst['group']!r} with {worst['accuracy']:.1%}" if worst else ""
    costliest = (
        f", most {' '.join(found.costly[0].feature.words)!r} with {found.costly[0].cost:,}" if found.costly else ""
    )
    return (
        f"{found.accuracy:.1%} of the products of a {column} that the model has not seen are answered rightly, and"
        f" {found.accuracy_known:.1%} where it knows the {column}{named}; correlations that do not hold in every"
        f" {column}: {len(found.found):,}, of which {len(found.costly):,} cost right answers{costliest}; see {page}"
    )
