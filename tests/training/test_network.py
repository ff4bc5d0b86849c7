"""The network as it is trained."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from model.classifier import ClassifierShape, build_classifier
from model.image_encoder import build_image_encoder
from model.settings import Settings, TrainingSettings
from tests.conftest import TOY_SETTINGS
from tokenizer.tokenizer import Tokenizer
from training.network import build_optimizer, compile_network, join_programs

SHAPE = ClassifierShape(("brand", "image"), 3, 8)
Programs = tuple[keras.Model, keras.Model, keras.Model]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone of two convolutions in a file."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 3))
    hidden = keras.layers.Conv2D(4, 3, strides=4, activation="relu")(keras.layers.Rescaling(1 / 255)(pixels))
    hidden = keras.layers.Conv2D(8, 3, strides=2)(keras.layers.BatchNormalization()(hidden))
    path = tmp_path_factory.mktemp("weights") / "backbone.keras"
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(hidden)).save(path)
    return path


def programs(tokenizer: Tokenizer, backbone: Path, finetune_layers: int) -> Programs:
    """Classifier, image encoder and both joined and compiled."""
    image = replace(TOY_SETTINGS.image, finetune_layers=finetune_layers, image_weights=str(backbone))
    settings = replace(TOY_SETTINGS, image=image)
    classifier = build_classifier(SHAPE, settings.model, tokenizer, 0)
    image_encoder = build_image_encoder(settings.image, 0)
    trained = join_programs(classifier, image_encoder, settings)
    compile_network(trained, SHAPE, replace(settings.training, warmup_steps=0), steps=4)
    return classifier, image_encoder, trained


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


def train_two_steps(trained: keras.Model) -> dict[str, np.ndarray]:
    inputs, labels, weights = batch(trained)
    for _ in range(2):
        trained.train_on_batch(inputs, labels, weights)
    return inputs


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


def test_pixels_train_the_backbone(toy_tokenizer: tuple[Tokenizer, Path], backbone: Path) -> None:
    classifier, image_encoder, trained = programs(toy_tokenizer[0], backbone, -1)
    assert {tensor.name for tensor in trained.inputs} == {
        "brand_ngram_ids",
        "brand_ngram_weights",
        "presence",
        "images",
    }
    assert set(trained.output) == {"image_logits", "joint_logits"}
    before = [np.array(weights) for weights in image_encoder.trainable_weights]
    inputs = train_two_steps(trained)
    changed = [not np.array_equal(old, new) for old, new in zip(before, image_encoder.trainable_weights, strict=True)]
    assert len(changed) == 4  # two kernels, two biases: batch norm with given statistics stays frozen
    assert all(changed)
    # The two programs that are saved give what the trained one gives: the mirror and the shift are training's alone.
    features = image_encoder.predict(inputs["images"], verbose=0)["image_features"]
    texts = {name: values for name, values in inputs.items() if name != "images"}
    apart = classifier.predict({**texts, "image_features": features}, verbose=0)
    joined = trained.predict(inputs, verbose=0)
    np.testing.assert_allclose(joined["joint_logits"], apart["joint_logits"], atol=1e-4)


def test_a_few_layers_train_only_those(toy_tokenizer: tuple[Tokenizer, Path], backbone: Path) -> None:
    _, image_encoder, trained = programs(toy_tokenizer[0], backbone, 2)
    trainable = {id(weights) for weights in image_encoder.trainable_weights}
    before = {id(weights): np.array(weights) for weights in image_encoder.weights}
    assert len(trainable) == 2
    assert len(before) == 8
    train_two_steps(trained)
    changed = {id(weights) for weights in image_encoder.weights if not np.array_equal(before[id(weights)], weights)}
    assert changed == trainable


def test_a_frozen_backbone_takes_features_and_stays(toy_tokenizer: tuple[Tokenizer, Path], backbone: Path) -> None:
    classifier, image_encoder, trained = programs(toy_tokenizer[0], backbone, 0)
    assert {tensor.name for tensor in trained.inputs} == {tensor.name for tensor in classifier.inputs}
    assert "image_features" in {tensor.name for tensor in trained.inputs}
    assert not image_encoder.trainable_weights
    before = image_encoder.get_weights()
    bags = np.array(classifier.get_layer("ngram_vectors").embeddings)
    train_two_steps(trained)
    for old, new in zip(before, image_encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.array_equal(bags, classifier.get_layer("ngram_vectors").embeddings)


def test_head_weights_of_the_settings_weigh_the_losses(toy_tokenizer: tuple[Tokenizer, Path]) -> None:
    classifier = build_classifier(SHAPE, TOY_SETTINGS.model, toy_tokenizer[0], 0)
    trained = join_programs(classifier, None, Settings())
    settings = replace(TOY_SETTINGS.training, image_loss_weight=0.25, joint_loss_weight=2.0)
    compile_network(trained, SHAPE, settings, steps=10)
    inputs, labels, weights = batch(trained)
    found = trained.evaluate(inputs, labels, sample_weight=weights, verbose=0, return_dict=True)
    expected = 0.25 * found["image_logits_loss"] + 2.0 * found["joint_logits_loss"]
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert {"image_logits_accuracy", "joint_logits_accuracy"} <= found.keys()
