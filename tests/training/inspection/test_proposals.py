"""Proposals for --columns by the names of headings, and by how many values they have."""

import pytest

from training.inspection.headings import HeadingSummary
from training.inspection.proposals import propose_columns

ROWS = 100


def summaries(**distinct: int) -> list[HeadingSummary]:
    """Headings and their distinct values; those of Aisle's own names are read."""
    own = ("product_id", "product_name", "brand", "category")
    return [
        HeadingSummary(name, (name,) if name in own else (), float(count > 0), count, "x" if count else "")
        for name, count in distinct.items()
    ]


@pytest.mark.parametrize(
    ("headings", "expected"),
    [
        ({"title": 90, "label": 9}, {"product_name": "title", "category": "label"}),
        ({"상품명": 90, "분류": 9, "상품 코드": ROWS}, {"product_name": "상품명", "category": "분류"}),
        ({"id": ROWS, "name": 90}, {"product_id": "id", "product_name": "name"}),
        ({"id": 90, "name": 90}, {"product_name": "name"}),  # repeated: no id of products
        ({"name": 90, "Product Title": 95}, {"product_name": "Product Title"}),  # the plainer one
        ({"product_name": 90, "title": 90, "image_url": 80}, {"image": "image_url"}),
        ({"name": 0, "title": 5}, {"product_name": "title"}),  # nothing below it
        ({"category1": 3, "category2": 9}, {"category": "category1>category2"}),
        ({"cat_2": 9, "cat_1": 3, "cat_3": 9}, {"category": "cat_1>cat_2>cat_3"}),
        ({"level 1": 2, "Level 2": 4}, {"category": "level 1>Level 2"}),
        ({"main category": 3, "sub category": 9}, {"category": "main category>sub category"}),
        (
            {"masterCategory": 3, "subCategory": 9, "articleType": 20},
            {"category": "masterCategory>subCategory>articleType"},
        ),
        ({"대분류": 3, "중분류": 8, "소분류": 20}, {"category": "대분류>중분류>소분류"}),
        ({"category": 3, "sub_category": 9, "type": 20}, {"category": "category>sub_category>type"}),
        ({"department": 9, "type": 3}, {"category": "type"}),  # fewer values below: no tree
        ({"type": 3, "product_type": 3}, {"category": "product_type"}),  # two of one level
        ({"category": 3, "colour": 9}, {}),
        ({"weight": 9, "제조국": 4}, {}),
    ],
)
def test_plain_headings(headings: dict[str, int], expected: dict[str, str]) -> None:
    assert propose_columns(summaries(**headings), ROWS, {}) == expected


def test_what_the_user_has_mapped_stays() -> None:
    found = summaries(category1=3, category2=9, title=90)
    assert propose_columns(found, ROWS, {"category": "category2"}) == {"product_name": "title"}
