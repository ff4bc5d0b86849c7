"""`training evaluate`: a labelled catalog in, metrics.json and a report out."""

import base64
import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from model.answer import Answers, softmax
from model.errors import CatalogError
from model.predictor import Predictor
from model.settings import settings_to_dict
from training.answering import AnsweredChunk, answer_catalog
from training.catalog import CatalogRow
from training.confidence import reliability_bins, risk_coverage
from training.labels import LabelSpace
from training.metrics import confident_error_rows, confused_pairs, evaluation_metrics, per_category_table
from training.outcomes import Outcomes
from training.rejects import Rejects
from training.report import ConfidentError, ReportDetails, write_report

_TOP_K = 5
_NUM_ERRORS = 24
_THUMBNAIL_PX = 96


@dataclasses.dataclass
class _Collected:
    """What is kept of the answered rows: a few numbers each, and the texts of the surest errors so far.

    Args:
        errors: position among all rows to (confidence, row, thumbnail).
    """

    num_rows: int = 0
    outcomes: dict[str, list[Outcomes]] = dataclasses.field(default_factory=dict)
    answers: list[Answers] = dataclasses.field(default_factory=list)
    presence: list[np.ndarray] = dataclasses.field(default_factory=list)
    errors: dict[int, tuple[float, CatalogRow, str]] = dataclasses.field(default_factory=dict)


def evaluate(
    predictor: Predictor, catalog: Path, columns: Mapping[str, str], report_dir: Path, cache_dir: Path
) -> tuple[dict, Path]:
    """Measure a bundle on a labelled catalog.

    Returns:
        the content of metrics.json and the path of report.html.
    Raises:
        CatalogError: the catalog cannot be read or has no labelled row of this taxonomy.
    """
    report_dir.mkdir(parents=True, exist_ok=True)
    labels = LabelSpace(predictor.bundle.taxonomy, "the bundle's tree")
    collected = _Collected()
    with Rejects(report_dir / "rejects.csv") as rejects:
        for chunk in answer_catalog(predictor, catalog, columns, rejects, cache_dir, _TOP_K):
            classes = [labels.class_of(row) for row in chunk.rows]
            for row, found in zip(chunk.rows, classes, strict=True):
                if isinstance(found, str):
                    rejects.add(catalog, row.line, row.product_id, found)
            kept = np.array([i for i, found in enumerate(classes) if not isinstance(found, str)], int)
            _collect(predictor, chunk, kept, np.array([classes[i] for i in kept], np.int32), collected)
        num_rejects, reasons = rejects.count, dict(rejects.counts_by_reason)
    if not collected.num_rows:
        raise CatalogError(
            f"{catalog}: expected rows with a category of this bundle, found none; see {report_dir}/rejects.csv"
        )
    bundle = predictor.bundle
    outcomes = {head: Outcomes.concatenate(parts) for head, parts in collected.outcomes.items()}
    answers = _concatenate(collected.answers)
    metrics = evaluation_metrics(outcomes, answers, np.concatenate(collected.presence), bundle.fields, bundle.taxonomy)
    metrics["rejects"] = num_rejects
    details = _details(predictor, catalog, collected, outcomes["joint"], answers, reasons)
    return metrics, write_report(report_dir, metrics, details)


def _collect(
    predictor: Predictor, chunk: AnsweredChunk, kept: np.ndarray, labels: np.ndarray, collected: _Collected
) -> None:
    if not len(kept):
        return
    calibration = predictor.bundle.calibration
    temperatures = {**calibration.head_temperatures, "joint": calibration.temperature}
    for head in predictor.bundle.heads:
        probabilities = softmax(chunk.outputs[f"{head}_logits"][kept], temperatures.get(head, 1.0))
        collected.outcomes.setdefault(head, []).append(Outcomes.of(labels, probabilities))
    collected.presence.append(chunk.presence[kept])
    answers = {f.name: getattr(chunk.answers, f.name)[kept] for f in dataclasses.fields(Answers)}
    collected.answers.append(Answers(**answers))
    _collect_errors(chunk, kept, collected)
    collected.num_rows += len(kept)


def _collect_errors(chunk: AnsweredChunk, kept: np.ndarray, collected: _Collected) -> None:
    """Keep the rows of the surest errors: those of a chunk may be among those of the catalog."""
    joint = collected.outcomes["joint"][-1]
    for position in map(int, confident_error_rows(joint, _NUM_ERRORS)):
        i = int(kept[position])
        thumbnail = _thumbnail(chunk.pixels[i]) if i in chunk.pixels else ""
        error = float(joint.confidences[position]), chunk.rows[i], thumbnail
        collected.errors[collected.num_rows + position] = error
    surest = sorted(collected.errors.items(), key=lambda item: (-item[1][0], item[0]))
    collected.errors = dict(surest[:_NUM_ERRORS])


def _details(
    predictor: Predictor,
    catalog: Path,
    collected: _Collected,
    joint: Outcomes,
    answers: Answers,
    reject_counts: dict[str, int],
) -> ReportDetails:
    bundle = predictor.bundle
    return ReportDetails(
        title=f"{bundle.name} on {catalog.name}",
        bundle_name=bundle.name,
        bundle_version=bundle.version,
        catalog_name=catalog.name,
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        taxonomy=bundle.taxonomy,
        precision_target=bundle.calibration.precision_target,
        reliability=reliability_bins(joint),
        risk_coverage=risk_coverage(joint),
        category_rows=per_category_table(joint, bundle.taxonomy),
        confused_pairs=confused_pairs(joint, bundle.taxonomy),
        confident_errors=[
            _error(collected, answers, int(i), predictor, joint) for i in confident_error_rows(joint, _NUM_ERRORS)
        ],
        reject_counts=reject_counts,
        history=bundle.history,
        settings=settings_to_dict(bundle.settings),
        facts={"Engine": predictor.engine.name, "Fields": ", ".join(bundle.fields)},
    )


def _error(collected: _Collected, answers: Answers, i: int, predictor: Predictor, joint: Outcomes) -> ConfidentError:
    taxonomy = predictor.bundle.taxonomy
    _, row, thumbnail = collected.errors[i]
    top = answers.categories(i, taxonomy)[0]
    return ConfidentError(
        product_id=row.product_id,
        product_name=row.product_name,
        mall_category=row.mall_category,
        truth=taxonomy.leaves[int(joint.labels[i])],
        answer=top.category,
        probability=top.probability,
        is_accepted=not answers.needs_review(i, taxonomy),
        thumbnail=thumbnail,
    )


def _concatenate(parts: list[Answers]) -> Answers:
    return Answers(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Answers)})


def _thumbnail(pixels: np.ndarray) -> str:
    small = cv2.resize(pixels, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[:, :, ::-1])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
