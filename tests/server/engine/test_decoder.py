import threading

import numpy as np
import pytest

from model.errors import PictureError
from model.product import Product
from server.engine.decoder import Decoder

PRODUCTS = [Product("1", image=b"\x05"), Product("2", image=b""), Product("3", image=b"\x07"), Product("4")]


@pytest.mark.parametrize("num_threads", [1, 3])
def test_pictures_come_back_in_order_and_a_broken_one_as_its_error(num_threads: int):
    def decode(product: Product) -> np.ndarray | None:
        if product.image == b"":
            raise PictureError("no bytes")
        return None if product.image is None else np.frombuffer(product.image, np.uint8)

    decoder = Decoder(decode, num_threads)
    first, broken, third, none = decoder.decode(PRODUCTS)
    decoder.close()
    assert (first, third, none) == (np.array([5], np.uint8), np.array([7], np.uint8), None)
    assert isinstance(broken, PictureError)
    assert str(broken) == "no bytes"


@pytest.mark.parametrize("num_threads", [1, 3])
def test_every_picture_is_reported_as_it_is_decoded(num_threads: int):
    seen: list[int] = []
    decoder = Decoder(lambda _: None, num_threads)
    decoder.decode(PRODUCTS, lambda: seen.append(len(seen)))
    decoder.close()
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize(("num_threads", "is_own"), [(1, True), (2, False)])
def test_a_single_thread_is_the_callers(num_threads: int, is_own: bool):
    threads: list[threading.Thread] = []
    decoder = Decoder(lambda _: threads.append(threading.current_thread()), num_threads)
    decoder.decode(PRODUCTS[:1])
    decoder.close()
    assert (threads == [threading.current_thread()]) is is_own


def test_a_thread_pool_decodes_in_parallel():
    together = threading.Barrier(2, timeout=30)

    def decode(_: Product) -> None:
        together.wait()  # fails unless both threads arrive

    decoder = Decoder(decode, 2)
    assert decoder.decode(PRODUCTS[:2]) == [None, None]
    decoder.close()


def test_an_error_other_than_a_picture_error_is_raised():
    def decode(_: Product) -> None:
        raise MemoryError("no memory")

    decoder = Decoder(decode, 1)
    with pytest.raises(MemoryError, match="no memory"):
        decoder.decode(PRODUCTS)
