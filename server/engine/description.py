"""Describes a loaded model to the server, which answers GetModel with it."""

from collections.abc import Mapping
from typing import Any

from aisle_client.v1 import classifier_pb2
from model.bundle.bundle import Bundle
from model.engines.engine import MEASURED_PRECISION
from model.predictor import Predictor


def model_response(predictor: Predictor, max_image_pixels: int) -> classifier_pb2.GetModelResponse:
    """The answer to GetModel, without the model's name for callers and the limits that the server's settings set."""
    bundle = predictor.bundle
    return classifier_pb2.GetModelResponse(
        taxonomy=classifier_pb2.Taxonomy(
            num_leaves=bundle.taxonomy.num_leaves, depth=bundle.taxonomy.depth, checksum=bundle.taxonomy.checksum
        ),
        inputs=bundle.fields,
        image_feature_dim=bundle.image_feature_dim,
        metrics=numbers_by_name(bundle.metrics),
        precision_contract=_precision_contract(bundle, predictor.engine.precision),
        limits=classifier_pb2.Limits(
            max_image_bytes=bundle.settings.image.max_image_bytes, max_image_pixels=max_image_pixels
        ),
        engine=predictor.engine.name,
    )


def numbers_by_name(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested metrics by dotted name: {"joint": {"f1": 1}} becomes {"joint.f1": 1.0}.

    Other values (a text, a list, None) are left out.
    """
    numbers: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            numbers.update(numbers_by_name(value, f"{prefix}{name}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers[prefix + name] = float(value)
    return numbers


def _precision_contract(bundle: Bundle, precision: str) -> classifier_pb2.PrecisionContract:
    """Describe the contract, with what was measured in the engine's precision."""
    calibration, metrics = bundle.calibration, bundle.metrics
    is_trained = precision == MEASURED_PRECISION
    measured = metrics.get("contract") if is_trained else metrics.get("contract_by_precision", {}).get(precision)
    contract = classifier_pb2.PrecisionContract(
        precision_target=calibration.precision_target,
        confidence=calibration.precision_confidence,
        unproven_categories=calibration.unproven,
    )
    for i, (threshold, coverage) in enumerate(zip(calibration.thresholds, calibration.coverages, strict=True)):
        depth = contract.depths.add(depth=i + 1, threshold=threshold, coverage=coverage)
        if measured:
            depth.accepted.CopyFrom(_acceptance(measured["depths"][i], measured["count"]))
    if measured:
        contract.accepted.CopyFrom(_acceptance(measured, measured["count"]))
        for entry in metrics["field_combinations"] if is_trained else ():
            acceptance = _acceptance(entry, entry["count"])
            contract.field_sets.add(fields=entry["fields"], accepted=acceptance)
    else:
        contract.unproven = (
            f"measured in {MEASURED_PRECISION}, and this engine computes in {precision}; run"
            f" `training evaluate --precision {precision}` on labelled products to see whether it is kept"
        )
    return contract


def _acceptance(measured: Mapping[str, Any], num_products: int) -> classifier_pb2.Acceptance:
    """Build the message of `training.metrics.contract.acceptance_metrics`."""
    acceptance = classifier_pb2.Acceptance(num_products=num_products, num_accepted=measured["num_accepted"])
    if measured["is_kept"] is not None:
        acceptance.precision, acceptance.is_kept = measured["accepted_precision"], measured["is_kept"]
        acceptance.interval_low, acceptance.interval_high = measured["precision_interval"]
    return acceptance
