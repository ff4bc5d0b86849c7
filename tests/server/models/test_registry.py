import threading
from typing import Any, cast

import pytest

from server.errors import RequestError
from server.models.registry import ModelRegistry, ServedModel, VersionState


class CountedPool:
    """A stand-in for an engine pool that records when it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        assert not self.closed.is_set()
        self.closed.set()


def served(name: str, version: str) -> ServedModel:
    return ServedModel(name, version, cast(Any, CountedPool()))


def closed(model: ServedModel) -> threading.Event:
    return cast(CountedPool, model.pool).closed


def leased(registry: ModelRegistry, name: str, version: str) -> ServedModel:
    with registry.lease(name, version) as model:
        return model


def test_a_lease_finds_the_newest_or_the_pinned_version():
    registry = ModelRegistry()
    newest, older = served("shop", "10"), served("shop", "9")
    registry.publish("shop", [newest, older])
    assert leased(registry, "", "") is leased(registry, "shop", "") is leased(registry, "shop", "10") is newest
    assert leased(registry, "", "9") is older
    registry.publish("mall", [served("mall", "1")])
    assert registry.names == ["mall", "shop"]
    assert [(model.name, model.version) for model in registry] == [("mall", "1"), ("shop", "10"), ("shop", "9")]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("", "", "model: expected a name, this server holds several models: mall, shop"),
        ("no", "", "model: expected one of mall, shop, found 'no'"),
        ("shop", "8", "model_version: expected 10 or 9 (or nothing) for shop, found '8'"),
    ],
)
def test_an_unknown_model_or_version_is_reported_with_those_that_exist(name: str, version: str, message: str):
    registry = ModelRegistry()
    registry.publish("shop", [served("shop", "10"), served("shop", "9")])
    registry.publish("mall", [served("mall", "1")])
    with pytest.raises(RequestError) as caught:
        leased(registry, name, version)
    assert str(caught.value) == message


def test_a_version_closes_after_its_last_lease_and_accepts_no_new_one():
    registry = ModelRegistry()
    old, new = served("shop", "1"), served("shop", "2")
    registry.publish("shop", [old])
    with registry.lease("shop", "") as first:
        with registry.lease("shop", ""):
            registry.publish("shop", [new])
            assert leased(registry, "shop", "") is new
        assert first is old
        assert not closed(old).is_set()
    assert closed(old).wait(20)
    assert not closed(new).is_set()
    registry.close()
    assert closed(new).is_set()


def test_a_lease_is_released_when_the_call_fails():
    registry = ModelRegistry()
    model = served("shop", "1")
    registry.publish("shop", [model])
    with pytest.raises(RuntimeError, match="engine"), registry.lease("shop", ""):
        raise RuntimeError("engine")
    registry.publish("shop", [served("shop", "2")])
    assert closed(model).wait(20)


def test_publishing_no_version_removes_the_name_and_kept_versions_stay_open():
    registry = ModelRegistry()
    shop, mall_1, mall_2 = served("shop", "1"), served("mall", "1"), served("mall", "2")
    registry.publish("shop", [shop])
    registry.publish("mall", [mall_1])
    registry.publish("mall", [mall_2, mall_1])
    registry.publish("shop", [])
    assert closed(shop).wait(20)
    assert registry.names == ["mall"]
    assert not closed(mall_1).is_set()


def test_states_list_serving_loaded_and_refused_versions():
    registry = ModelRegistry()
    registry.publish("shop", [served("shop", "2"), served("shop", "1")])
    refused = VersionState("shop", "3", "refused", "damaged")
    registry.set_refusals([refused])
    assert registry.states == [
        VersionState("shop", "2", "serving"),
        VersionState("shop", "1", "loaded"),
        refused,
    ]
