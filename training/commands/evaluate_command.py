"""The command `python -m training evaluate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.engines.engine import EngineName, Precision


@dataclass(frozen=True)
class EvaluateCommand:
    """Evaluate a bundle on a labelled catalog: metrics.json, plots, report.html."""

    bundle: Path
    """Bundle to evaluate."""
    catalog: Path
    """Labelled catalog that it was not trained on."""
    report: Path
    """Folder for the report."""
    baseline: Path | None = None
    """Training catalog of the baselines: TF-IDF with a linear SVM, a lookup by mall category and the most frequent
    category answer the same products, and the report compares Aisle with them; with 170,000 rows it takes some minutes,
    and much larger catalogs are sampled."""
    compare_to: Path | None = None
    """Another bundle to compare with on the same products: difference with its interval, exact test, and categories
    with more and fewer products found."""
    field_grid: bool = False
    """Also answer with every subset of the fields, and with the pictures or mall categories of 10 % and 30 % of the
    products exchanged; each subset takes the time of answering, without reading and encoding."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    engine: EngineName = "auto"
    """Inference engine; auto takes Keras where it finds a GPU, else OpenVINO."""
    precision: Precision = "float32"
    """Arithmetic inside the engine; auto takes bfloat16 where the device computes in it."""
    max_lost_pictures: float | None = None
    """Share of the pictures that may be unreadable, 0 to 1; by default what the bundle was trained with."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and, while it runs, the rows of the field grid."""


def run_evaluate(command: EvaluateCommand) -> str:
    """Run the command and return the text to print."""
    from model.predictor import Predictor
    from training.evaluation.evaluate import Extras, evaluate
    from training.predict.answered_catalog import CatalogSource
    from training.report.comparison_verdict import baseline_sentences, bundle_comparison_sentences
    from training.report.contract_text import contract_lines
    from training.report.verdict import group_sentence

    predictor = Predictor.open(command.bundle, command.engine, command.precision)
    compare_to = Predictor.open(command.compare_to, command.engine, command.precision) if command.compare_to else None
    catalog = CatalogSource(
        command.catalog, command.read_options, command.cache_dir, max_lost_pictures=command.max_lost_pictures
    )
    extras = Extras(command.baseline, compare_to, command.field_grid)
    metrics, page = evaluate(predictor, catalog, command.report, extras)
    lines = [f"accuracy {metrics['accuracy']:.4f} on {metrics['count']} products; report in {page}"]
    lines += contract_lines(metrics["contract"])
    lines += group_sentence(metrics["worst_group"], metrics["accuracy"])
    if "baselines" in metrics:
        lines += baseline_sentences(metrics["baselines"])
    if "bundle_comparison" in metrics:
        lines += bundle_comparison_sentences(
            metrics["bundle_comparison"], f"{predictor.bundle.name} version {predictor.bundle.version}"
        )
    return "\n".join(lines).replace("\u00a0", " ")
