"""Tuned settings of each peer, measured with `python -m benchmarks.serving.tune`.

Products/s, 2 cores, fashion224, 224 px JPEGs, 32 callers, 2.5 s each, by batch size / copies x engine threads /
decoders; delay 0 (mosec 1 ms) unless named. Other processes disturbed some runs: differences of 10 % are noise.

    triton-openvino  8 / 1x2 / 1: 336    16 / 1x2 / 2: 320    16 / 2x2 / 1: 320    8 / 2x1 / 1: 349    4 / 2x1 / 1: 357
    triton-onnx      8 / 1x2 / 1: 197    16 / 1x2 / 2: 192    16 / 2x1 / 1: 317    8 / 2x1 / 1: 339
    mosec            8 / 1x2 / 1: 304    16 / 1x2 / 2: 328     8 / 2x1 / 1: 330    4 / 2x1 / 0: 366    8 / 2x1 / 0: 387
    mlserver, 1 ms   16 / 0x2 / 1: 175   16 / 1x2 / 2: 162    16 / 2x1 / 1: 159    4 / 2x1 / 1: 189
    mlserver, longer 16 / 1x2 / 2, 5 ms: 184    the same, 20 ms: 172    4 / 2x1 / 1, 10 ms: 254

When OpenVINO pins threads to cores, which is its default, all copies are pinned to the same one: 2x1 then had 188
(Triton) and 195 (mosec), so the peers' threads are not pinned.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Settings common to all peers."""

    max_batch_size: int = 16
    """Most requests in a batch."""
    max_delay_ms: float = 0.0
    """Longest wait for a batch to fill, milliseconds; mosec needs at least 1."""
    instances: int = 1
    """Copies of the model, each in a process of its own; MLServer with 0 runs it in the server's process."""
    engine_threads: int = 2
    """Threads of the engine in each copy."""
    decoders: int = 2
    """Threads that decode pictures in each copy; mosec: processes of the first stage, 0 decodes in the copy."""


#: The best of the measured settings.
TUNED: dict[str, Tuning] = {
    "triton-onnx": Tuning(max_batch_size=8, instances=2, engine_threads=1, decoders=1),
    "triton-openvino": Tuning(max_batch_size=4, instances=2, engine_threads=1, decoders=1),
    "mosec": Tuning(max_batch_size=8, max_delay_ms=1, instances=2, engine_threads=1, decoders=0),
    "mlserver": Tuning(max_batch_size=4, max_delay_ms=10, instances=2, engine_threads=1, decoders=1),
}
