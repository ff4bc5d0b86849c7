"""The command `python -m labeling drift`: what changed in a new catalog since a bundle was trained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects, see_rejects
from labeling.drift.catalog_drift import NUM_COUNTED, CatalogDrift, DriftCounter
from labeling.drift.drift_files import write_drift
from labeling.drift.report.report import write_report
from model.errors import LabelingError
from model.predictor import Predictor
from training.predict.answered_catalog import CatalogSource, answer_catalog

_NUM_NAMED = 3


@dataclass(frozen=True)
class DriftCommand:
    """Compare a new catalog, without labels, with what a bundle was trained and measured on."""

    catalog: Path
    """New catalog: .csv, .tsv, .jsonl or .parquet."""
    bundle: Path
    """Folder of the bundle."""
    out: Path = Path("drift")
    """Folder for report.html, categories.csv, words.csv, fields.csv and rejects.csv."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures, shared by all runs."""


def run_drift(command: DriftCommand) -> str:
    """Answer the catalog, write the files, and say what accuracy to expect and what to label first."""
    command.out.mkdir(parents=True, exist_ok=True)
    predictor = Predictor.open(command.bundle)
    source = CatalogSource(command.catalog, command.read_options, command.cache_dir)
    rejects_path = command.out / "rejects.csv"
    counter, num_rows = DriftCounter(predictor.bundle), 0
    try:
        with Rejects(rejects_path) as rejects:
            for chunk in answer_catalog(predictor, source, rejects, top_k=NUM_COUNTED):
                counter.add(chunk)
                num_rows += len(chunk.rows)
    finally:
        predictor.close()
    if not num_rows:
        raise LabelingError(f"{command.catalog}: expected products to answer, found none{see_rejects(rejects_path)}")
    drift = counter.drift()
    write_drift(command.out, drift)
    bundle = predictor.bundle
    write_report(command.out, drift, command.catalog.name, f"{bundle.name} {bundle.version}")
    left_out = f"; {rejects.count:,} rows are left out{see_rejects(rejects_path)}" if rejects.count else ""
    return f"{_said(drift)}{left_out}; see {command.out / 'report.html'}"


def _said(drift: CatalogDrift) -> str:
    first = ", ".join(one.category for one in drift.categories[:_NUM_NAMED] if one.products)
    return (
        f"expect {drift.expected_accuracy:.1%} right answers to {drift.num_rows:,} products, where"
        f" {drift.measured_accuracy:.1%} were measured; {len(drift.words):,} words are new or more"
        f" frequent; label first: {first}{_changes_said(drift)}"
    )


def _changes_said(drift: CatalogDrift) -> str:
    if not drift.knows_shares:
        return ""
    said = ""
    for word, changes in (("grown", ("grew",)), ("shrunk or gone", ("shrank", "gone"))):
        found = drift.changed(*changes)
        if found:
            named = ", ".join(
                f"{one.category} ({one.trained_share:.1%} to {one.likely_share:.1%})" for one in found[:_NUM_NAMED]
            )
            said += f"; {word}: {named}{' and others' if len(found) > _NUM_NAMED else ''}"
    return said
