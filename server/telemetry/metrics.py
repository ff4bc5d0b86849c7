"""Prometheus metrics of calls and answers."""

import threading
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from server.inference.request_run import RequestResult
from server.models.registry import ServedModel

#: Most first-level categories of a model with a time series of their own; each takes memory here and in Prometheus.
MAX_CATEGORIES = 200
OTHER = "other"

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
_MODEL = ("model", "version")


class Metrics:
    """The metrics of one server, in a registry of their own. Thread-safe.

    Attributes:
        registry: the registry that a scrape reads.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(f"aisle_{name}_duration_seconds", text, _MODEL, registry=registry, buckets=_SECONDS)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"aisle_{name}", text, labels, registry=registry)

        self._calls = counter("calls", "Calls that ended, by gRPC code", "method", "code")
        self._rejections = counter("rejections", "Requests without an answer, by reason of ErrorInfo", "reason")
        self.decode = seconds("decode", "Time of decoding the pictures of a request that has some")
        self.queue = seconds("queue", "Time that a request waits for the engine")
        self.inference = seconds("inference", "Time of the engine on a request")
        self.request = seconds("request", "Time of an answered request, from its message to its answer")
        self.search = Histogram(
            "aisle_search_duration_seconds",
            "Time of the index on a request for similar products, with the wait for a thread",
            registry=registry,
            buckets=_SECONDS,
        )
        self.matching = Histogram(
            "aisle_same_product_duration_seconds",
            "Time of the index and the matcher on a request that compares pairs of products",
            registry=registry,
            buckets=_SECONDS,
        )
        self.products = counter("products", "Products by outcome", *_MODEL, "outcome")
        self.product_errors = counter("product_errors", "Products without an answer, by reason", *_MODEL, "reason")
        self.categories = counter(
            "answered_categories", f"Best answers by category of the first level, or {OTHER}", *_MODEL, "category"
        )
        self._lock = threading.Lock()
        self._model_metrics: WeakKeyDictionary[ServedModel, _ModelMetrics] = WeakKeyDictionary()
        self._scrapes_since_loaded: dict[tuple[str, str], int] = {}

    def count_call(self, method: str, code: str) -> None:
        """Count a call that has ended; both labels have few values."""
        self._calls.labels(method, code).inc()

    def count_rejection(self, reason: str) -> None:
        """Count a request that ended without an answer."""
        self._rejections.labels(reason).inc()

    def observe(self, model: ServedModel, result: RequestResult, total_s: float) -> None:
        """Record an answered request.

        Args:
            total_s: time from the message to the answer, seconds.
        """
        metrics = self._model_metrics.get(model)
        if metrics is None:
            with self._lock:
                metrics = self._model_metrics.setdefault(model, _ModelMetrics(self, model))
                self._scrapes_since_loaded[model.name, model.version] = 0
        metrics.observe(result, total_s)

    def forget_unloaded(self, loaded: set[tuple[str, str]]) -> None:
        """Drop the time series of unloaded versions, after a scrape has read their last values; called once per scrape.

        Args:
            loaded: name and version of every loaded model.
        """
        with self._lock:
            for labels, scrapes in list(self._scrapes_since_loaded.items()):
                self._scrapes_since_loaded[labels] = 0 if labels in loaded else scrapes + 1
                if self._scrapes_since_loaded[labels] > 1:
                    del self._scrapes_since_loaded[labels]
                    self._drop(*labels)

    def _drop(self, model: str, version: str) -> None:
        durations = (self.decode, self.queue, self.inference, self.request)
        for metric in (*durations, self.products, self.product_errors, self.categories):
            metric.remove_by_labels({"model": model, "version": version})


class _ModelMetrics:
    """The metrics of one loaded version; labels are looked up once, because that is most of the cost of a count."""

    def __init__(self, metrics: Metrics, model: ServedModel):
        self._labels = labels = (model.name, model.version)
        self._decode = metrics.decode.labels(*labels)
        self._queue = metrics.queue.labels(*labels)
        self._inference = metrics.inference.labels(*labels)
        self._request = metrics.request.labels(*labels)
        self._accepted = metrics.products.labels(*labels, "accepted")
        self._needs_review = metrics.products.labels(*labels, "needs_review")
        self._failed = metrics.products.labels(*labels, "error")
        self._product_errors = metrics.product_errors
        categories = model.pool.description.categories
        self._other = metrics.categories.labels(*labels, OTHER)
        self._categories = [metrics.categories.labels(*labels, category) for category in categories[:MAX_CATEGORIES]]

    def observe(self, result: RequestResult, total_s: float) -> None:
        if result.decode_s:
            self._decode.observe(result.decode_s)
        self._queue.observe(result.queue_s)
        self._inference.observe(result.inference_s)
        self._request.observe(total_s)
        self._needs_review.inc(result.num_needs_review)
        self._accepted.inc(result.num_accepted)
        for number, count in result.category_counts.items():
            (self._categories[number] if number < MAX_CATEGORIES else self._other).inc(count)
        for reason, count in result.error_counts.items():
            self._failed.inc(count)
            self._product_errors.labels(*self._labels, reason).inc(count)
