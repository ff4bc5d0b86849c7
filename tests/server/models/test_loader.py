from pathlib import Path

import pytest

from model.machine.throttle import Throttle
from server.models import loader as model_loader
from server.models.loader import ModelLoader
from server.settings import ServerSettings


class CountingThrottle(Throttle):
    """A throttle that counts its pauses."""

    count = 0

    def pause(self) -> None:
        self.count += 1
        super().pause()


@pytest.mark.parametrize("ratio", [0.0, 0.01])
def test_loading_beside_calls_is_throttled_and_has_a_lower_priority(
    ratio: float, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    priorities: list[int] = []
    monkeypatch.setattr(model_loader, "lower_thread_priority", priorities.append)
    throttle = CountingThrottle(ratio)
    model = ModelLoader(ServerSettings(bundle=toy_bundle)).open(toy_bundle, throttle=throttle)
    model.pipeline.close()
    assert throttle.count > 5  # files, programs, batches
    assert (priorities[0] > 0) == (ratio > 0)
