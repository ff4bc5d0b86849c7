"""Words in each other's place tell products apart; words that sellers add do not."""

import numpy as np

from retrieval.index.record import Attributes
from retrieval.matching.offers.offer_table import OfferTable
from tests.retrieval.matching.support import table_of

_COLORS, _ADDED = ("black", "white", "blue"), ("", "", "gift wrap", "official store", "overseas")
_NUM_KINDS = 40


def shop() -> tuple[OfferTable, dict[str, int]]:
    """Lamps in three colours, each under the plain title and as sellers write it; positions by title."""
    titles = []
    for number in range(_NUM_KINDS):
        for place, color in enumerate(_COLORS):
            size = ("500 ml", "0.5 l")[number % 2] if place else "2 kg"
            plain = f"kind{'abcdefghij'[number % 10]}{'klmn'[number // 10]} lamp {color} {size}"
            titles += [plain, f"{plain} {_ADDED[(number + place) % len(_ADDED)]}".strip()]
    titles += [
        "lamp white 500 ml overseas",
        "lamp black 500 ml",
        "lamp blak 500 ml",
        "lamp black 0.5 l",
        "lamp black 2 kg",
    ]
    return table_of([Attributes(title) for title in titles]), {title: i for i, title in enumerate(titles)}


def strongest(table: OfferTable, left: int, right: int) -> float:
    return float(table.exclusion.of(table.terms, np.array([left]), np.array([right]))[0][0])


def test_colors_exclude_each_other_and_sellers_words_do_not() -> None:
    table, positions = shop()
    first = "kindak lamp"
    color = strongest(table, positions[f"{first} black 2 kg"], positions[f"{first} white 500 ml"])
    assert color > 2
    added = [i for title, i in positions.items() if title.endswith(("gift wrap", "official store"))]
    overseas = positions["lamp white 500 ml overseas"]
    whites = [i for i in added if " white " in table.texts[i].title]
    assert whites
    assert all(strongest(table, i, overseas) < color / 2 for i in whites)


def test_a_quantity_is_one_word_whatever_its_unit() -> None:
    table, positions = shop()
    milliliters = positions["lamp black 500 ml"]
    assert strongest(table, milliliters, positions["lamp black 0.5 l"]) == 0
    assert strongest(table, milliliters, positions["lamp black 2 kg"]) > 1


def test_a_word_spelled_otherwise_does_not_exclude_it() -> None:
    table, positions = shop()
    assert strongest(table, positions["lamp black 500 ml"], positions["lamp blak 500 ml"]) == 0


def test_few_offers_say_nothing() -> None:
    table = table_of([Attributes("black lamp"), Attributes("white lamp")])
    found = table.exclusion.of(table.terms, np.array([0]), np.array([1]))
    assert [values.tolist() for values in found] == [[0], [0], [0]]
