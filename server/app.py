"""Builds, starts and stops the gRPC server."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from model.errors import AisleError
from server.calls.auth import token_checks
from server.calls.credentials import server_credentials, tls_files
from server.calls.health import Health
from server.calls.load_shedding import LoadShedder
from server.calls.open_calls import OpenCalls
from server.calls.reflection import add_reflection
from server.connections import connection_options
from server.event_loop import EventLoop
from server.http import http_port_class
from server.inference.engine_process import ENGINE_COMMAND
from server.inference.memory_budget import MemoryBudget, free_memory_bytes
from server.inference.supervisor import Supervisor
from server.memory_trim import MemoryTrim
from server.models.loader import ModelLoader
from server.models.registry import ModelRegistry
from server.models.watcher import ModelWatcher
from server.open_inference.service import INFERENCE_SERVICE, OpenInference
from server.search import SEARCH_SERVICE
from server.service import SERVICE_NAME, ProductClassifier
from server.settings import ServerSettings
from server.telemetry.metrics import Metrics
from server.telemetry.metrics_port import MetricsPort
from server.telemetry.observed_call import Instruments
from server.telemetry.observer import AdmissionCheck, CallObserver, open_tracing
from server.telemetry.scrape import ServerCollector

if TYPE_CHECKING:  # they import aiohttp and usearch
    from server.http.port import HttpPort
    from server.search.index_host import IndexHost
    from server.search.matching.matcher_host import MatcherHost
    from server.search.service import ProductSearch

_CLOSE_GRACE_S = 2.0  # for the last statuses to reach their callers

_log = logging.getLogger("aisle.server")


class ListenError(AisleError):
    """The server cannot listen on the address."""


class AisleServer:
    """A gRPC server with its models; `start` returns, `stop` drains.

    Args:
        engine_command: starts an engine process.
    Attributes:
        port: the port it listens on; 0 before `start` when the settings ask for a free one.
        models: the models it serves, after `start`.
        http_port: the port of JSON over HTTP, after `start`; None without one.
        metrics_port: the port of /metrics, after `start`; None without one.
    """

    def __init__(self, settings: ServerSettings, engine_command: Sequence[str] = ENGINE_COMMAND):
        self.settings = settings
        self._engine_command = engine_command
        self.port = settings.port
        self.http_port: int | None = None
        self.metrics_port: int | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Load and warm up the models, then listen and report SERVING.

        Raises:
            CredentialsError: a certificate, key or token file cannot be used.
            BundleError: a bundle is missing or damaged.
            EngineError: the engine cannot run one.
            ListenError: a port is taken or the address is not of this machine.
            VectorIndexError: the index cannot be opened, or holds the vectors of another bundle.
            MatcherError: the matcher cannot be read, or compares the vectors of another bundle.
            SettingsError: --otlp-endpoint or --http-port needs packages that are not installed.
        """
        settings = self.settings
        self._http_port_class = http_port_class(settings.http_port)
        self._read_credentials()
        self._tracing = open_tracing(settings.otlp_endpoint)
        self._metrics = Metrics()
        self.models = ModelRegistry()
        self._event_loop = EventLoop("rpc")
        self._memory = MemoryBudget(settings.max_memory_bytes)
        try:
            self._watcher = self._load_models()
        except BaseException:
            self._event_loop.close()
            raise
        self._set_memory()
        self._service = ProductClassifier(self.models, settings, self._memory, self._metrics, self._tracing)
        self._open_calls = OpenCalls(settings, self._memory)
        self._open_index(settings.index)
        collector = ServerCollector(self._metrics, self.models, self._service.calls, self._open_calls, self._index_host)
        self._metrics.registry.register(collector)
        self._metrics_server: MetricsPort | None = None
        self._http: HttpPort | None = None
        self._health = Health(self._health_names(self.models.names), self._event_loop)
        try:
            self._listen_for_metrics()
            self._server = self._event_loop.run(self._listen())
        except ListenError:
            self._free()
            raise
        self._health.serve()
        if self._watcher is not None and settings.model_poll_s:
            self._watcher.start(settings.model_poll_s, lambda names: self._health.set_names(self._health_names(names)))
            if self._index_host is not None:
                self._index_host.start(settings.model_poll_s)
        self._supervisor = Supervisor(self.models.in_use, self._event_loop, self._report_health)
        self._supervisor.start()
        _log.info("listening on %s", _address(settings.host, self.port))
        if self.http_port is not None:
            _log.info("listening for HTTP on %s", _address(settings.host, self.http_port))

    def stop(self, grace_s: float, drain_delay_s: float = 0.0) -> None:
        """Report NOT_SERVING, reject new calls with UNAVAILABLE, drain running ones, then free all resources.

        A stopped server cannot be started again; a second call does nothing.

        Args:
            grace_s: time for running calls to end, seconds; those that run longer end with UNAVAILABLE, too.
            drain_delay_s: time in which new calls are still answered after NOT_SERVING is reported, seconds.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        self._health.stop()
        _log.info("not serving any more; new calls are rejected in %g s", drain_delay_s)
        time.sleep(drain_delay_s)
        _log.info("stopping; running calls have %g s to end", grace_s)
        if not self._event_loop.run(self._service.stop(grace_s)):
            _log.warning("aborting the calls that still run")
        self._supervisor.stop()
        self._health.end_watches()
        self._event_loop.run(self._stop_listening())
        self._free()
        _log.info("stopped")

    def _read_credentials(self) -> None:
        self._credentials = server_credentials(self.settings)
        tls = tls_files(self.settings) if self._http_port_class else None
        self._http_tls = tls.http_context() if tls else None
        self._token_checks = token_checks(self.settings)

    def _load_models(self) -> ModelWatcher | None:
        """Load the models that the settings name; return the watcher of a models folder, None for a single bundle."""
        settings = self.settings
        loader = ModelLoader(settings, self._event_loop, self._memory, self._engine_command)
        if settings.models is None:
            assert settings.bundle is not None
            model = loader.open(settings.bundle)
            self.models.publish(model.name, [model])
            _log.info("serving %s %s with %s", model.name, model.version, model.engine)
            return None
        watcher = ModelWatcher(settings.models, loader, self.models, settings.loaded_versions)
        watcher.load()
        return watcher

    def _set_memory(self) -> None:
        """Bound the memory of requests by what the loaded models leave."""
        if not self.settings.max_memory_bytes:
            engines = [number for model in self.models for number in model.pool.process_ids]
            self._memory.max_bytes = free_memory_bytes([os.getpid(), *engines])
        _log.info("requests may take %d MiB of memory", self._memory.max_bytes >> 20)

    def _open_index(self, location: str | None) -> None:
        """Open an index beside the loaded models; None opens none."""
        self._index_host: IndexHost | None = None
        self._matcher_host: MatcherHost | None = None
        self._search: ProductSearch | None = None
        if location is None:
            return
        from server.search.index_host import IndexHost
        from server.search.matching.matcher_host import MatcherHost
        from server.search.service import ProductSearch

        self._index_host = IndexHost(location, self.models, writes=self.settings.write_token_file is not None)
        try:
            self._index_host.open()
            if self.settings.matcher is not None:
                self._matcher_host = MatcherHost(self.settings.matcher, self._index_host, self.settings)
                self._matcher_host.open()
        except BaseException:
            self._index_host.close()
            self.models.close()
            self._service.close()
            self._event_loop.close()
            raise
        self._search = ProductSearch(
            self._index_host, self._service, self.settings, self._memory, self._metrics, self._matcher_host
        )

    def _health_names(self, models: list[str]) -> list[str]:
        search = [SEARCH_SERVICE] if self._search is not None else []
        return [SERVICE_NAME, *(f"{SERVICE_NAME}/{name}" for name in models), *search]

    def _report_health(self, is_serving: Mapping[str, bool]) -> None:
        """Set the health of each model and of the search; the server as a whole is serving as long as a model is."""
        for name, is_model_serving in is_serving.items():
            self._health.set_serving(f"{SERVICE_NAME}/{name}", is_model_serving)
        for name in ("", SERVICE_NAME):
            self._health.set_serving(name, any(is_serving.values()))
        if self._index_host is not None and self._index_host.current is not None:
            self._health.set_serving(SEARCH_SERVICE, self._index_host.current.model.pool.is_serving)

    def _free(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        if self._http is not None:
            self._event_loop.run(self._http.close())
        if self._search is not None:
            self._search.close()
        if self._matcher_host is not None:
            self._matcher_host.close()
        if self._index_host is not None:
            self._index_host.close()
        self.models.close()
        self._service.close()
        self._event_loop.close()
        if self._metrics_server is not None:
            self._metrics_server.close()
        if self._tracing is not None:
            self._tracing.close()

    def _listen_for_metrics(self) -> None:
        host, port = self.settings.host, self.settings.metrics_port
        if port is None:
            return
        try:
            self._metrics_server = MetricsPort(self._metrics.registry, host, port, lambda: _address(host, self.port))
        except OSError as error:
            text = f"cannot listen on {host}:{port} for metrics: {error}; choose another --metrics-port or --host"
            raise ListenError(text) from error
        self.metrics_port = self._metrics_server.port
        _log.info("metrics on http://%s:%d/metrics", host, self.metrics_port)

    async def _listen(self) -> grpc.aio.Server:
        settings = self.settings
        limited = (f"/{SERVICE_NAME}/", f"/{SEARCH_SERVICE}/", f"/{INFERENCE_SERVICE}/ModelInfer")
        load_shedder = LoadShedder(self._service.calls, limited)
        admission_checks: list[AdmissionCheck] = [*self._token_checks, load_shedder]
        instruments = Instruments(self._metrics, self._tracing)
        observer = CallObserver(instruments, admission_checks, self._open_calls, settings.access_log)
        server = grpc.aio.server(interceptors=[observer], options=connection_options(settings))
        open_inference = OpenInference(self._service, self.models, self._health, settings)
        server.add_generic_rpc_handlers((self._service.handlers(), open_inference.handlers()))
        names = [SERVICE_NAME, INFERENCE_SERVICE, health.SERVICE_NAME]
        if self._search is not None:
            server.add_generic_rpc_handlers((self._search.handlers(),))
            names.append(SEARCH_SERVICE)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        add_reflection(server, tuple(names))
        if self._http_port_class is not None:
            self._http = self._http_port_class(observer, self._service, open_inference, self._health, settings)
            await self._listen_for_http(self._http)
        address = _address(settings.host, settings.port)
        try:
            if self._credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {address}: {error}; choose another --port or --host") from error
        await server.start()
        self._open_calls.start()
        MemoryTrim(self._memory).start()
        return server

    async def _listen_for_http(self, http: HttpPort) -> None:
        host, port = self.settings.host, self.settings.http_port or 0
        try:
            await http.start(host, port, self._http_tls)
        except OSError as error:
            text = f"cannot listen on {_address(host, port)} for HTTP: {error}; choose another --http-port or --host"
            raise ListenError(text) from error
        self.http_port = http.port

    async def _stop_listening(self) -> None:
        calls = self._service.calls
        calls.abort()
        await calls.hold_rejections()
        stopping = asyncio.create_task(self._server.stop(_CLOSE_GRACE_S))
        await asyncio.sleep(0)  # from here on grpc accepts no more calls
        self._open_calls.close()
        calls.release_rejections()
        await stopping


def _address(host: str, port: int) -> str:
    """HOST:PORT as gRPC wants it: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
