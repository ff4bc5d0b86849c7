"""Makes pixels of the pictures of a batch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from model.errors import PictureError
from model.product import Product


class Decoder:
    """Decodes on the thread that runs the batch, or on threads of its own.

    Where the encoder runs on the same cores the batch's own thread is quickest (measured). A GPU is fed by all cores.

    Args:
        decode: pixels of one picture; None for a product without one.
        num_threads: 1 is the caller's own.
    """

    def __init__(self, decode: Callable[[Product], np.ndarray | None], num_threads: int):
        self._decode_one = decode
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="decoder") if num_threads > 1 else None

    def decode(self, products: Sequence[Product]) -> list[np.ndarray | PictureError | None]:
        """What became of each product's picture, in order; one that is broken costs no neighbour."""
        one_by_one = self._pool.map if self._pool else map
        return list(one_by_one(self._pixels, products))

    def close(self) -> None:
        """Cancel what waits; a picture that is being decoded may hang on."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _pixels(self, product: Product) -> np.ndarray | PictureError | None:
        try:
            return self._decode_one(product)
        except PictureError as error:
            return error
