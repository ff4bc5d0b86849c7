"""The command `python -m labeling distribution`: how products are spread over categories, before and after."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from labeling.distribution.distribution import CategoryCounts, Distribution
from labeling.distribution.distribution_files import write_categories, write_distribution
from labeling.distribution.report.report import write_report
from labeling.settings import DistributionSettings


@dataclass(frozen=True)
class DistributionCommand:
    """Count products per category, before and after, and what sampling would make of them. Changes nothing."""

    catalog: Path
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder for distribution.json, categories.csv and report.html."""
    against: Path | None = None
    """Earlier catalog to compare with, such as the one before `labeling apply` or `merge`."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree, of which empty categories are counted, too."""
    against_taxonomy: Path | None = None
    """The tree of the earlier catalog, where `merge` has changed it; without it that of its labels."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Parsed catalogs, shared by all runs."""
    settings: Annotated[DistributionSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=DistributionSettings)


def run_distribution(command: DistributionCommand) -> str:
    """Count, write the files, and say how unequal the categories are."""
    before = None
    now = CategoryCounts.read(command.catalog, command.read_options, command.taxonomy, command.cache_dir)
    if command.against is not None:
        before = CategoryCounts.read(command.against, command.read_options, command.against_taxonomy, command.cache_dir)
    distribution = Distribution(now, before, command.settings)
    command.out.mkdir(parents=True, exist_ok=True)
    write_categories(command.out, distribution)
    write_distribution(command.out, distribution)
    write_report(command.out, distribution)
    return _said(distribution, command.out / "report.html")


def _said(distribution: Distribution, page: Path) -> str:
    found, settings = distribution.imbalance, distribution.settings
    head, tail = found.parts["head"], found.parts["tail"]
    was = f" (before {before.gini:.3f})" if (before := distribution.imbalance_before) else ""
    left_out = distribution.now.num_left_out
    rejected = f"; {left_out:,} rows have no usable label" if left_out else ""
    return (
        f"{found.num_products:,} products in {found.num_categories:,} categories:"
        f" {head.categories:,} with more than {settings.head_products:,} products hold"
        f" {head.products / found.num_products:.1%} of them,"
        f" {tail.categories:,} with fewer than {settings.tail_products:,} hold"
        f" {tail.products / found.num_products:.1%}; Gini {found.gini:.3f}{was}{rejected}; see {page}"
    )
