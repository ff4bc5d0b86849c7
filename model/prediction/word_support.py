"""Words of a name that carried the answer: each word left out in turn (occlusion, Zeiler and Fergus 2014)."""

from collections.abc import Callable, Sequence

import numpy as np

from model.features import Features
from model.prediction.answers import WordSupport, probabilities
from model.product import has_text
from model.sub_tree import SubTree
from tokenizer.normalize import normalize
from tokenizer.tokenizer import Tokenizer

#: Words weighed of each name: each one costs a row of the classifier.
MAX_WORDS = 24
_BATCH_ROWS = 256
#: Log-odds are cut to this bound, so that they stay finite.
_MAX_LOG_ODDS = 50.0


class NameOcclusion:
    """Leaves words of names out and looks what becomes of the answers.

    Args:
        tokenizer: of the model.
        fields: of the model, in its order.
        joint_logits: classifier inputs, (M, ...) each, to calibrated joint logits (M, K).
        prior_masses: (M, F) flags of given fields to (M, 1); see `model.prediction.answers.probabilities`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        fields: Sequence[str],
        joint_logits: Callable[[Features], np.ndarray],
        prior_masses: Callable[[np.ndarray], np.ndarray],
    ):
        self._tokenizer = tokenizer
        self._fields = tuple(fields)
        self._joint_logits = joint_logits
        self._prior_masses = prior_masses

    def word_supports(
        self,
        names: Sequence[str],
        features: Features,
        joint_logits: np.ndarray,
        sub_trees: Sequence[SubTree | None] = (),
    ) -> list[tuple[WordSupport, ...]]:
        """The effect of each word of the names on the answers; all shortened names are classified together.

        A word that stands several times is left out everywhere at once. Names of one word say nothing about words, and
        of long ones the first MAX_WORDS words are weighed.

        Args:
            names: N product names as the shop wrote them.
            features: classifier inputs of the N products.
            joint_logits: (N, K) float32, calibrated, of the whole names.
            sub_trees: restriction of each answer; empty restricts none.
        Returns:
            for each product its words, the strongest support first.
        """
        if "name" not in self._fields:
            return [() for _ in names]
        words = [_weighed_words(name) for name in names]
        rows = np.repeat(np.arange(len(names)), [len(one) for one in words])
        shortened = [_without(name, word) for name, one in zip(names, words, strict=True) for word in one]
        logits, masses = self._classified(features, rows, shortened, joint_logits.shape[1])
        supports: list[tuple[WordSupport, ...]] = []
        for row, one in enumerate(words):
            sub_tree = sub_trees[row] if sub_trees else None
            leaves = slice(None) if sub_tree is None else sub_tree.leaves
            own = rows == row
            supports.append(_supports(one, joint_logits[row, leaves], logits[own][:, leaves], masses[own]))
        return supports

    def _classified(
        self, features: Features, rows: np.ndarray, names: Sequence[str], num_classes: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Joint logits (M, K) and prior masses (M, 1) of product rows[i] under the name names[i]."""
        presence = features["presence"][rows]
        presence[:, self._fields.index("name")] = [has_text(name) for name in names]
        changed = {**self._tokenizer.encode({"name": names}), "presence": presence}
        parts = []
        for start in range(0, len(rows), _BATCH_ROWS):
            part = slice(start, start + _BATCH_ROWS)
            inputs = {name: changed[name][part] if name in changed else features[name][rows[part]] for name in features}
            parts.append(self._joint_logits(inputs))
        logits = np.concatenate(parts) if parts else np.empty((0, num_classes), np.float32)
        return logits, self._prior_masses(presence)


def _weighed_words(name: str) -> list[str]:
    words = list({normalize(word): word for word in reversed(name.split()) if has_text(word)}.values())[::-1]
    return words[:MAX_WORDS] if len(words) > 1 else []


def _without(name: str, left_out: str) -> str:
    normalized = normalize(left_out)
    return " ".join(word for word in name.split() if normalize(word) != normalized)


def _supports(
    words: Sequence[str], whole: np.ndarray, shortened: np.ndarray, prior_masses: np.ndarray
) -> tuple[WordSupport, ...]:
    """Args: whole, shortened: (leaves to choose from,) logits of the whole name, and those without each word."""
    answered = int(whole.argmax())
    without = probabilities(shortened, prior_masses)[:, answered]
    support = _log_odds(whole[None], answered) - _log_odds(shortened, answered)
    supports = [WordSupport(word, float(support[i]), float(without[i])) for i, word in enumerate(words)]
    return tuple(sorted(supports, key=lambda word: -word.support))


def _log_odds(logits: np.ndarray, answered: int) -> np.ndarray:
    """(M,) log-odds of one leaf to all others; 0 where there is no other."""
    others = np.delete(logits, answered, axis=1).astype(np.float64)
    if not others.shape[1]:
        return np.zeros(len(logits))
    rest = np.logaddexp.reduce(others, axis=1)
    return np.clip(logits[:, answered] - rest, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)
