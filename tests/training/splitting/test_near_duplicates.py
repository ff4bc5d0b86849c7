"""Near-duplicates by text and by photo."""

import numpy as np
import pytest

from tests.conftest import catalog_row
from training.splitting.near_duplicates import comparable_text, equal_pairs, groups_of, photo_pairs, text_pairs

NAME = "samsung galaxy s24 ultra smartphone 256 gb titanium"


def groups(*names: str) -> list[int]:
    """Group rows by their names; numbered by first appearance."""
    texts = [comparable_text(catalog_row(i, str(i), {"name": name})) for i, name in enumerate(names)]
    found = groups_of([text_pairs(texts)], len(texts)).tolist()
    return [list(dict.fromkeys(found)).index(group) for group in found]


@pytest.mark.parametrize(
    "other",
    [
        NAME,
        NAME.upper(),
        "256 GB titanium smartphone samsung galaxy s24 ultra",  # another order
        f"{NAME} 정품",  # a word more
        NAME.replace(" titanium", ""),  # one less
        NAME.replace("smartphone", "smart-phone"),
        f"  {NAME}!!! ",
    ],
)
def test_offers_of_one_product_share_a_group(other: str) -> None:
    assert groups(NAME, "bosch cordless drill 18 v", other) == [0, 1, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("puma men black t-shirt", "puma men blue t-shirt"),  # a colour is a product of its own
        ("shirt", "black shirt"),  # too few words to be the same
        (NAME, "apple iphone 15 pro max smartphone 256 gb"),
        ("", ""),
    ],
)
def test_other_products_do_not(first: str, second: str) -> None:
    assert groups(first, second) == [0, 1]


def test_near_duplicates_of_near_duplicates_are_one_group() -> None:
    assert groups(NAME, f"{NAME} new", f"{NAME} new sale", "desk lamp") == [0, 0, 0, 1]


def test_most_near_duplicates_are_found_among_many() -> None:
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = [" ".join("".join(random.choice(letters, 6)) for _ in range(6)) for _ in range(3000)]
    edited = [f"{name} {'x' * (1 + i % 3)}" for i, name in enumerate(names[:300])]
    found = groups_of([text_pairs([" ".join(sorted(name.split())) for name in names + edited])], 3300)
    assert (found[:300] == found[3000:]).mean() > 0.99
    assert len(np.unique(found[:3000])) == 3000


def test_without_a_name_the_other_texts_count() -> None:
    rows = [catalog_row(i, str(i), {"mall_category": "Fruit", "brand": "dole"}) for i in range(2)]
    assert [comparable_text(row) for row in rows] == ["fruit dole"] * 2
    assert comparable_text(catalog_row(1, "1", image="x.jpg")) == ""


def test_equal_keys_are_pairs_and_zero_is_none() -> None:
    assert groups_of([equal_pairs(np.array([7, 0, 5, 7, 0, 7], np.uint64))], 6).tolist() == [0, 1, 2, 0, 3, 0]


def test_photos_of_a_burst_share_a_group_and_others_of_the_product_do_not() -> None:
    random = np.random.default_rng(0)
    scenes = random.normal(size=(6, 64))
    photos = np.repeat(scenes, 4, axis=0) + random.normal(scale=0.4, size=(24, 64))
    labels = ["apple"] * 12 + ["pear"] * 12
    found = groups_of([photo_pairs(photos.astype(np.float32), labels)], 24).reshape(6, 4)
    assert (found == found[:, :1]).all()
    assert len(np.unique(found)) == 6


def test_photos_of_other_categories_are_not_compared() -> None:
    same = np.ones((2, 8), np.float32)
    assert len(photo_pairs(same, ["apple", "pear"])) == 0
    assert len(photo_pairs(same, ["apple", "apple"])) == 1


def test_no_rows() -> None:
    assert text_pairs([]).shape == (0, 2)
    assert groups_of([text_pairs([])], 0).tolist() == []
