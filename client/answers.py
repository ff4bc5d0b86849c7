"""Answers of the `classify` command: the printed table, the CSV file, and the accuracy."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.table import Table
from rich.text import Text

from aisle_client.errors import InputError
from aisle_client.prediction import Failure, Prediction
from client.catalog import CatalogItem
from client.evidence import evidence_text
from model.taxonomy import normalize_path

_COLUMNS = (
    "product_id",
    "category",
    "category_id",
    "probability",
    "accepted",
    "needs_review",
    "error",
    "truth",
    "lost_picture",
)
_LINE_END = b"\r\n"  # as the csv module writes it


@dataclass(frozen=True)
class Answer:
    """One product with its prediction or failure."""

    item: CatalogItem
    result: Prediction | Failure

    @property
    def is_right(self) -> bool:
        """True when the best leaf is the row's own category, given as a path or as an id."""
        if isinstance(self.result, Failure) or not self.item.truth:
            return False
        best, truth = self.result.categories[0], normalize_path(self.item.truth)
        return bool(truth) and truth in (normalize_path(best.category), normalize_path(best.category_id))


class Score:
    """Counts of the answers so far."""

    def __init__(self) -> None:
        self.num_products = self.num_failed = self.num_accepted = 0
        self.num_lost_pictures = 0
        self.num_labelled = self.num_right = self.num_accepted_labelled = self.num_accepted_right = 0

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        result = answer.result
        is_accepted = isinstance(result, Prediction) and not result.needs_review
        is_labelled = bool(answer.item.truth)
        self.num_products += 1
        self.num_failed += isinstance(result, Failure)
        self.num_lost_pictures += bool(answer.item.lost_picture)
        self.num_accepted += is_accepted
        self.num_labelled += is_labelled
        self.num_right += answer.is_right
        self.num_accepted_labelled += is_accepted and is_labelled
        self.num_accepted_right += is_accepted and answer.is_right

    def lines(self) -> list[str]:
        """Return the lines to print below the table."""
        failed = f", {self.num_failed} failed" if self.num_failed else ""
        lines = [f"{self.num_products} products, accepted {_share(self.num_accepted, self.num_products)}{failed}"]
        if self.num_lost_pictures:
            lines.append(f"{self.num_lost_pictures} asked about without their picture, which cannot be read")
        if self.num_labelled:
            lines.append(
                f"accuracy {_share(self.num_right, self.num_labelled)},"
                f" among the accepted {_share(self.num_accepted_right, self.num_accepted_labelled)}"
            )
        return lines


class AnswerFile:
    """A CSV file of answers, a row a product.

    Args:
        resume: keep the rows of an existing file, except a truncated last one.
    Attributes:
        num_kept: number of rows kept.
        last_id: product id of the last row kept; '' without any.
    Raises:
        InputError: the file cannot be written, or does not hold answers.
    """

    def __init__(self, path: Path, resume: bool = False):
        try:
            kept = _keep_whole_rows(path) if resume and path.exists() else []
            self._file = path.open("a" if kept else "w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}") from error
        self.num_kept = len(kept)
        self.last_id = kept[-1]["product_id"] if kept else ""
        self._writer = csv.DictWriter(self._file, _COLUMNS)
        if not kept:
            self._writer.writeheader()

    def add(self, answer: Answer) -> None:
        """Write one row."""
        result = answer.result
        item = answer.item
        row = {"product_id": item.product.product_id, "truth": item.truth, "lost_picture": item.lost_picture}
        if isinstance(result, Failure):
            row["error"] = result.message
        else:
            best = result.categories[0]
            row |= {
                "category": best.category,
                "category_id": best.category_id,
                "probability": f"{best.probability:.6f}",
                "accepted": result.accepted.category if result.accepted else "",
                "needs_review": "true" if result.needs_review else "false",
            }
        self._writer.writerow(row)

    def __enter__(self) -> "AnswerFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _keep_whole_rows(path: Path) -> list[dict[str, str]]:
    """Remove a row whose writing was interrupted, and return the others."""
    heading = ",".join(_COLUMNS).encode() + _LINE_END
    with path.open("r+b") as file:
        content = file.read()
        if content[: len(heading)] != heading[: len(content)]:
            raise InputError(f"{path} cannot be resumed: expected the columns {', '.join(_COLUMNS)}, found others")
        whole = content[: content.rfind(_LINE_END) + len(_LINE_END)] if _LINE_END in content else b""
        file.truncate(len(whole))
    return list(csv.DictReader(io.StringIO(whole.decode(), newline="")))


def answer_table(answers: list[Answer]) -> Table:
    """Build the table to print; with a column for the truth or the evidence when a row has it."""
    with_truth = any(answer.item.truth for answer in answers)
    evidence = [evidence_text(answer.result) for answer in answers]
    table = Table()
    more = (["truth"] if with_truth else []) + (["evidence"] if any(evidence) else [])
    for heading in ("product", "answer", "probability", "verdict", *more):
        table.add_column(heading, justify="right" if heading == "probability" else "left", overflow="fold")
    for answer, text in zip(answers, evidence, strict=True):
        cells = [_title(answer.item), *_answer_cells(answer.result)]
        if with_truth:
            cells.append(_truth(answer))
        if any(evidence):
            cells.append((text, ""))
        table.add_row(*(Text(*cell) for cell in cells))
    return table


def _answer_cells(result: Prediction | Failure) -> list[tuple[str, str]]:
    if isinstance(result, Failure):
        return [(result.message, "red"), ("", ""), ("failed", "red")]
    best = result.categories[0]
    if not result.needs_review:
        verdict = ("accepted", "green")
    elif result.accepted is not None:
        verdict = (f"needs review, accepted at {result.accepted.category}", "yellow")
    else:
        verdict = ("needs review", "yellow")
    return [(best.category, ""), (f"{best.probability:.3f}", ""), verdict]


def _truth(answer: Answer) -> tuple[str, str]:
    return answer.item.truth, "green" if answer.is_right else "red"


def _title(item: CatalogItem) -> tuple[str, str]:
    product = item.product
    return product.product_name or product.product_id or product.mall_category or "(picture)", ""


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%} ({count} of {total})" if total else "none"
