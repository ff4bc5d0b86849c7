"""The evidence of an answer as text."""

from aisle_client.prediction import Failure, Prediction, ScoredCategory, WordSupport
from client.evidence import evidence_text


def prediction(heads: dict[str, ScoredCategory], words: tuple[WordSupport, ...] = ()) -> Prediction:
    best = ScoredCategory("A>x", "", 0.9)
    return Prediction("1", (best,), None, True, heads, (), words)


def test_a_line_for_each_field_and_one_for_the_words() -> None:
    heads = {"name": ScoredCategory("A>x", "", 0.91), "image": ScoredCategory("B", "", 0.4)}
    text = evidence_text(prediction(heads, (WordSupport("gram", 2.04, 0.2), WordSupport("LG", -0.3, 0.95))))
    assert text == "name: A>x 0.910\nimage: B 0.400\nwords: gram +2.0, LG -0.3"


def test_of_many_words_those_with_the_most_and_the_least_support() -> None:
    words = tuple(WordSupport(f"w{i}", float(9 - i), 0.5) for i in range(12))
    assert evidence_text(prediction({}, words)) == "words: w0 +9.0, w1 +8.0, w2 +7.0, w3 +6.0, w4 +5.0, w11 -2.0"


def test_without_evidence_there_is_no_text() -> None:
    assert evidence_text(prediction({})) == ""
    assert evidence_text(Failure("1", "INVALID_ARGUMENT", "no")) == ""
