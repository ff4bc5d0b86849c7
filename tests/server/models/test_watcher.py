import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from model.bundle_files import FILES
from server.event_loop import EventLoop
from server.inference.engine_pool import EnginePool
from server.inference.engine_process import ENGINE_COMMAND
from server.inference.memory_budget import MemoryBudget
from server.models.loader import ModelLoader
from server.models.registry import ModelRegistry, VersionState
from server.models.watcher import ModelWatcher
from server.settings import ServerSettings
from tests.server.support import add_version, answered_by, damage, named, serving, wait_for


@pytest.fixture(scope="module")
def event_loop() -> Iterator[EventLoop]:
    event_loop = EventLoop("test")
    yield event_loop
    event_loop.close()


@pytest.fixture
def registry(event_loop: EventLoop) -> Iterator[ModelRegistry]:  # it outlives the models
    registry = ModelRegistry()
    yield registry
    registry.close()


@pytest.fixture
def command() -> list[str]:
    """Starts an engine process; a test may change it in place."""
    return list(ENGINE_COMMAND)


@pytest.fixture
def loader(watch_settings: ServerSettings, event_loop: EventLoop, command: list[str]) -> ModelLoader:
    return ModelLoader(watch_settings, event_loop, MemoryBudget(1 << 30), command)


@pytest.fixture
def watcher(loader: ModelLoader, models: Path, registry: ModelRegistry) -> ModelWatcher:
    """A watcher that has loaded version 1; the tests call `poll` themselves."""
    watcher = ModelWatcher(models, loader, registry, num_versions=1)
    watcher.load()
    return watcher


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_version_is_read_only_when_its_folder_stopped_changing(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture
):
    """Copies a version file by file as `cp -r` does, the manifest in the middle."""
    version = models / "shop/2"
    files = [path for path in sorted(toy_bundle.rglob("*")) if path.is_file()]
    for file in files:
        target = version / file.relative_to(toy_bundle)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
        watcher.poll()
        assert serving(registry) == {"shop": "1"}
    watcher.poll()
    assert serving(registry) == {"shop": "2"}
    assert errors(caplog) == []


def test_a_bad_version_is_refused_once_and_tried_again_when_it_changes(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture
):
    add_version(toy_bundle, models / "shop/2")
    damage(models / "shop/2")
    _poll(watcher, 4)
    assert serving(registry) == {"shop": "1"}
    [refused] = [state for state in registry.states if state.state == "refused"]
    assert (refused.name, refused.version) == ("shop", "2")
    assert f"is damaged: {FILES.calibration} has SHA-256" in refused.reason
    assert errors(caplog) == [f"refused shop 2: {refused.reason}; it is tried again when its files change"]
    shutil.copy(toy_bundle / FILES.calibration, models / "shop/2")
    _poll(watcher, 2)
    assert registry.states == [VersionState("shop", "2", "serving")]
    assert len(errors(caplog)) == 1


def test_a_refusal_is_forgotten_with_its_folder(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path
):
    add_version(toy_bundle, models / "shop/2")
    damage(models / "shop/2")
    _poll(watcher, 2)
    assert len(registry.states) == 2
    shutil.rmtree(models / "shop/2")
    _poll(watcher, 1)
    assert registry.states == [VersionState("shop", "1", "serving")]


def test_removing_the_newest_version_rolls_back(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture
):
    add_version(toy_bundle, models / "shop/2")
    _poll(watcher, 2)
    shutil.rmtree(models / "shop/2")
    _poll(watcher, 2)
    assert registry.states == [VersionState("shop", "1", "serving")]
    assert errors(caplog) == []


def test_a_removed_version_stays_served_while_the_one_before_cannot_be_loaded(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path
):
    add_version(toy_bundle, models / "shop/2")
    _poll(watcher, 2)
    damage(models / "shop/1")
    shutil.rmtree(models / "shop/2")
    _poll(watcher, 4)
    assert [(state.version, state.state) for state in registry.states] == [("2", "serving"), ("1", "refused")]


def test_a_version_written_again_is_loaded_again(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture
):
    first = next(iter(registry))
    for file in (models / "shop/1").iterdir():
        os.utime(file, (1, 1))
    _poll(watcher, 3)
    assert next(iter(registry)) is first
    shutil.rmtree(models / "shop/1")
    add_version(toy_bundle, models / "shop/1", metrics={"retrained": 1})
    _poll(watcher, 2)
    assert next(iter(registry)).pool.description.response.metrics["retrained"] == 1
    damage(models / "shop/1")  # the manifest is the one it was loaded with, so nothing is loaded
    _poll(watcher, 3)
    assert registry.states == [VersionState("shop", "1", "serving")]
    assert errors(caplog) == []


def test_as_many_versions_stay_loaded_as_the_settings_say(
    loader: ModelLoader, models: Path, toy_bundle: Path, registry: ModelRegistry
):
    add_version(toy_bundle, models / "shop/2")
    watcher = ModelWatcher(models, loader, registry, num_versions=2)
    watcher.load()
    kept = registry.loaded("shop")[0]
    add_version(toy_bundle, models / "shop/3")
    _poll(watcher, 2)
    assert [(state.version, state.state) for state in registry.states] == [("3", "serving"), ("2", "loaded")]
    with registry.lease("shop", "2") as pinned:
        assert pinned is kept
    shutil.rmtree(models / "shop/3")
    _poll(watcher, 2)
    assert [state.version for state in registry.states] == ["2", "1"]


def test_the_last_model_stays_served_when_its_folder_is_removed(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture
):
    add_version(toy_bundle, models / "mall/1")
    _poll(watcher, 2)
    shutil.rmtree(models / "mall")
    _poll(watcher, 2)
    assert serving(registry) == {"shop": "1"}
    shutil.rmtree(models / "shop")
    _poll(watcher, 4)
    assert serving(registry) == {"shop": "1"}
    assert errors(caplog) == [
        f"mall is gone from {models} and no longer served",
        f"cannot read {models}: it holds no model any more; the served versions stay",
    ]


def test_served_versions_stay_while_the_disk_is_missing(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture
):
    away = models.with_name("away")
    models.rename(away)
    _poll(watcher, 4)
    assert serving(registry) == {"shop": "1"}
    assert errors(caplog) == [f"cannot read {models}: No such file or directory; the served versions stay"]
    away.rename(models)
    add_version(toy_bundle, models / "shop/2")
    _poll(watcher, 2)
    assert serving(registry) == {"shop": "2"}


def test_overwritten_files_do_not_affect_answers(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, event_loop: EventLoop, jpeg: bytes
):
    """A full disk truncates files; an engine that still read from them would crash the process."""
    for file in (models / "shop/1").rglob("*"):
        if file.is_file():
            os.truncate(file, 0)
    _poll(watcher, 3)
    assert serving(registry) == {"shop": "1"}
    request = pb.ClassifyRequest(products=[named("red shirt"), pb.Product(image=jpeg)])
    answers = answered_by(next(iter(registry)).pool, event_loop, request).classifications
    assert [answer.WhichOneof("outcome") for answer in answers] == ["prediction"] * 2


def test_any_error_while_loading_refuses_the_version(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, command: list[str]
):
    add_version(toy_bundle, models / "shop/2")
    add_version(toy_bundle, models / "mall/1")
    command[:] = [sys.executable, "-c", "raise MemoryError('no room for the weights')"]
    _poll(watcher, 2)
    assert {(state.name, state.version, state.state) for state in registry.states} == {
        ("shop", "1", "serving"),
        ("shop", "2", "refused"),
        ("mall", "1", "refused"),
    }
    reasons = {state.reason for state in registry.states if state.state == "refused"}
    assert reasons == {"the engine process ended with status 1 before it had loaded the bundle"}


def test_a_version_that_changes_while_it_is_read_is_not_served(
    watcher: ModelWatcher, registry: ModelRegistry, models: Path, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    add_version(toy_bundle, models / "shop/2")
    watcher.poll()
    with monkeypatch.context() as patch:
        open_pool = EnginePool.open
        patch.setattr(
            EnginePool, "open", lambda pool, is_beside: (open_pool(pool, is_beside), damage(models / "shop/2"))
        )
        watcher.poll()
    assert registry.states == [VersionState("shop", "1", "serving")]
    _poll(watcher, 2)
    assert [(state.version, state.state) for state in registry.states] == [("1", "serving"), ("2", "refused")]


def test_a_stop_does_not_wait_for_a_version_that_arrives(
    loader: ModelLoader, registry: ModelRegistry, models: Path, toy_bundle: Path
):
    watcher = ModelWatcher(models, loader, registry, num_versions=1)
    watcher.load()
    watcher.start(0.01, lambda names: None)
    add_version(toy_bundle, models / "shop/2")
    wait_for(lambda: loader._opening is not None and bool(loader._opening._starting))
    stopping = threading.Thread(target=watcher.stop, daemon=True)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()
    assert serving(registry) == {"shop": "1"}


def test_a_start_loads_the_newest_valid_version(
    loader: ModelLoader, models: Path, toy_bundle: Path, registry: ModelRegistry
):
    add_version(toy_bundle, models / "shop/2")
    damage(models / "shop/2")
    ModelWatcher(models, loader, registry, num_versions=1).load()
    assert [(state.version, state.state) for state in registry.states] == [("1", "serving"), ("2", "refused")]


def _poll(watcher: ModelWatcher, times: int) -> None:
    for _ in range(times):
        watcher.poll()
