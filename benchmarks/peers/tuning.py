"""How each peer is set, after what `python -m benchmarks.tune` found.

Products/s, 2 cores, fashion224, 224 px JPEGs, 32 callers, 2.5 s each, in one line per setting of batch size / copies x
engine threads / decoders; delay 0 (mosec 1 ms) unless named. Other work disturbed some runs, so that 10 % say nothing.

    triton-openvino  8 / 1x2 / 1: 336    16 / 1x2 / 2: 320    16 / 2x2 / 1: 320    8 / 2x1 / 1: 349    4 / 2x1 / 1: 357
    triton-onnx      8 / 1x2 / 1: 197    16 / 1x2 / 2: 192    16 / 2x1 / 1: 317    8 / 2x1 / 1: 339
    mosec            8 / 1x2 / 1: 304    16 / 1x2 / 2: 328     8 / 2x1 / 1: 330    4 / 2x1 / 0: 366    8 / 2x1 / 0: 387
    mlserver, 1 ms   16 / 0x2 / 1: 175   16 / 1x2 / 2: 162    16 / 2x1 / 1: 159    4 / 2x1 / 1: 189
    mlserver, longer 16 / 1x2 / 2, 5 ms: 184    the same, 20 ms: 172    4 / 2x1 / 1, 10 ms: 254

Copies whose threads OpenVINO ties to cores, as it does by default, all sit on the same one: 2x1 then had 188 (Triton)
and 195 (mosec), so the peers' threads are not tied.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """The knobs that peers share."""

    max_batch_size: int = 16
    """Most requests in a batch."""
    max_delay_ms: float = 0.0
    """Longest wait for a batch to fill, milliseconds; mosec takes no less than 1."""
    instances: int = 1
    """Copies of the model, each in a process of its own; MLServer with 0 runs it in the server's process."""
    engine_threads: int = 2
    """Threads of the engine in each copy."""
    decoders: int = 2
    """Threads that decode pictures in each copy; mosec: processes of a stage before it, 0 decodes in the copy."""


#: The best of those tried.
TUNED: dict[str, Tuning] = {
    "triton-onnx": Tuning(max_batch_size=8, instances=2, engine_threads=1, decoders=1),
    "triton-openvino": Tuning(max_batch_size=4, instances=2, engine_threads=1, decoders=1),
    "mosec": Tuning(max_batch_size=8, max_delay_ms=1, instances=2, engine_threads=1, decoders=0),
    "mlserver": Tuning(max_batch_size=4, max_delay_ms=10, instances=2, engine_threads=1, decoders=1),
}
