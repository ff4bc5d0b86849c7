"""The model card of a bundle, MODEL_CARD.md: inputs, quality, precision contract and limits."""

from model.bundle.writing import BundleContents
from model.prediction.calibration import Calibration


def model_card(contents: BundleContents, num_train: int, num_val: int) -> str:
    """Write the model card as Markdown."""
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
Any of these may be missing. Trained on {num_train} products, measured on {num_val} others.

| head | products with the field | accuracy | macro F1 |
|---|---|---|---|
{heads}

Expected calibration error {_figure(metrics["cross_fitted_calibration_error"])}, each row calibrated on others;
temperature {calibration.formula.temperature:.3f}.

## Precision contract
Of the accepted answers, {calibration.precision_target:.0%} are guaranteed to be right, with
{calibration.precision_confidence:.0%} confidence, on products like those of the validation catalog.

| depth | threshold | share accepted on validation |
|---|---|---|
{depths}
{_subset_contract(calibration)}
## Limits
It knows only these categories; a product of another kind gets one of them, mostly with a low probability.
Accuracy falls when products, shops or spelling differ from the training catalog: monitor the share of `needs_review`.
"""


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
