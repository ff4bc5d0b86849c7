"""A worker's way to the chief: every call is repeated over a new connection until it is answered."""

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
from training.tune.trial_message import Job, Outcome, pack, unpack_job

#: A call without an answer for so long is made again. Choosing a trial takes the chief seconds at most.
CALL_TIMEOUT_S = 20.0
_LONGEST_WAIT_S = 5.0
#: Faults of the way there; anything else is the chief's own word.
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
)

_log = logging.getLogger("aisle.tune")


class ChiefClient:
    """Speaks keras-tuner's service; thread-safe.

    keras-tuner's own client waits up to an hour for one answer and gives up at the first fault. Every call here may
    be made twice: the chief knows a worker's trial and an epoch that it was told already.

    Args:
        address: "host:port" of the chief.
        worker: name of this worker, the same as long as it lives.
        patience_s: so long without a chief, and the worker gives up.
        call_timeout_s: seconds after which a call is made again.
    """

    def __init__(self, address: str, worker: str, patience_s: float, call_timeout_s: float = CALL_TIMEOUT_S):
        self.address = address
        self.worker = worker
        self._patience_s = patience_s
        self._call_timeout_s = call_timeout_s
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None

    def job(self) -> Job:
        """What all trials of the search share."""
        answer = self._call("GetSpace", protos.get_service().GetSpaceRequest())
        return unpack_job(HyperParameters.from_proto(answer.hyperparameters))

    def ask(self) -> Trial:
        """A trial, or one whose status is IDLE or STOPPED."""
        answer = self._call("CreateTrial", protos.get_service().CreateTrialRequest(tuner_id=self.worker))
        return Trial.from_proto(answer.trial)

    def report(self, lease_id: str, metrics: Mapping[str, float], epoch: int) -> str:
        """An epoch's figures, or a sign of life; returns "RUNNING", "STOPPED" or "FAILED" (drop the trial)."""
        request = protos.get_service().UpdateTrialRequest(trial_id=lease_id, metrics=dict(metrics), step=epoch)
        return str(Trial.from_proto(self._call("UpdateTrial", request).trial).status)

    def end(self, lease_id: str, status: str, outcome: Outcome) -> None:
        """The last word on a trial."""
        trial = Trial(pack(outcome), trial_id=lease_id, status=status)
        self._call("EndTrial", protos.get_service().EndTrialRequest(trial=trial.to_proto()))

    def close(self) -> None:
        """Close the connection."""
        self._renew(None)

    def _call(self, method: str, request: Any) -> Any:
        began_at, wait_s = time.monotonic(), 0.2
        while True:
            channel = self._connected()
            try:
                stub = protos.get_service_grpc().OracleStub(channel)
                call: Callable = getattr(stub, method)
                return call(request, timeout=self._call_timeout_s)
            except (grpc.RpcError, ValueError) as error:  # ValueError: another thread has closed the channel
                if isinstance(error, grpc.RpcError) and error.code() not in _PASSING:
                    raise TrainingError(f"the chief at {self.address} refused {method}: {error.details()}") from error
                if time.monotonic() - began_at > self._patience_s:
                    raise TrainingError(
                        f"no chief answered at {self.address} for {self._patience_s:.0f} s; start it there with"
                        " --listen, or name another with --chief"
                    ) from error
                _log.info("%s: the chief at %s does not answer, trying again", method, self.address)
            self._renew(channel)
            time.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _connected(self) -> grpc.Channel:
        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(
                    self.address,
                    options=[("grpc.use_local_subchannel_pool", 1)],  # else a broken one is shared
                )
            return self._channel

    def _renew(self, broken: grpc.Channel | None) -> None:
        """Close the connection, so that the next call makes a new one; a cut cable is not seen from this end."""
        with self._lock:
            if self._channel is not None and (broken is None or broken is self._channel):
                self._channel.close()
                self._channel = None
