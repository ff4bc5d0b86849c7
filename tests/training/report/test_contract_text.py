"""The contract in words."""

import numpy as np

from model.prediction.calibration import Calibration
from model.taxonomy import Taxonomy
from tests.conftest import answered
from training.metrics.contract import contract_metrics
from training.report.contract_text import (
    contract_lines,
    contract_table,
    field_table,
    interval_text,
    lower_promises_line,
)

TAXONOMY = Taxonomy(["a>x", "a>y", "b>x", "b>y"])


def measured(target: float) -> dict:
    """Eight answers: four stop at a leaf, of which one is wrong, two at a parent, two nowhere."""
    labels = np.array([0, 1, 2, 0, 0, 2, 1, 3])
    logits = np.full((8, 4), -9.0, np.float32)
    logits[np.arange(4), [0, 1, 2, 1]] = 9
    logits[4, :2] = logits[5, 2:] = 9  # either leaf, so the parent
    return contract_metrics(
        labels, answered(logits, TAXONOMY, Calibration(thresholds=(0.9, 0.9)), top_k=1), TAXONOMY, target
    )


def test_the_lines_of_the_terminal() -> None:
    assert contract_lines(measured(0.98)) == [
        "accepted 75.0 %, at a leaf 50.0 %; promised 98 %: right 83.3 % (35.9 to 99.6 %), not kept, by no more than"
        " chance makes of it",
        "  stopped at depth 1: 25.0 %, right 100 % (15.8 to 100 %), kept",
        "  stopped at depth 2: 50.0 %, right 75.0 % (19.4 to 99.4 %), not kept, by no more than chance makes of it",
    ]
    assert contract_lines(measured(0.8))[0].endswith("promised 80 %: right 83.3 % (35.9 to 99.6 %), kept")


def test_the_line_of_lower_promises() -> None:
    promises = [
        {"precision_target": target, "accepted_share": share, "leaf_accepted_share": share / 2}
        for target, share in ((0.95, 0.0), (0.9, 0.5), (0.8, 1.0))
    ]
    assert lower_promises_line(promises) == (
        "lower promises would accept (--resume --precision): 0.9: 50.0 %, at a leaf 25.0 %;"
        " 0.8: 100 %, at a leaf 50.0 %"
    )
    assert lower_promises_line(promises[:1]) == ""


def test_the_tables_of_the_card() -> None:
    table = contract_table(measured(0.8)).splitlines()
    assert table[0] == "| stopped at | accepted | right | 95 % interval | promise |"
    assert table[2] == "| all | 75.0 % | 83.3 % | 35.9 to 99.6 % | kept |"
    assert table[4] == "| depth 2 | 50.0 % | 75.0 % | 19.4 to 99.4 % | not kept, by no more than chance makes of it |"
    entry = {
        "fields": [],
        "accepted_share": 0.0,
        "accepted_precision": None,
        "precision_interval": None,
        "is_kept": None,
    }
    assert field_table([entry], 0.98).splitlines()[2] == "| none | 0 % | – | – | nothing accepted |"


def test_an_interval() -> None:
    assert interval_text([0.976, 0.9891]) == "97.6 to 98.9\u00a0%"
    assert interval_text(None) == "–"
