"""The backend is chosen before Keras starts; the same bundle answers alike on every one."""

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from model.bundle.bundle import load_bundle
from model.engines.engine_choice import open_engine
from model.engines.openvino_engine import OpenVinoEngine
from model.errors import SettingsError
from model.network.keras_backend import prepare_keras
from model.product import Product
from model.settings import TrainingSettings
from tests.conftest import toy_picture
from tests.toy_backbone import TOY_IMAGE_DIM

pytestmark = pytest.mark.long(seconds=50)

#: On another backend: answer with the toy bundle, then build, train for a step, write and reload a network.
ON_ANOTHER_BACKEND = """
import dataclasses, json, pathlib, sys
sys.modules["tf2onnx"] = None  # as where it is not installed: ONNX is tested with TensorFlow
import numpy as np
from model.network.keras_backend import prepare_keras
from model.settings import TrainingSettings
backend = prepare_keras(TrainingSettings())
import keras
from model.bundle.bundle import load_bundle
from model.network.classifier import ClassifierShape, build_classifier
from model.engines.export import write_programs
from model.engines.keras_engine import KerasEngine
from training.encoding.picture_encoding import PictureEncoder
from training.network.optimization import compile_network, head_loss_weights, over_logits

bundle_dir, folder = map(pathlib.Path, sys.argv[1:3])
given = dict(np.load(folder / "given.npz"))
images = given.pop("images")
engine = KerasEngine(bundle_dir)
np.savez(folder / "answered.npz", image_features=engine.encode_images(images), **engine.classify(given))

bundle = load_bundle(bundle_dir)
pixels = keras.Input((32, 32, 3), dtype="uint8", name="images")
means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1.0)(pixels))
image_encoder = keras.Model(pixels, {"image_features": keras.layers.Activation("linear", name="image_features")(means)})
pictures = PictureEncoder(image_encoder, bundle.settings.image, folder / "cache")
pictures.embed([(folder / "picture.png").read_bytes()])
np.save(folder / "embedded.npy", pictures.cache.features())

shape = ClassifierShape(bundle.fields, bundle.taxonomy.num_leaves, bundle.image_feature_dim)
classifier = build_classifier(shape, bundle.settings.model, bundle.settings.fields, bundle.tokenizer, seed=0)
network = over_logits(classifier)
loss_weights = head_loss_weights(shape.heads, bundle.settings)
compile_network(network, loss_weights, dataclasses.replace(bundle.settings.training, warmup_steps=0), steps=2)
labels = {f"{head}_logits": np.arange(len(images), dtype=np.int32) % 3 for head in shape.heads}
losses = [float(network.train_on_batch(given, labels)[0]) for _ in range(2)]
write_programs(folder / "bundle", classifier, None)
trained = {name: np.asarray(values) for name, values in classifier.predict_on_batch(given).items()}
np.savez(folder / "trained.npz", **trained)
reloaded = KerasEngine(folder / "bundle").classify(given)
np.testing.assert_allclose(reloaded["joint_logits"], trained["joint_logits"], atol=1e-5)
print(json.dumps([backend, keras.backend.backend(), losses]))
"""


def run_python(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_answers_trains_and_exports(backend: str, toy_bundle: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; pip install {backend} to run this test")
    bundle, engine = load_bundle(toy_bundle), open_engine(toy_bundle, "openvino")
    products = [
        Product("1", "반팔 티셔츠", "패션 > 탑", image=toy_picture((40, 40, 220), 1)),
        Product("2", "게이밍 laptop", brand="brand1"),
        Product("3", image=toy_picture((200, 80, 30), 2)),
        Product("4", "zebra"),
    ]
    images = np.stack([bundle.preprocessor.decode(products[i]) for i in (0, 2, 0, 2)])
    features = bundle.preprocessor.features(
        products, np.random.default_rng(0).random((4, TOY_IMAGE_DIM), dtype=np.float32)
    )
    np.savez(tmp_path / "given.npz", images=images, **features)
    (tmp_path / "picture.png").write_bytes(toy_picture((40, 40, 220), 1))

    done = run_python(ON_ANOTHER_BACKEND, str(toy_bundle), str(tmp_path), KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr[-3000:]
    asked, used, losses = json.loads(done.stdout.splitlines()[-1])
    assert (asked, used) == (backend, backend)
    assert np.isfinite(losses).all()

    answered = np.load(tmp_path / "answered.npz")
    expected = {**engine.classify(features), "image_features": engine.encode_images(images)}
    assert set(answered.files) == set(expected)
    for name, values in expected.items():
        scale = float(np.abs(values).max())
        np.testing.assert_allclose(answered[name], values, rtol=0, atol=1e-4 * scale, err_msg=name)
    mean_color = images[0].mean(axis=(0, 1), keepdims=True)[0]
    np.testing.assert_allclose(np.load(tmp_path / "embedded.npy"), mean_color, rtol=1e-4)
    trained, exported = np.load(tmp_path / "trained.npz"), OpenVinoEngine(tmp_path / "bundle").classify(features)
    for name, values in exported.items():
        np.testing.assert_allclose(values, trained[name], atol=1e-4, err_msg=name)


def test_a_backend_that_cannot_start() -> None:
    program = """
from model.errors import SettingsError
from model.network.keras_backend import prepare_keras
from model.settings import TrainingSettings
try:
    prepare_keras(TrainingSettings())
except SettingsError as error:
    print(error)
"""
    done = run_python(program, KERAS_BACKEND="theano")
    assert done.stdout.splitlines()[-1:] == [
        "the Keras backend theano cannot start: Unable to import backend : theano; set another --backend"
    ], done.stderr


def test_keras_cannot_change_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    running, other = ("tensorflow", "jax") if keras.backend.backend() == "tensorflow" else ("jax", "tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", other)
    with pytest.raises(SettingsError, match=f"Keras already runs on {running}, {other} was asked for; start afresh"):
        prepare_keras(TrainingSettings())


def test_the_environment_wins_and_the_policy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    running = keras.backend.backend()
    monkeypatch.setenv("KERAS_BACKEND", running)
    policy = keras.config.dtype_policy()
    try:
        settings = TrainingSettings(backend="torch", precision_policy="mixed_bfloat16")
        assert prepare_keras(settings) == running
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept with glibc only")
def test_large_memory_is_used_again() -> None:
    """40 times 64 MiB, one after the other, are 655,360 pages of 4 KiB if each comes from the system."""
    program = """
import resource
from model.network.keras_backend import prepare_keras
from model.settings import TrainingSettings
prepare_keras(TrainingSettings())
length = 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    b"x" * length
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = run_python(program)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * 2**14, "more than two of them were got from the system"
