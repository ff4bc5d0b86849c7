"""The command `python -m labeling apply`: decisions of people into a new catalog."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.labels.label_space import find_labels
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from labeling.decisions.applying import DecisionFile, accepted_changes, write_changes
from labeling.decisions.decisions import read_decisions
from model.errors import LabelingError
from training.encoding.parsed_catalog import parse_catalog


@dataclass(frozen=True)
class ApplyCommand:
    """Write a new catalog with the labels that people decided, and a log of the changes. The old one stays."""

    catalog: Path
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet."""
    decisions: Path
    """issues.csv with a column `decision`: suggested, keep, or a category; and `decided_by`, where it is there."""
    out: Path
    """Catalog to write, with the same ending."""
    decided_by: str = ""
    """Name of the person who decided, where the decisions do not say."""
    log: Path | None = None
    """CSV of the changes: product_id, who, when, before, after; by default OUT.changes.csv."""
    rejects: Path | None = None
    """Decisions that were refused, CSV; by default OUT.rejects.csv."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    new_categories: bool = False
    """Take categories that the tree does not have yet."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Parsed catalogs, shared by all runs."""


def run_apply(command: ApplyCommand) -> str:
    """Apply what fits, and say how many labels were changed and decisions refused."""
    catalog = parse_catalog(command.catalog, command.read_options, command.cache_dir)
    labels = find_labels(catalog.statistics, command.taxonomy, command.read_options.separator)
    rejects_path = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    log = command.log or command.out.with_name(f"{command.out.name}.changes.csv")
    with Rejects(rejects_path) as rejects:
        decisions = read_decisions(command.decisions, rejects)
        nobody = next((one for one in decisions.values() if not (one.decided_by or command.decided_by)), None)
        if nobody is not None:
            raise LabelingError(
                f"{command.decisions}, line {nobody.line}: expected who decided, found nobody; add a column decided_by"
                " or --decided-by NAME"
            )
        source = DecisionFile(command.decisions, rejects)
        changes = accepted_changes(catalog, decisions, source, labels, command.decided_by, command.new_categories)
        write_changes(command.catalog, command.read_options, changes, command.out, log)
        refused = f"; {rejects.count:,} decisions are refused, see {rejects_path}" if rejects.count else ""
    kept = len(decisions) - len(changes)
    return f"{len(changes):,} labels changed, {kept:,} decided otherwise; {command.out}, log in {log}{refused}"
