"""A server's answer to one pair: how probably two products are the same."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PairAnswer:
    """An answer of the server's matcher about two products of the index.

    Args:
        probability: that they are one product, 0 to 1.
        is_same: whether that is enough for the precision that was asked for.
    """

    left_id: str
    right_id: str
    probability: float
    is_same: bool
