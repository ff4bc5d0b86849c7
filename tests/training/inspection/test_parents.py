"""Labels of one level that stand under several parents, whose column nobody reads."""

from collections.abc import Iterable

import pytest

from catalog.read_options import DEFAULT_OPTIONS
from training.inspection.parents import Namesakes, ParentCounter

HEADINGS = ("type", "group", "colour", "shop")
#: Six groups of four types each, ten rows a type, and "gift box" in two of the groups.
TREE = [(f"type {i}", f"group {i // 4}") for i in range(24)]
SHARED = [("gift box", "group 0"), ("gift box", "group 3")]


def found(pairs: Iterable[tuple[str, str]], repeats: int = 10) -> Namesakes | None:
    counter = ParentCounter(HEADINGS, 0, (1, 2, 3), DEFAULT_OPTIONS)
    for number, (label, group) in enumerate([*pairs] * repeats):
        counter.add((label, group, f"colour {number % 7}", "one shop"))
    return counter.found()


def test_labels_under_two_parents_are_found_with_an_example() -> None:
    namesakes = found([*TREE, *SHARED])
    assert namesakes == Namesakes("group", 6, 1, 25, "gift box", {"group 0": 10, "group 3": 10})
    assert namesakes.sentence("type") == (
        "1 of 25 labels stand under several values of 'group' and are merged, such as 'gift box', 10 under 'group 0'"
        " and 10 under 'group 3'; if it holds their parents, write --columns 'category=group>type'"
    )


def test_of_two_that_tell_as_much_apart_the_finer_one_is_proposed() -> None:
    counter = ParentCounter(("type", "department", "group"), 0, (1, 2), DEFAULT_OPTIONS)
    for label, group in [*TREE, *SHARED] * 5:
        counter.add((label, "left" if group < "group 3" else "right", group))
    namesakes = counter.found()
    assert namesakes is not None
    assert namesakes.heading == "group"


@pytest.mark.parametrize(
    "pairs",
    [
        TREE,  # nothing is shared
        [(label, f"group {i % 5}") for i, (label, _) in enumerate(TREE * 5)],  # everything is: a colour, no parent
        [*TREE, *SHARED[:1] * 30, ("gift box", "group 3")],  # a slip
        [*((label, "group 0") for label, _ in TREE), *SHARED],  # nearly constant
        [(f"{label} of a {group}" if group else "", group) for label, group in TREE],
        [*((f"A>{label}", group) for label, group in TREE), *((f"A>{label}", group) for label, group in SHARED)],
        [*TREE, *SHARED, *((label, "") for label, _ in TREE)],  # half of the parents are missing
    ],
)
def test_other_columns_are_no_parents(pairs: list[tuple[str, str]]) -> None:
    assert found(pairs) is None


def test_a_heading_with_a_comma_is_quoted_in_the_flag() -> None:
    sentence = Namesakes("group, main", 6, 1, 25, "a", {"b": 2, "c": 2}).sentence("type")
    assert sentence.endswith("""write --columns 'category="group, main>type"'""")
