"""A server's answer for one product: a prediction, or the reason why there is none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoredCategory:
    """A node of the category tree with its probability.

    Args:
        category: path from the top, levels joined by '>'.
        category_id: the shop's own id; '' where the taxonomy gave none.
        probability: 0 to 1, calibrated.
    """

    category: str
    category_id: str
    probability: float


@dataclass(frozen=True, slots=True)
class WordSupport:
    """Effect of one word of the name on the answer.

    Args:
        word: as the shop wrote it.
        support: by how much the answer's log-odds fall when the word is left out; below 0 it spoke against it.
        probability_without: the answer's probability without the word, 0 to 1.
    """

    word: str
    support: float
    probability_without: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one product.

    Args:
        categories: the top k leaves, best first.
        accepted: the deepest node that the precision contract covers, or None.
        needs_review: True when no leaf is accepted.
        heads: the best leaf by each field alone, with `include_evidence`.
        embedding: the product as a unit vector, with `include_embedding`.
        words: what the words of the name did, the strongest support first, with `include_words`.
    """

    product_id: str
    categories: tuple[ScoredCategory, ...]
    accepted: ScoredCategory | None
    needs_review: bool
    heads: dict[str, ScoredCategory]
    embedding: tuple[float, ...]
    words: tuple[WordSupport, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """One product that has no answer; its neighbours have theirs.

    Args:
        code: name of the gRPC status code, "INVALID_ARGUMENT" where the product is at fault.
    """

    product_id: str
    code: str
    message: str
