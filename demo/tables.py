"""What the demo prints about its answers."""

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from demo.answers import Answered, accuracy
from model.product import FIELDS, field_words


def answers_table(pairs: Sequence[tuple[Answered, Answered]]) -> Table:
    """A row a product: what it said, the answer with its probability, and the truth.

    Args:
        pairs: the same product asked with everything, and by its name alone.
    """
    table = Table(title="Some held-back products; red is wrong", title_justify="left")
    table.add_column("name", max_width=40, no_wrap=True)
    table.add_column("mall category", max_width=22, no_wrap=True)
    table.add_column("picture", justify="center")
    table.add_column("by name alone", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    table.add_column("prob.", justify="right")
    table.add_column("verdict", justify="center")
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
            "review" if full.prediction.needs_review else "accept",
            escape(_leaf(full.truth)),
        )
    return table


def interesting(
    everything: Sequence[Answered], by_name: Sequence[Answered], count: int
) -> list[tuple[Answered, Answered]]:
    """Pairs for `answers_table`: up to half whose name alone misleads, the rest as they come; in catalog order.

    Args:
        everything, by_name: the same products in the same order.
    """
    pairs = list(zip(everything, by_name, strict=True))
    hard = [number for number, (_, name) in enumerate(pairs) if not name.is_right][: count // 2]
    plain = [number for number in range(len(pairs)) if number not in set(hard)][: count - len(hard)]
    return [pairs[number] for number in sorted([*hard, *plain])]


def accuracy_table(answered: Mapping[tuple[str, ...], Sequence[Answered]]) -> Table:
    """A row for each combination of fields that the same products were asked with."""
    table = Table(title="The same products, asked with some of their fields", title_justify="left")
    table.add_column("fields")
    table.add_column("products that have one", justify="right")
    table.add_column("accuracy", justify="right")
    for fields, answers in answered.items():
        words = "everything" if fields == FIELDS else field_words(fields, joined_by="and")
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
        f" ({right / len(accepted):.1%}); {len(answered) - len(accepted)} go to review."
    )


def _colored(answered: Answered, text: str) -> str:
    return f"[{'green' if answered.is_right else 'red'}]{escape(text)}[/]"


def _leaf(category: str) -> str:
    return category.rpartition(">")[2]
