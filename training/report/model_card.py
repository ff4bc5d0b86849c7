"""The model card of a bundle, MODEL_CARD.md: inputs, quality, precision contract and limits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.bundle.bundle import Bundle
from model.bundle.writing import BundleContents, rewrite_descriptions
from model.bundle_files import FILES
from model.prediction.calibration import Calibration
from model.settings import SamplingSettings
from model.taxonomy import Taxonomy
from training.report.card_sections import int8_section, new_categories_section
from training.report.contract_text import DEFINITION, contract_table, field_table, target_text

_PRIOR_TEXTS = {
    "on": "Probabilities were brought back to the shares that categories have in the training catalog.",
    "off": "Probabilities were not brought back to the shares of the catalog: rare categories are answered more often"
    " than they occur, and frequent ones less.",
}


def rewrite_bundle(folder: Path, bundle: Bundle) -> None:
    """Put the documents of a changed bundle in the place of its old ones, with a card that is true of it.

    Args:
        folder: of the bundle's files, quantization.json among them if it has one; see `derive_bundle`'s `change`.
        bundle: with what has changed.
    """
    path = folder / FILES.quantization
    quantization = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    card = model_card(bundle, quantization)
    rewrite_descriptions(folder, bundle.taxonomy, bundle.calibration, bundle.metrics, card)


def model_card(contents: BundleContents | Bundle, quantization: Mapping[str, Any] | None = None) -> str:
    """Write the model card as Markdown.

    Args:
        quantization: quantization.json of a bundle with an image encoder in int8.
    """
    metrics, calibration, taxonomy = contents.metrics, contents.calibration, contents.taxonomy
    heads = "\n".join(
        f"| {head} | {values['count']} | {_figure(values['accuracy'])} | {_figure(values['macro_f1'])} |"
        for head, values in metrics["heads"].items()
    )
    depths = "\n".join(
        f"| {depth} | {_threshold(threshold)} | {coverage:.3f} |"
        for depth, (threshold, coverage) in enumerate(
            zip(calibration.thresholds, calibration.coverages, strict=True), start=1
        )
    )
    return f"""# Model card

Predicts one of {taxonomy.num_leaves} categories in {taxonomy.depth} levels from: {", ".join(contents.fields)}.
Any of these may be missing. {_trained_on(metrics, calibration, taxonomy)}
{_sampling(contents.settings.sampling)}
| head | products with the field | accuracy | macro F1 |
|---|---|---|---|
{heads}

Expected calibration error {_figure(metrics["cross_fitted_calibration_error"])}, each row calibrated on others;
temperature {calibration.formula.temperature:.3f}.

## Precision contract
{_definition(calibration)}

Measured with thresholds that other products gave:

{contract_table(metrics["contract"])}

{field_table(metrics["field_combinations"], calibration.precision_target)}

| depth | threshold | share that stops there |
|---|---|---|
{depths}
{_subset_contract(calibration)}
## Limits
It knows only these categories; a product of another kind gets one of them, mostly with a low probability.
Accuracy falls when products, shops or spelling differ from the training catalog: monitor the share of `needs_review`.
{_changes(metrics, quantization)}"""


def _trained_on(metrics: Mapping[str, Any], calibration: Calibration, taxonomy: Taxonomy) -> str:
    """The products that were learned and measured on; the categories that were added later had no part in these."""
    products = metrics.get("training_products")  # a bundle of an older version lacks both
    if not products or "is_out_of_fold" not in metrics:
        text = f"Measured on {metrics['count']} products that it did not learn."
    else:
        num_train = sum(
            count for leaf, count in zip(taxonomy.leaves, products, strict=True) if leaf not in calibration.unproven
        )
        text = f"Trained on {num_train} products; measured on {metrics['count']} "
        by_others = "of them, each answered by a model that was trained without it."
        text += by_others if metrics["is_out_of_fold"] else "others."
    num_added = len(calibration.unproven)
    if num_added:
        added = "1 category was" if num_added == 1 else f"{num_added} categories were"
        text += f"\nAfter that {added} added without training, see below; the accuracy of the heads is from before."
    return text


def _changes(metrics: Mapping[str, Any], quantization: Mapping[str, Any] | None) -> str:
    """The sections on what was done after the training; '' for nothing."""
    costs = metrics.get("new_category_costs", [])
    text = new_categories_section(costs) if costs else ""
    if quantization is not None:
        text += int8_section(quantization, is_current="int8" in metrics.get("contract_by_precision", {}))
    return text


def _sampling(settings: SamplingSettings) -> str:
    """A paragraph on how the training rows were drawn; '' where all were learned as they came."""
    kinds = {
        "none": "",
        "cap": f"of a category at most {settings.sampling_cap or 'the median of the categories'}",
        "sqrt": "of a category in proportion to the square root of its rows",
        "temperature": f"of a category in proportion to its rows to the power of 1 / {settings.sampling_temperature:g}",
    }
    said = {
        f"Training rows are those of the last {_months(settings.window_months)}.": settings.window_months,
        f"Rows were drawn anew for each epoch: {kinds[settings.sampling]}.": kinds[settings.sampling],
        f"Within a category the values of {settings.balance_by} weigh the same.": settings.balance_by,
        f"A row counts half after {_months(settings.half_life_months)}.": settings.half_life_months,
        f"The loss adjusts logits by {settings.logit_adjustment:g} times the log share.": settings.logit_adjustment,
        _PRIOR_TEXTS[settings.prior_correction]: settings.sampling != "none" or settings.logit_adjustment,
    }
    text = " ".join(sentence for sentence, is_said in said.items() if is_said)
    return f"\n{text}\n" if text else ""


def _months(count: float) -> str:
    return "1 month" if count == 1 else f"{count:g} months"


def _definition(calibration: Calibration) -> str:
    shares = calibration.precision_target, calibration.precision_confidence
    target, confidence = (target_text(share).replace("\u00a0", " ") for share in shares)
    return DEFINITION.format(target=target, confidence=confidence)


def _subset_contract(calibration: Calibration) -> str:
    if not calibration.subset_thresholds:
        return ""
    rows = "\n".join(
        f"| {names.replace(' ', ', ')} | {', '.join(map(_threshold, thresholds))} |"
        for names, thresholds in calibration.subset_thresholds.items()
    )
    return f"""
Products with no other fields than these have to reach these thresholds, too; other sets of fields are too rare.

| given fields | threshold at each depth |
|---|---|
{rows}
"""


def _threshold(value: float) -> str:
    return f"{value:.3f}" if value <= 1 else "never"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
