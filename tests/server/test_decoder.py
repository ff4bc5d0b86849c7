import threading

import numpy as np
import pytest

from model.errors import PictureError
from model.product import Product
from server.decoder import Decoder

PRODUCT = Product("1", image=b"\x05")


def test_pictures_are_decoded_and_errors_come_back():
    def decode(product: Product) -> np.ndarray:
        if product.image == b"":
            raise PictureError("no bytes")
        return np.frombuffer(product.image or b"", np.uint8)

    decoder = Decoder(num_threads=2, max_images=4, max_bytes=100)
    good, bad = decoder.submit(decode, PRODUCT), decoder.submit(decode, Product("2", image=b""))
    assert good.result(10) == np.array([5], np.uint8)
    with pytest.raises(PictureError, match="no bytes"):
        bad.result(10)
    decoder.close()


def test_pictures_that_were_left_are_not_decoded_and_nobody_waits_for_them():
    release, entered = threading.Event(), threading.Event()
    decoded = []

    def decode(product: Product) -> None:
        entered.set()
        assert release.wait(10)
        decoded.append(product.product_id)

    decoder = Decoder(num_threads=1, max_images=2, max_bytes=100)
    running, left = decoder.submit(decode, PRODUCT), decoder.submit(decode, Product("2", image=b"\x05"))
    assert entered.wait(10)
    assert left.cancel()
    release.set()
    assert running.result(10) is None
    last = decoder.submit(decode, Product("3", image=b"\x05"))
    assert last.result(10) is None
    decoder.close()
    assert decoded == ["1", "3"]
    assert decoder.wait_s() == 0.0


def test_the_wait_counts_the_pictures_ahead():
    release = threading.Event()

    def decode(product: Product) -> None:
        assert release.wait(10)

    decoder = Decoder(num_threads=1, max_images=8, max_bytes=100)
    release.set()
    decoder.submit(decode, PRODUCT).result(10)
    release.clear()
    waiting = []
    waits_s = []
    for _ in range(3):
        waiting.append(decoder.submit(decode, PRODUCT))
        waits_s.append(decoder.wait_s())
    release.set()
    assert [future.result(10) for future in waiting] == [None] * 3
    assert waits_s == pytest.approx([waits_s[0], 2 * waits_s[0], 3 * waits_s[0]])
    assert waits_s[0] > 0
    decoder.close()
