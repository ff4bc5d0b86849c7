import csv
from pathlib import Path

import pytest
from rich.console import Console

from aisle_client.errors import InputError
from aisle_client.prediction import Failure, Prediction, ScoredCategory
from client.answers import Answer, AnswerFile, Score, answer_table
from client.catalog import CatalogItem
from model.product import Product

LEAF = ScoredCategory("A>B", "b7", 0.9)


def answered(truth: str, accepted: ScoredCategory | None, needs_review: bool, name: str = "mouse") -> Answer:
    prediction = Prediction("1", (LEAF,), accepted, needs_review, {}, ())
    return Answer(CatalogItem(Product("1", name), truth, ""), prediction)


RIGHT = answered("A > B", LEAF, needs_review=False)
RIGHT_BY_ID = answered("b7", ScoredCategory("A", "", 0.95), needs_review=True)
WRONG = answered("A>C", LEAF, needs_review=False)
UNLABELLED = answered("", None, needs_review=True)
FAILED = Answer(CatalogItem(Product("2"), "A>B", ""), Failure("2", "INVALID_ARGUMENT", "every field is empty"))


def printed(answers: list[Answer]) -> str:
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(answer_table(answers))
    return capture.get()


@pytest.mark.parametrize(
    ("answer", "is_right"), [(RIGHT, True), (RIGHT_BY_ID, True), (WRONG, False), (UNLABELLED, False), (FAILED, False)]
)
def test_an_answer_is_right_by_path_or_by_id(answer: Answer, is_right: bool):
    assert answer.is_right is is_right


@pytest.mark.parametrize(
    ("truth", "is_right"), [("\u1100\u1161>\u200bB\u00a0C", True), ("\u1100\u1161 1", True), (">", False)]
)
def test_another_spelling_of_the_truth_is_right(truth: str, is_right: bool):
    """The labels of the file are in NFD with odd spaces; '>' names no category, and equals no missing id."""
    for leaf in (ScoredCategory("가>B C", "가 1", 0.9), ScoredCategory("가>B C", "", 0.9)):
        prediction = Prediction("1", (leaf,), None, True, {}, ())
        answer = Answer(CatalogItem(Product("1", "mouse"), truth, ""), prediction)
        assert answer.is_right is (is_right and (leaf.category_id != "" or ">" in truth))


def test_the_score_counts_labelled_accepted_and_failed():
    """Counts of five answers: 2 accepted (1 right), 4 labelled (2 right), 1 failed."""
    score = Score()
    for answer in (RIGHT, RIGHT_BY_ID, WRONG, UNLABELLED, FAILED):
        score.add(answer)
    assert score.lines() == [
        "5 products, accepted 40.0% (2 of 5), 1 failed",
        "accuracy 50.0% (2 of 4), among the accepted 50.0% (1 of 2)",
    ]


def test_the_score_without_answers_does_not_divide_by_zero():
    assert Score().lines() == ["0 products, accepted none"]
    score = Score()
    score.add(FAILED)
    assert score.lines() == [
        "1 products, accepted 0.0% (0 of 1), 1 failed",
        "accuracy 0.0% (0 of 1), among the accepted none",
    ]


def test_the_table_shows_answers_failures_and_the_truth():
    text = printed([RIGHT, RIGHT_BY_ID, UNLABELLED, FAILED])
    for expected in (
        "A>B",
        "0.900",
        "accepted",
        "needs review, accepted at A",
        "every field is empty",
        "failed",
        "truth",
    ):
        assert expected in text
    assert "truth" not in printed([UNLABELLED])


def test_the_table_shows_names_without_markup():
    assert "[bold]mouse[/]" in printed([answered("", None, needs_review=True, name="[bold]mouse[/]")])


def test_the_file_has_a_row_per_product(tmp_path: Path):
    with AnswerFile(tmp_path / "out.csv") as file:
        for answer in (RIGHT, RIGHT_BY_ID, FAILED):
            file.add(answer)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert rows[0] == {
        "product_id": "1",
        "category": "A>B",
        "category_id": "b7",
        "probability": "0.900000",
        "accepted": "A>B",
        "needs_review": "false",
        "error": "",
        "truth": "A > B",
        "lost_picture": "",
    }
    assert (rows[1]["accepted"], rows[1]["needs_review"]) == ("A", "true")
    assert (rows[2]["category"], rows[2]["error"]) == ("", "every field is empty")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"out\.csv cannot be written: No such file or directory"):
        AnswerFile(tmp_path / "no/out.csv")
