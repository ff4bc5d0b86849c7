"""An item's gallery as sellers fill it: a few pictures that show the product, and many that do not or not anew."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from demo.galleries import shots
from demo.galleries.camera import recut
from demo.galleries.looks import Look
from demo.galleries.papers import draw_banner, draw_chart

_NUM_STORE_BANNERS = 12
_SCENES = ("product>street", "model>shop", "model>street")


@dataclass(frozen=True)
class GalleryPicture:
    """A picture with what is planted in it.

    Args:
        image_type: one of retrieval.pairs.image_types.IMAGE_TYPES.
        shot: equal for pictures of an item that are cuts of one shot.
    """

    image: Image.Image
    image_type: str
    shot: int


def draw_gallery(
    look: Look, others: Sequence[Look], shop_seed: int, chart: int, seed: Sequence[int]
) -> list[GalleryPicture]:
    """Draw the pictures of an item, about a dozen, the shop's main shot first.

    Args:
        look: of the item.
        others: looks of six or more others, which some pictures show beside it.
        shop_seed: of what the shop's items share.
        chart: which of the shop's size charts is the item's.
        seed: of all else.
    """
    generator = np.random.default_rng(seed)
    drawn: list[tuple[str, Image.Image]] = [("product>shop", shots.product_in_shop(look, generator))]
    if generator.random() < 0.5:
        drawn.append(("product>shop", shots.product_in_shop(look, generator)))
    scenes = [str(name) for name in generator.permutation(_SCENES)[: int(generator.integers(1, 3))]]
    drawn += [(name, draw_type(name, look, others, generator)) for name in scenes]
    drawn += [("detail", shots.detail(look, generator)) for _ in range(int(generator.integers(1, 4)))]
    num_multiple = int(generator.integers(0, 3))
    drawn += [("multiple", draw_type("multiple", look, others, generator)) for _ in range(num_multiple)]
    for number in range(int(generator.integers(1, 3))):
        drawn.append(("chart", draw_chart(look.leaf, np.random.default_rng((shop_seed, 1, chart, number)))))
    for _ in range(int(generator.integers(1, 3))):
        banner = (shop_seed, 2, int(generator.integers(_NUM_STORE_BANNERS)))
        drawn.append(("other", draw_banner(np.random.default_rng(banner) if generator.random() < 0.7 else generator)))
    pictures = [GalleryPicture(image, image_type, shot) for shot, (image_type, image) in enumerate(drawn)]
    copies = [0] * int(generator.integers(1, 4))
    copies += [shot for shot in range(1, len(drawn)) if generator.random() < 0.3]
    for shot in copies:
        image_type, image = drawn[shot]
        pictures.append(GalleryPicture(recut(image, generator), image_type, shot))
    return pictures


def draw_type(image_type: str, look: Look, others: Sequence[Look], generator: np.random.Generator) -> Image.Image:
    """Draw a picture of one of the image types.

    Args:
        others: six or more where others may be seen beside it: on `multiple` and `product>street`.
    """
    chosen = [others[i] for i in generator.permutation(len(others))]
    drawers: dict[str, Callable[[], Image.Image]] = {
        "product>shop": lambda: shots.product_in_shop(look, generator),
        "product>street": lambda: shots.product_in_scene(look, generator, chosen[: int(generator.integers(0, 3))]),
        "model>shop": lambda: shots.model_in_shop(look, generator),
        "model>street": lambda: shots.model_in_scene(look, generator),
        "multiple": lambda: shots.several([look, *chosen[: int(generator.integers(1, 6))]], generator),
        "detail": lambda: shots.detail(look, generator),
        "chart": lambda: draw_chart(look.leaf, generator),
        "other": lambda: draw_banner(generator),
    }
    return drawers[image_type]()
