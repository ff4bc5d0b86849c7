"""The asyncio version of `AisleClient`; both share the functions that build requests and read results."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from aisle_client.bulk import Bulk, bulk_limits, products_after
from aisle_client.channel import PLAIN_TEXT, Security, open_async_channel
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

#: The error text of grpc.aio for a connection that breaks while sending a message; the server never sends this.
_LOST_WHILE_SENDING = "Internal error from Core"


class AsyncAisleClient:
    """Calls one or several servers, in the event loop it was created in; see `AisleClient`."""

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
        self._channel = open_async_channel(target, security)
        self._stub = classifier_pb2_grpc.ProductClassifierStub(self._channel)
        self._search_stub = search_pb2_grpc.ProductSearchStub(self._channel)
        self._limits: dict[tuple[str, str], RequestLimits] = {}
        self._search_limits: RequestLimits | None = None

    async def classify(  # noqa: PLR0913  as in `AisleClient`
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
        """Classify products; see `AisleClient.classify`."""
        options = ClassifyOptions(
            model, model_version, top_k, include_evidence, include_embedding, mask_parent, include_words
        )
        is_many, products = has_many(products)
        limits = await self._limits_of(model, model_version) if is_many else RequestLimits()
        results: list[Prediction | Failure] = []
        for request in classify_requests(products, options, limits):
            results += read_response(await self._call(self._stub.Classify, request))
        return results

    async def classify_stream(
        self,
        products: Iterable[ProductLike],
        top_k: int = 0,
        *,
        model: str = "",
        model_version: str = "",
        resume_after: str = "",
        mask_parent: str = "",
    ) -> AsyncIterator[Prediction | Failure]:
        """Classify a list of any length; see `AisleClient.classify_stream`."""
        options = ClassifyOptions(model, model_version, top_k, False, False, mask_parent)
        limits = bulk_limits(await self._limits_of(model, model_version))
        requests = classify_requests(products_after(products, resume_after), options, limits)
        bulk = Bulk(requests, self._timeout_s, self._target)
        attempts = Attempts(self._retry, self._timeout_s)
        while bulk.begin():
            try:
                async for results in self._one_stream(bulk):
                    for result in results:
                        yield result
                    attempts.restart()
            except CallError as error:
                if bulk.is_expired(error):
                    continue
                delay_s = attempts.delay_s(error)
                await asyncio.sleep(delay_s)

    async def get_model(self, model: str = "", model_version: str = "") -> classifier_pb2.GetModelResponse:
        """Describe a model; see `AisleClient.get_model`."""
        request = classifier_pb2.GetModelRequest(model=model, model_version=model_version)
        return await self._call(self._stub.GetModel, request)

    async def similar(
        self,
        queries: Iterable[Query],
        k: int = 10,
        *,
        space: str = "",
        filter: SearchFilter | None = None,  # noqa: A002  named as in the contract
        exclude_same_product: bool = False,
        diversity: float = 0.0,
    ) -> list[Hits | Failure]:
        """Find products of the server's index like others; see `AisleClient.similar`."""
        head = similar_head(k, space, filter, exclude_same_product, diversity)
        is_many, queries = has_many(not_one_text("queries", queries))
        limits = await self._limits_of_search() if is_many else RequestLimits()
        results: list[Hits | Failure] = []
        for request in similar_requests(queries, head, limits):
            results += read_similar(request, await self._call(self._search_stub.Similar, request))
        return results

    async def same_product(
        self, pairs: Iterable[tuple[str, str]], precision: float = 0.0
    ) -> list[PairAnswer | Failure]:
        """Say how probably pairs of products are one product; see `AisleClient.same_product`."""
        head = same_product_head(precision)
        is_many, pairs = has_many(pairs)
        limits = await self._limits_of_search() if is_many else RequestLimits()
        results: list[PairAnswer | Failure] = []
        for request in same_product_requests(pairs, head, limits):
            results += read_same_product(request, await self._call(self._search_stub.SameProduct, request))
        return results

    async def upsert(self, offers: Iterable[Offer]) -> list[Failure | None]:
        """Insert products into the server's index or replace them; see `AisleClient.upsert`."""
        is_many, offers = has_many(offers)
        limits = await self._limits_of_search() if is_many else RequestLimits()
        results: list[Failure | None] = []
        for request in upsert_requests(offers, limits):
            results += read_upsert(await self._call(self._search_stub.Upsert, request))
        return results

    async def delete(self, product_ids: Iterable[str]) -> int:
        """Remove products from the server's index; see `AisleClient.delete`."""
        is_many, product_ids = has_many(not_one_text("product_ids", product_ids))
        limits = await self._limits_of_search() if is_many else RequestLimits()
        num_deleted = 0
        for request in delete_requests(product_ids, limits):
            num_deleted += (await self._call(self._search_stub.Delete, request)).num_deleted
        return num_deleted

    async def get_index(self) -> search_pb2.GetIndexResponse:
        """Describe the server's index; see `AisleClient.get_index`."""
        return await self._call(self._search_stub.GetIndex, search_pb2.GetIndexRequest())

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        attempts = Attempts(self._retry, self._timeout_s)
        while True:
            try:
                return await method(request, timeout=attempts.remaining_s())
            except grpc.RpcError as error:
                delay_s = attempts.delay_s(call_error(error, self._target))
            await asyncio.sleep(delay_s)

    async def _one_stream(self, bulk: Bulk) -> AsyncIterator[list[Prediction | Failure]]:
        messages: asyncio.Queue[classifier_pb2.ClassifyStreamRequest | None] = asyncio.Queue()

        async def sent() -> AsyncIterator[classifier_pb2.ClassifyStreamRequest]:
            while (message := await messages.get()) is not None:
                yield message

        call = self._stub.ClassifyStream(sent(), timeout=bulk.stream_timeout_s)
        try:
            while True:
                for message in bulk.next_messages():
                    messages.put_nowait(message)
                if bulk.is_over:
                    return
                response = await call.read()
                yield bulk.receive(None if response is grpc.aio.EOF else response)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.INTERNAL and error.details() == _LOST_WHILE_SENDING:
                text = f"the connection to {self._target} was lost"
                raise CallError(text, grpc.StatusCode.UNAVAILABLE, {}) from error
            raise call_error(error, self._target) from error
        finally:
            messages.put_nowait(None)
            call.cancel()

    async def _limits_of(self, model: str, model_version: str) -> RequestLimits:
        key = (model, model_version)
        if key not in self._limits:
            self._limits[key] = request_limits(await self.get_model(model, model_version))
        return self._limits[key]

    async def _limits_of_search(self) -> RequestLimits:
        if self._search_limits is None:
            index = await self.get_index()
            limits = await self._limits_of(index.model, "")
            self._search_limits = RequestLimits(index.limits.max_items, limits.max_bytes)
        return self._search_limits

    async def __aenter__(self) -> "AsyncAisleClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
