"""Wrong labels that a method has found, against the right ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy.catalog_variants import Row, read_rows
from training.network.train_state import TrainState


def refurbished_corrections(state: Path, given: Sequence[Row], right: Sequence[Row]) -> dict[str, float]:
    """Precision and recall of the labels that SELFIE has replaced: right ones count, of all that it changed.

    Args:
        state: folder of the training's state.
        given, right: the training catalog's rows, in its order; none was left out.
    """
    categories = sorted({row["category"] for row in given})
    learned = TrainState(state, "").restore_further()["refurbished"].tolist()
    replaced = [categories[number] if number >= 0 else "" for number in learned]
    is_changed = np.array([new not in ("", row["category"]) for new, row in zip(replaced, given, strict=True)])
    is_hit = np.array([new == row["category"] for new, row in zip(replaced, right, strict=True)]) & is_changed
    is_wrong = _is_wrong(given, right)
    return _shares(is_hit & is_wrong, is_changed, is_wrong)


def issue_corrections(pruned: Path, given: Sequence[Row], right: Sequence[Row]) -> dict[str, float]:
    """Precision and recall of the labels that `labeling issues` counts as wrong.

    Args:
        pruned: the catalog without the issues.
        given, right: its rows, and these with the right labels.
    """
    kept = {row["product_id"] for row in read_rows(pruned)}
    is_found = np.array([row["product_id"] not in kept for row in given])
    is_wrong = _is_wrong(given, right)
    return _shares(is_found & is_wrong, is_found, is_wrong)


def _is_wrong(given: Sequence[Row], right: Sequence[Row]) -> np.ndarray:
    return np.array([row["category"] != true["category"] for row, true in zip(given, right, strict=True)])


def _shares(is_hit: np.ndarray, is_found: np.ndarray, is_wrong: np.ndarray) -> dict[str, float]:
    return {
        "precision": float(is_hit.sum() / max(is_found.sum(), 1)),
        "recall": float(is_hit.sum() / max(is_wrong.sum(), 1)),
    }
