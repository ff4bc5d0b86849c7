import threading

import numpy as np
import pytest

from model.errors import PictureError
from model.product import Product
from server.decoder import Decoder
from server.errors import QueueFullError

PRODUCT = Product("1", image=b"\x05")


def test_pictures_are_decoded_and_errors_come_back():
    def decode(product: Product) -> np.ndarray:
        if product.image == b"":
            raise PictureError("no bytes")
        return np.frombuffer(product.image or b"", np.uint8)

    decoder = Decoder(num_threads=2, max_waiting=4)
    good, bad = decoder.submit(decode, PRODUCT), decoder.submit(decode, Product("2", image=b""))
    assert good.result(10) == np.array([5], np.uint8)
    with pytest.raises(PictureError, match="no bytes"):
        bad.result(10)
    decoder.close()


def test_a_full_decoder_refuses_until_pictures_are_done_or_left():
    release = threading.Event()

    def decode(_: Product) -> None:
        assert release.wait(10)

    decoder = Decoder(num_threads=1, max_waiting=2)
    running, waiting = decoder.submit(decode, PRODUCT), decoder.submit(decode, PRODUCT)
    with pytest.raises(QueueFullError, match="the picture queue is full, 2 wait to be decoded; wait and send"):
        decoder.submit(decode, PRODUCT)
    assert waiting.cancel()
    last = decoder.submit(decode, PRODUCT)
    release.set()
    assert (running.result(10), last.result(10)) == (None, None)
    decoder.close()
