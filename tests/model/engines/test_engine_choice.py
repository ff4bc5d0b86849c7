"""`auto` on a CPU is the engine that answers a small batch quicker, and says so."""

import logging
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.engines import engine_choice, keras_program
from model.engines.engine import ProgramEngine
from model.engines.engine_choice import EngineChoice, choose_engine, open_engine
from model.engines.engine_timing import TIMED_ROWS, milliseconds_each
from model.engines.onnx_engine import OnnxEngine
from model.engines.openvino_engine import OpenVinoEngine
from model.errors import EngineError
from tests.model.engines.test_engine import needs_bfloat16, without_onnx

THERE = EngineChoice("openvino", "no NVIDIA driver here, OpenVINO is there")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "has_nvidia_driver", lambda: False)


def slowed(monkeypatch: pytest.MonkeyPatch, slow: type[ProgramEngine]) -> None:
    """Make each run of one engine take 30 ms more."""
    classify = slow.classify

    def slowly(self: ProgramEngine, *arguments: Any, **named: Any) -> Any:
        time.sleep(0.03)
        return classify(self, *arguments, **named)

    monkeypatch.setattr(slow, "classify", slowly)


@pytest.mark.parametrize(("slow", "expected"), [(OnnxEngine, "openvino"), (OpenVinoEngine, "onnx")])
def test_the_quicker_one_is_chosen_and_both_times_are_the_reason(
    slow: type[ProgramEngine],
    expected: str,
    toy_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "aisle.engine")
    slowed(monkeypatch, slow)
    choice = choose_engine(toy_bundle, threads=1, measure_s=0.1)
    assert choice.name == expected
    assert re.fullmatch(r"quickest for 4 products: OpenVINO \d+\.\d\d ms, ONNX Runtime \d+\.\d\d ms", choice.reason)
    assert open_engine(toy_bundle, choice, threads=1).name == expected
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == f"engine {expected} in float32 on CPU: {choice.reason}"


def test_engines_are_timed_with_the_threads_that_will_serve_and_closed(
    toy_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[ProgramEngine] = []
    threads: list[int] = []
    monkeypatch.setattr(
        engine_choice,
        "milliseconds_each",
        lambda engines, *_: timed.extend(engines.values()) or {"openvino": 1, "onnx": 2},
    )
    for kind in (OpenVinoEngine, OnnxEngine):
        start = kind.__init__
        monkeypatch.setattr(
            kind, "__init__", lambda self, *how, start=start: (threads.append(how[2]), start(self, *how))[1]
        )
    assert choose_engine(toy_bundle, threads=1).name == "openvino"
    assert threads == [1, 1]
    assert [engine.name for engine in timed] == ["openvino", "onnx"]
    for engine in timed:
        with pytest.raises(EngineError, match="this engine is closed"):
            engine.classify({})


def test_nothing_is_timed_where_there_is_no_choice(
    toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "milliseconds_each", lambda *_: pytest.fail("timed"))
    assert choose_engine(without_onnx(toy_bundle, tmp_path)) == THERE
    assert choose_engine(toy_bundle, "bfloat16") == THERE  # ONNX Runtime does not offer it
    assert choose_engine(toy_bundle, "int8") == THERE
    assert choose_engine(toy_bundle, measure_s=0) == THERE
    open_engine(toy_bundle).close()
    monkeypatch.delitem(sys.modules, "model.engines.onnx_engine")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    alone = choose_engine(toy_bundle)
    assert alone.name == "openvino"
    assert alone.reason.startswith("no NVIDIA driver here, ONNX Runtime is missing (")


@needs_bfloat16
def test_automatic_precision_is_timed_as_it_would_be_served(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: dict[str, str] = {}

    def time_them(engines: dict[str, Any], *_: object) -> dict[str, float]:
        timed.update((name, engine.precision) for name, engine in engines.items())
        return dict.fromkeys(engines, 1.0)

    monkeypatch.setattr(engine_choice, "milliseconds_each", time_them)
    choose_engine(toy_bundle, "auto")
    assert timed == {"openvino": "bfloat16", "onnx": "float32"}


def test_a_gpu_goes_before(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(keras_program, "gpu_backend", lambda: "tensorflow")
    assert choose_engine(toy_bundle) == EngineChoice("keras", "Keras sees a GPU through tensorflow")


def test_an_unknown_precision_is_refused(toy_bundle: Path) -> None:
    with pytest.raises(EngineError, match="expected a precision of auto, float32, bfloat16, int8, found 'int4'"):
        choose_engine(toy_bundle, "int4")  # type: ignore[arg-type]


class CountingEngine:
    """Counts what it is asked for."""

    def __init__(self, has_pictures: bool) -> None:
        self.asked: list[tuple[str, int]] = []
        self._has_pictures = has_pictures

    def examples(self, num_rows: int) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Give `presence`, and pictures of 4 x 4 pixels."""
        return {"presence": np.ones((num_rows, 2))}, np.ones((num_rows, 4, 4, 3)) if self._has_pictures else None

    def encode_images(self, images: np.ndarray) -> None:
        """Note the number of pictures."""
        self.asked.append(("encode", len(images)))

    def classify(self, features: dict[str, np.ndarray], all_heads: bool) -> None:
        """Note the number of rows."""
        assert not all_heads
        self.asked.append(("classify", len(features["presence"])))


@pytest.mark.parametrize("has_pictures", [False, True])
def test_engines_take_turns_on_what_a_server_asks_for(has_pictures: bool) -> None:
    engines = {name: CountingEngine(has_pictures) for name in ("a", "b")}
    assert list(milliseconds_each(engines, measure_s=0.0)) == ["a", "b"]
    assert engines["a"].asked == engines["b"].asked
    kinds = {("encode", TIMED_ROWS), ("classify", TIMED_ROWS)} if has_pictures else {("classify", TIMED_ROWS)}
    assert set(engines["a"].asked) == kinds
