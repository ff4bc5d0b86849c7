import math

from server.calls.response import numbers_by_name


def test_nested_metrics_become_dotted_names():
    metrics = {"joint": {"accuracy": 0.9, "f1": {"macro": 1}}, "num_rows": 12}
    assert numbers_by_name(metrics) == {"joint.accuracy": 0.9, "joint.f1.macro": 1.0, "num_rows": 12.0}


def test_values_other_than_numbers_are_left_out():
    metrics = {"name": "shop", "curve": [0.1, 0.2], "missing": None, "is_good": True, "loss": math.inf}
    assert numbers_by_name(metrics) == {"loss": math.inf}
