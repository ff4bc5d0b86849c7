"""The rows of an evaluation, reduced to a few numbers each and the inputs of the most confident errors."""

import base64
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from catalog.rows import CatalogRow
from model.features import Features
from model.prediction.answers import Answers, probabilities, softmax
from model.prediction.field_subsets import SubsetThresholds
from model.predictor import Predictor
from model.product import head_rows
from training.evaluation.bundle_comparison import RowAnswers
from training.evaluation.cross_fitting import LogitSample, SampledRows
from training.evaluation.mall_category_metrics import MallCategoryMetrics
from training.evaluation.row_groups import RowGroups
from training.metrics.classification import concatenate_answers, confident_error_rows
from training.metrics.contract import leaf_accepted_flags
from training.metrics.outcomes import Outcomes
from training.predict.answered_catalog import AnsweredChunk
from training.report.report import ConfidentError, HeadAnswer
from training.splitting.near_duplicates import comparable_text, text_groups

NUM_ERRORS = 24
_THUMBNAIL_PX = 96


@dataclass(frozen=True)
class _Error:
    """A wrong answer with the data to explain it.

    Args:
        features: the classifier's inputs, (1, ...) each.
        outputs: the classifier's outputs, (1, ...) each.
        thumbnail: a data:image/ URI, '' without a picture.
    """

    confidence: float
    row: CatalogRow
    features: Features
    outputs: dict[str, np.ndarray]
    thumbnail: str


class EvaluatedRows:
    """Collects a stream of answered rows; its properties are to be read after the last one.

    Args:
        predictor: the predictor that answers.
    """

    def __init__(self, predictor: Predictor):
        bundle = predictor.bundle
        self.num_rows = 0
        self._sample = LogitSample(bundle.taxonomy.num_leaves, bundle.taxonomy.depth)
        self.mall_category_metrics = MallCategoryMetrics()
        self.row_groups = RowGroups()
        without_depths = replace(bundle.calibration, thresholds=(0.0,) * bundle.taxonomy.depth)
        self._subset_thresholds = SubsetThresholds(without_depths, bundle.fields)
        self._predictor = predictor
        self._bundle = bundle
        self._outcomes: dict[str, list[Outcomes]] = {head: [] for head in bundle.heads}
        self._answers: list[Answers] = []
        self._presence: list[np.ndarray] = []
        self._lines: list[np.ndarray] = []
        self._texts: list[str] = []
        self._is_leaf_accepted: list[np.ndarray] = []
        #: Errors by row number.
        self._errors: dict[int, _Error] = {}

    def add(self, chunk: AnsweredChunk, labels: np.ndarray) -> None:
        """Add n rows, 1 or more, with their (n,) int32 classes."""
        calibration = self._bundle.calibration
        masses = self._predictor.prior_masses(chunk.features["presence"])
        for head, parts in self._outcomes.items():
            logits = chunk.outputs[f"{head}_logits"]
            if head == "joint":
                parts.append(Outcomes.of(labels, probabilities(logits, masses)))
            else:
                parts.append(Outcomes.of(labels, softmax(logits, calibration.head_temperature(head))))
        joint = self._outcomes["joint"][-1]
        is_leaf_accepted, _ = leaf_accepted_flags(labels, chunk.answers, self._bundle.taxonomy)
        floors = self._subset_thresholds.of_rows(chunk.features["presence"])
        self._sample.add(chunk.outputs["joint_logits"], masses, labels, floors)
        self._texts += map(comparable_text, chunk.rows)
        self.row_groups.add(chunk.rows)
        self.mall_category_metrics.add(chunk.rows, joint.is_correct, is_leaf_accepted)
        self._answers.append(chunk.answers)
        self._presence.append(chunk.features["presence"])
        self._lines.append(np.array([row.line for row in chunk.rows], np.int64))
        self._is_leaf_accepted.append(is_leaf_accepted)
        self._add_errors(chunk, joint)
        self.num_rows += len(labels)

    @cached_property
    def outcomes(self) -> dict[str, Outcomes]:
        """The outcomes of every head."""
        return {head: Outcomes.concatenate(parts) for head, parts in self._outcomes.items()}

    @property
    def joint(self) -> Outcomes:
        """The outcomes of the joint head, which answers."""
        return self.outcomes["joint"]

    @cached_property
    def answers(self) -> Answers:
        """The answers to all rows."""
        return concatenate_answers(self._answers)

    @cached_property
    def presence(self) -> np.ndarray:
        """(N, number of the bundle's fields) float32 flags."""
        return np.concatenate(self._presence)

    @cached_property
    def groups(self) -> np.ndarray:
        """(N,) int, the group of each row by its text; near-duplicates share one."""
        return text_groups(self._texts)

    @property
    def sample(self) -> SampledRows:
        """The joint answers of a random sample."""
        return self._sample.rows(self.groups)

    @property
    def row_answers(self) -> RowAnswers:
        """The answers by row, for the comparison with another bundle."""
        lines, is_leaf_accepted = np.concatenate(self._lines), np.concatenate(self._is_leaf_accepted)
        return RowAnswers(lines, self.joint.predicted, self.joint.confidences, is_leaf_accepted)

    def confident_errors(self) -> list[ConfidentError]:
        """Return the wrong answers with the highest confidence, in descending order."""
        return [self._error(int(i)) for i in confident_error_rows(self.joint, NUM_ERRORS)]

    def _add_errors(self, chunk: AnsweredChunk, joint: Outcomes) -> None:
        """Keep the rows of the most confident errors so far."""
        for i in map(int, confident_error_rows(joint, NUM_ERRORS)):
            self._errors[self.num_rows + i] = _Error(
                float(joint.confidences[i]),
                chunk.rows[i],
                {name: values[[i]] for name, values in chunk.features.items()},  # copies, not views of a chunk
                {name: values[[i]] for name, values in chunk.outputs.items()},
                _thumbnail(chunk.pixels[i]) if i in chunk.pixels else "",
            )
        most_confident = sorted(self._errors.items(), key=lambda item: (-item[1].confidence, item[0]))
        self._errors = dict(most_confident[:NUM_ERRORS])

    def _error(self, i: int) -> ConfidentError:
        taxonomy = self._bundle.taxonomy
        error = self._errors[i]
        row = error.row
        top = self.answers.categories(i, taxonomy)[0]
        (words,) = self._predictor.word_supports([row.text("name")], error.features, error.outputs["joint_logits"])
        return ConfidentError(
            product_id=row.product_id,
            product_name=row.text("name"),
            mall_category=row.text("mall_category"),
            truth=taxonomy.leaves[int(self.joint.labels[i])],
            answer=top.category,
            probability=top.probability,
            is_accepted=not self.answers.needs_review(i, taxonomy),
            thumbnail=error.thumbnail,
            heads=self._head_answers(error),
            words=words,
        )

    def _head_answers(self, error: _Error) -> tuple[HeadAnswer, ...]:
        """Return the answer of each head that has an input."""
        answers = []
        calibration = self._bundle.calibration
        for head in self._bundle.heads:
            if head == "joint" or not head_rows(head, error.features["presence"], self._bundle.fields)[0]:
                continue
            (probabilities,) = softmax(error.outputs[f"{head}_logits"], calibration.head_temperature(head))
            leaf = int(probabilities.argmax())
            answers.append(HeadAnswer(head, self._bundle.taxonomy.leaves[leaf], float(probabilities[leaf])))
        return tuple(answers)


def _thumbnail(pixels: np.ndarray) -> str:
    small = cv2.resize(pixels, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small[:, :, ::-1])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
