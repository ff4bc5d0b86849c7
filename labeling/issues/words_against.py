"""The words of a product's texts that speak for another category and against its own."""

import math
from collections import Counter
from collections.abc import Sequence

from labeling.issues.label_issues import LabelIssues

_MOST_WORDS = 4
#: Added to every count, so that a word that was never seen in a category is not proof.
_SMOOTHING = 0.5
_LEAST_LOG_RATIO = 1.0


def words_against(issues: LabelIssues, shown: Sequence[int]) -> dict[int, list[str]]:
    """By row its words that are much more frequent in the suggested category than in the given one, strongest first.

    Args:
        shown: rows to explain; the rest of the catalog is what words are counted in.
    """
    texts, classes = issues.catalog.rows.texts, issues.catalog.classes
    words = {word for row in shown for word in texts[row].split()}
    wanted = {int(number) for row in shown for number in (classes[row], issues.suggested[row])}
    counts: Counter[tuple[int, str]] = Counter()
    sizes: Counter[int] = Counter()
    for number, text in zip(classes.tolist(), texts, strict=True):
        if number in wanted:
            sizes[number] += 1
            counts.update((number, word) for word in words.intersection(text.split()))

    def frequency(number: int, word: str) -> float:
        return (counts[number, word] + _SMOOTHING) / (sizes[number] + 1)

    found = {}
    for row in shown:
        given, suggested = int(classes[row]), int(issues.suggested[row])
        ratios = {
            word: math.log(frequency(suggested, word) / frequency(given, word)) for word in set(texts[row].split())
        }
        strongest = sorted(ratios, key=lambda word: (-ratios[word], word))[:_MOST_WORDS]
        found[row] = [word for word in strongest if ratios[word] >= _LEAST_LOG_RATIO]
    return found
