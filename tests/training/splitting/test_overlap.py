"""Rows that training and validation file share are found and refused."""

import random

import numpy as np
import pytest

from model.errors import CatalogError
from training.splitting.catalog_groups import CatalogRows
from training.splitting.near_duplicates import groups_of, text_pairs
from training.splitting.overlap import Overlap, find_overlap, refuse_overlap

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def names(count: int, seed: int) -> list[str]:
    """Draw names of five words that are like no other."""
    draw = random.Random(seed)
    return [" ".join(sorted("".join(draw.choices(LETTERS, k=6)) for _ in range(5))) for _ in range(count)]


def rows(texts: list[str], prefix: str) -> CatalogRows:
    contents = np.array([hash(text) % 2**63 for text in texts], np.uint64)
    ids = [f"{prefix}{i}" for i in range(len(texts))]
    return CatalogRows(ids, texts, ["a"] * len(texts), contents, np.zeros(len(texts), np.uint64))


def overlap_of(train: CatalogRows, val: CatalogRows) -> Overlap:
    return find_overlap(train, val, groups_of([text_pairs(train.texts + val.texts)], len(train) + len(val)))


def test_other_products_do_not_overlap() -> None:
    found = overlap_of(rows(names(735, 0), "t"), rows(names(105, 1), "v"))
    assert (found.num_ids, found.num_equal, found.num_near) == (0, 0, 0)
    assert not found.is_shared.any()
    refuse_overlap(found, "train.csv", "val.csv")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["id", "text", "near-duplicate"])
def test_an_overlap_is_refused_in_all_tries(kind: str, seed: int) -> None:
    """Five of 105 validation rows come from the training file."""
    draw = random.Random(seed)
    train_names, val_names = names(735, 2 * seed), names(105, 2 * seed + 1)
    train = rows(train_names, "t")
    taken = draw.sample(range(735), 5)
    if kind == "id":
        val = rows(val_names, "v")
        val.product_ids[:5] = [f"t{i}" for i in taken]
    else:
        extra = {"text": "", "near-duplicate": " zz"}[kind]
        val_names[:5] = [train_names[i] + extra for i in taken]
        val = rows(val_names, "v")
    found = overlap_of(train, val)
    assert sorted(np.flatnonzero(found.is_shared)) == sorted(taken)
    with pytest.raises(CatalogError) as caught:
        refuse_overlap(found, "train.csv", "val.csv")
    counts = {
        "id": "5 of 105 validation rows have the product_id of a training row, 0 equal one in texts and picture, 0 are",
        "text": "0 of 105 validation rows have the product_id of a training row, 5 equal one in texts and picture, 5",
        "near-duplicate": "a training row, 0 equal one in texts and picture, 5 are near-duplicates of one",
    }
    assert counts[kind] in str(caught.value)
    assert "--overlap drop" in str(caught.value)


def test_a_shop_that_repeats_itself_may_repeat_itself_in_validation_too() -> None:
    """A tenth of the training rows has a twin; seven of 200 validation rows are like a training row."""
    train_names = names(1000, 0)
    train_names[:50] = [f"{name} zz" for name in train_names[50:100]]
    val_names = [f"{name} yy" for name in train_names[200:207]] + names(193, 1)
    found = overlap_of(rows(train_names, "t"), rows(val_names, "v"))
    assert found.num_near == 7
    refuse_overlap(found, "train.csv", "val.csv")
    many = [f"{name} yy" for name in train_names[200:260]] + names(140, 1)
    with pytest.raises(CatalogError, match="60 are near-duplicates of one"):
        refuse_overlap(overlap_of(rows(train_names, "t"), rows(many, "v")), "train.csv", "val.csv")


def test_rows_with_neither_text_nor_picture_are_like_no_other() -> None:
    empty = CatalogRows(["1", "2"], ["", ""], ["a", "a"], np.zeros(2, np.uint64), np.zeros(2, np.uint64))
    other = CatalogRows(["3"], [""], ["a"], np.zeros(1, np.uint64), np.zeros(1, np.uint64))
    found = overlap_of(empty, other)
    assert (found.num_equal, found.num_near) == (0, 0)
