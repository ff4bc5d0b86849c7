"""A mosec server of the bundle: one stage of processes decodes pictures, the next classifies batches.

    python -m benchmarks.peers.mosec_server --address 127.0.0.1 --port N

Runs in mosec's environment. mosec parses the command line itself and starts a process per worker, so the model is set
by an environment variable: AISLE_PEER, a JSON object, see `benchmarks.peers.launch`.
A request is a MessagePack list of products, each [texts, image]; the answer a list of [categories, probabilities].
"""

import json
import os
from pathlib import Path
from typing import Any

from mosec import Server, Worker
from mosec.mixin import MsgpackMixin

from benchmarks.peers.batch_classifier import BatchClassifier, product
from model.bundle.bundle import load_bundle
from model.product import Product

_GIVEN = json.loads(os.environ["AISLE_PEER"])


class Decode(MsgpackMixin, Worker):
    """The worker that decodes request bodies to products and pixels."""

    def __init__(self) -> None:
        self._preprocessor = load_bundle(Path(_GIVEN["bundle"])).preprocessor

    def forward(self, data: Any) -> Any:
        """Decode one request to the texts and pixels of its products."""
        return [texts for texts, _ in data], [self._preprocessor.decode(product(*item)) for item in data]


class Answer(MsgpackMixin, Worker):
    """The worker that classifies products and pixels, a batch of requests at a time."""

    def __init__(self) -> None:
        self._classifier = BatchClassifier(
            Path(_GIVEN["bundle"]), _GIVEN["engine"], _GIVEN["precision"], int(_GIVEN["engine_threads"]), 1
        )

    def forward(self, data: list[Any]) -> list[Any]:
        """Classify all requests of a batch."""
        pixels = [values for request in data for values in request[1]]
        texts = [given for request in data for given in request[0]]
        # The decoded picture itself is no longer needed, only that the product has one.
        pictures = [None if values is None else b"" for values in pixels]
        products = [Product.of_texts("", given, picture) for given, picture in zip(texts, pictures, strict=True)]
        return self._answer(products, pixels, [len(request[0]) for request in data])

    def _answer(self, products: list[Product], pixels: list[Any], counts: list[int]) -> list[Any]:
        categories, probabilities = self._classifier.classify(products, pixels)
        rows = zip(categories, probabilities.tolist(), strict=True)
        return [[next(rows) for _ in range(count)] for count in counts]


class DecodeAndAnswer(Answer):
    """The worker that decodes and classifies in one stage."""

    def forward(self, data: list[Any]) -> list[Any]:
        """Classify all requests of a batch."""
        products = [product(*item) for request in data for item in request]
        return self._answer(products, self._classifier.decode(products), list(map(len, data)))


if __name__ == "__main__":
    server = Server()
    decoders = int(_GIVEN["decoders"])
    if decoders:
        server.append_worker(Decode, num=decoders)
    server.append_worker(
        Answer if decoders else DecodeAndAnswer,
        num=_GIVEN["instances"],
        max_batch_size=_GIVEN["max_batch_size"],
        max_wait_time=_GIVEN["max_delay_ms"],
    )
    server.run()
