"""Opens the engine that was asked for, or the one that suits this machine and bundle, and logs which and why."""

import importlib
import logging
import typing
from dataclasses import dataclass
from pathlib import Path

from model.bundle_files import FILES
from model.engines.engine import Engine, EngineName, Precision, ProgramEngine
from model.engines.engine_timing import TIMED_ROWS, milliseconds_each
from model.errors import EngineError

_log = logging.getLogger("aisle.engine")

#: The engines for a CPU that `auto` chooses from, the first of them where it does not measure: how they are written,
#: a file that a bundle may lack and they need, and the precisions they offer.
_CPU_ENGINES: dict[EngineName, tuple[str, str, tuple[Precision, ...]]] = {
    "openvino": ("OpenVINO", "", ("auto", "float32", "bfloat16", "int8")),
    "onnx": ("ONNX Runtime", FILES.onnx_classifier, ("auto", "float32")),
}


@dataclass(frozen=True)
class EngineChoice:
    """What `auto` stands for with one bundle on this machine.

    Args:
        name: the engine to open, never "auto".
        reason: why, for the log.
    """

    name: EngineName
    reason: str


@dataclass(frozen=True)
class _Opening:
    """How an engine is opened; see `open_engine`."""

    bundle_dir: Path
    precision: Precision
    threads: int
    many_callers: bool
    map_weights: bool

    def open(self, engine: EngineName) -> ProgramEngine:
        how = (self.bundle_dir, self.precision, self.threads, self.many_callers)
        if engine == "openvino":
            from model.engines.openvino_engine import OpenVinoEngine

            return OpenVinoEngine(*how)
        if engine == "onnx":
            from model.engines.onnx_engine import OnnxEngine

            return OnnxEngine(*how, self.map_weights)
        from model.engines.keras_engine import KerasEngine

        return KerasEngine(*how)


def has_nvidia_driver() -> bool:
    """Return True where an NVIDIA driver runs; quicker than Keras, which costs the import of TensorFlow."""
    return Path("/dev/nvidiactl").exists()


def open_engine(
    bundle_dir: Path,
    engine: EngineName | EngineChoice = "auto",
    precision: Precision = "float32",
    threads: int = 0,
    many_callers: bool = False,
    map_weights: bool = False,
) -> Engine:
    """Open a bundle's programs.

    `auto` is what `choose_engine` says without measuring, which would take longer than a small command.

    Args:
        engine: a name, or what `choose_engine` chose, whose reason is then logged.
        precision: of the arithmetic inside the engine; see `Precision`.
        threads: most threads of the engine on the CPU; 0 means all cores.
        many_callers: give every thread on the CPU a run of its own, which answers more in all than runs that share
            their threads; False gives all of them to the one run of a single caller.
        map_weights: let ONNX Runtime use the pages of the bundle's files, which processes share, in place of a copy; a
            file that is cut off later kills the process. The other engines always copy.
    Raises:
        EngineError: the engine or precision is unknown, not installed or cannot run the bundle here.
    """
    choice = engine if isinstance(engine, EngineChoice) else EngineChoice(engine, "asked for")
    _check("an engine", choice.name, typing.get_args(EngineName))
    _check("a precision", precision, typing.get_args(Precision))
    opening = _Opening(bundle_dir, precision, threads, many_callers, map_weights)
    if choice.name == "auto":
        choice = _choose(opening, measure_s=0)
    try:
        opened = opening.open(choice.name)
    except ImportError as error:
        package = {"keras": "tensorflow", "onnx": "onnxruntime"}.get(choice.name, choice.name)
        raise EngineError(
            f"engine {choice.name} is not installed ({error}); run pip install {package} or choose another with"
            " --engine"
        ) from error
    _log.info("engine %s in %s on %s: %s", opened.name, opened.precision, opened.device, choice.reason)
    return opened


def choose_engine(
    bundle_dir: Path,
    precision: Precision = "float32",
    threads: int = 0,
    many_callers: bool = False,
    measure_s: float = 1.0,
) -> EngineChoice:
    """Say which engine `auto` is, without keeping one open, so that one process can tell others.

    Keras where its backend sees a GPU. Else of OpenVINO and ONNX Runtime those that are installed, offer the precision
    and have programs in the bundle: the one that answers a small batch quicker with as many threads. Else Keras on the
    CPU.

    Args:
        precision, threads, many_callers: of the engine to be opened; see `open_engine`.
        measure_s: seconds to measure for, both engines together and without the time that they take to open; 0 takes
            OpenVINO where it can be had.
    Raises:
        EngineError: the precision is unknown, or an engine cannot open the bundle.
    """
    _check("a precision", precision, typing.get_args(Precision))
    return _choose(_Opening(bundle_dir, precision, threads, many_callers, map_weights=False), measure_s)


def _choose(opening: _Opening, measure_s: float) -> EngineChoice:
    seen = "no NVIDIA driver here"
    if has_nvidia_driver():
        seen = "Keras sees no GPU"
        try:
            from model.engines.keras_program import gpu_backend

            backend = gpu_backend()
        except ImportError as error:
            backend, seen = "", f"Keras cannot look for the GPU ({error})"
        if backend:
            return EngineChoice("keras", f"Keras sees a GPU through {backend}")
    usable: list[EngineName] = []
    for name, (written, needed, precisions) in _CPU_ENGINES.items():
        if opening.precision not in precisions or (needed and not (opening.bundle_dir / needed).exists()):
            continue
        try:
            importlib.import_module(f"model.engines.{name}_engine")
        except ImportError as error:
            seen += f", {written} is missing ({error})"
            continue
        usable.append(name)
        if not measure_s:
            break
    if len(usable) > 1:
        return _quickest(opening, usable, measure_s)
    name = usable[0] if usable else "keras"
    return EngineChoice(name, f"{seen}, {_CPU_ENGINES[name][0]} is there" if usable else seen)


def _quickest(opening: _Opening, names: list[EngineName], measure_s: float) -> EngineChoice:
    engines = {str(name): opening.open(name) for name in names}
    taken_ms = milliseconds_each(engines, measure_s)
    for engine in engines.values():
        engine.close()
    times = ", ".join(f"{_CPU_ENGINES[name][0]} {taken_ms[name]:.2f} ms" for name in names)
    return EngineChoice(min(names, key=taken_ms.__getitem__), f"quickest for {TIMED_ROWS} products: {times}")


def _check(kind: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise EngineError(f"expected {kind} of {', '.join(known)}, found {value!r}")
