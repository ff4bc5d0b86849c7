"""The command `python -m labeling issues`: which labels of a catalog are wrong."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from catalog.rejects import see_rejects
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.commands.labelled_source import read_source
from labeling.issues.findings import write_findings
from labeling.issues.label_issues import LabelIssues, find_issues
from labeling.settings import AnswerSettings


@dataclass(frozen=True)
class IssuesCommand:
    """Find the products of a catalog whose label is wrong, the most suspicious first. Changes nothing."""

    catalog: Path
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder for issues.csv, near_duplicates.csv, categories.csv, summary.json, report.html, rejects.csv and finished
    folds."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    format: Literal["csv", "parquet"] = "csv"
    """Of the list of products."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""
    settings: Annotated[AnswerSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=AnswerSettings)


def run_issues(command: IssuesCommand) -> str:
    """Answer out of fold, write the files, and say how many labels are wrong."""
    catalog = read_source(command, command.out)
    answers = answer_out_of_fold(catalog, command.settings, command.out / "folds")
    issues = find_issues(catalog, answers)
    path = write_findings(command.out, issues, command.format)
    return _said(issues, path, see_rejects(command.out / "rejects.csv"))


def _said(issues: LabelIssues, path: Path, see: str) -> str:
    estimated, count = issues.joint.num_issues, len(issues.catalog)
    left_out = issues.catalog.encoded.num_rejects
    rejected = f"; {left_out:,} rows are left out{see}" if left_out else ""
    return (
        f"about {estimated:,} of {count:,} labels are wrong ({estimated / count:.1%});"
        f" {len(issues.majorities):,} groups of near-duplicates have different labels{rejected};"
        f" the most suspicious first in {path}"
    )
