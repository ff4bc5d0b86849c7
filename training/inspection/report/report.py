"""The page of an inspection: one self-contained file."""

import os
from pathlib import Path

from catalog.formats.text_lines import printable
from training.inspection.categories import FEW_ROWS
from training.inspection.inspection import Inspection
from training.inspection.sentences import proposal, refusals, train_command, warnings
from training.report.page_environment import page_environment


def write_report(path: Path, found: Inspection) -> None:
    """Write the page, whole or not at all.

    Raises:
        OSError: the disk refuses.
    """
    page = page_environment(Path(__file__).parent).get_template("page.html.jinja").render(
        found=found,
        name=found.facts.path.name,
        verdict=_verdict(found),
        refusals=list(refusals(found)),
        warnings=list(warnings(found)),
        proposal=proposal(found),
        command=train_command(found),
        few_rows=FEW_ROWS,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        aside.write_text(printable(page), encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _verdict(found: Inspection) -> str:
    """One sentence that begins the page."""
    if next(refusals(found), ""):
        return "Training would stop before its work; what to change stands below."
    num_warnings = len(list(warnings(found)))
    if num_warnings:
        what = "a warning says" if num_warnings == 1 else f"{num_warnings} warnings say"
        return f"This can be trained on, but {what} that something may be meant otherwise."
    return "This can be trained on as it is."
