"""The run of one request: cuts it into parts, submits them to an engine pool and joins their answers."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from aisle_client.v1 import classifier_pb2
from retrieval.index.record import Space
from server.calls.call import Call
from server.errors import RequestError, WaitTooLongError
from server.inference.engine_pool import EnginePool
from server.inference.part import Part, PartAnswer, cut_request, single_parts, sub_request
from server.inference.poison import refusal
from server.messages.request import Question

_ESTIMATE_MARGIN = 1.1  # an answer that is slightly late is wasted computation


@dataclass
class RequestResult:
    """The answer to a request, its outcomes and the time of each phase.

    Args:
        content: a serialised ClassifyResponse that holds the classifications only, in order.
        queue_s, decode_s, inference_s: see `Timings` in the contract.
        category_counts: best answers by the position of their category of the first level.
        error_counts: products without an answer by reason.
        vectors: float32 bytes of the vectors that were asked for, by position of the product and space.
    """

    content: bytes = b""
    queue_s: float = 0.0
    decode_s: float = 0.0
    inference_s: float = 0.0
    num_accepted: int = 0
    num_needs_review: int = 0
    category_counts: Counter[int] = field(default_factory=Counter)
    error_counts: Counter[str] = field(default_factory=Counter)
    vectors: dict[tuple[int, Space], bytes] = field(default_factory=dict)


class RequestRun:
    """One request and the parts it was cut into. Implements `server.inference.part.PartOwner`.

    Args:
        caller: whose share of time it takes.
        max_pixels: most pixels of its large pictures together.
        spaces: vectors that are asked for in the place of categories.
    """

    def __init__(self, pool: EnginePool, call: Call, caller: str, max_pixels: int, spaces: tuple[Space, ...] = ()):
        self._pool = pool
        self._call = call
        self._caller = caller
        self._max_pixels = self._pixels_left = max_pixels
        self._spaces = spaces
        self._parts: list[Part] = []
        self._open: set[Part] = set()
        self._contents: dict[int, bytes] = {}
        self._result = RequestResult()
        self._finished: asyncio.Future[None]

    def cut(self, question: Question) -> None:
        """Cut the request into parts; it is not needed afterwards."""
        description = self._pool.description
        message, content = self._with_cached_features(question.message), question.content
        if message is not question.message:
            content = message.SerializeToString()
        max_products, max_pictures = self._pool.max_products, description.max_images
        ranges = list(cut_request(message, max_products, max_pictures, description.reads_pictures))
        self._parts = [
            Part(
                self,
                content if len(ranges) == 1 else sub_request(message, start, stop),
                start,
                stop - start,
                num_pictures,
                num_chars,
                {i - start: name for i, name in question.not_utf8.items() if start <= i < stop},
                self._caller,
                self._call,
                self._call.deadline_s,
                self._spaces,
            )
            for start, stop, num_pictures, num_chars in ranges
        ]

    async def answer(self) -> RequestResult:
        """Answer the products of the request, after `cut`.

        Raises:
            RequestError: the model has no category `mask_parent`, or there are too many pixels.
            OverloadError: a queue is full, or no answer is expected before the deadline; nothing stays in a queue.
            DeadlineExceededError: the deadline passed in a queue.
            EngineDownError: the engine has failed.
            StoppingError: the call was aborted.
            asyncio.CancelledError: the caller cancelled.
        """
        parts, self._parts = self._parts, []
        self._check_wait(parts)
        self._finished = self._call.create_future()
        self._open = set(parts)
        try:
            self._submit(parts)
            del parts  # those that are answered go one by one
            await self._finished
        except BaseException:
            for part in self._open:
                self._pool.withdraw(part)
            raise
        self._result.content = b"".join(content for _, content in sorted(self._contents.items()))
        return self._result

    def on_answer(self, part: Part, answer: PartAnswer) -> None:
        """Take the answer to a part; the last one ends the request."""
        result = self._result
        self._contents[part.first_index] = answer.content
        result.queue_s = max(result.queue_s, answer.queue_s)
        result.decode_s = max(result.decode_s, answer.decode_s)
        result.inference_s = max(result.inference_s, answer.inference_s)
        result.num_accepted += answer.num_accepted
        result.num_needs_review += answer.num_needs_review
        result.category_counts.update(answer.category_counts)
        result.error_counts.update(answer.error_counts)
        for (index, space), vector in answer.vectors.items():
            result.vectors[part.first_index + index, space] = vector
        for index, features in answer.features.items():
            self._pool.feature_cache.put(part.products()[index].image, features)
        self._open.discard(part)
        if not self._open and not self._finished.done():
            self._finished.set_result(None)

    def on_error(self, part: Part, error: Exception) -> None:
        """End the request with the error of a part."""
        self._open.discard(part)
        if not self._finished.done():
            self._finished.set_exception(error)

    def on_cut(self, part: Part, parts: Sequence[Part]) -> None:
        """Wait for smaller parts in the place of one."""
        self._open.discard(part)
        self._open.update(parts)

    def check_pixels(self, num_pixels: int) -> Exception | None:
        """Count pixels of large pictures; return an error once there are more than the request may have."""
        self._pixels_left -= num_pixels
        if self._pixels_left >= 0:
            return None
        found = self._max_pixels - self._pixels_left
        description = f"expected pictures of at most {self._max_pixels} pixels together, found {found} or more"
        return RequestError([("products", f"{description}; split the request, or send smaller pictures")])

    def _submit(self, parts: Sequence[Part]) -> None:
        """Queue the parts; products that ended engine processes before are refused instead."""
        if not self._pool.has_poisoned:
            self._pool.submit(parts)
            return
        for part in [part for part in parts if self._pool.is_poisoned(part)]:
            singles = single_parts(part)
            part.replace(singles)
            for single in singles:
                if self._pool.is_poisoned(single):
                    single.answer(refusal(single, single.products()[0]))
        if self._open:
            self._pool.submit(sorted(self._open, key=lambda part: part.first_index))

    def _with_cached_features(self, message: classifier_pb2.ClassifyRequest) -> classifier_pb2.ClassifyRequest:
        """The request with features in the place of the pictures that the cache knows; itself when there are none."""
        cache = self._pool.feature_cache
        if self._spaces or not cache.max_bytes or not self._pool.description.reads_pictures:
            return message
        known = {i: features for i, p in enumerate(message.products) if p.image and (features := cache.get(p.image))}
        if not known:
            return message
        changed = classifier_pb2.ClassifyRequest()
        changed.CopyFrom(message)
        for i, features in known.items():
            changed.products[i].image_features.values.extend(array("f", features))
        return changed

    def _check_wait(self, parts: Sequence[Part]) -> None:
        """Reject a request that would miss its deadline, before any computation.

        A request that need not wait is always run, whatever the estimate: its time corrects the next estimate.
        """
        wait_s = self._pool.wait_s(self._caller, parts)
        if not wait_s:
            return
        answer_s = wait_s + self._pool.answer_s(parts)
        left_s = self._call.deadline_s - time.perf_counter()
        if answer_s * _ESTIMATE_MARGIN > left_s:
            raise WaitTooLongError(
                f"expected to answer in {answer_s:.3f} s, most of it waiting, the deadline is in {left_s:.3f} s; send"
                " the request again later, or allow more time",
                wait_s,
            )
