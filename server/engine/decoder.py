"""Decodes the pictures of a frame to pixels."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from model.errors import PictureError
from model.product import Product


class Decoder:
    """Decodes pictures on the thread that answers the frame, or on a thread pool.

    Where the encoder runs on the same cores the frame's own thread is fastest (measured); a GPU needs all cores.

    Args:
        decode: returns the pixels of a product's picture; None for a product without one.
        num_threads: 1 decodes on the caller's thread.
    """

    def __init__(self, decode: Callable[[Product], np.ndarray | None], num_threads: int):
        self._decode_one = decode
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="decoder") if num_threads > 1 else None

    def decode(
        self, products: Sequence[Product], on_decoded: Callable[[], None] = lambda: None
    ) -> list[np.ndarray | PictureError | None]:
        """Decode each product's picture, in order; a broken one yields a PictureError of its own.

        Args:
            on_decoded: called after each picture.
        """
        pixels = []
        for found in (self._pool.map if self._pool else map)(self._pixels, products):
            pixels.append(found)
            on_decoded()
        return pixels

    def close(self) -> None:
        """Cancel queued pictures; does not wait for those being decoded."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _pixels(self, product: Product) -> np.ndarray | PictureError | None:
        try:
            return self._decode_one(product)
        except PictureError as error:
            return error
