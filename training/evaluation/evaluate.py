"""The evaluation of `training evaluate`: measures a bundle on a labelled catalog and writes the report."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from catalog.labels.label_space import LabelSpace
from catalog.rejects import Rejects, see_rejects
from model.bundle.bundle import Bundle
from model.errors import CatalogError
from model.predictor import Predictor
from model.settings import settings_to_dict
from training.ensemble.calibration_rows import row_weights
from training.evaluation.baselines import Baselines
from training.evaluation.bundle_comparison import check_comparable, compare_bundles
from training.evaluation.cross_fitting import cross_fitted_calibration
from training.evaluation.evaluated_rows import EvaluatedRows
from training.evaluation.field_grid import FieldGrid
from training.evaluation.labelled_answers import labelled_answers
from training.metrics.classification import confused_pairs, evaluation_metrics, per_category_table
from training.metrics.confidence import reliability_bins, risk_coverage
from training.metrics.groups import group_metrics, model_groupings
from training.metrics.hierarchy import sibling_pairs
from training.predict.answered_catalog import CatalogSource
from training.report.report import ReportDetails, write_report

_TOP_K = 5


@dataclass(frozen=True)
class Extras:
    """Optional measurements.

    Args:
        baseline: training catalog of the baselines, with the same columns as the evaluated catalog.
        compare_to: another bundle to compare with.
        field_grid: answer again with fields left out or exchanged.
    """

    baseline: Path | None = None
    compare_to: Predictor | None = None
    field_grid: bool = False


def evaluate(
    predictor: Predictor, catalog: CatalogSource, report_dir: Path, extras: Extras | None = None
) -> tuple[dict, Path]:
    """Measure a bundle on a labelled catalog.

    Returns:
        The content of metrics.json and the path of report.html. Beside `evaluation_metrics` it has rejects,
        calibration (`cross_fitted_calibration`), mall_categories (`MallCategoryMetrics.worst`), and on request
        baselines (`Baselines.metrics`), bundle_comparison (`compare_bundles`) and field_grid (`FieldGrid.metrics`);
        groups and worst_group are also by what the catalog says of its rows (`RowGroups`).
    Raises:
        CatalogError: a catalog cannot be read or has no labelled row of this taxonomy.
    """
    extras, bundle = extras or Extras(), predictor.bundle
    _check(extras, bundle, catalog)
    report_dir.mkdir(parents=True, exist_ok=True)
    labels = LabelSpace(bundle.taxonomy, "the bundle's tree")
    baselines = Baselines(extras.baseline, catalog.read_options, labels, catalog.path) if extras.baseline else None
    rows = EvaluatedRows(predictor)
    rejects_path = report_dir / "rejects.csv"
    with ExitStack() as stack:
        rejects = stack.enter_context(Rejects(rejects_path))
        grid = None
        if extras.field_grid:
            catalog.cache_dir.mkdir(parents=True, exist_ok=True)
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="field-grid-", dir=catalog.cache_dir))
            grid = FieldGrid(predictor, Path(scratch))
        for chunk, classes in labelled_answers(predictor, catalog, labels, rejects, _TOP_K):
            rows.add(chunk, classes)
            if baselines:
                baselines.add(chunk.rows)
            if grid:
                grid.add(chunk.features, classes, chunk.answers.top_classes[:, 0] == classes)
        if not rows.num_rows:
            raise CatalogError(
                f"{catalog.path}: expected rows with a category of this bundle, found none{see_rejects(rejects_path)}"
            )
        metrics = _metrics(predictor, rows)
        metrics["rejects"] = rejects.count
        if baselines:
            metrics["baselines"] = baselines.metrics(rows.joint, bundle.taxonomy)
        if grid:
            metrics["field_grid"] = grid.metrics()
        if extras.compare_to:
            metrics["bundle_comparison"] = compare_bundles(
                rows.row_answers, rows.joint.labels, bundle.taxonomy, extras.compare_to, catalog, report_dir
            )
    details = _details(predictor, catalog.path, rows, dict(rejects.counts_by_reason))
    return metrics, write_report(report_dir, metrics, details)


def _check(extras: Extras, bundle: Bundle, catalog: CatalogSource) -> None:
    """Refuse what cannot be measured before the work begins."""
    if extras.baseline and extras.baseline.resolve() == catalog.path.resolve():
        raise CatalogError(
            f"--baseline and --catalog name the same file, {catalog.path}; give --baseline the training catalog"
        )
    if extras.compare_to:
        check_comparable(bundle.taxonomy, extras.compare_to.bundle)


def _metrics(predictor: Predictor, rows: EvaluatedRows) -> dict:
    bundle = predictor.bundle
    target, weights = bundle.calibration.precision_target, row_weights(rows.groups)
    groupings = model_groupings(rows.joint.labels, bundle.taxonomy, rows.presence, bundle.fields)
    return {
        **evaluation_metrics(
            rows.outcomes, rows.answers, rows.presence, bundle.fields, bundle.taxonomy, target, weights
        ),
        **group_metrics({**rows.row_groups.groupings(), **groupings}, rows.joint.is_correct, weights),
        "calibration": cross_fitted_calibration(rows.sample, bundle.calibration, bundle.taxonomy),
        "mall_categories": rows.mall_category_metrics.worst(),
    }


def _details(predictor: Predictor, catalog: Path, rows: EvaluatedRows, reject_counts: dict[str, int]) -> ReportDetails:
    bundle, joint = predictor.bundle, rows.joint
    return ReportDetails(
        title=f"{bundle.name} on {catalog.name}",
        bundle_name=bundle.name,
        bundle_version=bundle.version,
        catalog_name=catalog.name,
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        taxonomy=bundle.taxonomy,
        precision_target=bundle.calibration.precision_target,
        precision_confidence=bundle.calibration.precision_confidence,
        reliability=reliability_bins(joint),
        risk_coverage=risk_coverage(joint),
        category_rows=per_category_table(joint, bundle.taxonomy),
        confused_pairs=confused_pairs(joint, bundle.taxonomy),
        sibling_pairs=sibling_pairs(joint, bundle.taxonomy),
        confident_errors=rows.confident_errors(),
        reject_counts=reject_counts,
        history=bundle.history,
        settings=settings_to_dict(bundle.settings),
        facts={"Engine": predictor.engine.name, "Fields": ", ".join(bundle.fields)},
    )
