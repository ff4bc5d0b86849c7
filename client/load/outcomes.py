"""The outcomes of the requests of a run, and the figures computed from them."""

from array import array
from collections.abc import Callable
from typing import NamedTuple

import grpc
import numpy as np

from aisle_client.v1 import classifier_pb2

_CODES = list(grpc.StatusCode)
_NUMBERS = {code: number for number, code in enumerate(_CODES)}
_PHASES = ("decode", "queue", "inference")


class ResponseStats(NamedTuple):
    """Timings and product counts of a response.

    Args:
        timings_ms: decode, queue, inference, and the server's total, milliseconds.
    """

    timings_ms: tuple[float, float, float, float]
    num_answered: int
    num_failed: int


def read_response(answer: bytes) -> ResponseStats:
    """Read the statistics of a serialised ClassifyResponse."""
    response = classifier_pb2.ClassifyResponse.FromString(answer)
    timings = response.timings
    num_failed = sum(classification.HasField("error") for classification in response.classifications)
    timings_ms = (timings.decode_ms, timings.queue_ms, timings.inference_ms, timings.total_ms)
    return ResponseStats(timings_ms, len(response.classifications) - num_failed, num_failed)


class Outcomes:
    """The outcome of each request, in columns because a long run has millions; times are seconds since the start.

    Args:
        warmup_s, duration_s: requests due from `warmup_s` on and for `duration_s` are measured.
        read: reads the statistics of a serialised answer.
    """

    def __init__(self, warmup_s: float, duration_s: float, read: Callable[[bytes], ResponseStats] = read_response):
        self._read = read
        self._start_s = warmup_s
        self._duration_s = duration_s
        self._times = array("d")  # due_s, sent_s, done_s
        self._timings = array("d")  # decode_ms, queue_ms, inference_ms, server's total_ms
        self._codes = array("b")
        self._products = array("l")  # answered, failed

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, due_s: float, sent_s: float, done_s: float, answer: bytes | grpc.StatusCode) -> None:
        """Record one request.

        Args:
            due_s: time at which it was due.
            answer: the serialised answer, or the gRPC code of an error.
        """
        self._times.extend((due_s, sent_s, done_s))
        if isinstance(answer, grpc.StatusCode):
            self._codes.append(_NUMBERS[answer])
            self._timings.extend((0.0, 0.0, 0.0, 0.0))
            self._products.extend((0, 0))
            return
        stats = self._read(answer)
        self._codes.append(_NUMBERS[grpc.StatusCode.OK])
        self._timings.extend(stats.timings_ms)
        self._products.extend((stats.num_answered, stats.num_failed))

    @property
    def num_failed(self) -> int:
        """Number of requests that ended with an error so far, warm-up included."""
        return len(self._codes) - self._codes.count(_NUMBERS[grpc.StatusCode.OK])

    def phases_ms(self) -> dict[str, np.ndarray]:
        """Return the time of each answered, measured request by phase, milliseconds.

        `total` is the time from the request's due time to its answer at the client; `send_lag` is the part by which
        this program sent it late; `server`, and `decode`, `queue` and `inference` in it, are reported by the server.
        """
        due_s, sent_s, done_s = self._columns(self._times, 3)
        decode_ms, queue_ms, inference_ms, server_ms = self._columns(self._timings, 4)
        answered = self._is_measured & self._is_ok
        phases = {
            "total": (done_s - due_s) * 1000,
            "send_lag": (sent_s - due_s) * 1000,
            "server": server_ms,
            **dict(zip(_PHASES, (decode_ms, queue_ms, inference_ms), strict=True)),
        }
        return {name: values[answered] for name, values in phases.items()}

    def errors(self) -> dict[str, int]:
        """Return the number of measured requests by error code, the most frequent first."""
        numbers, counts = np.unique(np.array(self._codes)[self._is_measured & ~self._is_ok], return_counts=True)
        return {_CODES[numbers[i]].name: int(counts[i]) for i in np.argsort(-counts, kind="stable")}

    def num_measured(self) -> int:
        """Return the number of requests due in the measured time."""
        return int(self._is_measured.sum())

    def num_failed_products(self) -> int:
        """Return the number of products of measured requests that had an error of their own."""
        return int(self._columns(self._products, 2)[1][self._is_measured].sum())

    def achieved_rps(self) -> float:
        """Return the rate of answers that arrived in the measured time, whenever they were due, per second."""
        return float(self._came_in_time.sum() / self._duration_s)

    def achieved_products_per_s(self) -> float:
        """Return the rate of products answered in the measured time, per second."""
        return float(self._columns(self._products, 2)[0][self._came_in_time].sum() / self._duration_s)

    @property
    def _is_ok(self) -> np.ndarray:
        return np.array(self._codes) == _NUMBERS[grpc.StatusCode.OK]

    @property
    def _is_measured(self) -> np.ndarray:
        return self._is_inside(self._columns(self._times, 3)[0])

    @property
    def _came_in_time(self) -> np.ndarray:
        return self._is_ok & self._is_inside(self._columns(self._times, 3)[2])

    def _is_inside(self, times_s: np.ndarray) -> np.ndarray:
        return (times_s >= self._start_s) & (times_s < self._start_s + self._duration_s)

    @staticmethod
    def _columns(values: array, count: int) -> np.ndarray:
        return np.array(values).reshape(-1, count).T
