"""The checks of a resilience test, and their report."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from model.machine.console import wide_console


@dataclass(frozen=True)
class Check:
    """One check with its result.

    Args:
        name: the requirement with its bound.
        found: the measured value.
    """

    name: str
    found: str
    is_passed: bool


def report_checks(title: str, checks: list[Check], figures: dict[str, Any], path: Path | None) -> None:
    """Print a table, write the figures, and exit with an error when a check has failed.

    Args:
        figures: further results, as JSON values.
        path: file for checks and figures.
    Raises:
        SystemExit: a check has failed; names it.
    """
    table = Table("check", "found", "", title=title, title_justify="left")
    for check in checks:
        table.add_row(check.name, check.found, "passed" if check.is_passed else "[red]FAILED")
    wide_console().print(table)
    if path is not None:
        report = {"checks": [asdict(check) for check in checks], **figures}
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if failed := [check for check in checks if not check.is_passed]:
        sys.exit("\n".join(f"failed: {check.name}; found {check.found}" for check in failed))
