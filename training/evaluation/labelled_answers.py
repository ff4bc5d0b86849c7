"""The answers of a bundle to a labelled catalog, each with the row's class."""

from collections.abc import Iterator

import numpy as np

from catalog.labels.label_space import LabelSpace
from catalog.rejects import Rejects
from model.predictor import Predictor
from training.predict.answered_catalog import AnsweredChunk, CatalogSource, answer_catalog


def labelled_answers(
    predictor: Predictor, catalog: CatalogSource, labels: LabelSpace, rejects: Rejects, top_k: int
) -> Iterator[tuple[AnsweredChunk, np.ndarray]]:
    """Answer all rows that can be answered and have a label of the tree; the others go to `rejects`.

    Returns:
        Chunks of one row or more, each with its (N,) int32 classes.
    Raises:
        CatalogError: the catalog cannot be read.
    """
    for chunk in answer_catalog(predictor, catalog, rejects, top_k):
        classes = [labels.class_of(row) for row in chunk.rows]
        for row, found in zip(chunk.rows, classes, strict=True):
            if isinstance(found, str):
                rejects.add(catalog.path, row.line, row.product_id, found)
        kept = np.array([i for i, found in enumerate(classes) if not isinstance(found, str)], int)
        if len(kept):
            yield chunk.select(kept), np.array([classes[i] for i in kept], np.int32)
