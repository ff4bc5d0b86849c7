"""The command `python -m labeling overview`: one page on how clean a catalog is and where to begin."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from catalog.rejects import see_rejects
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.commands.labelled_source import read_source
from labeling.confusions.confusion_files import write_pairs
from labeling.issues.findings import write_findings
from labeling.issues.label_issues import find_issues
from labeling.overview.overview import make_overview
from labeling.overview.overview_files import write_overview
from labeling.overview.sentences import sentences
from labeling.settings import AnswerSettings, OverviewSettings


@dataclass(frozen=True)
class OverviewCommand:
    """Say in five sentences how clean a catalog is, what a review brings, and where to begin. Changes nothing."""

    catalog: Path
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder for overview.html, overview.json, pairs.csv and all that `labeling issues` writes, whose finished folds
    are found again where it is the same folder."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""
    overview: Annotated[OverviewSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=OverviewSettings)
    settings: Annotated[AnswerSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=AnswerSettings)


def run_overview(command: OverviewCommand) -> str:
    """Answer out of fold, write the files, and say the sentences."""
    from labeling.overview.report.report import write_report  # matplotlib, which other commands do without

    catalog = read_source(command, command.out)
    issues = find_issues(catalog, answer_out_of_fold(catalog, command.settings, command.out / "folds"))
    write_findings(command.out, issues)
    overview = make_overview(issues, command.overview, command.settings, command.out / "folds-relabelled")
    write_pairs(command.out, overview.confusions)
    write_overview(command.out, overview)
    write_report(command.out, overview)
    left_out = catalog.encoded.num_rejects
    rejected = [f"{left_out:,} rows are left out{see_rejects(command.out / 'rejects.csv')}."] if left_out else []
    return "\n".join([*sentences(overview), *rejected, f"See {command.out / 'overview.html'}"])
