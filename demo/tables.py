"""What the demo prints about its answers."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from demo.answers import Answered, accuracy
from model.product import FIELDS

_FIELD_WORDS = {"name": "name", "mall_category": "mall category", "image": "picture"}


def answers_table(answered: Sequence[Answered]) -> Table:
    """A row a product: what it said, the answer with its probability, and the truth."""
    table = Table(title="Some held-back products", title_justify="left")
    table.add_column("name", max_width=44, no_wrap=True)
    table.add_column("mall category", max_width=26, no_wrap=True)
    table.add_column("picture", justify="center")
    table.add_column("answer", no_wrap=True)
    table.add_column("probability", justify="right")
    table.add_column("", justify="center")
    table.add_column("truth", no_wrap=True)
    for each in answered:
        best = each.prediction.categories[0]
        verdict = "review" if each.prediction.needs_review else "accept"
        color = "green" if each.is_right else "red"
        table.add_row(
            escape(each.product.product_name),
            escape(each.product.mall_category or "-"),
            "yes" if each.product.has_image else "-",
            f"[{color}]{escape(_leaf(best.category))}[/]",
            f"{best.probability:.3f}",
            verdict,
            escape(each.truth),
        )
    return table


def accuracy_table(answered: Mapping[tuple[str, ...], Sequence[Answered]]) -> Table:
    """A row for each combination of fields that the same products were asked with."""
    table = Table(title="The same products, asked with some of their fields", title_justify="left")
    table.add_column("fields")
    table.add_column("products that have one", justify="right")
    table.add_column("accuracy", justify="right")
    for fields, answers in answered.items():
        words = "everything" if fields == FIELDS else " + ".join(_FIELD_WORDS[field] for field in fields)
        table.add_row(words, str(len(answers)), f"{accuracy(answers):.3f}")
    return table


def contract_sentence(answered: Sequence[Answered]) -> str:
    """How many answers the precision contract accepts, and how many of those are right."""
    accepted = [each for each in answered if not each.prediction.needs_review]
    if not accepted:
        return f"No answer of {len(answered)} is sure enough to be accepted without a person."
    right = sum(each.is_right for each in accepted)
    return (
        f"{len(accepted)} of {len(answered)} answers are accepted without a person, {right} of those are right"
        f" ({right / len(accepted):.1%}); the others go to review."
    )


def _leaf(category: str) -> str:
    return category.rpartition(">")[2]
