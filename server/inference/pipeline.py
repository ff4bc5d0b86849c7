"""The pipeline of one model: checks, caches and answers the products of a request by its lanes."""

import threading
import time
from dataclasses import dataclass, replace

from model.errors import ProductError, TaxonomyError
from model.machine.throttle import Throttle
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree, find_sub_tree
from model.taxonomy import Taxonomy
from server.calls.call import Call
from server.calls.request import Question
from server.calls.request_run import RequestRun
from server.errors import FieldError, RequestError, WaitTooLongError
from server.inference.lanes import Lanes
from server.settings import ServerSettings

_ESTIMATE_MARGIN = 1.1  # an answer that is slightly late is wasted computation


@dataclass(frozen=True)
class RequestResult:
    """The outcomes of a request's products and the time of each phase; see `Timings` in the contract.

    Args:
        outcomes: one for each product, in order; an error that is neither ProductError nor PictureError is an
            internal error.
    """

    outcomes: list[Prediction | Exception]
    decode_s: float
    queue_s: float
    inference_s: float


class Pipeline:
    """Answers requests by the lanes of one model, and replaces the lanes when the engine fails.

    Attributes:
        lanes: the lanes in use; `reopen` replaces them.
        is_closed: True after `close`.
    """

    def __init__(self, predictor: Predictor, settings: ServerSettings):
        self.lanes = Lanes(predictor, settings)
        self._settings = settings
        self._lock = threading.Lock()
        self.is_closed = False

    @property
    def predictor(self) -> Predictor:
        """The predictor in use."""
        return self.lanes.predictor

    @property
    def is_serving(self) -> bool:
        """True while requests are answered; False while the engine is down, and after `close`."""
        return self.lanes.fault is None

    def warm_up(self, throttle: Throttle | None = None) -> None:
        """Run batches of every size, so that no caller waits for the engine to compile.

        Args:
            throttle: see `Lanes.warm_up`.
        """
        self.lanes.warm_up(throttle)

    def reopen(self) -> None:
        """Replace halted lanes by newly opened ones, after these are warmed up.

        Raises:
            BundleError: the bundle is gone or damaged.
            EngineError: the engine cannot run it.
            Exception: what the engine raised when it ran.
        """
        settings, broken = self._settings, self.lanes
        path = broken.predictor.bundle.path
        engine = (settings.engine, settings.precision, settings.engine_threads)
        lanes = Lanes(Predictor.open(path, *engine, many_callers=True), settings)
        try:
            lanes.warm_up()
        except BaseException:
            lanes.close()
            raise
        with self._lock:
            if not self.is_closed:
                self.lanes, lanes = lanes, broken
        lanes.close()

    def wait_s(self, has_texts: bool, has_pictures: bool) -> float:
        """Estimate the queue time of a new request, seconds."""
        text_s = self.lanes.text.wait_s() if has_texts else 0.0
        picture_s = self.lanes.picture.wait_s() if has_pictures else 0.0
        return max(text_s, picture_s)

    def answer_s(self, num_texts: int, num_pictures: int) -> float:
        """Estimate the time of a new request, queue time included, seconds."""
        text_s = self.lanes.text.wait_s(num_texts) if num_texts else 0.0
        picture_s = self.lanes.picture.wait_s(num_pictures) if num_pictures else 0.0
        return max(text_s, picture_s)

    async def answer(self, question: Question, call: Call) -> RequestResult:
        """Answer the products of a request; items that are errors already become their outcomes.

        Raises:
            RequestError: the model has no category `mask_parent`.
            OverloadError: a queue is full, or no answer is expected before the deadline; nothing stays in a queue.
            DeadlineExceededError: the deadline passed in a queue.
            EngineDownError: the engine has failed or hangs.
            StoppingError: the call was aborted.
            asyncio.CancelledError: the caller cancelled.
        """
        lanes = self.lanes  # for the whole request: `reopen` may replace them by lanes of a changed bundle
        sub_tree = _sub_tree(lanes.predictor.bundle.taxonomy, question.mask_parent) if question.mask_parent else None
        outcomes: dict[int, Prediction | Exception] = {}
        texts: dict[int, Product] = {}
        pictures: dict[int, Product] = {}
        reads_pictures = "image" in lanes.predictor.bundle.fields
        for i, item in enumerate(question.items):
            try:
                if isinstance(item, ProductError):
                    raise item
                lanes.predictor.check(item)
            except ProductError as error:
                outcomes[i] = _with_field(item, error)
                continue
            if not reads_pictures or item.image is None:
                texts[i] = item
            elif (features := lanes.feature_cache.get(item.image)) is None:
                pictures[i] = item
            else:
                texts[i] = replace(item, image=None, image_features=features)
        self._check_wait(len(texts), len(pictures), call)
        run = RequestRun(lanes, question, call, sub_tree)
        outcomes.update(await run.answer(texts, pictures))
        ordered = [outcomes[i] for i in range(len(question.items))]
        return RequestResult(ordered, run.decode_s, run.queue_s, run.inference_s)

    def close(self) -> None:
        """Stop the lanes and free the engine."""
        with self._lock:
            self.is_closed = True
        self.lanes.close()

    def _check_wait(self, num_texts: int, num_pictures: int, call: Call) -> None:
        """Reject a request that would miss its deadline, before any computation.

        A request that need not wait is always run, whatever the estimate: its time corrects the next estimate.
        """
        wait_s = self.wait_s(num_texts > 0, num_pictures > 0)
        if not wait_s:
            return
        answer_s = self.answer_s(num_texts, num_pictures)
        left_s = call.deadline_s - time.perf_counter()
        if answer_s * _ESTIMATE_MARGIN > left_s:
            raise WaitTooLongError(
                f"expected to answer in {answer_s:.3f} s, most of it waiting, the deadline is in {left_s:.3f} s; send"
                " the request again later, or allow more time",
                wait_s,
            )


def _sub_tree(taxonomy: Taxonomy, mask_parent: str) -> SubTree:
    try:
        return find_sub_tree(taxonomy, mask_parent)
    except TaxonomyError as error:
        raise RequestError([("mask_parent", str(error))]) from error


def _with_field(item: Product | ProductError, error: ProductError) -> ProductError:
    """Name the field image_features in an error about them."""
    if isinstance(item, Product) and item.image_features is not None:
        return FieldError("image_features", str(error))
    return error
