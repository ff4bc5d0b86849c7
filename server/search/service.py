"""The gRPC service ProductSearch: questions to vectors, vectors to hits, and changes of the index."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import grpc
import numpy as np
from google.rpc import code_pb2, status_pb2

from aisle_client.v1 import classifier_pb2, search_pb2
from model.machine.cores import usable_cores
from retrieval.index.record import SPACES, IndexRecord, Space
from retrieval.search.similar import MAX_K, AskedProduct, SimilarOptions, similar
from server.calls.call import Call
from server.errors import MemoryFullError, plain_status, renamed_status
from server.inference.memory_budget import MemoryBudget, MemoryUse
from server.inference.request_run import RequestRun
from server.messages.request import Question
from server.search import SEARCH_SERVICE
from server.search.index_host import IndexHost, ServedIndex
from server.search.messages import (
    asked_space,
    check_count,
    classify_request,
    hits_message,
    missing_vector,
    offer_attributes,
    parse,
    similar_options,
    space_number,
    unknown_product,
)
from server.service import ProductClassifier
from server.settings import ServerSettings
from server.telemetry.access_log import count_products

#: A request is in memory as it came, parsed, and as the engine processes take it.
_COPIES = 3
_RETRY_AFTER_S = 1.0

#: The vectors of a product by space, or the status that says why there are none.
_Embedded: TypeAlias = "dict[Space, np.ndarray] | status_pb2.Status"
#: Answers an RPC: the message, the index and its model, the call, and the caller.
_Method: TypeAlias = "Callable[[bytes, ServedIndex, Call, str], Awaitable[Any]]"
#: A question ready for the index: its position in the request, vector, and what is left out of its hits.
_Ready = tuple[int, np.ndarray, AskedProduct]


class ProductSearch:
    """Answers the RPCs with the index of a host; `CallObserver` turns its exceptions into statuses.

    The engine processes make vectors; the index is searched and changed on threads beside the event loop.

    Args:
        classifier: whose limit of calls it shares.
        memory: the memory that requests may take.
    """

    def __init__(self, host: IndexHost, classifier: ProductClassifier, settings: ServerSettings, memory: MemoryBudget):
        self._host = host
        self._calls = classifier.calls
        self._settings = settings
        self._memory = memory
        self._searches = ThreadPoolExecutor(settings.search_threads or usable_cores(), thread_name_prefix="search")
        self._changes = ThreadPoolExecutor(1, thread_name_prefix="index-change")

    def handlers(self) -> grpc.GenericRpcHandler:
        """The handlers of the service's methods, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        methods: dict[str, _Method] = {
            "Similar": self._similar,
            "Upsert": self._upsert,
            "Delete": self._delete,
            "GetIndex": self._describe,
        }
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: grpc.unary_unary_rpc_method_handler(partial(self._answer, method)) for name, method in methods.items()
        }
        return grpc.method_handlers_generic_handler(SEARCH_SERVICE, handlers)

    def close(self) -> None:
        """Stop the threads; to be called after the last call has ended."""
        self._searches.shutdown(cancel_futures=True)
        self._changes.shutdown()

    async def _answer(
        self,
        method: _Method,
        content: bytes,
        context: grpc.aio.ServicerContext,
    ) -> bytes:
        call = await self._calls.begin(context)
        num_bytes = _COPIES * len(content)
        try:
            if not self._memory.reserve(MemoryUse.MESSAGES, num_bytes):
                text = f"the requests in flight leave no room for {num_bytes} of {self._memory.max_bytes} bytes"
                raise MemoryFullError(f"{text}; wait and send the request again", _RETRY_AFTER_S)
            try:
                with self._host.lease() as served:
                    response = await method(content, served, call, context.peer())
                    call.is_answered = True
                    return bytes(response.SerializeToString())
            finally:
                self._memory.release(MemoryUse.MESSAGES, num_bytes)
        finally:
            self._calls.end(call)

    async def _similar(
        self, content: bytes, served: ServedIndex, call: Call, caller: str
    ) -> search_pb2.SimilarResponse:
        started_s = time.perf_counter()
        message = parse(search_pb2.SimilarRequest, content)
        check_count("queries", len(message.queries), self._settings.max_products_per_request)
        count_products(len(message.queries))
        options = similar_options(message)
        space = asked_space(message, tuple(served.engine.description.dims))
        embedded = await self._embedded_queries(message, served, call, caller, space)
        search = partial(_search, served, message, options, space, embedded)
        results = await self._run(self._searches, search)
        response = search_pb2.SimilarResponse(model=served.model.name, model_version=served.model.version)
        response.results.extend(results)
        response.total_ms = (time.perf_counter() - started_s) * 1000
        return response

    async def _embedded_queries(
        self, message: search_pb2.SimilarRequest, served: ServedIndex, call: Call, caller: str, space: Space | None
    ) -> dict[int, _Embedded]:
        """Vectors of the queries that bring a product, by position."""
        positions = [i for i, query in enumerate(message.queries) if query.WhichOneof("by") == "product"]
        if not positions:
            return {}
        products = [message.queries[i].product for i in positions]
        spaces = (space,) if space else tuple(served.engine.description.dims)
        found = await self._embed(products, served, call, caller, spaces, [f"queries[{i}].product" for i in positions])
        return dict(zip(positions, found, strict=True))

    async def _upsert(self, content: bytes, served: ServedIndex, call: Call, caller: str) -> search_pb2.UpsertResponse:
        message = parse(search_pb2.UpsertRequest, content)
        check_count("offers", len(message.offers), self._settings.max_products_per_request)
        count_products(len(message.offers))
        products = [offer.product for offer in message.offers]
        paths = [f"offers[{i}].product" for i in range(len(products))]
        found = await self._embed(products, served, call, caller, tuple(served.engine.description.dims), paths)
        response, records = search_pb2.UpsertResponse(), []
        for i, (offer, vectors) in enumerate(zip(message.offers, found, strict=True)):
            result = response.results.add(product_id=offer.product.product_id)
            if isinstance(vectors, status_pb2.Status):
                result.error.CopyFrom(vectors)
            elif not offer.product.product_id.strip():
                text = f"offers[{i}].product.product_id: expected the shop's own key, found none"
                result.error.CopyFrom(plain_status(code_pb2.INVALID_ARGUMENT, text, "NO_PRODUCT_ID"))
            else:
                records.append(IndexRecord(offer.product.product_id, offer_attributes(offer), vectors))
        if records:
            await self._run(self._changes, partial(served.engine.upsert, records))
        return response

    async def _delete(self, content: bytes, served: ServedIndex, *_: object) -> search_pb2.DeleteResponse:
        message = parse(search_pb2.DeleteRequest, content)
        check_count("product_ids", len(message.product_ids), self._settings.max_products_per_request)
        deleted = await self._run(self._changes, partial(served.engine.delete, list(message.product_ids)))
        return search_pb2.DeleteResponse(num_deleted=deleted)

    async def _describe(self, _content: bytes, served: ServedIndex, *_: object) -> search_pb2.GetIndexResponse:
        statistics = await self._run(self._searches, served.engine.statistics)
        response = search_pb2.GetIndexResponse(
            model=served.model.name,
            model_version=served.model.version,
            embedding_checksum=served.engine.description.embedding_checksum,
            num_products=await self._run(self._searches, served.engine.__len__),
            engine=served.engine.name,
            is_writable=self._settings.write_token_file is not None,
            limits=search_pb2.SearchLimits(max_items=self._settings.max_products_per_request, max_k=MAX_K),
        )
        for space, found in statistics.items():
            response.spaces.add(
                space=space_number(space), dim=found.dim, num_vectors=found.num_vectors, recall=found.recall
            )
        return response

    async def _embed(
        self,
        products: Sequence[classifier_pb2.Product],
        served: ServedIndex,
        call: Call,
        caller: str,
        spaces: tuple[Space, ...],
        paths: Sequence[str],
    ) -> list[_Embedded]:
        """Have products embedded by the engine processes.

        Args:
            paths: of the products in the caller's request, for the errors.
        """
        message = classify_request(products)
        run = RequestRun(served.model.pool, call, caller, self._settings.max_request_pixels, spaces)
        run.cut(Question(message.SerializeToString(), message))
        result = await run.answer()
        answers = classifier_pb2.ClassifyResponse.FromString(result.content).classifications
        found: list[_Embedded] = []
        for i, answer in enumerate(answers):
            if answer.HasField("error"):
                found.append(renamed_status(answer.error, f"products[{i}]", paths[i]))
                continue
            vectors = {space: result.vectors[i, space] for space in spaces if (i, space) in result.vectors}
            found.append({space: np.frombuffer(vector, np.float32) for space, vector in vectors.items()})
        return found

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, function: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, function)


def _search(
    served: ServedIndex,
    message: search_pb2.SimilarRequest,
    options: SimilarOptions,
    space: Space | None,
    embedded: dict[int, _Embedded],
) -> list[search_pb2.SimilarResult]:
    """Answer the queries of a request, all of one space at once; runs on a thread."""
    results = [search_pb2.SimilarResult() for _ in message.queries]
    ready: dict[Space, list[_Ready]] = {}
    stored = [query.product_id for query in message.queries if query.WhichOneof("by") != "product"]
    records = iter(served.engine.get(stored) if stored else [])
    for i, query in enumerate(message.queries):
        if i in embedded:
            asked = AskedProduct(query.product.product_id, group_id=query.group_id)
            found: _Embedded = embedded[i]
        else:
            record = next(records)
            asked = AskedProduct.of(record) if record is not None else AskedProduct()
            found = dict(record.vectors) if record is not None else unknown_product(query.product_id, i)
        if isinstance(found, status_pb2.Status):
            results[i].error.CopyFrom(found)
            continue
        chosen = space or _best_of(found)
        if chosen not in found:
            results[i].error.CopyFrom(missing_vector(chosen, i))
            continue
        ready.setdefault(chosen, []).append((i, found[chosen], asked))
    for chosen, questions in ready.items():
        vectors = np.stack([vector for _, vector, _ in questions])
        hits = similar(served.engine, chosen, vectors, [asked for _, _, asked in questions], options)
        for (i, _, _), found_hits in zip(questions, hits, strict=True):
            results[i].hits.CopyFrom(hits_message(found_hits, chosen))
    return results


def _best_of(vectors: dict[Space, np.ndarray]) -> Space:
    """The space in which a product says most: joint where it has picture and text, else that of what it has."""
    if {"image", "text"} <= set(vectors) and "joint" in vectors:
        return "joint"
    return next((space for space in ("image", "text", "joint") if space in vectors), SPACES[-1])
