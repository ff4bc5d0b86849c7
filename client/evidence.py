"""The evidence for an answer as text: the answer of each field's head, and the support of the name's words."""

from aisle_client.prediction import Failure, Prediction

_NUM_WORDS = 6


def evidence_text(result: Prediction | Failure) -> str:
    """Format a line for each field and one for the words; '' when the answer has no evidence.

    The words are those with the most support, followed by the one with the least; the numbers are log-odds.
    """
    if isinstance(result, Failure):
        return ""
    lines = [f"{head}: {best.category} {best.probability:.3f}" for head, best in result.heads.items()]
    words = result.words
    if len(words) > _NUM_WORDS:
        words = (*words[: _NUM_WORDS - 1], words[-1])
    if words:
        lines.append("words: " + ", ".join(f"{word.word} {word.support:+.1f}" for word in words))
    return "\n".join(lines)
