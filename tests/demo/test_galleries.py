import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.galleries import camera, shots
from demo.galleries.gallery import draw_gallery, draw_type
from demo.galleries.labelled_types import write_image_types
from demo.galleries.looks import compose_look, cut_out
from demo.galleries.shop import MIN_ITEMS, compose_items, fashion_leaves, write_galleries, write_user_photos
from retrieval.pairs.image_types import IMAGE_TYPES, WHOLE_PRODUCT_TYPES
from retrieval.pairs.perceptual_hash import hash_distances, perceptual_hash

LEAVES = [leaf.name for _, leaf in fashion_leaves()]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def looks(count: int) -> list:
    return [compose_look(LEAVES[i % len(LEAVES)], np.random.default_rng(i)) for i in range(count)]


def hashed(image: Image.Image) -> np.ndarray:
    return np.array([perceptual_hash(np.asarray(image))])


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_look_is_the_same_in_every_picture(leaf: str) -> None:
    first, again, other = (compose_look(leaf, np.random.default_rng(seed)) for seed in (1, 1, 2))
    pixels = [np.asarray(cut_out(look, 80)) for look in (first, again, other)]
    assert (pixels[0] == pixels[1]).all()
    assert (pixels[0] != pixels[2]).any()
    assert 0.05 < (pixels[0][:, :, 3] > 0).mean() < 0.9  # a cut-out: neither nothing nor everything


@pytest.mark.parametrize("image_type", IMAGE_TYPES)
def test_each_image_type_is_drawn(image_type: str) -> None:
    look, *others = looks(7)
    first, again = (draw_type(image_type, look, others, np.random.default_rng(3)) for _ in range(2))
    assert (np.asarray(first) == np.asarray(again)).all()
    assert np.asarray(first).std() > 10
    encoded = Image.open(io.BytesIO(camera.encode(first, np.random.default_rng(0))))
    assert (encoded.format, encoded.size) == ("JPEG", (camera.PICTURE_SIZE, camera.PICTURE_SIZE))


def test_a_new_cut_is_nearly_the_same_and_a_users_photo_is_not() -> None:
    distances: dict[str, list[int]] = {"recut": [], "photograph": []}
    for seed, look in enumerate(looks(12)):
        shot = shots.product_in_shop(look, np.random.default_rng(seed))
        for name, found in distances.items():
            changed = getattr(camera, name)(shot, np.random.default_rng(seed))
            found.append(int(hash_distances(hashed(shot), hashed(changed))[0]))
    assert np.median(distances["recut"]) <= 6
    assert np.median(distances["photograph"]) > 10


def test_galleries_are_mostly_junk_as_real_ones_are() -> None:
    look, *others = looks(7)
    galleries = [draw_gallery(look, others, 0, 5, (0, number)) for number in range(12)]
    types = Counter(picture.image_type for pictures in galleries for picture in pictures)
    assert set(types) == set(IMAGE_TYPES)
    whole = sum(types[name] for name in WHOLE_PRODUCT_TYPES)
    assert 0.3 < whole / types.total() < 0.6
    assert all(pictures[0].image_type == "product>shop" for pictures in galleries)
    assert all(len({picture.shot for picture in pictures}) < len(pictures) for pictures in galleries)  # there are cuts
    charts = [np.asarray(next(p.image for p in pictures if p.image_type == "chart")) for pictures in galleries]
    assert all((chart == charts[0]).all() for chart in charts)  # the items share it


def test_the_shop_and_its_users(tmp_path: Path) -> None:
    items = compose_items(MIN_ITEMS, seed=1)
    assert list(map(repr, items)) == list(map(repr, compose_items(MIN_ITEMS, seed=1)))
    num_drawn: list[None] = []
    shop = rows_of(write_galleries(tmp_path, items, 1, lambda: num_drawn.append(None)))
    users = rows_of(write_user_photos(tmp_path, items, 2, 1))
    assert len(num_drawn) == MIN_ITEMS
    assert {row["item_id"] for row in shop} == {item.item_id for item in items}
    groups = Counter(row["group_id"] for row in users)
    assert set(groups) == {row["group_id"] for row in shop}
    assert set(groups.values()) == {2}
    assert len(groups) < MIN_ITEMS  # some items are second offers
    assert all((tmp_path / row["image"]).stat().st_size > 500 for row in (*shop, *users))
    assert len({row["product_id"] for row in (*shop, *users)}) == len(shop) + len(users)
    offers = {row["group_id"]: row["category"] for row in shop}
    assert all(offers[row["group_id"]] == row["category"] for row in users)


def test_too_few_items_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected at least 20 items, found 19; give a larger --items"):
        compose_items(19, seed=0)


def test_a_labelled_set_has_every_type_equally_often(tmp_path: Path) -> None:
    drawn: list[None] = []
    files = write_image_types(tmp_path, {"train": 2, "test": 1}, 0, lambda: drawn.append(None))
    assert len(drawn) == 3 * len(IMAGE_TYPES)
    for split, count in (("train", 2), ("test", 1)):
        rows = rows_of(files[split])
        assert Counter(row["category"] for row in rows) == dict.fromkeys(IMAGE_TYPES, count)
        assert all((tmp_path / row["image"]).exists() for row in rows)
