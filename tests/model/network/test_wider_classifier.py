"""More classes behind the old ones."""

from pathlib import Path

import numpy as np
import pytest

from model.network.wider_classifier import load_classifier, set_columns, widen_classifier
from model.predictor import Predictor
from model.product import Product
from tests.conftest import TOY_SHOP


@pytest.mark.parametrize("num_new", [1, 4])
def test_old_logits_stay_and_new_ones_are_their_columns(toy_bundle: Path, num_new: int) -> None:
    predictor = Predictor.open(toy_bundle, "openvino")
    features = predictor.features([Product("1", "데님 청바지", "패션 > 팬츠", "brand1"), Product("2", "게이밍 laptop")])
    classifier, num_old = load_classifier(toy_bundle), len(TOY_SHOP)
    wide = widen_classifier(classifier, num_old, num_new)
    before, after = (model.predict_on_batch(features) for model in (classifier, wide))
    assert after.keys() == before.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name][:, : values.shape[1]], values, atol=1e-5)
    assert after["network_logits"].shape == (2, num_old + num_new)
    name_logits = after["name_logits"]
    np.testing.assert_array_equal(name_logits[:, num_old:], 0)

    dim = wide.get_layer("name_classes").get_weights()[0].shape[0]
    set_columns(wide, "name", np.zeros((dim, num_new), np.float32), np.arange(num_new, dtype=np.float32) + 7)
    found = wide.predict_on_batch(features)
    np.testing.assert_array_equal(found["name_logits"][:, num_old:], [np.arange(num_new) + 7] * 2)
    np.testing.assert_array_equal(found["name_logits"][:, :num_old], name_logits[:, :num_old])
    np.testing.assert_array_equal(found["image_logits"], after["image_logits"])
