import math

import pytest

from model.predictor import Predictor
from server.engine.description import model_response, numbers_by_name


def test_nested_metrics_become_dotted_names():
    metrics = {"joint": {"accuracy": 0.9, "f1": {"macro": 1}}, "num_rows": 12}
    assert numbers_by_name(metrics) == {"joint.accuracy": 0.9, "joint.f1.macro": 1.0, "num_rows": 12.0}


def test_values_other_than_numbers_are_left_out():
    metrics = {"name": "shop", "curve": [0.1, 0.2], "missing": None, "is_good": True, "loss": math.inf}
    assert numbers_by_name(metrics) == {"loss": math.inf}


def test_what_was_measured_in_the_engine_s_precision_is_told(predictor: Predictor, monkeypatch: pytest.MonkeyPatch):
    kept = {"num_accepted": 40, "accepted_precision": 0.975, "precision_interval": [0.868, 0.999], "is_kept": False}
    measured = {"count": 45, **kept, "depths": [kept] * 3}
    monkeypatch.setitem(predictor.bundle.metrics, "contract_by_precision", {"int8": measured})
    monkeypatch.setattr(predictor.engine, "precision", "int8")
    in_int8 = model_response(predictor, 1000).precision_contract
    assert in_int8.unproven == ""
    assert (in_int8.accepted.num_accepted, in_int8.accepted.precision, in_int8.accepted.is_kept) == (40, 0.975, False)
    assert (in_int8.accepted.interval_low, in_int8.accepted.interval_high) == (0.868, 0.999)
    assert [depth.accepted.num_accepted for depth in in_int8.depths] == [40, 40, 40]
    monkeypatch.setattr(predictor.engine, "precision", "bfloat16")
    in_bfloat16 = model_response(predictor, 1000).precision_contract
    assert in_bfloat16.unproven == (
        "measured in float32, and this engine computes in bfloat16; run `training evaluate --precision bfloat16` on"
        " labelled products to see whether it is kept"
    )
    assert not in_bfloat16.HasField("accepted")
