"""Pairs of products on their way to the matcher's process, and its answer back, as frames."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from retrieval.index.record import Attributes, IndexRecord, Space
from server.engine.frames import Frame

#: float16, as an index keeps vectors.
_VECTOR_TYPE = np.dtype("<f2")
_PROBABILITY_TYPE = np.dtype("<f4")


@dataclass
class PairBatch:
    """Pairs of several requests.

    Args:
        product_ids, offers: of the products.
        vectors: by space, (N, D); rows of zeros where a product has none.
        left, right: positions of the pairs' products.
        precisions: of the requests, each once; 0 is the matcher's own.
    """

    product_ids: list[str]
    offers: list[Attributes]
    vectors: dict[Space, np.ndarray]
    left: np.ndarray
    right: np.ndarray
    precisions: list[float]

    def pair(self, number: int) -> Self:
        """One of the pairs alone."""
        rows = [int(self.left[number]), int(self.right[number])]
        return dataclasses.replace(
            self,
            product_ids=[self.product_ids[row] for row in rows],
            offers=[self.offers[row] for row in rows],
            vectors={space: vectors[rows] for space, vectors in self.vectors.items()},
            left=np.array([0]),
            right=np.array([1]),
        )

    def to_frame(self) -> Frame:
        """As the process reads it."""
        header = {
            "product_ids": self.product_ids,
            "offers": [dataclasses.astuple(offer) for offer in self.offers],
            "left": self.left.tolist(),
            "right": self.right.tolist(),
            "precisions": self.precisions,
            "spaces": list(self.vectors),
        }
        return Frame(header, [vectors.astype(_VECTOR_TYPE).tobytes() for vectors in self.vectors.values()])

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        """From what `to_frame` returned."""
        header = frame.header
        count = len(header["product_ids"])
        vectors: dict[Space, np.ndarray] = {
            space: np.frombuffer(body, _VECTOR_TYPE).astype(np.float32).reshape(count, -1)
            for space, body in zip(header["spaces"], frame.bodies, strict=True)
        }
        return cls(
            header["product_ids"],
            [Attributes(*values) for values in header["offers"]],
            vectors,
            np.array(header["left"], np.int64),
            np.array(header["right"], np.int64),
            header["precisions"],
        )


@dataclass(frozen=True)
class PairRequest:
    """The pairs of one request.

    Args:
        pairs: two different products each.
        precision: that is asked for, 0 is the matcher's own.
    """

    pairs: Sequence[tuple[IndexRecord, IndexRecord]]
    precision: float = 0.0


@dataclass(frozen=True)
class PairAnswers:
    """Answers to pairs.

    Args:
        probabilities: (P,) float32; NaN for a pair that cannot be compared.
        thresholds: least probability of the same by precision; above 1 where that cannot be promised.
    """

    probabilities: np.ndarray
    thresholds: dict[float, float] = field(default_factory=dict)

    def to_frame(self) -> Frame:
        """As the server reads it."""
        header = {"thresholds": list(self.thresholds.items())}
        return Frame(header, [self.probabilities.astype(_PROBABILITY_TYPE).tobytes()])

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        """From what `to_frame` returned."""
        return cls(np.frombuffer(frame.bodies[0], _PROBABILITY_TYPE), dict(frame.header["thresholds"]))

    def part(self, start: int, stop: int) -> Self:
        """The answers to some of the pairs."""
        return dataclasses.replace(self, probabilities=self.probabilities[start:stop])


def merged(requests: Sequence[PairRequest], spaces: Sequence[Space]) -> PairBatch:
    """Put the pairs of several requests into one batch, each product of a request once.

    Args:
        spaces: whose vectors the matcher compares.
    """
    records: list[IndexRecord] = []
    pairs: list[tuple[int, int]] = []
    for request in requests:
        places: dict[str, int] = {}
        for pair in request.pairs:
            for record in pair:
                if record.product_id not in places:
                    places[record.product_id] = len(records)
                    records.append(record)
            pairs.append((places[pair[0].product_id], places[pair[1].product_id]))
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    return PairBatch(
        [record.product_id for record in records],
        [record.attributes for record in records],
        {space: vectors for space in spaces if (vectors := _vectors(records, space)) is not None},
        left,
        right,
        sorted({request.precision for request in requests}),
    )


def _vectors(records: Sequence[IndexRecord], space: Space) -> np.ndarray | None:
    """(N, D) of a space; None where no record has one."""
    known = {position: record.vectors[space] for position, record in enumerate(records) if space in record.vectors}
    if not known:
        return None
    vectors = np.zeros((len(records), len(next(iter(known.values())))), np.float32)
    for position, vector in known.items():
        vectors[position] = vector
    return vectors
