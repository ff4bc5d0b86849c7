"""The state beside a bundle."""

import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from model.errors import TrainingError
from training.network.train_state import Progress, TrainState


def small_model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    hidden = keras.layers.Dropout(0.5, seed=seed)(keras.layers.Dense(8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    model.compile("adam", "mse")
    return model


def step(model: keras.Model) -> float:
    random = np.random.default_rng(0)
    return float(model.train_on_batch(random.random((16, 4), np.float32), random.random((16, 2), np.float32)))


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """The model of `saved` and the folder of its state; neither is to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    model, _, _ = saved(folder)
    return model, folder / "state"


def saved(tmp_path: Path) -> tuple[keras.Model, TrainState, Progress]:
    """A model after two steps, its best weights those after the first."""
    model, state = small_model(1), TrainState(tmp_path / "state", "key")
    step(model)
    state.save(model, Progress(1, 0.5, 1, [{"epoch": 1, "loss": 2.5}]), model.get_weights())
    step(model)
    progress = Progress(2, 0.5, 1, [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 3.25}])
    state.save(model, progress, None)
    return model, state, progress


def test_a_restored_model_goes_on_as_the_saved_one(tmp_path: Path) -> None:
    """Weights, Adam's moments and step, and the random state of dropout."""
    model, _, progress = saved(tmp_path)
    other = small_model(2)
    state = TrainState(tmp_path / "state", "key")
    assert state.exists()
    assert state.restore(other) == progress
    assert int(other.optimizer.iterations) == 2
    assert [step(other) for _ in range(3)] == [step(model) for _ in range(3)]
    for expected, found in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    model, state, _ = saved(tmp_path)
    reference = small_model(1)
    step(reference)
    state.restore_best(model)
    for expected, found in zip(reference.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_nothing_is_there_at_first_and_after_clear(tmp_path: Path) -> None:
    state = TrainState(tmp_path / "a" / "state", "key")
    assert not state.exists()
    state.clear()
    state.save(small_model(0), Progress(1), small_model(0).get_weights())
    assert sorted(path.name for path in (tmp_path / "a" / "state").iterdir()) == ["best.npz", "state.npz"]
    state.clear()
    assert not state.exists()
    assert not list((tmp_path / "a" / "state").iterdir())


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    model = small_model(2)
    before = model.get_weights()
    expected = r"state was made with other data or settings; give the same ones, or leave out --resume to start afresh"
    with pytest.raises(TrainingError, match=expected):
        TrainState(tmp_path / "state", "another key").restore(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["state.npz", "best.npz"])
@pytest.mark.parametrize("damage", ["cut", "bytes", "empty", "gone", "other"])
def test_a_damaged_state_is_an_error(
    tmp_path: Path, two_steps: tuple[keras.Model, Path], name: str, damage: str
) -> None:
    model, folder = two_steps
    shutil.copytree(folder, tmp_path / "state")
    state, path = TrainState(tmp_path / "state", "key"), tmp_path / "state" / name
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "bytes":
        path.write_bytes(data[:300] + bytes(300) + data[600:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "gone":
        path.unlink()
    else:
        np.savez(path, x=np.zeros(3))
    load = state.restore if name == "state.npz" else state.restore_best
    with pytest.raises(TrainingError, match=r"state.* cannot be read: .*leave out --resume"):
        load(model)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.training.network.test_train_state import Progress, TrainState, small_model, step
from model.errors import TrainingError

model, state = small_model(1), TrainState(Path({folder!r}), "key")
step(model)
state.save(model, Progress(1, 0.5, 1), model.get_weights())
step(model)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    state.save(model, Progress(2, 0.5, 1), None)
except TrainingError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_the_older_state(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write itself is refused half way."""
    folder = tmp_path / "state"
    script = FULL_DISK.format(root=str(Path.cwd()), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == (
        f"the training state could not be written to {folder}: File too large; the state of epoch 1 is kept."
        " Free space and run the same command with --resume"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["best.npz", "state.npz"]
    model, reference = small_model(2), small_model(1)
    assert TrainState(folder, "key").restore(model).epoch == 1
    step(reference)
    for expected, found in zip(reference.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
