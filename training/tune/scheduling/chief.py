"""The chief: keras-tuner's gRPC service, backed by a scheduler."""

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from model.errors import SettingsError
from training.tune.scheduling.scheduler import Scheduler

#: Calls answered at a time; each takes milliseconds, except one that chooses a trial.
_NUM_THREADS = 16
_STOP_GRACE_S = 1.0


class Chief:
    """Serves a scheduler for the duration of the context.

    Args:
        listen: "host:port" to listen on; port 0 takes a free one. Anyone who can reach it can take part in the search.
    Raises:
        SettingsError: the address cannot be listened on.
    """

    def __init__(self, scheduler: Scheduler, listen: str):
        # A second chief on the same port would take half of the workers' calls.
        self._server = grpc.server(ThreadPoolExecutor(_NUM_THREADS), options=[("grpc.so_reuseport", 0)])
        protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(scheduler), self._server)
        host = listen.rpartition(":")[0]
        try:
            self.port = self._server.add_insecure_port(listen)
        except RuntimeError as error:
            raise SettingsError(
                f"--listen: expected a free HOST:PORT of this machine, found {listen!r}: {error}"
            ) from error
        self.address = f"{host}:{self.port}"

    def __enter__(self) -> "Chief":
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(_STOP_GRACE_S).wait()
