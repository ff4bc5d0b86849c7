"""The network as it is trained."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from model.network.classifier import ClassifierShape, build_classifier
from model.prediction.answers import softmax
from model.settings import SamplingSettings, TrainingSettings
from tests.conftest import TOY_SETTINGS
from tokenizer.tokenizer import Tokenizer
from training.network.optimization import build_optimizer, compile_network, head_loss_weights, over_logits
from training.sampling.row_draw import draw_by_category

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


def test_a_draw_moves_the_logits_of_the_loss_and_of_the_answers(toy_tokenizer: tuple[Tokenizer, Path]) -> None:
    """The classifier inside stays as it is; what is measured are answers for the true shares."""
    model = replace(TOY_SETTINGS.model, ngram_dropout_rate=0.0, joint_dropout_rate=0.0, modality_dropout_rate=0.0)
    fields = replace(TOY_SETTINGS.fields, image_dropout_rate=0.0)
    classifier = build_classifier(SHAPE, model, fields, toy_tokenizer[0], 0)
    draw = draw_by_category(np.array([0] * 8 + [1] * 4 + [2]), 3, SamplingSettings("sqrt", logit_adjustment=0.5))
    trained = over_logits(classifier, draw)
    inputs, _, _ = batch(trained)
    plain = classifier(inputs)
    for is_training, offsets in ((True, draw.loss_offsets), (False, draw.network_offsets)):
        moved = trained(inputs, training=is_training)
        assert moved.keys() == {"image_logits", "joint_logits"}
        for name, logits in moved.items():
            np.testing.assert_allclose(logits, plain[name] + offsets, atol=1e-5)
    settings = replace(TOY_SETTINGS.training, learning_rate=1e-9)
    compile_network(trained, head_loss_weights(SHAPE.heads, TOY_SETTINGS), settings, steps=10)
    inputs, labels, weights = batch(trained)
    measured = trained.evaluate(inputs, labels, sample_weight=weights, verbose=0, return_dict=True)
    answers = np.asarray(plain["joint_logits"]) + draw.network_offsets
    assert measured["joint_logits_accuracy"] == pytest.approx((answers.argmax(axis=1) == np.arange(6) % 3).mean())
    learned = trained.train_on_batch(inputs, labels, weights, return_dict=True)
    logits = np.asarray(plain["joint_logits"]) + draw.loss_offsets
    own = np.log(softmax(logits))[np.arange(6), np.arange(6) % 3]
    assert learned["joint_logits_loss"] == pytest.approx(-own.mean(), rel=1e-4)
