"""Sections of the model card that say what was done to a bundle after its training."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.report.contract_text import contract_table


def cost_lines(cost: Mapping[str, Any], val_name: str) -> list[str]:
    """Say what new categories cost the old ones, and how many products of the new ones are found.

    Args:
        cost: `training.new_category.cost.NewCategoryCost` as plain values.
        val_name: of the validation catalog.
    """
    lines = [
        f"old categories: accuracy {cost['accuracy_before']:.4f} before, {cost['accuracy_after']:.4f} after on"
        f" {cost['num_old_rows']} products of {val_name}; {cost['num_moved']} now answered with a new category"
    ]
    for leaf in cost["new_leaves"]:
        further = f"{leaf['num_found_further']} of {leaf['num_further']} further products in {val_name}"
        lines.append(
            f"{leaf['category']}: {leaf['num_found_left_out']} of {leaf['num_examples']} examples found when left out, "
            + (further if leaf["num_further"] else f"no further product in {val_name}")
        )
    return lines


def new_categories_section(costs: Sequence[Mapping[str, Any]]) -> str:
    """Markdown on the categories added without training, once or more often.

    Args:
        costs: of each time, see `cost_lines`.
    """
    return "\n".join(
        [
            "",
            "## Categories added without training",
            "",
            "From a few examples each; the old categories keep their weights. The precision contract does not cover",
            "the new ones, nor categories above them: their answers are left for review. For all others its thresholds",
            "were fitted anew on the validation catalog, never below the old ones.",
            "",
            *(f"- {line}" for cost in costs for line in cost_lines(cost, "the validation catalog")),
            "",
        ]
    )


def int8_section(quantization: Mapping[str, Any], is_current: bool) -> str:
    """Markdown on the image encoder in int8.

    Args:
        quantization: quantization.json, see `training.quantize.quantize`.
        is_current: whether the model is still the one that was measured.
    """
    lines = [
        "",
        "## Image encoder in int8",
        "",
        f"Calibrated on {quantization['num_pictures']} pictures of {quantization['catalog']}, measured on all of it"
        f" ({quantization['float32']['count']} products), those pictures included.",
    ]
    if not is_current:
        lines.append("That was before categories were added; quantize again to have the figures of this bundle.")
    lines += ["", "| | float32 | int8 |", "|---|---|---|"]
    for name in ("accuracy", "image_accuracy"):
        values = (quantization[precision][name] for precision in ("float32", "int8"))
        cells = " | ".join("-" if value is None else f"{value:.4f}" for value in values)
        lines.append(f"| {name.replace('_', ' ')} | {cells} |")
    table = contract_table(quantization["int8"]["contract"])
    return "\n".join([*lines, "", "Precision contract in int8:", "", table, ""])
