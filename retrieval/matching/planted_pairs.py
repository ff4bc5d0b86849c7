"""Labelled pairs from any catalog: offers, and copies of them that are edited as another seller would write them."""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from model.errors import MatcherError
from retrieval.index.record import Attributes
from retrieval.matching.matcher_training import LabelledPairs
from retrieval.matching.offer_table import OfferTable

_MOST_OFFERS = 3000
_NEAREST = 5
_LEAST_WORDS = 2
_MOST_EDITS = 3
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SELLER_WORDS = ("new", "original", "free shipping", "sale", "정품", "무료배송", "당일발송", "특가", "국내배송")

Random = np.random.Generator
#: An edit of an offer; None where it does not apply.
Edit = Callable[[Attributes, Random], Attributes | None]


def planted_pairs(table: OfferTable, seed: int) -> tuple[OfferTable, LabelledPairs]:
    """Edit copies of offers, some so that they stay the same product and some so that they do not.

    An offer and its nearest neighbours in the catalog count as different products, which is wrong where the catalog
    has duplicates: a matcher that was learned so is careful.

    Args:
        seed: of offers and edits.
    Returns:
        a table that also holds the copies, and the pairs.
    Raises:
        MatcherError: too few offers have a name to edit.
    """
    random = np.random.default_rng(seed)
    named = [i for i, offer in enumerate(table.offers) if len(offer.product_name.split()) >= _LEAST_WORDS]
    if len(named) < 2 * _NEAREST:
        raise MatcherError(
            f"expected offers with names of {_LEAST_WORDS} words or more to edit, found {len(named)}; label pairs"
            " (--train-pairs)"
        )
    chosen = sorted(random.permutation(named)[:_MOST_OFFERS].tolist())
    ids, offers = list(table.product_ids), list(table.offers)
    pairs: list[tuple[int, int, bool]] = []
    for i in chosen:
        for is_same, edits in ((True, SAME_EDITS), (False, OTHER_EDITS)):
            if (copy := edited(offers[i], edits, random)) is not None:
                pairs.append((i, len(offers), is_same))
                ids.append(f"planted:{len(offers)}")
                offers.append(copy)
    nearest, _ = table.nearest.of(np.array(chosen))
    for i, found in zip(chosen, nearest[:, :_NEAREST].tolist(), strict=True):
        pairs += [(i, j, False) for j in found if j >= 0]
    left, right, same = (np.array(column) for column in zip(*pairs, strict=True))
    vectors = {
        space: np.concatenate([known, np.zeros((len(offers) - len(known), known.shape[1]), np.float32)])
        for space, known in table.vectors.items()
    }
    return OfferTable(ids, offers, vectors), LabelledPairs(left, right, same)


def edited(offer: Attributes, edits: Sequence[Edit], random: Random) -> Attributes | None:
    """Apply one to three edits; None where none applies.

    Args:
        edits: SAME_EDITS leave it the same product, OTHER_EDITS make it another.
    """
    copy = None
    for number in random.permutation(len(edits))[: random.integers(1, _MOST_EDITS + 1)]:
        copy = edits[number](copy or offer, random) or copy
    return None if copy is None or copy == offer else copy


def _words_left_out(offer: Attributes, random: Random) -> Attributes | None:
    words = offer.product_name.split()
    plain = [i for i, word in enumerate(words) if not any(character.isdigit() for character in word)]
    if len(words) <= _LEAST_WORDS or not plain:
        return None
    gone = random.choice(plain)
    return dataclasses.replace(offer, product_name=" ".join(words[:gone] + words[gone + 1 :]))


def _words_shuffled(offer: Attributes, random: Random) -> Attributes | None:
    words = offer.product_name.split()
    cut = int(random.integers(1, len(words))) if len(words) > 1 else 0
    return dataclasses.replace(offer, product_name=" ".join(words[cut:] + words[:cut]))


def _letters_wrong(offer: Attributes, random: Random) -> Attributes | None:
    places = [i for i, character in enumerate(offer.product_name) if character.isalpha()]
    if not places:
        return None
    place = random.choice(places)
    return dataclasses.replace(offer, product_name=offer.product_name[:place] + offer.product_name[place + 1 :])


def _seller_words(offer: Attributes, random: Random) -> Attributes | None:
    word = str(random.choice(_SELLER_WORDS))
    name = f"{word} {offer.product_name}" if random.random() < 0.5 else f"{offer.product_name} {word}"
    return dataclasses.replace(offer, product_name=name)


def _fields_left_out(offer: Attributes, random: Random) -> Attributes | None:
    fields = [
        name for name in ("brand", "maker", "description", "model_number", "mall_category") if getattr(offer, name)
    ]
    if not fields:
        return None
    gone: dict[str, Any] = {str(random.choice(fields)): ""}
    return dataclasses.replace(offer, **gone)


def _price_moved(offer: Attributes, random: Random) -> Attributes | None:
    if math.isnan(offer.price):
        return None
    return dataclasses.replace(offer, price=offer.price * math.exp(random.normal(0, 0.07)))


def _number_changed(offer: Attributes, random: Random) -> Attributes | None:
    """Another size, capacity or model."""
    found = list(_NUMBER.finditer(offer.product_name))
    if not found:
        return None
    number = found[int(random.integers(len(found)))]
    factor = random.choice([0.5, 2.0, 3.0])
    value = f"{max(float(number.group()) * factor, 1):g}"
    if value == number.group():
        return None
    name = f"{offer.product_name[: number.start()]}{value}{offer.product_name[number.end() :]}"
    price = offer.price * math.exp(random.normal(math.log(factor) / 2, 0.3))
    return dataclasses.replace(offer, product_name=name, price=price, model_number="")


def _packed(offer: Attributes, random: Random) -> Attributes | None:
    count = int(random.integers(2, 7))
    unit = "개" if re.search("[가-힣]", offer.product_name) else " pack"
    return dataclasses.replace(offer, product_name=f"{offer.product_name} {count}{unit}", price=offer.price * count)


SAME_EDITS: tuple[Edit, ...] = (
    _words_left_out,
    _words_shuffled,
    _letters_wrong,
    _seller_words,
    _fields_left_out,
    _price_moved,
)
OTHER_EDITS: tuple[Edit, ...] = (_number_changed, _packed)
