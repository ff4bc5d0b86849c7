"""Converts predictions and model descriptions to messages of the contract."""

from collections.abc import Mapping
from typing import Any

from model.bundle.bundle import Bundle
from model.engines.engine import MEASURED_PRECISION
from model.prediction.answers import Prediction, ScoredCategory
from model.taxonomy import SEPARATOR
from proto.aisle.v1 import classifier_pb2
from server.calls.request import Question
from server.errors import product_status
from server.inference.pipeline import RequestResult
from server.models.registry import ServedModel
from server.settings import ServerSettings


def classify_response(
    request: classifier_pb2.ClassifyRequest,
    question: Question,
    model: ServedModel,
    result: RequestResult,
    total_s: float,
) -> classifier_pb2.ClassifyResponse:
    """Build the response to a request, one classification for each of its products, in order."""
    response = classifier_pb2.ClassifyResponse(
        model=model.name,
        model_version=model.version,
        timings=classifier_pb2.Timings(
            decode_ms=result.decode_s * 1000,
            queue_ms=result.queue_s * 1000,
            inference_ms=result.inference_s * 1000,
            total_ms=total_s * 1000,
        ),
    )
    for i, (product, outcome) in enumerate(zip(request.products, result.outcomes, strict=True)):
        classification = response.classifications.add(product_id=product.product_id)
        if isinstance(outcome, Prediction):
            _fill_prediction(classification.prediction, outcome, question)
        else:
            classification.error.CopyFrom(product_status(outcome, i))
    return response


def model_response(model: ServedModel, settings: ServerSettings) -> classifier_pb2.GetModelResponse:
    """Build the description of a model for GetModel."""
    bundle = model.predictor.bundle
    return classifier_pb2.GetModelResponse(
        model=model.name,
        model_version=model.version,
        taxonomy=classifier_pb2.Taxonomy(
            num_leaves=bundle.taxonomy.num_leaves, depth=bundle.taxonomy.depth, checksum=bundle.taxonomy.checksum
        ),
        inputs=bundle.fields,
        image_feature_dim=bundle.image_feature_dim,
        metrics=numbers_by_name(bundle.metrics),
        precision_contract=_precision_contract(bundle, model.predictor.engine.precision),
        limits=classifier_pb2.Limits(
            max_products=settings.max_products_per_request,
            max_top_k=settings.max_top_k,
            max_text_chars=settings.max_text_chars,
            max_image_bytes=bundle.settings.image.max_image_bytes,
            max_request_bytes=settings.max_message_bytes,
        ),
        engine=model.predictor.engine.name,
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
    measured = metrics["contract"] if is_trained else metrics.get("contract_by_precision", {}).get(precision)
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


def _fill_prediction(message: classifier_pb2.Prediction, prediction: Prediction, question: Question) -> None:
    message.categories.extend(map(_scored, prediction.categories[: question.top_k]))
    message.needs_review = prediction.needs_review
    if prediction.accepted is not None:
        message.accepted.CopyFrom(_scored(prediction.accepted))
        message.accepted_depth = prediction.accepted.category.count(SEPARATOR) + 1
    if question.include_evidence:
        for head, category in prediction.heads.items():
            message.heads.add(head=head, category=_scored(category))
    for word in prediction.words if question.include_words else ():
        message.words.add(word=word.word, support=word.support, probability_without=word.probability_without)
    if question.include_embedding:
        message.embedding.extend(prediction.embedding.tolist())


def _scored(category: ScoredCategory) -> classifier_pb2.ScoredCategory:
    return classifier_pb2.ScoredCategory(
        category=category.category, category_id=category.category_id, probability=category.probability
    )
