"""Products that show why a proposal was made."""

import numpy as np

from labeling.confusions.confusions import Confusions
from labeling.confusions.proposals import Proposal

NUM_EXAMPLES = 4


def example_rows(confusions: Confusions, proposal: Proposal) -> list[tuple[str, list[int]]]:
    """Some rows under a heading each: by category those most like the others, of a split those typical of each kind."""
    classes = confusions.classes
    if proposal.kind == "split":
        kinds = zip(proposal.toward, proposal.typical, strict=True)
        return [(f"like {confusions.path(other)}", list(rows[:NUM_EXAMPLES])) for other, rows in kinds]
    found = []
    for number in proposal.classes:
        others = [other for other in proposal.classes if other != number]
        own = np.flatnonzero(classes == number)
        found.append((confusions.path(number), _most(confusions, _disputed_first(confusions, own, others), others)))
    return found


def _most(confusions: Confusions, rows: np.ndarray, others: list[int]) -> list[int]:
    """The rows in which the others are most probable."""
    answers = confusions.answers
    is_other = np.isin(answers.classes[rows], others)
    masses = np.where(is_other, answers.probabilities[rows].astype(np.float32), 0).sum(axis=1)
    return [int(row) for row in rows[np.argsort(-masses, kind="stable")[:NUM_EXAMPLES]]]


def _disputed_first(confusions: Confusions, rows: np.ndarray, others: list[int]) -> np.ndarray:
    """Of the rows those whose near-duplicates are in the others, if there are enough of them; else all."""
    groups = confusions.catalog.groups
    is_disputed = np.isin(groups[rows], groups[np.isin(confusions.classes, others)])
    return rows[is_disputed] if is_disputed.sum() >= NUM_EXAMPLES else rows
