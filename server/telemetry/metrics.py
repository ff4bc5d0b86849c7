"""What is counted and measured of calls and answers, for Prometheus."""

import threading
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from model.prediction.answers import Prediction
from model.taxonomy import SEPARATOR
from proto.aisle.v1 import classifier_pb2
from server.errors import status_reason
from server.inference.pipeline import Answered
from server.models.registry import ServedModel

#: First-level categories of a model with a series of their own; each costs memory here and in Prometheus.
MAX_CATEGORIES = 200
OTHER = "other"

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
_MODEL = ("model", "version")


class Metrics:
    """The instruments of one server, in a registry of their own. Thread-safe.

    Attributes:
        registry: what a scrape reads.
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
        self.decode = seconds("decode", "Decoding of the pictures of a request that has some")
        self.queue = seconds("queue", "Wait of a request for the engine")
        self.inference = seconds("inference", "Submission of the engine on a request")
        self.request = seconds("request", "An answered request, from its message to its answer")
        self.products = counter("products", "Products by outcome", *_MODEL, "outcome")
        self.product_errors = counter("product_errors", "Products without an answer, by reason", *_MODEL, "reason")
        self.categories = counter(
            "answered_categories", f"Best answers by category of the first level, or {OTHER}", *_MODEL, "category"
        )
        self._lock = threading.Lock()
        self._of_models: WeakKeyDictionary[ServedModel, _ModelMetrics] = WeakKeyDictionary()
        self._scrapes_since_loaded: dict[tuple[str, str], int] = {}

    def count_call(self, method: str, code: str) -> None:
        """Count a call that has ended; both values come from small sets."""
        self._calls.labels(method, code).inc()

    def count_rejection(self, reason: str) -> None:
        """Count a request that ended without an answer."""
        self._rejections.labels(reason).inc()

    def observe(
        self, model: ServedModel, answered: Answered, response: classifier_pb2.ClassifyResponse, total_s: float
    ) -> None:
        """Learn from an answered request.

        Args:
            response: what its caller gets.
            total_s: from the message to the answer, seconds.
        """
        metrics = self._of_models.get(model)
        if metrics is None:
            with self._lock:
                metrics = self._of_models.setdefault(model, _ModelMetrics(self, model))
                self._scrapes_since_loaded[model.name, model.version] = 0
        metrics.observe(answered, response, total_s)

    def forget_unloaded(self, loaded: set[tuple[str, str]]) -> None:
        """Drop the series of versions that are gone, after a scrape had their last numbers.

        Args:
            loaded: name and version of every one that is there; to be called once a scrape.
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
    """Those of one loaded version; its labels are looked up once, which is most of what a count costs."""

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
        first_level = model.predictor.bundle.taxonomy.levels[0][:MAX_CATEGORIES]
        self._categories = {category: metrics.categories.labels(*labels, category) for category in first_level}
        self._other = metrics.categories.labels(*labels, OTHER)

    def observe(self, answered: Answered, response: classifier_pb2.ClassifyResponse, total_s: float) -> None:
        if answered.decode_s:
            self._decode.observe(answered.decode_s)
        self._queue.observe(answered.queue_s)
        self._inference.observe(answered.inference_s)
        self._request.observe(total_s)
        num_needs_review = num_failed = 0
        counts: dict[str, int] = {}
        for outcome in answered.outcomes:
            if isinstance(outcome, Prediction):
                num_needs_review += outcome.needs_review
                category = outcome.categories[0].category.partition(SEPARATOR)[0]
                counts[category] = counts.get(category, 0) + 1
            else:
                num_failed += 1
        self._needs_review.inc(num_needs_review)
        self._accepted.inc(len(answered.outcomes) - num_failed - num_needs_review)
        for category, count in counts.items():
            self._categories.get(category, self._other).inc(count)
        if num_failed:
            self._count_errors(response, num_failed)

    def _count_errors(self, response: classifier_pb2.ClassifyResponse, num_failed: int) -> None:
        self._failed.inc(num_failed)
        for classification in response.classifications:
            if classification.HasField("error"):
                self._product_errors.labels(*self._labels, status_reason(classification.error)).inc()
