"""Which words of a name carried the answer: each word left out in turn (occlusion, Zeiler and Fergus 2014)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from model.engines.engine import Features
from model.prediction.answers import WordSupport, softmax
from model.product import has_text
from model.sub_tree import SubTree
from tokenizer.normalize import normalize

if TYPE_CHECKING:
    from model.predictor import Predictor

#: Words weighed of each name: each one costs a row of the classifier.
MAX_WORDS = 24
_BATCH_ROWS = 256
#: Log-odds are told within this bound, so that they stay finite.
_MAX_LOG_ODDS = 50.0


def word_supports(
    predictor: "Predictor",
    names: Sequence[str],
    features: Features,
    joint_logits: np.ndarray,
    sub_trees: Sequence[SubTree | None] = (),
) -> list[tuple[WordSupport, ...]]:
    """What each word of the names does for the answers; all that is left out goes through the classifier together.

    A word that stands several times is left out everywhere at once. Names of one word say nothing about words, and
    of long ones the first MAX_WORDS words are weighed.

    Args:
        names: N product names as the shop wrote them.
        features: classifier inputs of the N products.
        joint_logits: (N, K) float32, what the classifier made of them.
        sub_trees: what each answer was restricted to; empty restricts none.
    Returns:
        for each product its words, the strongest support first.
    """
    if "name" not in predictor.bundle.fields:
        return [() for _ in names]
    words = [_weighed_words(name) for name in names]
    rows = np.repeat(np.arange(len(names)), [len(one) for one in words])
    shortened = [_without(name, word) for name, one in zip(names, words, strict=True) for word in one]
    logits = _classified(predictor, features, rows, shortened)
    votes: list[tuple[WordSupport, ...]] = []
    for row, one in enumerate(words):
        sub_tree = sub_trees[row] if sub_trees else None
        given = np.concatenate([joint_logits[row : row + 1], logits[rows == row]])
        votes.append(_votes(one, given if sub_tree is None else given[:, sub_tree.leaves], predictor))
    return votes


def _weighed_words(name: str) -> list[str]:
    words = list({normalize(word): word for word in reversed(name.split()) if has_text(word)}.values())[::-1]
    return words[:MAX_WORDS] if len(words) > 1 else []


def _without(name: str, left_out: str) -> str:
    normalized = normalize(left_out)
    return " ".join(word for word in name.split() if normalize(word) != normalized)


def _classified(predictor: "Predictor", features: Features, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Joint logits (M, K) of product rows[i] under the name names[i]."""
    presence = features["presence"][rows]
    presence[:, predictor.bundle.fields.index("name")] = [has_text(name) for name in names]
    changed = {**predictor.preprocessor.tokenizer.encode({"name": names}), "presence": presence}
    parts = []
    for start in range(0, len(rows), _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        inputs = {name: changed[name][part] if name in changed else features[name][rows[part]] for name in features}
        parts.append(predictor.classify(inputs, all_heads=False)["joint_logits"])
    return np.concatenate(parts) if parts else np.empty((0, predictor.bundle.taxonomy.num_leaves), np.float32)


def _votes(words: Sequence[str], logits: np.ndarray, predictor: "Predictor") -> tuple[WordSupport, ...]:
    """Args: logits: (1 + number of words, leaves to choose from), the whole name first."""
    probabilities = softmax(logits, predictor.bundle.calibration.temperature)
    answered = int(logits[0].argmax())
    log_odds = _log_odds(logits / np.float32(predictor.bundle.calibration.temperature), answered)
    support = log_odds[0] - log_odds[1:]
    votes = [
        WordSupport(word, float(support[i]), float(probabilities[i + 1, answered])) for i, word in enumerate(words)
    ]
    return tuple(sorted(votes, key=lambda vote: -vote.support))


def _log_odds(logits: np.ndarray, answered: int) -> np.ndarray:
    """(M,) of one leaf against all others; 0 where there is no other."""
    others = np.delete(logits, answered, axis=1).astype(np.float64)
    if not others.shape[1]:
        return np.zeros(len(logits))
    against = np.logaddexp.reduce(others, axis=1)
    return np.clip(logits[:, answered] - against, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
