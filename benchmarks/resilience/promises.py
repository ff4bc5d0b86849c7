"""What an ordeal promises, whether that was kept, and how it is told."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Promise:
    """One promise and what became of it.

    Args:
        what: the promise with its bound.
        found: what was measured.
    """

    what: str
    found: str
    is_kept: bool


def conclude(title: str, promises: list[Promise], figures: dict[str, Any], path: Path | None) -> None:
    """Print a table, write the figures, and end the process when a promise is broken.

    Args:
        figures: all else that is worth keeping, as JSON takes it.
        path: file for promises and figures.
    Raises:
        SystemExit: a promise is broken; says which.
    """
    table = Table("promise", "found", "", title=title, title_justify="left")
    for promise in promises:
        table.add_row(promise.what, promise.found, "kept" if promise.is_kept else "[red]BROKEN")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    if path is not None:
        report = {"promises": [asdict(promise) for promise in promises], **figures}
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if broken := [promise for promise in promises if not promise.is_kept]:
        sys.exit("\n".join(f"broken: {promise.what}; found {promise.found}" for promise in broken))
