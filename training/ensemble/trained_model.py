"""The model that one training catalog gives: network, linear SVM and index of neighbours."""

from dataclasses import dataclass, replace

import keras
import numpy as np

from model.network.classifier import ClassifierShape
from model.network.linear_head import LinearHead
from model.prediction.neighbors import NeighborIndex
from model.settings import Settings
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.linear_svm import fit_linear_head, linear_scores
from training.ensemble.neighbor_index import index_neighbors, neighbor_logits
from training.ensemble.ngram_matrix import ngram_field_weights
from training.preparation import Prepared


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Parts of the joint answer that were fitted on the same rows.

    Args:
        trained: from the batches' inputs to head logits.
        classifier: the program inside it, as `build_classifier` made it.
        linear: the linear SVM, or None.
        neighbors: index of the training products, or None.
    """

    shape: ClassifierShape
    trained: keras.Model
    classifier: keras.Model
    linear: LinearHead | None
    neighbors: NeighborIndex | None

    def scores(self, catalog: EncodedCatalog) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(N, K) float32 of the SVM and of the neighbours; None for a part that is not there."""
        num_classes = self.shape.num_classes
        return (
            None if self.linear is None else linear_scores(self.linear, catalog),
            None if self.neighbors is None else neighbor_logits(self.neighbors, catalog, num_classes),
        )


def fit_beside(trained: keras.Model, classifier: keras.Model, prepared: Prepared, settings: Settings) -> TrainedModel:
    """Fit the linear SVM and index the neighbours beside a trained network, as far as settings and data permit."""
    buckets, seed = prepared.tokenizer.settings.hash_buckets, settings.training.seed
    weights = ngram_field_weights(prepared.shape.fields, settings.fields)
    linear = fit_linear_head(_counted(prepared), weights, prepared.labels.taxonomy, buckets, settings.linear, seed)
    mode, index = settings.neighbors.neighbor_head, None
    if weights and (mode == "on" or (mode == "auto" and linear is not None)):
        index = index_neighbors(prepared.train, weights, buckets, settings.neighbors)
    return TrainedModel(prepared.shape, trained, classifier, linear, index)


def _counted(prepared: Prepared) -> EncodedCatalog:
    """The training rows, each of which counts as often as an epoch draws it."""
    if prepared.draw is None:
        return prepared.train
    return replace(prepared.train, arrays={**prepared.train.arrays, "counts": prepared.draw.counts})
