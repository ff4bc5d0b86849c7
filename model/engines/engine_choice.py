"""Opens the engine that was asked for, or the one that suits this machine, and logs which and why."""

import logging
import typing
from pathlib import Path
from typing import Any

from model.engines.engine import Engine, EngineName, Precision
from model.errors import EngineError
from model.machine.throttle import Throttle

_log = logging.getLogger("aisle.engine")


def has_nvidia_driver() -> bool:
    """Return True where an NVIDIA driver runs; quicker than Keras, which costs the import of TensorFlow."""
    return Path("/dev/nvidiactl").exists()


def open_engine(
    bundle_dir: Path,
    engine: EngineName = "auto",
    precision: Precision = "float32",
    threads: int = 0,
    many_callers: bool = False,
    throttle: Throttle | None = None,
) -> Engine:
    """Open a bundle's programs.

    `auto` takes Keras where its backend sees a GPU, else OpenVINO, else Keras on the CPU.

    Args:
        precision: of the arithmetic inside the engine; see `Precision`.
        threads: most threads of the engine on the CPU; 0 means all cores.
        many_callers: give every thread on the CPU a run of its own, which answers more in all than runs that share
            their threads; False gives all of them to the one run of a single caller.
        throttle: after each program, for who opens beside other work.
    Raises:
        EngineError: the engine or precision is unknown, not installed or cannot run the bundle here.
    """
    _check("an engine", engine, typing.get_args(EngineName))
    _check("a precision", precision, typing.get_args(Precision))
    how = (precision, threads, many_callers, throttle)
    try:
        if engine == "auto":
            opened, reason = _open_best(bundle_dir, *how)
        else:
            opened, reason = _open(bundle_dir, engine, *how), "asked for"
    except ImportError as error:
        package = {"auto": "tensorflow", "onnx": "onnxruntime"}.get(engine, engine)
        raise EngineError(
            f"engine {engine} is not installed ({error}); run pip install {package} or choose another with --engine"
        ) from error
    _log.info("engine %s in %s on %s: %s", opened.name, opened.precision, opened.device, reason)
    return opened


def _open_best(bundle_dir: Path, *how: Any) -> tuple[Engine, str]:
    seen = "no NVIDIA driver here"
    if has_nvidia_driver():
        seen = "Keras sees no GPU"
        try:
            from model.engines.keras_program import gpu_backend

            backend = gpu_backend()
        except ImportError as error:
            backend, seen = "", f"Keras cannot look for the GPU ({error})"
        if backend:
            return _open(bundle_dir, "keras", *how), f"Keras sees a GPU through {backend}"
    try:
        return _open(bundle_dir, "openvino", *how), f"{seen}, and OpenVINO is quickest on a CPU"
    except ImportError as error:
        return _open(bundle_dir, "keras", *how), f"{seen}, and OpenVINO is missing ({error})"


def _open(bundle_dir: Path, engine: str, *how: Any) -> Engine:
    if engine == "openvino":
        from model.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(bundle_dir, *how)
    if engine == "onnx":
        from model.engines.onnx_engine import OnnxEngine

        return OnnxEngine(bundle_dir, *how)
    from model.engines.keras_engine import KerasEngine

    return KerasEngine(bundle_dir, *how)


def _check(kind: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise EngineError(f"expected {kind} of {', '.join(known)}, found {value!r}")
