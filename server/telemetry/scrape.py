"""Metrics that are computed at each scrape: the current state of models, queues, batches and the index."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from model.errors import VectorIndexError
from server.calls.call import Calls
from server.calls.open_calls import OpenCalls
from server.errors import StoppingError
from server.models.registry import ModelRegistry, ServedModel
from server.telemetry.metrics import Metrics

if TYPE_CHECKING:  # it imports usearch
    from server.search.index_host import IndexHost

_log = logging.getLogger("aisle.server")

_MODEL = ("model", "version")


class ServerCollector(Collector):
    """Collects metrics from the server's own state, at no cost for calls.

    Args:
        index_host: None for a server without an index.
    """

    def __init__(
        self,
        metrics: Metrics,
        models: ModelRegistry,
        calls: Calls,
        open_calls: OpenCalls,
        index_host: IndexHost | None,
    ):
        self._metrics = metrics
        self._models = models
        self._calls = calls
        self._open_calls = open_calls
        self._index_host = index_host

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families, in order."""
        models = list(self._models)
        self._metrics.forget_unloaded({(model.name, model.version) for model in models})
        yield GaugeMetricFamily("aisle_calls_in_flight", "Calls being answered", value=self._calls.num_in_flight)
        yield self._open_calls_by_kind()
        yield self._model_info(models)
        yield self._model_states()
        yield _model_up(models)
        yield _engine_processes(models)
        yield _queue_items(models)
        yield _batch_items(models)
        yield _image_cache_bytes(models)
        yield _image_cache_lookups(models)
        if self._index_host is not None:
            yield _index_products(self._index_host)

    def _open_calls_by_kind(self) -> GaugeMetricFamily:
        text = "Open calls that may be silent: streams, watches, and requests whose message is arriving"
        family = GaugeMetricFamily("aisle_open_calls", text, labels=("kind",))
        for kind, count in self._open_calls.counts.items():
            family.add_metric((kind,), count)
        return family

    def _model_info(self, models: list[ServedModel]) -> GaugeMetricFamily:
        family = GaugeMetricFamily("aisle_model_info", "Loaded versions; always 1", labels=(*_MODEL, "engine"))
        for model in models:
            family.add_metric((model.name, model.version, model.engine), 1)
        return family

    def _model_states(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "aisle_model_state", "Versions by state: serving, loaded or refused; always 1", labels=(*_MODEL, "state")
        )
        for state in self._models.states:
            family.add_metric((state.name, state.version, state.state), 1)
        return family


def _model_up(models: list[ServedModel]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("aisle_model_up", "0 while an engine is down and being restarted, else 1", labels=_MODEL)
    for model in models:
        family.add_metric((model.name, model.version), model.pool.is_serving)
    return family


def _engine_processes(models: list[ServedModel]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("aisle_engine_processes", "Engine processes that answer", labels=_MODEL)
    for model in models:
        family.add_metric((model.name, model.version), len(model.pool.process_ids))
    return family


def _queue_items(models: list[ServedModel]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("aisle_queue_items", "Products that wait for an engine", labels=(*_MODEL, "lane"))
    for model in models:
        for lane in (model.pool.scheduler.texts, model.pool.scheduler.pictures):
            family.add_metric((model.name, model.version, lane.name), lane.items)
    return family


def _batch_items(models: list[ServedModel]) -> HistogramMetricFamily:
    family = HistogramMetricFamily("aisle_batch_items", "Products of a batch", labels=(*_MODEL, "lane"))
    for model in models:
        dispatcher = model.pool.dispatcher
        for lane, batches in (("text", dispatcher.text_batches), ("picture", dispatcher.picture_batches)):
            num_batches, num_items = batches.totals()
            count = 0
            buckets = []
            for limit, number in num_batches.items():
                count += number
                buckets.append((f"{limit:.1f}", count))
            family.add_metric((model.name, model.version, lane), [*buckets, ("+Inf", count)], num_items)
    return family


def _image_cache_bytes(models: list[ServedModel]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("aisle_image_cache_bytes", "Picture features kept, bytes", labels=_MODEL)
    for model in models:
        family.add_metric((model.name, model.version), model.pool.feature_cache.num_bytes)
    return family


def _image_cache_lookups(models: list[ServedModel]) -> CounterMetricFamily:
    family = CounterMetricFamily(
        "aisle_image_cache_lookups", "Pictures looked up in the cache, by outcome", labels=(*_MODEL, "outcome")
    )
    for model in models:
        for outcome, count in model.pool.feature_cache.counts.items():
            family.add_metric((model.name, model.version, outcome), count)
    return family


def _index_products(host: IndexHost) -> GaugeMetricFamily:
    family = GaugeMetricFamily("aisle_index_products", "Products in the index being served", labels=_MODEL)
    try:
        with host.lease() as served:
            family.add_metric((served.model.name, served.model.version), len(served.engine))
    except (VectorIndexError, StoppingError) as error:  # the other metrics must not suffer
        _log.warning("the products of the index cannot be counted: %s", error)
    return family
