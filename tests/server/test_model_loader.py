import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from model import rests
from server.model_loader import ModelLoader
from server.settings import ServerSettings


@pytest.mark.parametrize("is_beside_calls", [False, True])
def test_only_what_is_loaded_beside_calls_pauses_for_them(
    is_beside_calls: bool, toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    pauses_s: list[float] = []
    monkeypatch.setattr(rests, "time", SimpleNamespace(perf_counter=time.perf_counter, sleep=pauses_s.append))
    model = ModelLoader(ServerSettings(bundle=toy_bundle)).open(toy_bundle, is_beside_calls=is_beside_calls)
    model.pipeline.close()
    assert bool(pauses_s) == is_beside_calls
    assert all(pause_s > 0 for pause_s in pauses_s)
