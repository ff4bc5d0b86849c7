"""The gRPC service ProductSearch: questions to vectors, vectors to hits, and changes of the index."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import grpc
import numpy as np
from google.rpc import status_pb2

from aisle_client.v1 import classifier_pb2, search_pb2
from model.errors import VectorIndexError
from model.machine.cores import usable_cores
from retrieval.index.record import SPACES, IndexRecord, Space
from retrieval.search.similar import MAX_K, AskedProduct, SimilarOptions, similar
from server.calls.call import Call
from server.errors import IndexDownError, MemoryFullError, NoMatcherError, renamed_status
from server.inference.memory_budget import MemoryBudget, MemoryUse
from server.inference.request_run import RequestRun
from server.messages.request import Question
from server.search import SEARCH_SERVICE
from server.search.index_host import IndexHost, ServedIndex
from server.search.matching.matcher_host import MatcherHost
from server.search.matching.pair_batch import PairRequest
from server.search.messages import (
    ItemsT,
    asked_space,
    bad_text,
    classify_request,
    missing_vector,
    offer_attributes,
    offer_error,
    parse,
    parse_items,
    similar_options,
    space_number,
    unknown_product,
    write_hits,
)
from server.search.same_product import asked_precision, matcher_message, read_pairs, same_product_response
from server.service import ProductClassifier
from server.settings import ServerSettings
from server.telemetry.access_log import count_products
from server.telemetry.metrics import Metrics

T = TypeVar("T")

_log = logging.getLogger("aisle.server")

#: Larger requests are parsed and copied on a thread, so that they do not block the event loop.
_LARGE_BYTES = 1024 * 1024
#: A request is in memory as it came, parsed, and as the engine processes take it.
_COPIES = 3
_RETRY_AFTER_S = 1.0

#: The vectors of a product by space, or the status that says why there are none.
_Embedded: TypeAlias = "dict[Space, np.ndarray] | status_pb2.Status"
#: A question ready for the index: its position in the request, vector, and what is left out of its hits.
_Ready = tuple[int, np.ndarray, AskedProduct]


@dataclass(frozen=True)
class _Request:
    """A request that was let in, and what answers it."""

    content: bytes
    call: Call
    caller: str
    served: ServedIndex

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces of the index."""
        return tuple(self.served.engine.description.dims)


class ProductSearch:
    """Answers the RPCs with the index of a host; `CallObserver` turns its exceptions into statuses.

    The engine processes make vectors; the index is searched and changed on threads beside the event loop.

    Args:
        classifier: whose limit of calls it shares.
        memory: the memory that requests may take.
        matchers: answers SameProduct; None without a matcher.
    """

    def __init__(
        self,
        host: IndexHost,
        classifier: ProductClassifier,
        settings: ServerSettings,
        memory: MemoryBudget,
        metrics: Metrics,
        matchers: MatcherHost | None,
    ):
        self._host = host
        self._matchers = matchers
        self._calls = classifier.calls
        self._settings = settings
        self._memory = memory
        self._metrics = metrics
        self._searches = ThreadPoolExecutor(settings.search_threads or usable_cores(), thread_name_prefix="search")
        self._changes = ThreadPoolExecutor(1, thread_name_prefix="index-change")

    def handlers(self) -> grpc.GenericRpcHandler:
        """The handlers of the service's methods, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        methods: dict[str, Callable[[_Request], Awaitable[bytes]]] = {
            "Similar": self._similar,
            "SameProduct": self._same_product,
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
        self, method: Callable[[_Request], Awaitable[bytes]], content: bytes, context: grpc.aio.ServicerContext
    ) -> bytes:
        call = await self._calls.begin(context)
        num_bytes = _COPIES * len(content)
        try:
            if not self._memory.reserve(MemoryUse.MESSAGES, num_bytes):
                text = f"the requests in flight leave no room for {num_bytes} of {self._memory.max_bytes} bytes"
                raise MemoryFullError(f"{text}; wait and send the request again", _RETRY_AFTER_S)
            try:
                with self._host.lease() as served:
                    response = await method(_Request(content, call, context.peer(), served))
                    call.is_answered = True
                    return response
            finally:
                self._memory.release(MemoryUse.MESSAGES, num_bytes)
        finally:
            self._calls.end(call)

    async def _similar(self, request: _Request) -> bytes:
        begun_s = time.perf_counter()
        message, not_utf8 = await self._items(search_pb2.SimilarRequest, request)
        options = similar_options(message)
        space = asked_space(message, request.spaces)
        embedded = await self._embedded_queries(message, request, space)
        embedded |= {i: bad_text(f"queries[{i}].{path}") for i, path in not_utf8.items()}
        embedded_s = time.perf_counter()
        search = partial(_search, request.served, message, options, space, embedded, begun_s)
        response = await self._run(self._searches, request, search)
        self._metrics.search.observe(time.perf_counter() - embedded_s)
        return response

    async def _embedded_queries(
        self, message: search_pb2.SimilarRequest, request: _Request, space: Space | None
    ) -> dict[int, _Embedded]:
        """Vectors of the queries that bring a product, by position."""
        positions = [i for i, query in enumerate(message.queries) if query.WhichOneof("by") == "product"]
        if not positions:
            return {}
        products = [message.queries[i].product for i in positions]
        paths = [f"queries[{i}].product" for i in positions]
        found = await self._embed(products, request, (space,) if space else request.spaces, paths)
        return dict(zip(positions, found, strict=True))

    async def _same_product(self, request: _Request) -> bytes:
        begun_s = time.perf_counter()
        matchers = self._matcher_host()
        matchers.check(request.served)
        message, not_utf8 = await self._items(search_pb2.SameProductRequest, request)
        precision = asked_precision(message)
        look_up = partial(read_pairs, message.pairs, not_utf8, request.served.engine)
        asked = await self._run(self._searches, request, look_up)
        answers = None
        if asked.pairs:
            pending = matchers.submit(PairRequest(asked.pairs, precision))
            answers = await self._result(pending, request)
            self._metrics.matching.observe(time.perf_counter() - begun_s)
        response = same_product_response(len(message.pairs), precision, asked, answers, matchers.served)
        response.total_ms = (time.perf_counter() - begun_s) * 1000
        return response.SerializeToString()

    def _matcher_host(self) -> MatcherHost:
        if self._matchers is None:
            raise NoMatcherError("this server has no matcher; start it with --matcher DIR")
        return self._matchers

    async def _upsert(self, request: _Request) -> bytes:
        message, not_utf8 = await self._items(search_pb2.UpsertRequest, request)
        products = [offer.product for offer in message.offers]
        paths = [f"offers[{i}].product" for i in range(len(products))]
        found = await self._embed(products, request, request.spaces, paths)
        response, records = search_pb2.UpsertResponse(), []
        for i, (offer, vectors) in enumerate(zip(message.offers, found, strict=True)):
            result = response.results.add(product_id=offer.product.product_id)
            if i in not_utf8:
                result.error.CopyFrom(bad_text(f"offers[{i}].{not_utf8[i]}"))
            elif isinstance(vectors, status_pb2.Status):
                result.error.CopyFrom(vectors)
            elif error := offer_error(offer, i, self._settings.max_text_chars):
                result.error.CopyFrom(error)
            else:
                records.append(IndexRecord(offer.product.product_id, offer_attributes(offer), vectors))
        if records:
            await self._run(self._changes, request, partial(request.served.engine.upsert, records))
            self._note_changes(len(records))
        return response.SerializeToString()

    async def _delete(self, request: _Request) -> bytes:
        message, _ = await self._items(search_pb2.DeleteRequest, request)
        delete = partial(request.served.engine.delete, list(message.product_ids))
        num_deleted = await self._run(self._changes, request, delete)
        self._note_changes(num_deleted)
        return search_pb2.DeleteResponse(num_deleted=num_deleted).SerializeToString()

    async def _describe(self, request: _Request) -> bytes:
        parse(search_pb2.GetIndexRequest, request.content)
        engine, model = request.served.engine, request.served.model
        response = search_pb2.GetIndexResponse(
            model=model.name,
            model_version=model.version,
            embedding_checksum=engine.description.embedding_checksum,
            num_products=await self._run(self._searches, request, engine.__len__),
            engine=engine.name,
            is_writable=self._settings.write_token_file is not None,
            limits=search_pb2.SearchLimits(
                max_items=self._settings.max_products_per_request,
                max_k=MAX_K,
                max_request_bytes=self._settings.max_message_bytes,
            ),
        )
        statistics = await self._run(self._searches, request, engine.statistics)
        for space, found in statistics.items():
            response.spaces.add(
                space=space_number(space), dim=found.dim, num_vectors=found.num_vectors, recall=found.recall
            )
        if self._matchers is not None:
            response.matcher.CopyFrom(matcher_message(self._matchers.served))
        return response.SerializeToString()

    def _note_changes(self, num_products: int) -> None:
        if self._matchers is not None:
            self._matchers.note_changes(num_products)

    async def _embed(
        self,
        products: Sequence[classifier_pb2.Product],
        request: _Request,
        spaces: tuple[Space, ...],
        paths: Sequence[str],
    ) -> list[_Embedded]:
        """Have products embedded by the engine processes.

        Args:
            paths: of the products in the caller's request, for the errors.
        """
        pool, max_pixels = request.served.model.pool, self._settings.max_request_pixels
        run = RequestRun(pool, request.call, request.caller, max_pixels, spaces)
        await self._offload(request, partial(_cut, run, products))
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

    async def _items(self, kind: type[ItemsT], request: _Request) -> tuple[ItemsT, dict[int, str]]:
        """Parse a request of items, as `parse_items`."""
        most = self._settings.max_products_per_request
        message, not_utf8 = await self._offload(request, partial(parse_items, kind, request.content, most))
        count_products(len(getattr(message, message.DESCRIPTOR.fields[0].name)))
        return message, not_utf8

    async def _offload(self, request: _Request, function: Callable[[], T]) -> T:
        """Run a function; for a large request on a thread."""
        if len(request.content) <= _LARGE_BYTES:
            return function()
        return await self._run(self._searches, request, function)

    async def _run(self, pool: ThreadPoolExecutor, request: _Request, function: Callable[[], T]) -> T:
        """Run a function on a thread; the index stays open until it has ended, even if nobody waits for it any more.

        Raises:
            StoppingError: the call was aborted.
            IndexDownError: the index failed.
        """
        work = pool.submit(function)
        self._host.keep_open(request.served, work)
        return await self._result(work, request)

    async def _result(self, work: Future[T], request: _Request) -> T:
        """Wait for the result of another thread; raises as `_run`."""
        loop = asyncio.get_running_loop()
        is_over = request.call.create_future()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(_end, is_over))
        try:
            await is_over
        except BaseException:
            work.cancel()
            raise
        try:
            return work.result()
        except VectorIndexError as error:  # it names files of this machine
            _log.error("the index failed: %s", error)
            text = "the index's disk or database refused, and nothing has changed; send the request again later"
            raise IndexDownError(text) from None


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _cut(run: RequestRun, products: Sequence[classifier_pb2.Product]) -> None:
    message = classify_request(products)
    run.cut(Question(message.SerializeToString(), message))


def _search(
    served: ServedIndex,
    message: search_pb2.SimilarRequest,
    options: SimilarOptions,
    space: Space | None,
    embedded: dict[int, _Embedded],
    begun_s: float,
) -> bytes:
    """Answer the queries of a request, all of one space at once; runs on a thread.

    Args:
        embedded: what became of the queries that bring a product or a text that is not UTF-8, by position.
        begun_s: when the request came.
    """
    response = search_pb2.SimilarResponse(model=served.model.name, model_version=served.model.version)
    results = [response.results.add() for _ in message.queries]
    ready: dict[Space, list[_Ready]] = {}
    stored = [query.product_id for i, query in enumerate(message.queries) if i not in embedded]
    records = iter(served.engine.get(stored) if stored else [])
    for i, query in enumerate(message.queries):
        if i in embedded:
            asked, found = AskedProduct(query.product.product_id, group_id=query.group_id), embedded[i]
        else:
            asked, found = _stored(next(records), query.product_id, i)
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
            write_hits(results[i].hits, found_hits, chosen)
    response.total_ms = (time.perf_counter() - begun_s) * 1000
    return response.SerializeToString()


def _stored(record: IndexRecord | None, product_id: str, index: int) -> tuple[AskedProduct, _Embedded]:
    """A product of the index, or the status of one that it has not."""
    if record is None:
        return AskedProduct(), unknown_product(product_id, index)
    return AskedProduct.of(record), dict(record.vectors)


def _best_of(vectors: dict[Space, np.ndarray]) -> Space:
    """The space in which a product says most: joint where it has picture and text, else that of what it has."""
    if {"image", "text"} <= set(vectors) and "joint" in vectors:
        return "joint"
    return next((space for space in ("image", "text", "joint") if space in vectors), SPACES[-1])
