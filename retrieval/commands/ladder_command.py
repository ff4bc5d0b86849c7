"""The command `python -m retrieval benchmark --task same`: one table of the ways to find the same product."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from model.settings import TrainingSettings
from retrieval.ladder.ladder import Ladder, LadderJob, RungResult


def run_ladder(job: LadderJob, json_path: Path | None, report: Path | None) -> Table:
    """Measure the rungs, write the files, and return a table for the terminal.

    Args:
        json_path: file for the figures; written after each rung, so that an interruption costs one.
        report: folder for report.html.
    """
    from model.network.keras_backend import prepare_keras

    if job.bundle is not None:
        prepare_keras(TrainingSettings(seed=job.metric.seed))
    ladder, results = Ladder(job), list[RungResult]()
    for result in ladder.climb():
        results.append(result)
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            figures = {**ladder.figures, "rungs": {each.name: each.figures for each in results}}
            json_path.write_text(json.dumps(figures, indent=1, ensure_ascii=False), encoding="utf-8")
    if report is not None:
        from retrieval.ladder.report.report import write_report  # loads jinja2

        write_report(report, str(job.catalog.path), ladder.figures, ladder.reported, results)
    return _table(ladder.figures, results)


def _table(figures: dict[str, Any], results: list[RungResult]) -> Table:
    reported = figures["reported"]
    title = f"The same product: {reported['num_offers']:,} offers of {reported['num_groups']:,} groups"
    table = Table("rung", "F1", "95 % interval", "precision", "recall", "chosen, or why not", title=title)
    for result in results:
        if result.score is None:
            table.add_row(result.name, "", "", "", "", f"skipped: {result.skipped}")
            continue
        score, (low, high) = result.score, result.score.interval
        measured = (f"{value:.4f}" for value in (score.precision, score.recall))
        table.add_row(result.name, f"{score.f1:.4f}", f"{low:.4f} to {high:.4f}", *measured, result.chosen)
    table.caption = (
        "F1 of each offer's set against its group, and the mean over offers (Shopee's score); precision and recall of"
        " pairs"
    )
    return table
