"""A worker's client of the chief: every call is retried over a new connection until it is answered."""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial
from keras_tuner.src import protos

from model.errors import TrainingError
from training.tune.scheduling.trial_message import Job, Outcome, pack, unpack_job

#: Timeout of a call, after which it is retried. Choosing a trial takes the chief seconds at most.
CALL_TIMEOUT_S = 20.0
_MAX_DELAY_S = 5.0
#: Transient faults of the connection; any other code comes from the chief itself.
_TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
)

_log = logging.getLogger("aisle.tune")


class ChiefClient:
    """A client of keras-tuner's service; thread-safe.

    keras-tuner's own client waits up to an hour for one answer and fails at the first fault. Calls here are idempotent:
    the chief recognises a worker's trial and an epoch that was reported before.

    Args:
        address: "host:port" of the chief.
        worker: name of this worker, constant while it runs.
        patience_s: time without an answer after which a call fails, seconds.
        call_timeout_s: timeout of one attempt of a call, seconds.
    """

    def __init__(self, address: str, worker: str, patience_s: float, call_timeout_s: float = CALL_TIMEOUT_S):
        self.address = address
        self.worker = worker
        self._patience_s = patience_s
        self._call_timeout_s = call_timeout_s
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None

    def job(self) -> Job:
        """Return the settings shared by all trials of the search."""
        answer = self._call("GetSpace", protos.get_service().GetSpaceRequest())
        return unpack_job(HyperParameters.from_proto(answer.hyperparameters))

    def request_trial(self) -> Trial:
        """Request a trial; the status IDLE means none at the moment, STOPPED none any more."""
        answer = self._call("CreateTrial", protos.get_service().CreateTrialRequest(tuner_id=self.worker))
        return Trial.from_proto(answer.trial)

    def report(self, lease_id: str, metrics: Mapping[str, float], epoch: int) -> str:
        """Report an epoch's figures, or a heartbeat without any; return "RUNNING", "STOPPED" or "FAILED" (drop it)."""
        request = protos.get_service().UpdateTrialRequest(trial_id=lease_id, metrics=dict(metrics), step=epoch)
        return str(Trial.from_proto(self._call("UpdateTrial", request).trial).status)

    def end_trial(self, lease_id: str, status: str, outcome: Outcome) -> None:
        """Report the end of a trial."""
        trial = Trial(pack(outcome), trial_id=lease_id, status=status)
        self._call("EndTrial", protos.get_service().EndTrialRequest(trial=trial.to_proto()))

    def close(self) -> None:
        """Close the connection."""
        self._renew(None)

    def _call(self, method: str, request: Any) -> Any:
        began_at, delay_s = time.monotonic(), 0.2
        while True:
            channel = self._connected()
            try:
                stub = protos.get_service_grpc().OracleStub(channel)
                call: Callable = getattr(stub, method)
                return call(request, timeout=self._call_timeout_s)
            except (grpc.RpcError, ValueError) as error:  # ValueError: another thread has closed the channel
                if isinstance(error, grpc.RpcError) and error.code() not in _TRANSIENT:
                    raise TrainingError(f"the chief at {self.address} rejected {method}: {error.details()}") from error
                if time.monotonic() - began_at > self._patience_s:
                    raise TrainingError(
                        f"no chief answered at {self.address} for {self._patience_s:.0f} s; start it there with"
                        " --listen, or name another with --chief"
                    ) from error
                _log.info("%s: the chief at %s does not answer, trying again", method, self.address)
            self._renew(channel)
            time.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, _MAX_DELAY_S)

    def _connected(self) -> grpc.Channel:
        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(
                    self.address,
                    options=[("grpc.use_local_subchannel_pool", 1)],  # otherwise channels share a broken connection
                )
            return self._channel

    def _renew(self, broken: grpc.Channel | None) -> None:
        """Close the connection, so that the next call opens a new one; this end does not notice a cut cable."""
        with self._lock:
            if self._channel is not None and (broken is None or broken is self._channel):
                self._channel.close()
                self._channel = None
