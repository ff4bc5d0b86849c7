"""The groups of rows as they stream by."""

from catalog.columns import OFFER_COLUMNS
from catalog.rows import CatalogRow
from model.product import TEXT_FIELDS
from training.evaluation.row_groups import RowGroups


def row(number: int, mall: str = "", month: str = "", brand: str = "", mall_category: str = "") -> CatalogRow:
    texts = {"brand": brand, "mall_category": mall_category}
    offer = {"mall": mall, "month": month}
    return CatalogRow(
        number, str(number), tuple(texts.get(field, "") for field in TEXT_FIELDS), "", "leaf",
        tuple(offer.get(column, "") for column in OFFER_COLUMNS),
    )  # fmt: skip


def test_groups_of_several_chunks() -> None:
    groups = RowGroups()
    groups.add([row(0, "A", "2026-03", "Acme", "Toys > Dolls"), row(1, "B", "202603")])
    groups.add([row(2, "A", "2026/4/1", " Acme "), row(3, month="spring", mall_category="Toys")])
    found = groups.groupings()
    assert {name: (list(one.names), one.numbers.tolist()) for name, one in found.items()} == {
        "mall": (["A", "B"], [0, 1, 0, -1]),
        "month": (["2026-03", "2026-04"], [0, 0, 1, -1]),
        "brand": (["Acme"], [0, -1, 0, -1]),
        "maker": ([], [-1, -1, -1, -1]),
        "mall_category": (["Toys"], [0, -1, -1, 0]),
    }


def test_groups_are_bounded() -> None:
    groups = RowGroups(max_groups=2)
    groups.add([row(i, f"mall {i % 4}") for i in range(8)])
    malls = groups.groupings()["mall"]
    assert (list(malls.names), malls.numbers.tolist()) == (["mall 0", "mall 1"], [0, 1, -1, -1] * 2)
