"""Mutated requests and pictures, each reproducible from its seed and number alone.

Used instead of hypothesis, because a case takes microseconds here and about a millisecond there, and because a case
that killed the process can be reproduced by its number.
"""

import io
import random
from collections.abc import Sequence

from PIL import Image
from pillow_heif import register_heif_opener

from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2
from model.product import TEXT_COLUMNS, Product

#: Boundary values of the types that store lengths, tags and sizes of pictures.
_EDGES = (
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x80\x00\x00\x00",
)
_EDGES_LONG = (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x80" * 10, b"\x7f\xff\xff\xff")
_FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG", "AVIF", "HEIF")
_TEXTS = ("product_id", *TEXT_COLUMNS)
_ODD_TEXTS = ("\0", "\u202e", "\ufeff", "가" * 20_000, "\U0010ffff", "e\u0301" * 300, " \t\n ", "%s{}\\x00", "𝕏" * 99)
_SEED_PX = 64
_TOP_KS = (*(0, 1, 5, 100) * 8, 101, -1, 2**31 - 1)
_COUNTS = (*(1, 1, 1, 2, 3) * 8, 0)


class Mutator:
    """Generates the cases.

    Args:
        products: the products to mutate.
        seed: random seed of all cases.
    """

    def __init__(self, products: Sequence[Product], seed: int):
        self._seed = seed
        self._products = products
        jpegs = [product.image for product in products if product.image is not None]
        self._pictures = [*jpegs, *_pictures(jpegs[0] if jpegs else None)]

    def request(self, number: int) -> bytes:
        """Return the bytes of a ClassifyRequest, possibly mutated."""
        rng = random.Random(f"{self._seed}-{number}")
        request = classifier_pb2.ClassifyRequest(top_k=rng.choice(_TOP_KS))
        for _ in range(rng.choice(_COUNTS)):
            request.products.append(self._product(rng))
        if rng.random() < 0.02:
            request.model = rng.choice(_ODD_TEXTS)
        if rng.random() < 0.02:
            request.model_version = rng.choice(_ODD_TEXTS)
        if rng.random() < 0.02:
            request.mask_parent = rng.choice(_ODD_TEXTS)
        request.include_evidence = rng.random() < 0.1
        request.include_words = rng.random() < 0.05
        content = request.SerializeToString()
        return _mutated(content, rng) if rng.random() < 0.25 else content

    def model_request(self, number: int) -> bytes:
        """Return the bytes of a GetModelRequest, possibly mutated."""
        rng = random.Random(f"{self._seed}-model-{number}")
        names = [rng.choice(("", *_ODD_TEXTS)) for _ in range(2)]
        content = classifier_pb2.GetModelRequest(model=names[0], model_version=names[1]).SerializeToString()
        return _mutated(content, rng) if rng.random() < 0.5 else content

    def _product(self, rng: random.Random) -> classifier_pb2.Product:
        message = product_message(rng.choice(self._products))
        kind = rng.random()
        if kind < 0.6:
            message.image = _mutated(rng.choice(self._pictures), rng)
        elif kind < 0.7:
            count = rng.choice((0, 1, 1280, 5000))
            message.image_features.values.extend(rng.choice((0.0, 1e38, float("nan"), -1.0)) for _ in range(count))
        elif kind < 0.9:
            field = rng.choice(_TEXTS)
            setattr(message, field, rng.choice(_ODD_TEXTS) + getattr(message, field))
        return message


def _mutated(content: bytes, rng: random.Random) -> bytes:
    """Apply one to eight changes."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        _change(changed, rng)
    return bytes(changed)


def _change(content: bytearray, rng: random.Random) -> None:
    # Headers matter most, so half of all changes are within the first 64 bytes.
    size = len(content)
    offset = rng.randrange(min(size, 64) if rng.random() < 0.5 else size) if size else 0
    length = min(rng.choice((1, 2, 4, 16, 256)), size - offset)
    kind = rng.randrange(7)
    if kind == 0 and size:
        content[offset] ^= 1 << rng.randrange(8)
    elif kind == 1:
        edge = rng.choice(_EDGES)
        content[offset : offset + len(edge)] = edge
    elif kind == 2:
        content[offset : offset + length] = rng.randbytes(length)
    elif kind == 3:
        del content[offset : offset + length]
    elif kind == 4:
        content[offset:offset] = rng.randbytes(length)
    elif kind == 5:
        content[offset:offset] = content[offset : offset + length] * rng.choice((1, 2, 8))
    else:
        del content[offset:]


def _pictures(jpeg: bytes | None) -> list[bytes]:
    """Return a small picture in every supported format, some in several modes."""
    source = Image.open(io.BytesIO(jpeg)) if jpeg else Image.radial_gradient("L")
    pictures = []
    register_heif_opener()
    with source, source.convert("RGB") as upright, upright.resize((_SEED_PX, _SEED_PX)) as small:
        for name in _FORMATS:
            for mode in ("RGB", "L", *(("P", "RGBA", "I;16") if name == "PNG" else ())):
                with io.BytesIO() as file:
                    grey = small.convert("L")
                    (grey.convert("I").convert(mode) if mode == "I;16" else small.convert(mode)).save(file, name)
                    pictures.append(file.getvalue())
    return pictures
