"""The network as it is trained."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.settings import TrainingSettings
from tests.conftest import TOY_SETTINGS
from tokenizer.tokenizer import Tokenizer
from training.network.optimization import build_optimizer, compile_network, head_loss_weights, over_logits

SHAPE = ClassifierShape(("brand", "image"), 3, 8)


def batch(trained: keras.Model, count: int = 6) -> tuple[dict, dict, dict]:
    random = np.random.default_rng(0)
    inputs = {}
    for tensor in trained.inputs:
        shape = (count, *tensor.shape[1:])
        inputs[tensor.name] = (
            random.random(shape, np.float32)
            if "float" in tensor.dtype
            else random.integers(0, 256, shape).astype(tensor.dtype)
        )
    labels = np.arange(count) % 3
    outputs = [f"{head}_logits" for head in SHAPE.heads]
    return inputs, dict.fromkeys(outputs, labels), dict.fromkeys(outputs, np.ones(count, np.float32))


@pytest.mark.parametrize("name", ["Adam", "Adagrad", "Adadelta", "SGD"])
def test_the_optimizer_goes_by_its_name(name: str) -> None:
    settings = replace(TrainingSettings(), optimizer=name)  # type: ignore[arg-type]
    assert type(build_optimizer(settings, 100)) is getattr(keras.optimizers, name)


@pytest.mark.parametrize(
    ("steps", "warmup_steps", "top_step"), [(1000, 100, 100), (50, 100, 10), (3, 100, 0), (9, 0, 0)]
)
def test_the_learning_rate_rises_to_its_top_and_ends_at_zero(steps: int, warmup_steps: int, top_step: int) -> None:
    """The warm-up takes a fifth of a short training at most."""
    settings = replace(TrainingSettings(), learning_rate=0.5, warmup_steps=warmup_steps)
    schedule = build_optimizer(settings, steps)._learning_rate
    rates = [float(schedule(step)) for step in range(steps + 1)]
    assert rates[top_step] == pytest.approx(0.5, rel=1e-5) == max(rates)
    assert rates[steps] == pytest.approx(0.0, abs=1e-6)
    assert rates[steps - 1] > 0
    if top_step:
        assert rates[0] == 0.0
        assert rates[top_step // 2] == pytest.approx(0.25, rel=1e-5)
    assert rates[: top_step + 1] == sorted(rates[: top_step + 1])
    assert rates[top_step:] == sorted(rates[top_step:], reverse=True)


def test_head_weights_of_the_settings_weigh_the_losses(toy_tokenizer: tuple[Tokenizer, Path]) -> None:
    classifier = build_classifier(SHAPE, TOY_SETTINGS.model, TOY_SETTINGS.fields, toy_tokenizer[0], 0)
    trained = over_logits(classifier)
    fields = replace(TOY_SETTINGS.fields, image_loss_weight=0.25)
    settings = replace(TOY_SETTINGS, fields=fields, training=replace(TOY_SETTINGS.training, joint_loss_weight=2.0))
    compile_network(trained, head_loss_weights(SHAPE.heads, settings), settings.training, steps=10)
    inputs, labels, weights = batch(trained)
    found = trained.evaluate(inputs, labels, sample_weight=weights, verbose=0, return_dict=True)
    expected = 0.25 * found["image_logits_loss"] + 2.0 * found["joint_logits_loss"]
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert {"image_logits_accuracy", "joint_logits_accuracy"} <= found.keys()
