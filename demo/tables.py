"""Tables and sentences about the demo's answers."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from demo.answers import AnsweredProduct, accuracy
from model.product import FIELDS, field_words


def answers_table(pairs: Sequence[tuple[AnsweredProduct, AnsweredProduct]]) -> Table:
    """Build a table with a row per product: its fields, the answer with its probability, and the truth.

    Args:
        pairs: the answers to a product with all fields, and with its name alone.
    """
    table = Table(title="Some test products; red is wrong", title_justify="left")
    table.add_column("name", max_width=40, overflow="fold")
    table.add_column("mall category", max_width=22, overflow="fold")
    table.add_column("picture", justify="center")
    table.add_column("by name alone", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    table.add_column("prob.", justify="right")
    table.add_column("verdict", justify="center", no_wrap=True)
    table.add_column("truth", no_wrap=True)
    for full, by_name in pairs:
        best = full.prediction.categories[0]
        table.add_row(
            escape(full.product.product_name),
            escape(full.product.mall_category or "-"),
            "yes" if full.product.has_image else "-",
            _colored(by_name, _leaf(by_name.prediction.categories[0].category)),
            _colored(full, best.category),
            f"{best.probability:.3f}",
            "needs review" if full.prediction.needs_review else "accepted",
            escape(_leaf(full.truth)),
        )
    return table


def choose_examples(
    with_all_fields: Sequence[AnsweredProduct], by_name: Sequence[AnsweredProduct], count: int
) -> list[tuple[AnsweredProduct, AnsweredProduct]]:
    """Choose pairs for `answers_table`: up to half with a misleading name, others in catalog order.

    Args:
        with_all_fields, by_name: answers to the same products in the same order.
    """
    pairs = list(zip(with_all_fields, by_name, strict=True))
    misleading = [number for number, (_, name) in enumerate(pairs) if not name.is_right][: count // 2]
    others = [number for number in range(len(pairs)) if number not in set(misleading)][: count - len(misleading)]
    return [pairs[number] for number in sorted([*misleading, *others])]


def accuracy_table(answered: Mapping[tuple[str, ...], Sequence[AnsweredProduct]]) -> Table:
    """Build a table with the accuracy of each subset of fields."""
    table = Table(title="The same products with some of their fields", title_justify="left")
    table.add_column("fields")
    table.add_column("products", justify="right")
    table.add_column("accuracy", justify="right")
    for fields, answers in answered.items():
        words = "all fields" if fields == FIELDS else field_words(fields, joined_by="and")
        table.add_row(words, str(len(answers)), f"{accuracy(answers):.3f}")
    return table


def contract_sentence(answered: Sequence[AnsweredProduct]) -> str:
    """State how many answers the precision contract accepts, at whatever depth, and how many of those are right."""
    accepted = [each for each in answered if each.prediction.accepted is not None]
    if not accepted:
        return f"None of {len(answered)} answers is accepted without a person."
    right = sum(each.is_accepted_right for each in accepted)
    num_leaves = sum(not each.prediction.needs_review for each in answered)
    return (
        f"{len(accepted)} of {len(answered)} answers are accepted, {num_leaves} down to a leaf, and {right} of the"
        f" accepted are right ({right / len(accepted):.1%}); {len(answered) - num_leaves} need review."
    )


def _colored(answered: AnsweredProduct, text: str) -> str:
    return f"[{'green' if answered.is_right else 'red'}]{escape(text)}[/]"


def _leaf(category: str) -> str:
    return category.rpartition(">")[2]
