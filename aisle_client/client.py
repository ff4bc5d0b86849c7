"""The synchronous client of the gRPC service."""

import queue
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

import grpc

from aisle_client.bulk import Bulk, bulk_limits, products_after
from aisle_client.channel import PLAIN_TEXT, Security, open_channel
from aisle_client.errors import CallError, call_error
from aisle_client.hits import Hits
from aisle_client.messages import (
    ClassifyOptions,
    RequestLimits,
    classify_requests,
    has_many,
    read_response,
    request_limits,
)
from aisle_client.offer import Offer
from aisle_client.pair_answer import PairAnswer
from aisle_client.prediction import Failure, Prediction
from aisle_client.product import ProductLike
from aisle_client.retry import DEFAULT_RETRY, Attempts, RetryPolicy
from aisle_client.search_filter import SearchFilter
from aisle_client.search_messages import (
    Query,
    delete_requests,
    not_one_text,
    read_same_product,
    read_similar,
    read_upsert,
    same_product_head,
    same_product_requests,
    similar_head,
    similar_requests,
    upsert_requests,
)
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc, search_pb2, search_pb2_grpc

Request = TypeVar("Request")
Response = TypeVar("Response")


class AisleClient:
    """Calls one or several servers; thread-safe.

        with AisleClient("localhost:50051") as client:
            client.classify([Product("1", "wireless mouse")])

    Args:
        target: HOST:PORT; several IP:PORT, joined by commas, share the requests.
        timeout_s: timeout of each request with all its retries, seconds.
        retry: the retry policy; NO_RETRY never retries.
        security: TLS and token; plain text without any by default.
    Raises:
        InputError: a file of `security` cannot be read, or a token would be sent in plain text.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout_s: float = 30.0,
        retry: RetryPolicy = DEFAULT_RETRY,
        security: Security = PLAIN_TEXT,
    ):
        self._target = target
        self._timeout_s = timeout_s
        self._retry = retry
        self._channel = open_channel(target, security)
        self._stub = classifier_pb2_grpc.ProductClassifierStub(self._channel)
        self._search_stub = search_pb2_grpc.ProductSearchStub(self._channel)
        self._limits: dict[tuple[str, str], RequestLimits] = {}
        self._search_limits: RequestLimits | None = None

    def classify(  # noqa: PLR0913  options by name, each with a default
        self,
        products: Iterable[ProductLike],
        top_k: int = 0,
        *,
        model: str = "",
        model_version: str = "",
        include_evidence: bool = False,
        include_embedding: bool = False,
        mask_parent: str = "",
        include_words: bool = False,
    ) -> list[Prediction | Failure]:
        """Classify any number of products, in as many requests as the server's limits require.

        Args:
            top_k: leaf categories to return for each product; 0 leaves it to the server.
            model, model_version: '' means the only one, the served one.
            include_evidence, include_embedding, include_words: fill `heads`, `embedding` and `words` of predictions.
            mask_parent: path of the category that every answer has to lie in; '' is the whole tree.
        Returns:
            one result per product, in order; a product that cannot be answered is a Failure.
        Raises:
            CallError: a request was rejected as a whole, or the server cannot be reached.
        """
        options = ClassifyOptions(
            model, model_version, top_k, include_evidence, include_embedding, mask_parent, include_words
        )
        is_many, products = has_many(products)
        limits = self._limits_of(model, model_version) if is_many else RequestLimits()
        results: list[Prediction | Failure] = []
        for request in classify_requests(products, options, limits):
            results += read_response(self._call(self._stub.Classify, request))
        return results

    def classify_stream(
        self,
        products: Iterable[ProductLike],
        top_k: int = 0,
        *,
        model: str = "",
        model_version: str = "",
        resume_after: str = "",
        mask_parent: str = "",
    ) -> Iterator[Prediction | Failure]:
        """Classify a list of any length, as from a file; products are read only as fast as answers are consumed.

        After a lost connection the stream continues behind the last answer, by the policy `retry`; each answer
        resets the count of retries. An iteration that ended early can be resumed with `resume_after`.

        Args:
            top_k, model, model_version, mask_parent: see `classify`.
            resume_after: id of the last product answered before; products up to it are skipped.
        Returns:
            one result per product, in order, as they arrive.
        Raises:
            CallError: a message was rejected, or the server cannot be reached.
            InputError: no product has the id `resume_after`.
        """
        options = ClassifyOptions(model, model_version, top_k, False, False, mask_parent)
        limits = bulk_limits(self._limits_of(model, model_version))
        requests = classify_requests(products_after(products, resume_after), options, limits)
        bulk = Bulk(requests, self._timeout_s, self._target)
        attempts = Attempts(self._retry, self._timeout_s)
        while bulk.begin():
            try:
                for results in self._one_stream(bulk):
                    yield from results
                    attempts.restart()
            except CallError as error:
                if bulk.is_expired(error):
                    continue
                delay_s = attempts.delay_s(error)
                time.sleep(delay_s)

    def get_model(self, model: str = "", model_version: str = "") -> classifier_pb2.GetModelResponse:
        """Describe a model; see the contract.

        Raises:
            CallError: no such model, or the server cannot be reached.
        """
        request = classifier_pb2.GetModelRequest(model=model, model_version=model_version)
        return self._call(self._stub.GetModel, request)

    def similar(
        self,
        queries: Iterable[Query],
        k: int = 10,
        *,
        space: str = "",
        filter: SearchFilter | None = None,  # noqa: A002  named as in the contract
        exclude_same_product: bool = False,
        diversity: float = 0.0,
    ) -> list[Hits | Failure]:
        """Find products of the server's index like others, in as many requests as the server's limits require.

        Args:
            queries: ids of products of the index, products, or offers, whose group_id counts as well.
            k: hits for each query; 0 leaves it to the server.
            space: the vectors to compare, "image", "text" or "joint"; '' takes those that say most of each query.
            filter: what every hit has to meet.
            exclude_same_product: leave out hits with the group_id of the product that is asked about.
            diversity: 0 finds the nearest; towards 1, which is excluded, hits are less like each other.
        Returns:
            one result per query, in order; a query that cannot be answered is a Failure.
        Raises:
            CallError: a request was rejected as a whole, the server has no index, or cannot be reached.
            InputError: no such space, k is below 0, or `queries` is one text.
        """
        head = similar_head(k, space, filter, exclude_same_product, diversity)
        is_many, queries = has_many(not_one_text("queries", queries))
        limits = self._limits_of_search() if is_many else RequestLimits()
        results: list[Hits | Failure] = []
        for request in similar_requests(queries, head, limits):
            results += read_similar(request, self._call(self._search_stub.Similar, request))
        return results

    def same_product(self, pairs: Iterable[tuple[str, str]], precision: float = 0.0) -> list[PairAnswer | Failure]:
        """Say of pairs of products of the server's index how probably they are one product.

        Args:
            pairs: ids of two products each.
            precision: share of the pairs called the same that shall be right, above 0 and below 1; 0 is what the
                server's matcher promises.
        Returns:
            one result per pair, in order; a pair that cannot be answered is a Failure with the id of the left product.
        Raises:
            CallError: as in `similar`, or the server has no matcher.
            InputError: precision is no share.
        """
        head = same_product_head(precision)
        is_many, pairs = has_many(pairs)
        limits = self._limits_of_search() if is_many else RequestLimits()
        results: list[PairAnswer | Failure] = []
        for request in same_product_requests(pairs, head, limits):
            results += read_same_product(request, self._call(self._search_stub.SameProduct, request))
        return results

    def upsert(self, offers: Iterable[Offer]) -> list[Failure | None]:
        """Insert products into the server's index, or put them in the place of those with the same id.

        Returns:
            one result per offer, in order: None where it is in the index now, else the reason why not.
        Raises:
            CallError: as in `similar`, or the token may not change the index. Offers before those of the rejected
                request are in the index; all of them can be sent again.
        """
        is_many, offers = has_many(offers)
        limits = self._limits_of_search() if is_many else RequestLimits()
        results: list[Failure | None] = []
        for request in upsert_requests(offers, limits):
            results += read_upsert(self._call(self._search_stub.Upsert, request))
        return results

    def delete(self, product_ids: Iterable[str]) -> int:
        """Remove products from the server's index; ids that are not there do not matter.

        Returns:
            the number of products that were there; those of a request that had to be sent twice may count as missing.
        Raises:
            CallError: as in `upsert`.
            InputError: `product_ids` is one text.
        """
        is_many, product_ids = has_many(not_one_text("product_ids", product_ids))
        limits = self._limits_of_search() if is_many else RequestLimits()
        num_deleted = 0
        for request in delete_requests(product_ids, limits):
            num_deleted += self._call(self._search_stub.Delete, request).num_deleted
        return num_deleted

    def get_index(self) -> search_pb2.GetIndexResponse:
        """Describe the server's index; see the contract.

        Raises:
            CallError: the server has no index, or cannot be reached.
        """
        return self._call(self._search_stub.GetIndex, search_pb2.GetIndexRequest())

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _call(self, method: Callable[..., Response], request: Request) -> Response:
        attempts = Attempts(self._retry, self._timeout_s)
        while True:
            try:
                return method(request, timeout=attempts.remaining_s())
            except grpc.RpcError as error:
                delay_s = attempts.delay_s(call_error(error, self._target))
            time.sleep(delay_s)

    def _one_stream(self, bulk: Bulk) -> Iterator[list[Prediction | Failure]]:
        messages: queue.SimpleQueue[classifier_pb2.ClassifyStreamRequest | None] = queue.SimpleQueue()
        call = self._stub.ClassifyStream(iter(messages.get, None), timeout=bulk.stream_timeout_s)
        try:
            while True:
                for message in bulk.next_messages():
                    messages.put(message)
                if bulk.is_over:
                    return
                yield bulk.receive(next(call, None))
        except grpc.RpcError as error:
            raise call_error(error, self._target) from error
        finally:
            messages.put(None)
            call.cancel()

    def _limits_of(self, model: str, model_version: str) -> RequestLimits:
        """Return the server's limits, cached: they seldom change, and a request over changed ones is rejected."""
        key = (model, model_version)
        if key not in self._limits:
            self._limits[key] = request_limits(self.get_model(model, model_version))
        return self._limits[key]

    def _limits_of_search(self) -> RequestLimits:
        """Return the limits of the search, cached as well; those of an index say nothing of bytes."""
        if self._search_limits is None:
            index = self.get_index()
            self._search_limits = RequestLimits(index.limits.max_items, self._limits_of(index.model, "").max_bytes)
        return self._search_limits

    def __enter__(self) -> "AisleClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
