"""The way of a request's products through the lanes of one model."""

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

_ESTIMATE_MARGIN = 1.1  # what is answered a little too late was work for nothing


@dataclass(frozen=True)
class Answered:
    """What became of a request's products, and where the time went; see `Timings` in the contract.

    Args:
        outcomes: one for each product, in order; an error that is neither ProductError nor
            PictureError is a fault of the server.
    """

    outcomes: list[Prediction | Exception]
    decode_s: float
    queue_s: float
    inference_s: float


class Pipeline:
    """The lanes of one model, and what goes on before and behind them.

    Attributes:
        lanes: what answers now; others take their place when the engine is opened again.
        is_closed: whether it is over.
    """

    def __init__(self, predictor: Predictor, settings: ServerSettings):
        self.lanes = Lanes(predictor, settings)
        self._settings = settings
        self._lock = threading.Lock()
        self.is_closed = False

    @property
    def predictor(self) -> Predictor:
        """What answers now."""
        return self.lanes.predictor

    @property
    def is_serving(self) -> bool:
        """Whether requests are answered; False while the engine is down, and after `close`."""
        return self.lanes.fault is None

    def warm_up(self, throttle: Throttle | None = None) -> None:
        """Run batches of every size, because engines prepare on the first of a kind and no caller shall wait.

        Args:
            throttle: see `Lanes.warm_up`.
        """
        self.lanes.warm_up(throttle)

    def reopen(self) -> None:
        """Put newly opened lanes in the place of halted ones, when they have run once.

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
        """How long a request that came now would wait, seconds."""
        text_s = self.lanes.text.wait_s() if has_texts else 0.0
        picture_s = self.lanes.picture.wait_s() if has_pictures else 0.0
        return max(text_s, picture_s)

    def answer_s(self, num_texts: int, num_pictures: int) -> float:
        """How long a request that came now would take, the wait included, seconds."""
        text_s = self.lanes.text.wait_s(num_texts) if num_texts else 0.0
        picture_s = self.lanes.picture.wait_s(num_pictures) if num_pictures else 0.0
        return max(text_s, picture_s)

    async def answer(self, question: Question, call: Call) -> Answered:
        """Answer what can be answered; items that are errors already stay what they are.

        Raises:
            RequestError: the model has no category `mask_parent`.
            OverloadError: no room, or no answer before the deadline; nothing of the request stays in a queue.
            TooLateError: the deadline passed in a queue.
            EngineDownError: the engine has failed or hangs.
            StoppingError: the call was cut.
            asyncio.CancelledError: the caller has left.
        """
        lanes = self.lanes  # to the end: other lanes may be of another state of the bundle
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
                outcomes[i] = _located(item, error)
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
        return Answered(ordered, run.decode_s, run.queue_s, run.inference_s)

    def close(self) -> None:
        """Stop the lanes and free the engine."""
        with self._lock:
            self.is_closed = True
        self.lanes.close()

    def _check_wait(self, num_texts: int, num_pictures: int, call: Call) -> None:
        """Refuse what would come too late for its caller, before anything is done for it.

        What need not wait is always tried, however long it took before: the next estimate learns from it.
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


def _located(item: Product | ProductError, error: ProductError) -> ProductError:
    """What is wrong with features is told with their field's name."""
    if isinstance(item, Product) and item.image_features is not None:
        return FieldError("image_features", str(error))
    return error
