"""Why an answer: what each field says by itself, and the words that carried the name's vote, as text."""

from client.messages import Failure
from model.prediction.answers import Prediction

_NUM_WORDS = 6


def evidence_text(result: Prediction | Failure) -> str:
    """A line for each field and one for the words, '' where the server was not asked.

    Words are those of most support and, behind them, the one that spoke most against the answer; numbers are log-odds.
    """
    if isinstance(result, Failure):
        return ""
    lines = [f"{head}: {said.category} {said.probability:.3f}" for head, said in result.heads.items()]
    votes = result.words
    if len(votes) > _NUM_WORDS:
        votes = (*votes[: _NUM_WORDS - 1], votes[-1])
    if votes:
        lines.append("words: " + ", ".join(f"{vote.word} {vote.support:+.1f}" for vote in votes))
    return "\n".join(lines)
