"""Labelled pairs from any catalog: offers, and copies of them that are edited as another seller would write them."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.errors import MatcherError
from retrieval.index.record import Attributes
from retrieval.matching.matcher.matcher_training import LabelledPairs
from retrieval.matching.offers.model_numbers import find_model_numbers
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.offers.quantities import rewritten
from tokenizer.normalize import normalize

_MOST_OFFERS = 3000
_LEAST_OFFERS = 40
_NUM_NEAREST = 5
_NUM_ALIKE = 4
_LEAST_WORDS = 2
_MOST_EDITS = 6
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_JOINT = re.compile(r"(?<=[0-9A-Za-z])[-/](?=[0-9A-Za-z])")
_SELLER_WORDS = ("new", "original", "free shipping", "sale", "정품", "무료배송", "당일발송", "특가", "국내배송")

Random = np.random.Generator
#: An edit of an offer; None where it does not apply.
Edit = Callable[[Attributes, Random], Attributes | None]


@dataclass(frozen=True)
class PlantedPairs:
    """Offers with edited copies of some of them.

    Args:
        table: also holds the copies; without vectors, which would tell the copies.
        pairs: labelled: an offer and its copies, and offers that are alike, but not the nearest.
        nearest: (P, 2) int64 positions of offers with their nearest, which may be the same product.
    """

    table: OfferTable
    pairs: LabelledPairs
    nearest: np.ndarray


def planted_pairs(table: OfferTable, seed: int) -> PlantedPairs:
    """Edit copies of offers, some so that they stay the same product and some so that they do not.

    Args:
        seed: of offers and edits.
    Raises:
        MatcherError: too few offers have a name to edit.
    """
    random = np.random.default_rng(seed)
    named = [i for i, offer in enumerate(table.offers) if len(offer.product_name.split()) >= _LEAST_WORDS]
    if len(named) < _LEAST_OFFERS:
        raise MatcherError(
            f"expected {_LEAST_OFFERS} offers or more with names of {_LEAST_WORDS} words to edit, found {len(named)};"
            " label pairs (--train-pairs)"
        )
    sources = sorted({offer.source for offer in table.offers})
    chosen = np.sort(random.permutation(named)[:_MOST_OFFERS])
    ids, offers = list(table.product_ids), list(table.offers)
    pairs: list[tuple[int, int, bool]] = []
    nearest: list[tuple[int, int]] = []
    for i, row in zip(chosen.tolist(), table.nearest.of(chosen)[0].tolist(), strict=True):
        found = [j for j in row if j >= 0]
        others = [source for source in sources if source != offers[i].source]
        source = str(random.choice(others)) if others else offers[i].source
        for first, second, is_same in _copies(offers[i], offers[found[0]] if found else None, source, random):
            pair = [i]
            for copy in filter(None, (first, second)):
                pair.append(len(offers))
                ids.append(f"planted:{len(offers)}")
                offers.append(copy)
            pairs.append((pair[-2], pair[-1], is_same))
        nearest += [(i, j) for j in found[:_NUM_NEAREST]]
        rest = found[_NUM_NEAREST:]
        pairs += [(i, int(j), False) for j in random.permutation(rest)[:_NUM_ALIKE]]
    left, right, same = (np.array(column) for column in zip(*pairs, strict=True))
    labelled = LabelledPairs(left, right, same)
    with_copies = OfferTable(ids, offers, num_listed=len(table))  # copies would crowd out the nearest
    return PlantedPairs(with_copies, labelled, np.array(nearest, np.int64).reshape(-1, 2))


def _copies(
    offer: Attributes, alike: Attributes | None, source: str, random: Random
) -> Iterator[tuple[Attributes, Attributes | None, bool]]:
    """Copies of an offer: one to pair with it, or two to pair with each other, and whether they are the same product.

    Those of another product are edited as sellers do as well, so that the traces of that tell nothing.

    Args:
        source: of the offers that this one is compared with, where the catalog has several.
    """
    one, two = (edited(offer, SAME_EDITS, random) for _ in range(2))
    if one is not None:
        yield dataclasses.replace(one, source=source), None, True
    if one is not None and two is not None:
        yield dataclasses.replace(one, source=source), two, True
    others = [edited(offer, OTHER_EDITS, random), None if alike is None else _with_word_of(offer, alike, random)]
    for other in filter(None, others):
        copy = edited(other, SAME_EDITS, random) or other
        yield dataclasses.replace(copy, source=source), None, False


def _with_word_of(offer: Attributes, other: Attributes, random: Random) -> Attributes | None:
    """An offer with one word of another that is like it, such as its colour or model, in the place of its own."""
    ours, theirs = offer.product_name.split(), other.product_name.split()
    gone = [word for word in ours if word not in theirs]
    come = [word for word in theirs if word not in ours]
    if not gone or not come:
        return None
    place = ours.index(str(random.choice(gone)))
    name = " ".join([*ours[:place], str(random.choice(come)), *ours[place + 1 :]])
    price = offer.price * math.exp(random.normal(0, 0.3))
    return dataclasses.replace(offer, product_name=name, price=price, model_number="")


def edited(offer: Attributes, edits: Sequence[Edit], random: Random) -> Attributes | None:
    """Apply one to six edits; None where none applies.

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


def _model_left_out(offer: Attributes, random: Random) -> Attributes | None:
    words = offer.product_name.split()
    found = [i for i, word in enumerate(words) if find_model_numbers(normalize(word))]
    if not found or len(words) <= _LEAST_WORDS:
        return None
    gone = int(random.choice(found))
    return dataclasses.replace(offer, product_name=" ".join(words[:gone] + words[gone + 1 :]), model_number="")


def _unit_changed(offer: Attributes, random: Random) -> Attributes | None:
    name = rewritten(offer.product_name, lambda forms: str(random.choice(forms)))
    return None if name is None else dataclasses.replace(offer, product_name=name)


def _punctuation_left_out(offer: Attributes, random: Random) -> Attributes | None:
    """'WH-1000XM4' as 'WH1000XM4' or 'WH 1000XM4'."""
    found = list(_JOINT.finditer(offer.product_name))
    if not found:
        return None
    joint = found[int(random.integers(len(found)))]
    name = f"{offer.product_name[: joint.start()]}{random.choice(['', ' '])}{offer.product_name[joint.end() :]}"
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
    _model_left_out,
    _unit_changed,
    _punctuation_left_out,
    _fields_left_out,
    _price_moved,
)
OTHER_EDITS: tuple[Edit, ...] = (_number_changed, _packed)
