"""All files about wrong labels in one folder."""

from pathlib import Path
from typing import Literal

from labeling.issues.issue_files import write_categories, write_issues, write_near_duplicates, write_summary
from labeling.issues.label_issues import LabelIssues
from labeling.issues.report.report import write_report


def write_findings(folder: Path, issues: LabelIssues, form: Literal["csv", "parquet"] = "csv") -> Path:
    """Write the list of products, near-duplicates that disagree, the noise by category, their sum, and the page.

    Args:
        form: of the list.
    Returns:
        the path of the list.
    Raises:
        LabelingError: the disk refuses.
    """
    path = write_issues(folder, issues, form)
    write_near_duplicates(folder, issues)
    write_categories(folder, issues)
    write_summary(folder, issues)
    write_report(folder, issues)
    return path
