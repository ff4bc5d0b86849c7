"""MODEL_CARD.md: what a person should know before using a bundle."""

from model.bundle.writing import BundleContents
from model.prediction.calibration import Calibration


def model_card(contents: BundleContents, num_train: int, num_val: int) -> str:
    """Markdown with inputs, size, validation figures and limits."""
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
Any of these may be missing. Trained on {num_train} products, measured on {num_val} it did not see.

| head | products with the field | accuracy | macro F1 |
|---|---|---|---|
{heads}

Expected calibration error {_figure(metrics["cross_fitted_calibration_error"])}, each row calibrated on others;
temperature {calibration.formula.temperature:.3f}.

## Precision contract
Accepted answers are promised to be right in {calibration.precision_target:.0%} of cases, with
{calibration.precision_confidence:.0%} confidence, on products like those it was calibrated on.

| depth | least probability | share accepted on validation |
|---|---|---|
{depths}
{_subset_contract(calibration)}
## Limits
It knows only the categories above; a product of another kind gets one of them, mostly with a low probability.
Figures fall when products, shops or spelling differ from the training catalog: look at `needs_review` over time.
"""


def _subset_contract(calibration: Calibration) -> str:
    if not calibration.subset_thresholds:
        return ""
    rows = "\n".join(
        f"| {names.replace(' ', ', ')} | {', '.join(map(_threshold, thresholds))} |"
        for names, thresholds in calibration.subset_thresholds.items()
    )
    return f"""
Products with no other fields than these have to reach these thresholds, too; sets that are not here are too rare.

| given | least probability at each depth |
|---|---|
{rows}
"""


def _threshold(value: float) -> str:
    return f"{value:.3f}" if value <= 1 else "never"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
