from pathlib import Path

import pytest

from model.machine.throttle import Throttle
from server.models import loader as model_loader
from server.models.loader import ModelLoader
from server.settings import ServerSettings


class CountedRests(Throttle):
    """Counts its pauses."""

    count = 0

    def take(self) -> None:
        self.count += 1
        super().take()


@pytest.mark.parametrize("ratio", [0.0, 0.01])
def test_what_is_loaded_beside_calls_pauses_for_them_and_lets_them_go_first(
    ratio: float, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    priorities: list[int] = []
    monkeypatch.setattr(model_loader, "lower_thread_priority", priorities.append)
    throttle = CountedRests(ratio)
    model = ModelLoader(ServerSettings(bundle=toy_bundle)).open(toy_bundle, throttle=throttle)
    model.pipeline.close()
    assert throttle.count > 5  # files, programs, batches
    assert (priorities[0] > 0) == (ratio > 0)
