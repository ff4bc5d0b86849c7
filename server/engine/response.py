"""Predictions to messages of the contract."""

from collections.abc import Sequence

from aisle_client.v1 import classifier_pb2
from model.prediction.answers import Prediction, ScoredCategory
from model.taxonomy import SEPARATOR
from server.errors import product_status


def classifications(
    request: classifier_pb2.ClassifyRequest, outcomes: Sequence[Prediction | Exception], first_index: int
) -> classifier_pb2.ClassifyResponse:
    """A response that holds nothing but one classification for each product of a part, in order.

    Args:
        outcomes: an error that is neither ProductError nor PictureError is an internal error.
        first_index: position of the first product in the caller's request.
    """
    response = classifier_pb2.ClassifyResponse()
    for i, (product, outcome) in enumerate(zip(request.products, outcomes, strict=True)):
        classification = response.classifications.add(product_id=product.product_id)
        if isinstance(outcome, Prediction):
            _fill_prediction(classification.prediction, outcome, request)
        else:
            classification.error.CopyFrom(product_status(outcome, first_index + i))
    return response


def _fill_prediction(
    message: classifier_pb2.Prediction, prediction: Prediction, request: classifier_pb2.ClassifyRequest
) -> None:
    for category in prediction.categories[: request.top_k]:
        message.categories.add(
            category=category.category, category_id=category.category_id, probability=category.probability
        )
    message.needs_review = prediction.needs_review
    if prediction.accepted is not None:
        message.accepted.CopyFrom(_scored(prediction.accepted))
        message.accepted_depth = prediction.accepted.category.count(SEPARATOR) + 1
    if request.include_evidence:
        for head, category in prediction.heads.items():
            message.heads.add(head=head, category=_scored(category))
    for word in prediction.words if request.include_words else ():
        message.words.add(word=word.word, support=word.support, probability_without=word.probability_without)
    if request.include_embedding:
        message.embedding.extend(prediction.embedding.tolist())


def _scored(category: ScoredCategory) -> classifier_pb2.ScoredCategory:
    return classifier_pb2.ScoredCategory(
        category=category.category, category_id=category.category_id, probability=category.probability
    )
