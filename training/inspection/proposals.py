"""Proposals for --columns: headings that nobody reads and whose names say plainly what they hold."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from catalog.columns import INPUT_COLUMNS
from model.taxonomy import SEPARATOR
from training.inspection.headings import MAX_DISTINCT, HeadingSummary

#: The words of a heading, by column, the plainest first.
_NAMES: dict[str, tuple[str, ...]] = {
    "product_id": ("product id", "id", "sku", "asin", "uniq id", "product code", "상품번호", "상품코드", "상품 id"),
    "product_name": (
        "product title", "title", "name", "product display name", "display name", "item name", "goods name",
        "product", "상품명", "제품명", "품명", "상품", "제품", "이름",
    ),
    "mall_category": ("mall category", "shop category", "seller category", "몰카테고리", "쇼핑몰카테고리"),
    "brand": ("brand name", "브랜드", "브랜드명"),
    "maker": ("manufacturer", "producer", "제조사", "제조자", "메이커"),
    "description": (
        "product description", "desc", "details", "long description", "body", "설명", "상품설명", "상세설명",
    ),
    "image": (
        "image url", "image link", "image path", "img", "img url", "picture", "photo", "thumbnail", "image file",
        "이미지", "사진", "이미지 url",
    ),
    "category": (
        "product category", "categories", "category path", "category name", "label", "product type", "article type",
        "class", "type", "카테고리", "분류", "상품분류", "카테고리명",
    ),
}  # fmt: skip
#: Words that tell which level of a tree a heading holds, the top first.
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("department", "main category", "master category", "top category", "root category", "parent category", "대분류"),
    ("category", "product category", "중분류", "카테고리"),
    ("sub category", "subcategory", "소분류"),
    ("sub sub category", "subsubcategory", "세분류"),
    ("type", "product type", "article type", "item type"),
)
_NUMBERED = re.compile(r"(?:category|cat|level|depth|l|c|카테고리|분류)(?: level)? ?(\d)(?: category| name)?")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def propose_columns(summaries: Sequence[HeadingSummary], num_rows: int, mapped: Mapping[str, str]) -> dict[str, str]:
    """{column: heading} for columns that the file lacks, and for the levels of a category in several headings.

    A heading without any value is never proposed, and as an id only one with a value of its own in every row.

    Args:
        summaries: of all headings, those that are read included.
        num_rows: of the file.
        mapped: what the user has mapped, which stays.
    """
    read = {column for summary in summaries for column in summary.columns} | mapped.keys()
    free = {_words(one.heading): one for one in reversed(summaries) if not one.columns and one.num_distinct}
    proposed: dict[str, str] = {}
    levels = _levels(summaries) if "category" not in mapped else []
    if levels:
        proposed["category"] = SEPARATOR.join(levels)
        free = {words: one for words, one in free.items() if one.heading not in levels}
    for column, names in _NAMES.items():
        found = next((free[name] for name in names if name in free), None)
        if column in read or column in proposed or found is None:
            continue
        if column != "product_id" or (found.share == 1 and found.num_distinct == min(num_rows, MAX_DISTINCT)):
            proposed[column] = found.heading
            free = {words: one for words, one in free.items() if one is not found}
    return {name: proposed[name] for name in ("product_id", *INPUT_COLUMNS, "category") if name in proposed}


def _levels(summaries: Sequence[HeadingSummary]) -> list[str]:
    """The headings of the levels of a category, the top first; none where there are not two, or are two of one level.

    Each level has to have more values than the one above, or as many.
    """
    by_rank: dict[int, HeadingSummary] = {}
    for one in summaries:
        rank = _rank(_words(one.heading)) if one.columns in ((), ("category",)) and one.num_distinct else 0
        if rank and rank in by_rank:
            return []
        if rank:
            by_rank[rank] = one
    levels = [by_rank[rank] for rank in sorted(by_rank)]
    is_tree = all(above.num_distinct <= below.num_distinct for above, below in pairwise(levels))
    return [level.heading for level in levels] if len(levels) > 1 and is_tree else []


def _rank(words: str) -> int:
    """1 for the top level; 0 for what is no level."""
    if numbered := _NUMBERED.fullmatch(words):
        return len(_LEVELS) + 1 + int(numbered[1])
    return next((rank for rank, names in enumerate(_LEVELS, start=1) if words in names), 0)


def _words(heading: str) -> str:
    """The words of a heading in lower case: 'masterCategory' is 'master category'."""
    return " ".join(_WORD.findall(_HUMP.sub(" ", heading))).lower()
